//! The next token where none is drawn: the one that has the largest logit.

use super::{ActId, Field, Host, Kernel, Operand, Rows, Run, params::params, spread};
use crate::{
    gpu::{Shader, Tier, wgsl},
    reference,
};

/// y = the place of a row's largest number; of equal ones the first; `u32::MAX` where none is a number
#[derive(Debug, Clone)]
pub struct Pick {
    /// `[rows, count]`
    pub x: ActId,
    /// `[rows]`, u32
    pub y: ActId,
    /// Rows of x.
    pub rows: Rows,
    /// Numbers of a row, at least one.
    pub count: u32,
}

params! {
    struct Params {
        rows: u32,
        count: u32,
    }
}

impl Kernel for Pick {
    fn shader(&self, _tier: Tier) -> Shader {
        Shader::new("pick", wgsl!("pick.wgsl"))
    }
    fn fields(&self) -> &'static [Field] {
        Params::FIELDS
    }
    fn params(&self, run: Run) -> Vec<u8> {
        bytemuck::bytes_of(&Params { rows: self.rows.of(run), count: self.count }).to_vec()
    }
    fn workgroups(&self, _tier: Tier, run: Run) -> [u32; 3] {
        spread(self.rows.of(run))
    }
    fn operands(&self) -> Vec<Operand> {
        vec![Operand::Act(self.x), Operand::Act(self.y)]
    }
    /// Comparisons: this is fast already.
    fn reference(&self, run: Run, host: &mut Host) {
        let numbers = (self.rows.of(run) * self.count) as usize;
        let places = reference::pick(&host.floats(self.x)[..numbers], self.count as usize);
        host.acts[self.y.0][..places.len()].copy_from_slice(&places);
    }
}
