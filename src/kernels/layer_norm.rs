//! Layer norm of each row.

use bytemuck::{Pod, Zeroable};

use super::{ActId, Host, Kernel, Operand, Rows, VectorRef, spread};
use crate::{
    gpu::{Shader, Tier, wgsl},
    reference,
};

/// y = (x - mean) / √(variance + eps) · weight + bias, over the last dimension.
#[derive(Debug, Clone)]
pub struct LayerNorm {
    /// `[rows · stride, dim]`
    pub x: ActId,
    /// `[dim]`
    pub weight: VectorRef,
    /// `[dim]`
    pub bias: VectorRef,
    /// `[rows, dim]`
    pub y: ActId,
    /// How many.
    pub rows: Rows,
    /// Added to the variance.
    pub eps: f32,
    /// One row of several is normed, and the others are not seen: class token, last position, end of text.
    pub pick: Option<Pick>,
}

/// Which of an item's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pick {
    /// Rows of an item.
    pub of: u32,
    /// `[rows]`, u32, below `of`; none takes the first
    pub index: Option<ActId>,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    rows: u32,
    dim: u32,
    eps: f32,
    stride: u32,
}

impl LayerNorm {
    fn index(&self) -> Option<ActId> {
        self.pick.and_then(|pick| pick.index)
    }
}

impl Kernel for LayerNorm {
    fn shader(&self, tier: Tier) -> Shader {
        // Where barriers are slow, as few invocations as run in step.
        let workgroup = if tier == Tier::Registers { 4u32 } else { 64 };
        Shader::new("layer_norm", wgsl!("layer_norm.wgsl"))
            .with("WORKGROUP", workgroup)
            .with("HAS_INDEX", self.index().is_some())
    }
    fn params(&self, batch: u32) -> Vec<u8> {
        let stride = self.pick.map_or(1, |pick| pick.of);
        let params = Params { rows: self.rows.of(batch), dim: self.weight.len, eps: self.eps, stride };
        bytemuck::bytes_of(&params).to_vec()
    }
    fn workgroups(&self, _tier: Tier, batch: u32) -> [u32; 3] {
        spread(self.rows.of(batch))
    }
    fn operands(&self) -> Vec<Operand> {
        vec![
            Operand::Act(self.x),
            Operand::Vector(self.weight),
            Operand::Vector(self.bias),
            self.index().map_or(Operand::Nothing, Operand::Act),
            Operand::Act(self.y),
        ]
    }
    fn reference(&self, batch: u32, host: &mut Host) {
        let rows = self.rows.of(batch) as usize;
        let dim = self.weight.len as usize;
        let x: Vec<f32> = match self.pick {
            None => host.floats(self.x)[..rows * dim].to_vec(),
            Some(pick) => {
                let index = pick.index.map_or(vec![0; rows], |i| host.acts[i.0][..rows].to_vec());
                reference::pick(host.floats(self.x), &index, pick.of as usize, dim)
            }
        };
        let y = reference::layer_norm(&x, &host.vector(self.weight), &host.vector(self.bias), self.eps);
        host.store(self.y, &y);
    }
}
