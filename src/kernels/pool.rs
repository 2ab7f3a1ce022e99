//! One token of each item.

use bytemuck::{Pod, Zeroable};

use super::{ActId, Host, Kernel, Operand, spread};
use crate::{
    gpu::{Shader, Tier},
    reference,
};

/// y\[b\] = x\[b, index\[b\]\]: class token, last position, end of text.
#[derive(Debug, Clone)]
pub struct Pool {
    /// `[batch, tokens, dim]`
    pub x: ActId,
    /// `[batch]`, u32, below `tokens`; none takes the first token
    pub index: Option<ActId>,
    /// `[batch, dim]`
    pub y: ActId,
    /// Tokens of an item.
    pub tokens: u32,
    /// Width of a token.
    pub dim: u32,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    batch: u32,
    tokens: u32,
    dim: u32,
}

impl Kernel for Pool {
    fn shader(&self, _tier: Tier) -> Shader {
        Shader::new("pool", include_str!("../../shaders/pool.wgsl")).with("HAS_INDEX", u8::from(self.index.is_some()))
    }
    fn params(&self, batch: u32) -> Vec<u8> {
        bytemuck::bytes_of(&Params { batch, tokens: self.tokens, dim: self.dim }).to_vec()
    }
    fn workgroups(&self, _tier: Tier, batch: u32) -> [u32; 3] {
        spread((batch * self.dim).div_ceil(64))
    }
    fn operands(&self) -> Vec<Operand> {
        vec![Operand::Act(self.x), self.index.map_or(Operand::Nothing, Operand::Act), Operand::Act(self.y)]
    }
    fn reference(&self, batch: u32, host: &mut Host) {
        let index = self.index.map_or(vec![0; batch as usize], |i| host.acts[i.0][..batch as usize].to_vec());
        let y = reference::pool(host.floats(self.x), &index, self.tokens as usize, self.dim as usize);
        host.store(self.y, &y);
    }
}
