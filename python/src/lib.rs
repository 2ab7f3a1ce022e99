//! `ocelli_vision._native`: Ocelli's models in Python. It only converts types.

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
}
