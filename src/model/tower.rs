//! What a recorded model looks like from outside.

use crate::{kernels::ActId, plan::Plan, quant::Matrix};

/// Pixels in, unit embedding out.
#[derive(Debug)]
pub struct VisionTower {
    /// The steps.
    pub plan: Plan,
    /// Input: `[batch, size, size]` RGBA words.
    pub pixels: ActId,
    /// Output: `[batch, embedding]`, unit length.
    pub embedding: ActId,
}

/// Token rows in, unit embedding out.
#[derive(Debug)]
pub struct TextTower {
    /// The steps.
    pub plan: Plan,
    /// Input: `[batch, tokens, hidden]`, rows of `table`.
    pub tokens: ActId,
    /// Input: u32 an item, the token to pool.
    pub index: ActId,
    /// Output: `[batch, embedding]`, unit length.
    pub embedding: ActId,
    /// `[vocab, hidden]`, on the CPU.
    pub table: Matrix,
}

/// Both towers and what turns cosines into logits.
#[derive(Debug)]
pub struct Model {
    /// The picture tower.
    pub vision: VisionTower,
    /// The text tower.
    pub text: TextTower,
    /// exp(logit_scale)
    pub logit_scale: f32,
    /// 0 for CLIP.
    pub logit_bias: f32,
}
