//! One row of each item: the class token, the last position, the end of a text.

use super::{ActId, Field, Host, Kernel, Operand, Rows, Run, params::params, spread};
use crate::{
    gpu::{Shader, Tier, wgsl},
    reference,
};

/// y = x\[index\] for each item.
#[derive(Debug, Clone)]
pub struct Gather {
    /// `[batch, of, dim]`
    pub x: ActId,
    /// `[batch]`, u32, below `of`; none takes the first row
    pub index: Option<ActId>,
    /// `[batch, dim]`
    pub y: ActId,
    /// Rows of an item of x.
    pub of: Rows,
    /// Floats in a row.
    pub dim: u32,
}

params! {
    struct Params {
        rows: u32,
        dim: u32,
        item: u32,
    }
}

impl Kernel for Gather {
    fn shader(&self, _tier: Tier) -> Shader {
        Shader::new("gather", wgsl!("gather.wgsl")).with("HAS_INDEX", self.index.is_some())
    }
    fn fields(&self) -> &'static [Field] {
        Params::FIELDS
    }
    fn params(&self, run: Run) -> Vec<u8> {
        let params = Params { rows: run.batch, dim: self.dim, item: self.of.each(run) };
        bytemuck::bytes_of(&params).to_vec()
    }
    fn workgroups(&self, _tier: Tier, run: Run) -> [u32; 3] {
        spread((run.batch * self.dim).div_ceil(64))
    }
    fn operands(&self) -> Vec<Operand> {
        vec![Operand::Act(self.x), self.index.map_or(Operand::Nothing, Operand::Act), Operand::Act(self.y)]
    }
    fn reference(&self, run: Run, host: &mut Host) {
        let index = self.index.map_or_else(|| vec![0; run.batch as usize], |i| host.acts[i.0].clone());
        let index = &index[..run.batch as usize];
        let y = reference::gather(host.floats(self.x), index, self.of.each(run) as usize, self.dim as usize);
        host.store(self.y, &y);
    }
}
