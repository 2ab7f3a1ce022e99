//! The keys and values of texts that go on from others: beams.

use super::{ActId, Field, Host, Kernel, Operand, Run, params::params, spread};
use crate::{
    gpu::{Shader, Tier, wgsl},
    reference,
};

/// Each item of a state becomes what one of them was, as far as earlier runs filled it. A run of one item leaves it as it is.
#[derive(Debug, Clone)]
pub struct Reorder {
    /// `[batch]`, u32: which item each goes on from
    pub from: ActId,
    /// A state `[batch, most, dim]`, of at most [`Reorder::ITEMS`] items
    pub state: ActId,
    /// Tokens that it has room for.
    pub most: u32,
    /// Floats in a token.
    pub dim: u32,
}

params! {
    struct Params {
        batch: u32,
        past: u32,
        item: u32,
        dim: u32,
    }
}

impl Reorder {
    /// Most items.
    pub const ITEMS: u32 = 16;

    /// Numbers of an item that are moved.
    fn numbers(&self, run: Run) -> u32 {
        if run.batch > 1 { run.past * self.dim } else { 0 }
    }
}

impl Kernel for Reorder {
    fn shader(&self, _tier: Tier) -> Shader {
        Shader::new("reorder", wgsl!("reorder.wgsl"))
    }
    fn fields(&self) -> &'static [Field] {
        Params::FIELDS
    }
    fn params(&self, run: Run) -> Vec<u8> {
        let params = Params { batch: run.batch, past: run.past, item: self.most, dim: self.dim };
        bytemuck::bytes_of(&params).to_vec()
    }
    fn workgroups(&self, _tier: Tier, run: Run) -> [u32; 3] {
        spread(self.numbers(run).div_ceil(64))
    }
    fn operands(&self) -> Vec<Operand> {
        vec![Operand::Act(self.from), Operand::Act(self.state)]
    }
    /// Copies: this is fast already.
    fn reference(&self, run: Run, host: &mut Host) {
        let from = host.acts[self.from.0][..run.batch as usize].to_vec();
        let item = (self.most * self.dim) as usize;
        let state = bytemuck::cast_slice_mut(&mut host.acts[self.state.0]);
        reference::reorder(&from, item, self.numbers(run) as usize, state);
    }
}
