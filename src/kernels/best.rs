//! The best label of each token: eight bytes a token to read, however many labels there are.

use super::{ActId, Field, Host, Kernel, Operand, Rows, Run, params::params, spread};
use crate::{
    gpu::{Shader, Tier, wgsl},
    reference,
};

/// y = the place and the value of a row's largest number; of equal ones the first
#[derive(Debug, Clone)]
pub struct Best {
    /// `[rows, labels]`
    pub x: ActId,
    /// `[rows, 2]`: the place, u32, and the value
    pub y: ActId,
    /// Numbers of a row, at least one.
    pub labels: u32,
    /// Rows of x and y.
    pub rows: Rows,
}

params! {
    struct Params {
        rows: u32,
        labels: u32,
    }
}

impl Kernel for Best {
    fn shader(&self, _tier: Tier) -> Shader {
        Shader::new("best", wgsl!("best.wgsl"))
    }
    fn fields(&self) -> &'static [Field] {
        Params::FIELDS
    }
    fn params(&self, run: Run) -> Vec<u8> {
        bytemuck::bytes_of(&Params { rows: self.rows.of(run), labels: self.labels }).to_vec()
    }
    fn workgroups(&self, _tier: Tier, run: Run) -> [u32; 3] {
        spread(self.rows.of(run).div_ceil(64))
    }
    fn operands(&self) -> Vec<Operand> {
        vec![Operand::Act(self.x), Operand::Act(self.y)]
    }
    fn reference(&self, run: Run, host: &mut Host) {
        let numbers = (self.rows.of(run) * self.labels) as usize;
        let best = reference::best(&host.floats(self.x)[..numbers], self.labels as usize);
        let words = host.acts[self.y.0].as_chunks_mut().0;
        words.iter_mut().zip(best).for_each(|(word, (place, value))| *word = [place, value.to_bits()]);
    }
}
