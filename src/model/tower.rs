//! What a recorded model looks like from outside.

use super::block::Linear;
use crate::{
    kernels::{ActId, Normalize, Rows},
    plan::Plan,
    weights::HostId,
};

/// Pixels in, unit embedding out.
pub struct VisionTower {
    /// The steps.
    pub plan: Plan,
    /// Input: `[batch, size, size]` RGBA words; of NaFlex `[batch, tokens · patch²]`.
    pub pixels: ActId,
    /// What a NaFlex tower is told of each picture.
    pub naflex: Option<Naflex>,
    /// Output: `[batch, embedding]`, unit length.
    pub embedding: ActId,
}

/// The shape of a picture, and what follows from it.
#[derive(Debug, Clone, Copy)]
pub struct Naflex {
    /// Input: u32 an item, patches from left to right.
    pub columns: ActId,
    /// Input: u32 an item, patches.
    pub lengths: ActId,
    /// Input: `[batch, tokens, hidden]`, the positions; then the residual stream.
    pub x: ActId,
    /// `[side, side, hidden]`, on the CPU: see [`crate::preprocess::positions`].
    pub positions: HostId,
}

/// Rows of the token table with their positions in, unit embedding out.
pub struct TextTower {
    /// The steps.
    pub plan: Plan,
    /// Input: `[batch, tokens, hidden]`, rows of `table` plus rows of `positions`.
    pub tokens: ActId,
    /// Input: u32 an item, the token to pool.
    pub index: ActId,
    /// Output: `[batch, embedding]`, unit length.
    pub embedding: ActId,
    /// `[vocab, hidden]`, on the CPU.
    pub table: HostId,
    /// `[tokens, hidden]`, on the CPU.
    pub positions: HostId,
}

/// The towers that were wanted, and what turns cosines into logits.
pub struct Model {
    /// The picture tower.
    pub vision: Option<VisionTower>,
    /// The text tower.
    pub text: Option<TextTower>,
    /// Its exponential multiplies cosines. None in a checkpoint of a single tower, which has no cosines.
    pub logit_scale: Option<HostId>,
    /// None for CLIP, or for a single tower: 0.
    pub logit_bias: Option<HostId>,
}

/// Records how a pooled token `[batch, hidden]` becomes the output, the unit embedding `[batch, dim]`, which is returned.
/// Without a projection the two have the same length.
pub(super) fn record_embedding(
    plan: &mut Plan,
    tower: &str,
    pooled: ActId,
    projection: Option<&Linear>,
    dim: usize,
) -> ActId {
    let one = Rows::PerItem(1);
    let mut last = pooled;
    if let Some(projection) = projection {
        last = plan.scratch("projected", one, dim);
        plan.step("projection", projection.record(pooled, last, one));
    }
    plan.tap(format!("{tower}.embedding"), last);
    let embedding = plan.scratch("embedding", one, dim);
    plan.step("normalize", Normalize { x: last, y: embedding, dim: dim as u32, rows: one, eps: 0.0 });
    plan.output("embedding", embedding);
    embedding
}
