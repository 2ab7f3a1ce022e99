//! From cosines to scores.

use bytemuck::{Pod, Zeroable};

use super::{ActId, Host, Kernel, Operand, spread};
use crate::{
    gpu::{Shader, Tier, wgsl},
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

/// y = rule(scale · cosines + bias). Pictures and labels are not a batch: all of them are one item.
#[derive(Debug, Clone)]
pub struct Score {
    /// `[pictures, labels]`
    pub cosines: ActId,
    /// `[pictures, labels]`
    pub y: ActId,
    /// Number of pictures.
    pub pictures: u32,
    /// Number of labels.
    pub labels: u32,
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
    scale: f32,
    bias: f32,
}

impl Kernel for Score {
    fn shader(&self, _tier: Tier) -> Shader {
        let rule: u32 = match self.rule {
            Rule::Identity => 0,
            Rule::Sigmoid => 1,
            Rule::Softmax => 2,
        };
        Shader::new("score", wgsl!("score.wgsl")).with("RULE", rule)
    }
    fn params(&self, _batch: u32) -> Vec<u8> {
        let params = Params { images: self.pictures, labels: self.labels, scale: self.scale, bias: self.bias };
        bytemuck::bytes_of(&params).to_vec()
    }
    fn workgroups(&self, _tier: Tier, _batch: u32) -> [u32; 3] {
        spread(self.pictures)
    }
    fn operands(&self) -> Vec<Operand> {
        vec![Operand::Act(self.cosines), Operand::Act(self.y)]
    }
    fn reference(&self, _batch: u32, host: &mut Host) {
        let (labels, all) = (self.labels as usize, (self.pictures * self.labels) as usize);
        let y = reference::score(&host.floats(self.cosines)[..all], labels, self.scale, self.bias, self.rule);
        host.store(self.y, &y);
    }
}
