//! Scores of pictures against labels.

use bytemuck::{Pod, Zeroable};

use super::{ActId, Host, Kernel, Operand, spread};
use crate::{
    gpu::{Shader, Tier},
    reference,
};

/// What becomes of scale · cosine + bias.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// It stays.
    Identity,
    /// σ of each.
    Sigmoid,
    /// softmax over the labels.
    Softmax,
}

/// y = rule(scale · images·textsᵀ + bias). Pictures and labels are not a batch: all of them are one item.
#[derive(Debug, Clone)]
pub struct Similarity {
    /// `[pictures, dim]`, unit length
    pub images: ActId,
    /// `[labels, dim]`, unit length
    pub texts: ActId,
    /// `[pictures, labels]`
    pub y: ActId,
    /// Number of pictures.
    pub pictures: u32,
    /// Number of labels.
    pub labels: u32,
    /// Length of an embedding.
    pub dim: u32,
    /// The logit scale, not its logarithm.
    pub scale: f32,
    /// The logit bias.
    pub bias: f32,
    /// The score rule.
    pub rule: Rule,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    images: u32,
    labels: u32,
    dim: u32,
    scale: f32,
    bias: f32,
}

impl Kernel for Similarity {
    fn shader(&self, _tier: Tier) -> Shader {
        let rule = match self.rule {
            Rule::Identity => 0,
            Rule::Sigmoid => 1,
            Rule::Softmax => 2,
        };
        Shader::new("similarity", include_str!("../../shaders/similarity.wgsl")).with("RULE", rule)
    }
    fn params(&self, _batch: u32) -> Vec<u8> {
        let params =
            Params { images: self.pictures, labels: self.labels, dim: self.dim, scale: self.scale, bias: self.bias };
        bytemuck::bytes_of(&params).to_vec()
    }
    fn workgroups(&self, _tier: Tier, _batch: u32) -> [u32; 3] {
        spread(self.pictures)
    }
    fn operands(&self) -> Vec<Operand> {
        vec![Operand::Act(self.images), Operand::Act(self.texts), Operand::Act(self.y)]
    }
    fn reference(&self, _batch: u32, host: &mut Host) {
        let dim = self.dim as usize;
        let images = &host.floats(self.images)[..self.pictures as usize * dim];
        let texts = &host.floats(self.texts)[..self.labels as usize * dim];
        let y = reference::similarity(images, texts, dim, self.scale, self.bias, self.rule);
        host.store(self.y, &y);
    }
}
