//! What a model answers about many pictures: a row for each, in their order.

use numpy::{IntoPyArray, PyArray1, PyArray2, ndarray::Array2};
use ocelli::Result;
use pyo3::{Py, Python, pyclass, pymethods};

/// Rows of numbers, which of them are right, and why the others are not.
pub struct Rows {
    pub numbers: Py<PyArray2<f32>>,
    pub ok: Py<PyArray1<bool>>,
    pub errors: Vec<Option<String>>,
}

impl Rows {
    /// `dim` numbers a row, zeros in the rows of errors. The array takes the numbers over, without a copy.
    pub fn new(py: Python, rows: Vec<Result<Vec<f32>>>, dim: usize) -> Self {
        let (count, (ok, errors)) = (rows.len(), states(&rows));
        let mut numbers = Vec::with_capacity(count * dim);
        for row in rows {
            numbers.extend_from_slice(&row.unwrap_or_else(|_| vec![0.0; dim]));
        }
        Self { numbers: matrix(py, numbers, dim), ok: ok.into_pyarray(py).unbind(), errors }
    }
}

/// Rows of `dim` numbers.
pub fn matrix(py: Python, numbers: Vec<f32>, dim: usize) -> Py<PyArray2<f32>> {
    let rows = numbers.len().checked_div(dim).unwrap_or(0);
    Array2::from_shape_vec((rows, dim), numbers).expect("whole rows").into_pyarray(py).unbind()
}

/// Which are right, and why the others are not.
pub fn states<T>(rows: &[Result<T>]) -> (Vec<bool>, Vec<Option<String>>) {
    (
        rows.iter().map(Result::is_ok).collect(),
        rows.iter().map(|row| row.as_ref().err().map(ToString::to_string)).collect(),
    )
}

/// Embeddings of pictures, a row for each.
#[pyclass(frozen, module = "ocelli_vision")]
pub struct Embeddings(pub Rows);

/// Scores of pictures against labels, a row for each picture.
#[pyclass(frozen, module = "ocelli_vision")]
pub struct Scores(pub Rows);

/// What both give of their rows.
macro_rules! rows {
    ($class:ident, $numbers:ident, $doc:literal) => {
        #[pymethods]
        impl $class {
            #[doc = $doc]
            #[getter]
            fn $numbers(&self, py: Python) -> Py<PyArray2<f32>> {
                self.0.numbers.clone_ref(py)
            }
            /// bool, (pictures,): whether the row is right.
            #[getter]
            fn ok(&self, py: Python) -> Py<PyArray1<bool>> {
                self.0.ok.clone_ref(py)
            }
            /// For each picture None, or why it has no row.
            #[getter]
            fn errors(&self) -> Vec<Option<String>> {
                self.0.errors.clone()
            }
            fn __len__(&self) -> usize {
                self.0.errors.len()
            }
            fn __repr__(&self) -> String {
                let bad = self.0.errors.iter().flatten().count();
                format!("{}({} pictures, {bad} of them without a row)", stringify!($class), self.0.errors.len())
            }
        }
    };
}

rows!(Embeddings, vectors, "float32, (pictures, dim), of unit length; zeros where `ok` is False.");
rows!(Scores, scores, "float32, (pictures, labels); zeros where `ok` is False.");
