//! The mean of a picture's tokens, in front of them.

use super::{ActId, Field, Host, Kernel, Operand, Run, params::params, spread};
use crate::{
    gpu::{Shader, Tier, wgsl},
    reference,
};

/// y = the mean of an item's rows, and then the rows (`Florence2MultiModalProjector` in transformers' `modeling_florence2.py`).
#[derive(Debug, Clone)]
pub struct PrependMean {
    /// `[batch, rows, dim]`
    pub x: ActId,
    /// `[batch, 1 + rows, dim]`
    pub y: ActId,
    /// Rows of an item of x.
    pub rows: u32,
    /// Floats in a row.
    pub dim: u32,
}

params! {
    struct Params {
        batch: u32,
        rows: u32,
        dim: u32,
    }
}

impl Kernel for PrependMean {
    fn shader(&self, _tier: Tier) -> Shader {
        Shader::new("prepend_mean", wgsl!("prepend_mean.wgsl"))
    }
    fn fields(&self) -> &'static [Field] {
        Params::FIELDS
    }
    fn params(&self, run: Run) -> Vec<u8> {
        bytemuck::bytes_of(&Params { batch: run.batch, rows: self.rows, dim: self.dim }).to_vec()
    }
    fn workgroups(&self, _tier: Tier, run: Run) -> [u32; 3] {
        spread((run.batch * (self.rows + 1) * self.dim).div_ceil(64))
    }
    fn operands(&self) -> Vec<Operand> {
        vec![Operand::Act(self.x), Operand::Act(self.y)]
    }
    /// An addition a number: this is fast already.
    fn reference(&self, run: Run, host: &mut Host) {
        let (rows, dim) = (self.rows as usize, self.dim as usize);
        let y = reference::prepend_mean(&host.floats(self.x)[..run.batch as usize * rows * dim], rows, dim);
        host.store(self.y, &y);
    }
}
