//! What a picture tower of squares does before its blocks: patches, positions, and of CLIP's the class token and a norm.

use super::{
    block::{Linear, Norm, Stream},
    positions,
};
use crate::{
    config::{Config, PositionSource, VisionPooling},
    error::Result,
    kernels::{ActId, Matmul, Patchify, Pictures, Place, Positions, Rows, VectorRef},
    plan::Plan,
    weights::Loader,
};

/// The weights of it, and the sizes of what comes in.
pub struct Embedding {
    patches: Linear,
    class_token: Option<VectorRef>,
    positions: VectorRef,
    pre_norm: Option<Norm>,
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
        let class = v.pooling == VisionPooling::ClassToken;
        let weight = l.matrix(&format!("{embed}.patch_embedding.weight"), &[dim, 3, patch, patch])?;
        let bias = match class {
            true => None,
            false => Some(l.vector(&format!("{embed}.patch_embedding.bias"), &[dim])?),
        };
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
            patches: Linear { weight, bias },
            class_token: class.then(|| l.vector(&format!("{embed}.class_embedding"), &[dim])).transpose()?,
            positions,
            pre_norm: match v.pre_norm {
                "" => None,
                name => Some(Norm::load(l, &format!("vision_model.{name}"), dim, v.encoder.eps)?),
            },
            side,
            grid: to,
        })
    }

    /// Tokens of a picture before its patches: 1 with a class token.
    pub fn lead(&self) -> usize {
        self.class_token.is_some().into()
    }

    /// Tokens of a picture: the class token, if there is one, and its patches.
    pub fn rows(&self) -> Rows {
        Rows::PerItem((self.lead() + self.grid * self.grid) as u32)
    }

    /// Records the way from `pixels` to the residual stream.
    pub fn record(&self, plan: &mut Plan, config: &Config, pixels: ActId, pictures: Pictures, s: Stream) {
        let (rows, patch) = (self.rows(), config.vision.patch_size);
        let cut = plan.scratch("patches", rows, 3 * patch * patch);
        plan.step("patchify", Patchify::new([pixels, cut], rows, pictures, patch as u32, &config.preprocessor));
        let place = Place::Positions(Positions { class_token: self.class_token, table: self.positions });
        let embedded = if self.pre_norm.is_some() { s.normed } else { s.x };
        plan.step("patch_embedding", Matmul { place, ..self.patches.record(cut, embedded, rows) });
        plan.tap("vision.embed", embedded);
        if let Some(norm) = &self.pre_norm {
            plan.step("pre_norm", norm.record(embedded, s.x, rows));
            plan.tap("vision.pre_norm", s.x);
        }
    }
}
