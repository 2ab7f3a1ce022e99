//! What CLIP's picture tower does before its blocks: patches, the class token, positions, a norm.

use super::{
    block::{Linear, Norm, Stream},
    positions,
};
use crate::{
    config::{Config, PositionSource},
    error::Result,
    kernels::{ActId, Matmul, Patchify, Pictures, Place, Positions, Rows, VectorRef},
    plan::Plan,
    weights::Loader,
};

/// The weights of it, and the sizes of what comes in.
pub struct Embedding {
    patches: Linear,
    class_token: VectorRef,
    positions: VectorRef,
    pre_norm: Norm,
    /// Side of the square that the tower sees, in pixels.
    pub side: usize,
    /// Patches a side.
    pub grid: usize,
}

impl Embedding {
    pub fn load(config: &Config, l: &mut Loader) -> Result<Self> {
        let v = &config.vision;
        let (dim, patch) = (v.encoder.hidden, v.patch_size);
        let (side, to) = (v.image_size, v.grid());
        let embed = "vision_model.embeddings";
        let weight = l.matrix(&format!("{embed}.patch_embedding.weight"), &[dim, 3, patch, patch])?;
        let (name, shape) = (format!("{embed}.position_embedding.weight"), [v.stored_positions(), dim]);
        let len = v.tokens() * dim;
        let positions = match v.positions {
            PositionSource::Stored => l.vector(&name, &shape)?,
            PositionSource::Interpolated(from) => {
                l.vector_from(&name, &shape, len, move |table| positions::bicubic(table, dim, from, to))?
            }
            PositionSource::Truncated(from) => {
                l.vector_from(&name, &shape, len, move |table| positions::top_left(table, dim, from, to))?
            }
        };
        Ok(Self {
            patches: Linear { weight, bias: None },
            class_token: l.vector(&format!("{embed}.class_embedding"), &[dim])?,
            positions,
            pre_norm: Norm::load(l, &format!("vision_model.{}", v.pre_norm), dim, v.encoder.eps)?,
            side,
            grid: to,
        })
    }

    /// Tokens of a picture: the class token and its patches.
    pub fn rows(&self) -> Rows {
        Rows::PerItem((1 + self.grid * self.grid) as u32)
    }

    /// Records the way from `pixels` to the residual stream.
    pub fn record(&self, plan: &mut Plan, config: &Config, pixels: ActId, pictures: Pictures, s: Stream) {
        let (rows, patch) = (self.rows(), config.vision.patch_size);
        let cut = plan.scratch("patches", rows, 3 * patch * patch);
        plan.step("patchify", Patchify::new([pixels, cut], rows, pictures, patch as u32, &config.preprocessor));
        let place = Place::Positions(Positions { class_token: Some(self.class_token), table: self.positions });
        plan.step("patch_embedding", Matmul { place, ..self.patches.record(cut, s.normed, rows) });
        plan.tap("vision.embed", s.normed);
        plan.step("pre_norm", self.pre_norm.record(s.normed, s.x, rows));
        plan.tap("vision.pre_norm", s.x);
    }
}
