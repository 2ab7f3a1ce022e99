//! Both families as plans of kernel steps. No `wgpu`, no quantisation, no files: weights by id, activations by id.

mod block;
mod clip;
mod siglip;
mod text;
mod tower;

pub use tower::{Model, Naflex, TextTower, VisionTower};

use crate::{
    checkpoint::Checkpoint,
    config::{Config, Family, Towers},
    error::Result,
    quant::{Format, Matrix},
    weights::{self, Entry, HostStore, Loader, Weight},
};

/// Records the towers that are wanted, and in `loader` the weights that they need.
///
/// # Errors
/// As [`Checkpoint::tensor`].
pub fn record(config: &Config, towers: Towers, loader: &mut Loader) -> Result<Model> {
    match config.family {
        Family::Clip => clip::record(config, towers, loader),
        Family::Siglip => siglip::record(config, towers, loader),
    }
}

/// Every tensor of the whole model, checked against the files' headers.
///
/// # Errors
/// As [`Checkpoint::tensor`], and for tensors that nobody asked for.
pub fn entries(checkpoint: &Checkpoint) -> Result<Vec<Entry>> {
    let mut loader = Loader::new(checkpoint, None)?;
    record(&checkpoint.config, Towers::Both, &mut loader)?;
    checkpoint.no_surplus()?;
    Ok(loader.entries)
}

/// A model with its weights in memory, for the naive reference.
pub struct InMemory {
    /// The plans.
    pub model: Model,
    /// By [`crate::kernels::WeightId`].
    pub weights: Vec<Matrix>,
    /// By [`crate::weights::HostId`].
    pub host: Vec<Matrix>,
}

impl InMemory {
    /// Reads both towers; `format` none keeps the weights as the files have them.
    ///
    /// # Errors
    /// Whatever is wrong with the checkpoint.
    pub fn load(checkpoint: &Checkpoint, format: Option<Format>) -> Result<Self> {
        let mut loader = Loader::new(checkpoint, format)?;
        let model = record(&checkpoint.config, Towers::Both, &mut loader)?;
        checkpoint.no_surplus()?;
        let read = |weights: &[Weight]| {
            let mut store = HostStore::new(weights);
            weights::read(checkpoint, weights, &mut store).map(|()| store.weights)
        };
        Ok(Self { model, weights: read(&loader.weights)?, host: read(&loader.host)? })
    }
}
