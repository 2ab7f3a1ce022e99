//! Errors as Python's `OcelliError`, with the stable code.

use ocelli::Error;
use pyo3::{PyErr, Python, types::PyAnyMethods};

/// The exception for an error.
pub fn exception(py: Python, error: &Error) -> PyErr {
    raised(py, error.code(), &error.to_string())
}

/// The exception of a code and a sentence.
pub fn raised(py: Python, code: &str, sentence: &str) -> PyErr {
    let made =
        py.import("ocelli_vision.error").and_then(|module| module.getattr("OcelliError")?.call1((code, sentence)));
    made.map_or_else(|error| error, PyErr::from_value)
}
