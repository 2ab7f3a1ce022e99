//! Position embeddings.

use bytemuck::{Pod, Zeroable};

use super::{ActId, Host, Kernel, Operand, VectorRef, spread};
use crate::{
    gpu::{Shader, Tier, wgsl},
    reference,
};

/// y = x + positions.
#[derive(Debug, Clone)]
pub struct Assemble {
    /// `[batch, tokens, dim]`
    pub x: ActId,
    /// `[tokens, dim]`
    pub positions: VectorRef,
    /// `[batch, tokens, dim]`
    pub y: ActId,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    batch: u32,
    item: u32,
}

impl Kernel for Assemble {
    fn shader(&self, _tier: Tier) -> Shader {
        Shader::new("assemble", wgsl!("assemble.wgsl"))
    }
    fn params(&self, batch: u32) -> Vec<u8> {
        bytemuck::bytes_of(&Params { batch, item: self.positions.len }).to_vec()
    }
    fn workgroups(&self, _tier: Tier, batch: u32) -> [u32; 3] {
        spread((batch * self.positions.len).div_ceil(64))
    }
    fn operands(&self) -> Vec<Operand> {
        vec![Operand::Act(self.x), Operand::Vector(self.positions), Operand::Act(self.y)]
    }
    fn reference(&self, batch: u32, host: &mut Host) {
        let positions = host.vector(self.positions);
        let y = reference::assemble(&host.floats(self.x)[..batch as usize * positions.len()], &positions);
        host.store(self.y, &y);
    }
}
