//! What a convolution of 3 × 3 sees: as a matrix, so that it becomes a matrix product.

use super::{ActId, Field, Host, Kernel, Operand, Run, params::params, spread};
use crate::{
    gpu::{Shader, Tier, wgsl},
    reference,
};

/// y = each place's neighbours and itself, zeros beyond the grid; a row has the order of the convolution's weight, `(d, dy, dx)`.
#[derive(Debug, Clone)]
pub struct Unfold {
    /// `[batch, lead + grid², dim]`
    pub x: ActId,
    /// `[batch, grid², dim · 9]`
    pub y: ActId,
    /// Rows along a side of the grid.
    pub grid: u32,
    /// Floats in a row of x.
    pub dim: u32,
    /// Rows of an item of x before its grid, which are left out: 1 for a class token.
    pub lead: u32,
}

params! {
    struct Params {
        batch: u32,
        grid: u32,
        dim: u32,
        lead: u32,
    }
}

impl Unfold {
    /// Numbers of an item of y.
    fn item(&self) -> u32 {
        self.grid * self.grid * self.dim * 9
    }
}

impl Kernel for Unfold {
    fn shader(&self, _tier: Tier) -> Shader {
        Shader::new("unfold", wgsl!("unfold.wgsl"))
    }
    fn fields(&self) -> &'static [Field] {
        Params::FIELDS
    }
    fn params(&self, run: Run) -> Vec<u8> {
        let params = Params { batch: run.batch, grid: self.grid, dim: self.dim, lead: self.lead };
        bytemuck::bytes_of(&params).to_vec()
    }
    fn workgroups(&self, _tier: Tier, run: Run) -> [u32; 3] {
        spread((run.batch * self.item()).div_ceil(64))
    }
    fn operands(&self) -> Vec<Operand> {
        vec![Operand::Act(self.x), Operand::Act(self.y)]
    }
    /// Copies: this is fast already.
    fn reference(&self, run: Run, host: &mut Host) {
        let [grid, dim, lead] = [self.grid, self.dim, self.lead].map(|n| n as usize);
        let mut act = host.take(self.y);
        let y = &mut bytemuck::cast_slice_mut(&mut act)[..(run.batch * self.item()) as usize];
        reference::unfold(host.floats(self.x), grid, dim, lead, y);
        host.acts[self.y.0] = act;
    }
}
