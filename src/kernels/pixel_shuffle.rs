//! Squares of tokens as single tokens, and a class token left out.

use super::{ActId, Field, Host, Kernel, Operand, Run, params::params, spread};
use crate::{
    gpu::{Shader, Tier, wgsl},
    reference,
};

/// y = of each square of `scale` tokens a side its tokens, row by row, one after the other (`pixel_shuffle` in transformers'
/// `modeling_smolvlm.py`). With a scale of 1 it is a copy without the rows before the grid.
#[derive(Debug, Clone)]
pub struct PixelShuffle {
    /// `[batch, lead + grid², dim]`
    pub x: ActId,
    /// `[batch, (grid / scale)², dim · scale²]`
    pub y: ActId,
    /// Rows along a side of the grid, a multiple of `scale`.
    pub grid: u32,
    /// Tokens along a side of a square.
    pub scale: u32,
    /// Rows of an item of x before its grid, which are left out: 1 for a class token.
    pub lead: u32,
    /// Floats in a row of x.
    pub dim: u32,
}

params! {
    struct Params {
        batch: u32,
        grid: u32,
        scale: u32,
        lead: u32,
        dim: u32,
    }
}

impl PixelShuffle {
    /// Numbers of an item of y.
    fn item(&self) -> u32 {
        self.grid * self.grid * self.dim
    }
}

impl Kernel for PixelShuffle {
    fn shader(&self, _tier: Tier) -> Shader {
        Shader::new("pixel_shuffle", wgsl!("pixel_shuffle.wgsl"))
    }
    fn fields(&self) -> &'static [Field] {
        Params::FIELDS
    }
    fn params(&self, run: Run) -> Vec<u8> {
        let Self { grid, scale, lead, dim, .. } = *self;
        bytemuck::bytes_of(&Params { batch: run.batch, grid, scale, lead, dim }).to_vec()
    }
    fn workgroups(&self, _tier: Tier, run: Run) -> [u32; 3] {
        spread((run.batch * self.item()).div_ceil(64))
    }
    fn operands(&self) -> Vec<Operand> {
        vec![Operand::Act(self.x), Operand::Act(self.y)]
    }
    /// Copies: this is fast already.
    fn reference(&self, run: Run, host: &mut Host) {
        let [grid, scale, lead, dim] = [self.grid, self.scale, self.lead, self.dim].map(|n| n as usize);
        let item = (lead + grid * grid) * dim;
        let y: Vec<f32> = host.floats(self.x)[..run.batch as usize * item]
            .chunks_exact(item)
            .flat_map(|x| reference::pixel_shuffle(&x[lead * dim..], grid, scale, dim))
            .collect();
        host.store(self.y, &y);
    }
}
