//! `ocelli_vision._native`: Ocelli's models in Python. It only converts types.

mod ending;
mod engine;
mod error;
mod found;
mod input;
mod model;
mod results;
mod written;

/// Models, and what they answer.
#[pyo3::pymodule]
mod _native {
    #[pymodule_export]
    use super::{
        found::{Detection, Detections, Masks},
        model::Model,
        results::{Embeddings, Scores},
        written::Texts,
    };

    use numpy::PyArray1;
    use pyo3::{
        Bound, PyResult,
        types::{PyAnyMethods, PyModule},
        wrap_pyfunction,
    };

    #[pymodule_init]
    fn init(module: &Bound<PyModule>) -> PyResult<()> {
        let end = wrap_pyfunction!(super::ending::end, module)?;
        module.py().import("atexit")?.call_method1("register", (end,))?;
        // NumPy now: an import later, in a thread of its own as the program ends, would take the process along.
        let _ = PyArray1::<f32>::zeros(module.py(), 0, false);
        Ok(())
    }
}
