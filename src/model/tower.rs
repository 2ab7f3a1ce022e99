//! What a recorded model looks like from outside.

use super::{block::Linear, language::LanguageModel, pictures::PictureTokens};
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

/// Rows of the token table with their positions in, embedding out.
pub struct TextTower {
    /// The steps.
    pub plan: Plan,
    /// Input: `[batch, tokens, hidden]`, rows of `table` plus rows of `positions`.
    pub tokens: ActId,
    /// Input: u32 an item, the token to pool.
    pub index: ActId,
    /// Output: `[batch, embedding]`; of unit length but for CLIPSeg's, whose decoder takes them as they are.
    pub embedding: ActId,
    /// `[vocab, hidden]`, on the CPU.
    pub table: HostId,
    /// `[tokens, hidden]`, on the CPU.
    pub positions: HostId,
}

/// Pixels in, features out: what later questions to the picture need of it.
pub struct Look {
    /// The steps.
    pub plan: Plan,
    /// Input: `[batch, size, size]` RGBA words, or three floats a pixel.
    pub pixels: ActId,
    /// The residual stream after the last block, `[batch, tokens, hidden]`; a detector writes other things there.
    pub tokens: ActId,
    /// Outputs by name, one row a token.
    pub features: Vec<(String, ActId)>,
}

/// Masks of one scene, one a prompt.
pub struct Decoder {
    /// The steps; an item is a prompt.
    pub plan: Plan,
    /// Input: `[batch, embedding]`, the prompts.
    pub condition: ActId,
    /// Inputs: a scene's features, `[tokens, dim]` each.
    pub reduced: Vec<ActId>,
    /// Output: `[batch, side, side]`, logits.
    pub logits: ActId,
    /// Side of a mask in pixels.
    pub side: usize,
}

/// The towers that were wanted, and what turns cosines into logits.
#[derive(Default)]
pub struct Model {
    /// The picture tower, where pictures become embeddings.
    pub vision: Option<VisionTower>,
    /// The picture tower, where pictures become features that questions are asked of.
    pub look: Option<Look>,
    /// What makes masks of features.
    pub decoder: Option<Decoder>,
    /// The text tower.
    pub text: Option<TextTower>,
    /// What makes tokens of pictures for it.
    pub pictures: Option<PictureTokens>,
    /// What writes.
    pub language: Option<LanguageModel>,
    /// Its exponential multiplies cosines. None in a checkpoint of a single tower, which has no cosines.
    pub logit_scale: Option<HostId>,
    /// None for CLIP, or for a single tower: 0.
    pub logit_bias: Option<HostId>,
}

/// The length of an embedding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// 1
    Unit,
    /// What the projection makes it.
    Projected,
}

/// Records how a pooled token `[batch, hidden]` becomes the output, the embedding `[batch, dim]`, which is returned.
/// Without a projection the two have the same length.
pub(super) fn record_embedding(
    plan: &mut Plan,
    tower: &str,
    pooled: ActId,
    (projection, dim): (Option<&Linear>, usize),
    length: Length,
) -> ActId {
    let one = Rows::PerItem(1);
    let mut embedding = pooled;
    if let Some(projection) = projection {
        embedding = plan.scratch("projected", one, dim);
        plan.step("projection", projection.record(pooled, embedding, one));
    }
    plan.tap(format!("{tower}.embedding"), embedding);
    if length == Length::Unit {
        let x = std::mem::replace(&mut embedding, plan.scratch("embedding", one, dim));
        plan.step("normalize", Normalize { x, y: embedding, dim: dim as u32, rows: one, eps: 0.0 });
    }
    plan.output("embedding", embedding);
    embedding
}
