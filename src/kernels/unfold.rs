//! What a convolution sees: as a matrix, so that it becomes a matrix product.

use super::{ActId, Field, Host, Kernel, Operand, Run, params::params, spread};
use crate::{
    gpu::{Shader, Tier, wgsl},
    reference,
};

/// The places that a convolution sees at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taps {
    /// Places along a side.
    pub side: u32,
    /// Places from one square to the next.
    pub stride: u32,
    /// Places beyond the edge at which the first square begins.
    pub padding: u32,
}

impl Taps {
    /// Of 3 × 3 around each place.
    pub const AROUND: Self = Self { side: 3, stride: 1, padding: 1 };

    /// Squares along a side of a grid that is at least as wide as one of them, padding included.
    #[must_use]
    pub fn outputs(self, grid: u32) -> u32 {
        (grid + 2 * self.padding - self.side) / self.stride + 1
    }
}

/// y = the places that a convolution sees, square by square, zeros beyond the grid; a row has the order of the convolution's weight,
/// `(d, dy, dx)`.
#[derive(Debug, Clone)]
pub struct Unfold {
    /// `[batch, lead + grid², dim]`
    pub x: ActId,
    /// `[batch, outputs², dim · side²]`
    pub y: ActId,
    /// Places of x along a side of the grid.
    pub grid: u32,
    /// Floats in a row of x.
    pub dim: u32,
    /// Rows of an item of x before its grid, which are left out: 1 for a class token.
    pub lead: u32,
    /// What is seen.
    pub taps: Taps,
}

params! {
    struct Params {
        batch: u32,
        grid: u32,
        dim: u32,
        lead: u32,
        side: u32,
        stride: u32,
        padding: u32,
        outputs: u32,
    }
}

impl Unfold {
    /// Numbers of an item of y.
    fn item(&self) -> u32 {
        self.taps.outputs(self.grid).pow(2) * self.dim * self.taps.side.pow(2)
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
        let Self { grid, dim, lead, taps: Taps { side, stride, padding }, .. } = *self;
        let outputs = self.taps.outputs(grid);
        bytemuck::bytes_of(&Params { batch: run.batch, grid, dim, lead, side, stride, padding, outputs }).to_vec()
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
        let Taps { side, stride, padding } = self.taps;
        let taps = [side, stride, padding].map(|n| n as usize);
        reference::unfold(host.floats(self.x), [grid, dim, lead], taps, y);
        host.acts[self.y.0] = act;
    }
}
