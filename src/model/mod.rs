//! Both families as plans of kernel steps. No `wgpu`, no quantisation, no files: weights by id, activations by id.

mod block;
mod clip;
mod siglip;
mod text;
mod tower;

pub use tower::{Model, TextTower, VisionTower};

use crate::{
    checkpoint::Checkpoint,
    config::Family,
    error::Result,
    weights::{Entry, Loader},
};

/// Loads all weights through `loader` and records both towers.
///
/// # Errors
/// As [`Checkpoint::tensor`], and for tensors that nobody asked for.
pub fn load(checkpoint: &Checkpoint, loader: &mut Loader) -> Result<Model> {
    let model = match checkpoint.config.family {
        Family::Clip => clip::load(&checkpoint.config, loader)?,
        Family::Siglip => siglip::load(&checkpoint.config, loader)?,
    };
    checkpoint.no_surplus()?;
    Ok(model)
}

/// Every tensor that the model needs, checked against the file without reading any.
///
/// # Errors
/// As [`load`].
pub fn entries(checkpoint: &Checkpoint) -> Result<Vec<Entry>> {
    let mut loader = Loader::dry(checkpoint);
    load(checkpoint, &mut loader)?;
    Ok(loader.entries)
}
