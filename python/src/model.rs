//! `Model`: a model on a device.

use std::path::{self, PathBuf};

use numpy::PyArray2;
use ocelli::{
    Error, Result, Score, config::Towers, found::DetectOptions, pictures, quant::Format, sampling::Sampling,
    scores::fill,
};
use pollster::block_on;
use pyo3::{
    Bound, Py, PyAny, PyResult, Python, pyclass, pymethods,
    types::{PyDict, PyDictMethods},
};

use crate::{
    engine::{Engine, Facts, Opening, Session},
    error::exception,
    found::{self, Detections, Masks},
    input::Pictures,
    results::{Embeddings, Rows, Scores, matrix},
    written::{self, Asked, Texts},
};

/// A model on a device. Its threads share it; a process that was forked makes one of its own; pickles open it again by its path.
#[pyclass(frozen, module = "ocelli_vision")]
pub struct Model {
    engine: Engine,
    facts: Facts,
    opening: Opening,
}

#[pymethods]
impl Model {
    /// Opens a model's folder: one of transformers', open_clip's, or one that `ocelli quantize` wrote.
    ///
    /// device: "auto" (a GPU, or the CPU where there is none), "gpu" (no emulation), "gpu:1", "pci:0000:41:00.0" or "cpu".
    /// format: "f32", "f16", "q8", "q4"; None keeps the weights as they are stored.
    /// towers: "vision", "text" or "both".
    /// batch: pictures in one run of the device; None: 64 on a GPU, 8 on the CPU.
    /// threads: for decoding, and for the model on the CPU; None: OMP_NUM_THREADS, or as many as there are cores.
    #[new]
    #[pyo3(signature = (path, *, device = "auto", format = None, towers = "both", batch = None, threads = None))]
    fn new(
        py: Python,
        path: PathBuf,
        device: &str,
        format: Option<&str>,
        towers: &str,
        batch: Option<u32>,
        threads: Option<usize>,
    ) -> PyResult<Self> {
        let bad = |what: &str, names: &str, found: &str| {
            exception(py, &Error::BadInput(format!("{what}: expected {names}, found {found:?}")))
        };
        let format = format
            .map(|name| Format::from_name(name).ok_or_else(|| bad("format", "f32, f16, q8 or q4", name)))
            .transpose()?;
        let both = [Towers::Vision, Towers::Text, Towers::Both];
        let named = both.into_iter().find(|one| one.name() == towers);
        let towers = named.ok_or_else(|| bad("towers", "vision, text or both", towers))?;
        // A worker may run in another folder.
        let path = path::absolute(&path).unwrap_or(path);
        let opening = Opening { path, device: device.into(), format, towers, batch, threads };
        let (engine, facts) = Engine::start(py, opening.clone())?;
        Ok(Self { engine, facts, opening })
    }

    /// Embeds pictures: bytes of PNG, JPEG, WebP, GIF or BMP files, paths, or uint8 arrays (height, width, 3 or 4).
    ///
    /// A picture that cannot be read is a row with its error; it never raises.
    fn embed_images(&self, py: Python, pictures: &Bound<PyAny>) -> PyResult<Embeddings> {
        let pictures = Pictures::new(pictures, self.opening.threads)?;
        let rows = self.engine.call(py, |session| block_on(embed(session, pictures)))?;
        Ok(Embeddings(Rows::new(py, rows, self.facts.dim)))
    }

    /// Embeds texts: float32, (texts, dim), of unit length.
    fn embed_texts(&self, py: Python, texts: Vec<String>) -> PyResult<Py<PyArray2<f32>>> {
        let rows = self.engine.call(py, move |session| block_on(session.embed_texts(&texts)))?;
        Ok(matrix(py, rows.concat(), self.facts.dim))
    }

    /// Scores pictures against labels.
    ///
    /// template: what each label is put into, such as "a photo of a {}.".
    /// score: "auto" (the model's own rule), "softmax", "sigmoid", "cosine" or "logits".
    #[pyo3(signature = (pictures, labels, *, template = None, score = "auto"))]
    fn classify(
        &self,
        py: Python,
        pictures: &Bound<PyAny>,
        labels: Vec<String>,
        template: Option<&str>,
        score: &str,
    ) -> PyResult<Scores> {
        let (pictures, count, score) =
            (Pictures::new(pictures, self.opening.threads)?, labels.len(), score.to_string());
        let prompts = prompts(py, &labels, template)?;
        let rows = self.engine.call(py, move |session| block_on(classify(session, pictures, &prompts, &score)))?;
        Ok(Scores(Rows::new(py, rows, count)))
    }

    /// Finds things by words (OWL-ViT, OWLv2): a box for each, in pixels of its picture.
    ///
    /// threshold: least score, 0 to 1. nms: boxes that overlap a better one of their label by more are left out (IoU, 0 to 1).
    #[pyo3(signature = (pictures, labels, *, template = None, threshold = 0.1, nms = None))]
    fn detect(
        &self,
        py: Python,
        pictures: &Bound<PyAny>,
        labels: Vec<String>,
        template: Option<&str>,
        threshold: f64,
        nms: Option<f64>,
    ) -> PyResult<Detections> {
        let (pictures, prompts) = (Pictures::new(pictures, self.opening.threads)?, prompts(py, &labels, template)?);
        let options = DetectOptions { threshold, nms, ..DetectOptions::default() };
        let work = move |session: &Session| block_on(found::detect(session, pictures, &labels, &prompts, &options));
        Ok(Detections::new(py, self.engine.call(py, work)?))
    }

    /// Cuts things out by words (CLIPSeg): a mask for each label, in pixels of its picture.
    ///
    /// threshold: least probability of a pixel, 0 to 1.
    #[pyo3(signature = (pictures, labels, *, template = None, threshold = 0.5))]
    fn segment(
        &self,
        py: Python,
        pictures: &Bound<PyAny>,
        labels: Vec<String>,
        template: Option<&str>,
        threshold: f64,
    ) -> PyResult<Masks> {
        let (pictures, prompts) = (Pictures::new(pictures, self.opening.threads)?, prompts(py, &labels, template)?);
        let work = move |session: &Session| block_on(found::segment(session, pictures, &prompts, threshold));
        let masks = self.engine.call(py, work)?;
        Ok(Masks::new(py, masks, labels.len()))
    }

    /// Writes about each picture (SmolVLM, PaliGemma, LLaVA, LLaVA-OneVision): what it shows, or what `prompt` asks.
    ///
    /// raw: `prompt` is what the model reads, special tokens written out, with <image> where the picture stands.
    /// detail: "low" sees a picture as one square, "high" in tiles where the model does; "auto" is low on the CPU, high on a GPU.
    /// max_tokens: most tokens of a text. pattern: a regular expression that each text matches. choices: each text is one of these.
    /// temperature: 0 takes the likeliest token, whatever top_k, top_p (0 to 1) and seed say. repetition_penalty: 1 is none.
    #[pyo3(signature = (
        pictures, prompt = None, *, raw = false, detail = "auto", max_tokens = 256, pattern = None, choices = None,
        temperature = 0.0, top_k = None, top_p = 1.0, repetition_penalty = 1.0, seed = 0
    ))]
    #[expect(clippy::too_many_arguments, reason = "Python's are named, and have defaults")]
    fn generate(
        &self,
        py: Python,
        pictures: &Bound<PyAny>,
        prompt: Option<String>,
        raw: bool,
        detail: &str,
        max_tokens: usize,
        pattern: Option<String>,
        choices: Option<Vec<String>>,
        temperature: f32,
        top_k: Option<usize>,
        top_p: f32,
        repetition_penalty: f32,
        seed: u64,
    ) -> PyResult<Texts> {
        let pictures = Pictures::new(pictures, self.opening.threads)?;
        let sampling = Sampling { temperature, top_k, top_p, repetition_penalty, no_repeat_ngram: 0, seed };
        let asked = Asked::new(prompt, raw, detail, max_tokens, pattern, choices, sampling);
        let (asked, tokenizer) = (asked.map_err(|error| exception(py, &error))?, self.facts.tokenizer.clone());
        let work = move |session: &Session| block_on(written::generate(session, tokenizer.as_ref(), pictures, &asked));
        Ok(Texts::new(py, self.engine.call(py, work)?))
    }

    /// Numbers in an embedding; of a model that writes, in a token's.
    #[getter]
    fn dim(&self) -> usize {
        self.facts.dim
    }

    /// What tells this model from others: the browser's `modelHash`.
    #[getter]
    fn hash(&self) -> &str {
        &self.facts.hash
    }

    /// What computes: "gpu" or "cpu", a colon, and its name.
    #[getter]
    fn device(&self) -> &str {
        &self.facts.device
    }

    /// How the weights lie on the device: "f32", "f16", "q8" or "q4".
    #[getter]
    fn format(&self) -> &str {
        self.facts.format
    }

    fn __getnewargs_ex__<'py>(&self, py: Python<'py>) -> PyResult<((PathBuf,), Bound<'py, PyDict>)> {
        let Opening { path, device, format, towers, batch, threads } = &self.opening;
        let options = PyDict::new(py);
        options.set_item("device", device)?;
        options.set_item("format", format.map(Format::name))?;
        options.set_item("towers", towers.name())?;
        options.set_item("batch", batch)?;
        options.set_item("threads", threads)?;
        Ok(((path.clone(),), options))
    }

    fn __repr__(&self) -> String {
        format!("Model({:?}, device={:?}, format={:?})", self.opening.path, self.facts.device, self.facts.format)
    }
}

fn prompts(py: Python, labels: &[String], template: Option<&str>) -> PyResult<Vec<String>> {
    labels.iter().map(|label| fill(template, label)).collect::<Result<_>>().map_err(|error| exception(py, &error))
}

async fn embed(session: &Session, pictures: Pictures) -> Result<Vec<Result<Vec<f32>>>> {
    let batch = session.image_batch()?;
    let mut all = Vec::with_capacity(pictures.len());
    for batch in pictures.decoded(batch) {
        all.extend(pictures::embed(session, batch).await?);
    }
    Ok(all)
}

async fn classify(
    session: &Session,
    pictures: Pictures,
    prompts: &[String],
    score: &str,
) -> Result<Vec<Result<Vec<f32>>>> {
    let score = Score::parse(score, session.config.score)?;
    let texts = session.embed_texts(prompts).await?;
    let mut rows = embed(session, pictures).await?;
    let good: Vec<Vec<f32>> = rows.iter().flatten().cloned().collect();
    // Without labels it says so, with or without pictures.
    if !good.is_empty() || texts.is_empty() {
        let scores = session.scores(&good, &texts, score).await?;
        rows.iter_mut().flatten().zip(scores).for_each(|(row, scores)| *row = scores);
    }
    Ok(rows)
}
