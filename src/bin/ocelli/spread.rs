//! What `ocelli compare` says of every model: the weights' errors, and how far answers move.

use ocelli::{
    Checkpoint, Result,
    quant::Format,
    quantize::{losses, tensor_bytes},
};
use serde::Serialize;

use crate::bad_input;

/// What a format does to the weights.
#[derive(Serialize)]
pub struct Weights {
    pub format: &'static str,
    /// Bytes of all tensors, as `ocelli quantize` writes them.
    pub bytes: u64,
    /// Relative RMS errors of the matrices.
    pub matrices: Spread,
}

/// The mean of several numbers, and the worst one with its name.
#[derive(Serialize)]
pub struct Spread {
    pub count: usize,
    pub mean: f64,
    pub worst: f64,
    pub worst_name: String,
}

impl Weights {
    pub fn of(checkpoint: &Checkpoint, format: Format) -> Result<Self> {
        let matrices = losses(checkpoint, format)?.into_iter().map(|(name, loss)| (name, loss.relative_rms()));
        Ok(Self { format: format.name(), bytes: tensor_bytes(checkpoint, format)?, matrices: Spread::of(matrices) })
    }
}

impl Spread {
    /// The spread of at least one number.
    pub fn of(named: impl Iterator<Item = (String, f64)>) -> Self {
        let (mut count, mut sum, mut worst, mut worst_name) = (0, 0.0, f64::NEG_INFINITY, String::new());
        for (name, number) in named {
            count += 1;
            sum += number;
            if number > worst {
                (worst, worst_name) = (number, name);
            }
        }
        Self { count, mean: sum / count as f64, worst, worst_name }
    }

    /// The spread of distances between found and true embeddings, as shares of `unit`.
    pub fn moved(names: &[String], found: &[Vec<f32>], truth: &[Vec<f32>], unit: f64) -> Self {
        let moved = found.iter().zip(truth).map(|(found, truth)| distance(found, truth) / unit);
        Self::of(names.iter().cloned().zip(moved))
    }
}

fn distance(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(x, y)| (f64::from(*x) - f64::from(*y)).powi(2)).sum::<f64>().sqrt()
}

/// The mean distance of all pairs.
pub fn between(what: &str, all: &[Vec<f32>]) -> Result<f64> {
    let pairs = all.iter().enumerate().flat_map(|(at, a)| all[at + 1..].iter().map(move |b| distance(a, b)));
    let mean = pairs.sum::<f64>() / (all.len() * (all.len() - 1) / 2) as f64;
    if mean > 0.0 {
        return Ok(mean);
    }
    Err(bad_input(format!("{what}: expected some that differ, found {} that are one to this model", all.len())))
}

pub fn percent(share: f64) -> String {
    format!("{:.3} %", 100.0 * share)
}
