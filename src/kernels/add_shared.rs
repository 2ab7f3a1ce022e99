//! A residual that all items share, and positions that are learned.

use super::{ActId, Field, Host, Kernel, Operand, Rows, Run, params::params, spread};
use crate::{
    gpu::{Shader, Tier, wgsl},
    reference,
};

/// y += x, for each item; of [`Rows::PerToken`] the rows of x from the run's place on.
#[derive(Debug, Clone)]
pub struct AddShared {
    /// `[tokens, dim]`, or more rows
    pub x: Operand,
    /// `[batch, tokens, dim]`
    pub y: ActId,
    /// Rows of an item of y.
    pub rows: Rows,
    /// Floats in a row.
    pub dim: u32,
    /// The row of x that is added to the first one of y, or would be, had no run been before.
    pub first: u32,
}

params! {
    struct Params {
        batch: u32,
        tokens: u32,
        dim: u32,
        first: u32,
    }
}

impl AddShared {
    fn param(&self, run: Run) -> Params {
        let past = if self.rows == Rows::PerToken { run.past } else { 0 };
        Params { batch: run.batch, tokens: self.rows.each(run), dim: self.dim, first: self.first + past }
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
        bytemuck::bytes_of(&self.param(run)).to_vec()
    }
    fn workgroups(&self, _tier: Tier, run: Run) -> [u32; 3] {
        spread((self.rows.of(run) * self.dim).div_ceil(64))
    }
    fn operands(&self) -> Vec<Operand> {
        vec![self.x, Operand::Act(self.y)]
    }
    /// A sum of two numbers is the same in f32 and in f64: this is fast already.
    fn reference(&self, run: Run, host: &mut Host) {
        let Params { batch, tokens, dim, first } = self.param(run);
        let [start, item] = [first * dim, tokens * dim].map(|n| n as usize);
        let mut act = host.take(self.y);
        let y = &mut bytemuck::cast_slice_mut(&mut act)[..batch as usize * item];
        match self.x {
            Operand::Vector(vector) => reference::add_shared(&host.vector_part(vector, start..start + item), y),
            x => reference::add_shared(&host.operand(x)[start..start + item], y),
        }
        host.acts[self.y.0] = act;
    }
}
