//! Things found in pictures: boxes and masks.

use numpy::{IntoPyArray, PyArray1, PyArray3, ndarray::Array3};
use ocelli::{
    Error, Result,
    found::{self, DetectOptions, Mask},
    pictures::Picture,
};
use pyo3::{Py, Python, pyclass, pymethods};

use crate::{engine::Session, input::Pictures, results::states};

/// A thing that was found.
#[pyclass(frozen, get_all, module = "ocelli_vision")]
#[derive(Clone)]
pub struct Detection {
    /// The label's text.
    label: String,
    /// The label's place among those asked for.
    index: usize,
    /// 0 to 1.
    score: f32,
    /// x and y of the upper left corner, width, height: pixels of the picture.
    r#box: (f64, f64, f64, f64),
}

#[pymethods]
impl Detection {
    fn __repr__(&self) -> String {
        let (x, y, width, height) = self.r#box;
        format!("Detection({:?}, {:.4}, box=({x:.1}, {y:.1}, {width:.1}, {height:.1}))", self.label, self.score)
    }
}

/// What was found in each picture.
#[pyclass(frozen, module = "ocelli_vision")]
pub struct Detections {
    /// For each picture, best first; none where `ok` is False.
    #[pyo3(get)]
    found: Vec<Vec<Detection>>,
    ok: Py<PyArray1<bool>>,
    /// For each picture None, or why nothing could be looked for.
    #[pyo3(get)]
    errors: Vec<Option<String>>,
}

/// A mask for each label in each picture.
#[pyclass(frozen, module = "ocelli_vision")]
pub struct Masks {
    /// For each picture bool, (labels, height, width), in its own pixels; None where `ok` is False.
    masks: Vec<Option<Py<PyArray3<bool>>>>,
    ok: Py<PyArray1<bool>>,
    /// For each picture None, or why nothing could be looked for.
    #[pyo3(get)]
    errors: Vec<Option<String>>,
}

/// Looks for labels in pictures, one after the other.
pub async fn detect(
    session: &Session,
    pictures: Pictures,
    labels: &[String],
    prompts: &[String],
    options: &DetectOptions,
) -> Result<Vec<Result<Vec<Detection>>>> {
    let set = session.queries(&session.embed_texts(prompts).await?)?;
    let one = |one: found::Detection| {
        let found::Bounds { x, y, width, height } = one.bounds;
        Detection { label: labels[one.label].clone(), index: one.label, score: one.score, r#box: (x, y, width, height) }
    };
    each(pictures, async |picture| {
        let scene = session.look(picture).await?;
        Ok(session.find(&scene, &set, options).await?.into_iter().map(one).collect())
    })
    .await
}

/// Cuts labels out of pictures, one after the other: of each picture its masks' pixels, and its height and width.
pub async fn segment(
    session: &Session,
    pictures: Pictures,
    prompts: &[String],
    threshold: f64,
) -> Result<Vec<Result<(Vec<bool>, [usize; 2])>>> {
    let side = session.mask_side()?;
    let prompts = session.embed_texts(prompts).await?;
    each(pictures, async |picture| {
        let (width, height) = picture.size();
        let logits = session.segment(&session.look(picture).await?, &prompts).await?;
        let mask = |logits: &Vec<f32>| Mask::from_logits(logits, side, width, height, threshold).bits;
        Ok((logits.iter().flat_map(mask).collect(), [height, width]))
    })
    .await
}

/// What `work` makes of each picture; one that cannot be read, or that it refuses, does not spoil the others.
pub async fn each<T>(pictures: Pictures, work: impl AsyncFn(&Picture) -> Result<T>) -> Result<Vec<Result<T>>> {
    let mut all = Vec::with_capacity(pictures.len());
    for picture in pictures.decoded(1).into_iter().flatten() {
        all.push(match picture {
            Err(error) => Err(error),
            Ok(picture) => match work(&picture).await {
                Err(error) if !matches!(error, Error::BadImage(_)) => return Err(error),
                done => done,
            },
        });
    }
    Ok(all)
}

impl Detections {
    pub fn new(py: Python, rows: Vec<Result<Vec<Detection>>>) -> Self {
        let (ok, errors) = states(&rows);
        let found = rows.into_iter().map(Result::unwrap_or_default).collect();
        Self { found, ok: ok.into_pyarray(py).unbind(), errors }
    }
}

#[pymethods]
impl Detections {
    /// bool, (pictures,): whether the picture could be looked at.
    #[getter]
    fn ok(&self, py: Python) -> Py<PyArray1<bool>> {
        self.ok.clone_ref(py)
    }
}

impl Masks {
    pub fn new(py: Python, rows: Vec<Result<(Vec<bool>, [usize; 2])>>, labels: usize) -> Self {
        let (ok, errors) = states(&rows);
        let masks = rows.into_iter().map(|row| {
            let (bits, [height, width]) = row.ok()?;
            let masks = Array3::from_shape_vec((labels, height, width), bits).expect("a bit for each pixel");
            Some(masks.into_pyarray(py).unbind())
        });
        Self { masks: masks.collect(), ok: ok.into_pyarray(py).unbind(), errors }
    }
}

#[pymethods]
impl Masks {
    /// For each picture bool, (labels, height, width), in its own pixels; None where `ok` is False.
    #[getter]
    fn masks(&self, py: Python) -> Vec<Option<Py<PyArray3<bool>>>> {
        self.masks.iter().map(|mask| mask.as_ref().map(|mask| mask.clone_ref(py))).collect()
    }
    /// bool, (pictures,): whether the picture could be looked at.
    #[getter]
    fn ok(&self, py: Python) -> Py<PyArray1<bool>> {
        self.ok.clone_ref(py)
    }
}
