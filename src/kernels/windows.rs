//! A grid of tokens window by window, for attention inside of windows, and back.

use super::{ActId, Field, Host, Kernel, Operand, Run, params::params, spread};
use crate::{
    gpu::{Shader, Tier, wgsl},
    reference,
};

/// y = the tokens of each window after those of the one before, zeros beyond the grid; or, `back`, the grid again (`Florence2VisionWindowAttention`
/// in transformers' `modeling_florence2.py`).
#[derive(Debug, Clone)]
pub struct Windows {
    /// `[batch, grid², dim]`; `back`: `[batch, windows², window², dim]`
    pub x: ActId,
    /// `[batch, windows², window², dim]`; `back`: `[batch, grid², dim]`
    pub y: ActId,
    /// Places along a side of the grid.
    pub grid: u32,
    /// Places along a side of a window.
    pub window: u32,
    /// Floats in a row.
    pub dim: u32,
    /// From windows to the grid.
    pub back: bool,
}

params! {
    struct Params {
        batch: u32,
        grid: u32,
        window: u32,
        across: u32,
        dim: u32,
    }
}

impl Windows {
    /// Rows of an item of y.
    fn rows(&self) -> u32 {
        let side = if self.back { self.grid } else { self.grid.next_multiple_of(self.window) };
        side * side
    }
}

impl Kernel for Windows {
    fn shader(&self, _tier: Tier) -> Shader {
        Shader::new("windows", wgsl!("windows.wgsl")).with("BACK", self.back)
    }
    fn fields(&self) -> &'static [Field] {
        Params::FIELDS
    }
    fn params(&self, run: Run) -> Vec<u8> {
        let Self { grid, window, dim, .. } = *self;
        let params = Params { batch: run.batch, grid, window, across: grid.div_ceil(window), dim };
        bytemuck::bytes_of(&params).to_vec()
    }
    fn workgroups(&self, _tier: Tier, run: Run) -> [u32; 3] {
        spread((run.batch * self.rows() * self.dim).div_ceil(64))
    }
    fn operands(&self) -> Vec<Operand> {
        vec![Operand::Act(self.x), Operand::Act(self.y)]
    }
    /// Copies: this is fast already.
    fn reference(&self, run: Run, host: &mut Host) {
        let [grid, window, dim] = [self.grid, self.window, self.dim].map(|n| n as usize);
        let mut act = host.take(self.y);
        let y = &mut bytemuck::cast_slice_mut(&mut act)[..(run.batch * self.rows()) as usize * dim];
        reference::windows(host.floats(self.x), [grid, window, dim], self.back, y);
        host.acts[self.y.0] = act;
    }
}
