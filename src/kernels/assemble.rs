//! Class token and position embeddings.

use bytemuck::{Pod, Zeroable};

use super::{ActId, Host, Kernel, Operand, VectorRef, spread};
use crate::{
    gpu::{Shader, Tier},
    reference,
};

/// y = tokens + positions, with the class token first if there is one.
#[derive(Debug, Clone)]
pub struct Assemble {
    /// `[batch, tokens, dim]`, one token fewer with a class token
    pub x: ActId,
    /// `[dim]`
    pub class_token: Option<VectorRef>,
    /// `[tokens, dim]`
    pub positions: VectorRef,
    /// `[batch, tokens, dim]`
    pub y: ActId,
    /// Class token included.
    pub tokens: u32,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    batch: u32,
    tokens: u32,
    dim: u32,
}

impl Kernel for Assemble {
    fn shader(&self, _tier: Tier) -> Shader {
        Shader::new("assemble", include_str!("../../shaders/assemble.wgsl"))
            .with("HAS_CLASS", u8::from(self.class_token.is_some()))
    }
    fn params(&self, batch: u32) -> Vec<u8> {
        let params = Params { batch, tokens: self.tokens, dim: self.positions.len / self.tokens };
        bytemuck::bytes_of(&params).to_vec()
    }
    fn workgroups(&self, _tier: Tier, batch: u32) -> [u32; 3] {
        spread((batch * self.positions.len).div_ceil(64))
    }
    fn operands(&self) -> Vec<Operand> {
        vec![Operand::Act(self.x), self.class_token.into(), Operand::Vector(self.positions), Operand::Act(self.y)]
    }
    fn reference(&self, batch: u32, host: &mut Host) {
        let class = self.class_token.map(|c| host.vector(c));
        let positions = host.vector(self.positions);
        let y = reference::assemble(
            host.floats(self.x),
            class.as_deref(),
            &positions,
            self.tokens as usize,
            batch as usize,
        );
        host.store(self.y, &y);
    }
}
