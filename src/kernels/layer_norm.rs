//! Layer norm of each row.

use bytemuck::{Pod, Zeroable};

use super::{ActId, Host, Kernel, Operand, Rows, VectorRef, spread};
use crate::{
    gpu::{Shader, Tier},
    reference,
};

/// y = (x - mean) / √(variance + eps) · weight + bias, over the last dimension.
#[derive(Debug, Clone)]
pub struct LayerNorm {
    /// `[rows, dim]`
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
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    rows: u32,
    dim: u32,
    eps: f32,
}

impl Kernel for LayerNorm {
    fn shader(&self, tier: Tier) -> Shader {
        // Where barriers are slow, as few invocations as run in step.
        let workgroup = if tier == Tier::Registers { 4 } else { 64 };
        Shader::new("layer_norm", include_str!("../../shaders/layer_norm.wgsl")).with("WORKGROUP", workgroup)
    }
    fn params(&self, batch: u32) -> Vec<u8> {
        let params = Params { rows: self.rows.of(batch), dim: self.weight.len, eps: self.eps };
        bytemuck::bytes_of(&params).to_vec()
    }
    fn workgroups(&self, _tier: Tier, batch: u32) -> [u32; 3] {
        spread(self.rows.of(batch))
    }
    fn operands(&self) -> Vec<Operand> {
        vec![Operand::Act(self.x), Operand::Vector(self.weight), Operand::Vector(self.bias), Operand::Act(self.y)]
    }
    fn reference(&self, batch: u32, host: &mut Host) {
        let rows = self.rows.of(batch) as usize;
        let x = &host.floats(self.x)[..rows * self.weight.len as usize];
        let y = reference::layer_norm(x, &host.vector(self.weight), &host.vector(self.bias), self.eps);
        host.store(self.y, &y);
    }
}
