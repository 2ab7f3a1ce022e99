//! A residual that all items share.

use super::{ActId, Field, Host, Kernel, Operand, Run, params::params, spread};
use crate::{
    gpu::{Shader, Tier, wgsl},
    reference,
};

/// y += x, for each item
#[derive(Debug, Clone)]
pub struct AddShared {
    /// `[tokens, dim]`
    pub x: ActId,
    /// `[batch, tokens, dim]`
    pub y: ActId,
    /// Rows of x.
    pub tokens: u32,
    /// Floats in a row.
    pub dim: u32,
}

params! {
    struct Params {
        batch: u32,
        tokens: u32,
        dim: u32,
    }
}

impl Kernel for AddShared {
    fn shader(&self, _tier: Tier) -> Shader {
        Shader::new("add_shared", wgsl!("add_shared.wgsl"))
    }
    fn fields(&self) -> &'static [Field] {
        Params::FIELDS
    }
    fn params(&self, run: Run) -> Vec<u8> {
        bytemuck::bytes_of(&Params { batch: run.batch, tokens: self.tokens, dim: self.dim }).to_vec()
    }
    fn workgroups(&self, _tier: Tier, run: Run) -> [u32; 3] {
        spread((run.batch * self.tokens * self.dim).div_ceil(64))
    }
    fn operands(&self) -> Vec<Operand> {
        vec![Operand::Act(self.x), Operand::Act(self.y)]
    }
    /// A sum of two numbers is the same in f32 and in f64: this is fast already.
    fn reference(&self, run: Run, host: &mut Host) {
        let item = (self.tokens * self.dim) as usize;
        let mut act = host.take(self.y);
        let y = &mut bytemuck::cast_slice_mut(&mut act)[..run.batch as usize * item];
        reference::add_shared(&host.floats(self.x)[..item], y);
        host.acts[self.y.0] = act;
    }
}
