//! Unit length.

use super::{ActId, Field, Host, Kernel, Operand, Rows, Run, params::params, row_shader, row_tier, spread};
use crate::{
    gpu::{Shader, Tier, Tuning, wgsl},
    reference,
};

/// y = x / (‖x‖ + eps) for each row.
#[derive(Debug, Clone)]
pub struct Normalize {
    /// `[rows, dim]`
    pub x: ActId,
    /// `[rows, dim]`
    pub y: ActId,
    /// Length of a row.
    pub dim: u32,
    /// Rows of x and y.
    pub rows: Rows,
    /// Added to the norm.
    pub eps: f32,
}

params! {
    struct Params {
        rows: u32,
        dim: u32,
        eps: f32,
    }
}

impl Kernel for Normalize {
    fn variant(&self, tuning: &Tuning, run: Run) -> Tier {
        row_tier(tuning, self.rows.of(run))
    }
    fn shader(&self, tier: Tier) -> Shader {
        row_shader("normalize", wgsl!("normalize.wgsl"), tier, self.dim)
    }
    fn fields(&self) -> &'static [Field] {
        Params::FIELDS
    }
    fn params(&self, run: Run) -> Vec<u8> {
        bytemuck::bytes_of(&Params { rows: self.rows.of(run), dim: self.dim, eps: self.eps }).to_vec()
    }
    fn workgroups(&self, _tier: Tier, run: Run) -> [u32; 3] {
        spread(self.rows.of(run))
    }
    fn operands(&self) -> Vec<Operand> {
        vec![Operand::Act(self.x), Operand::Act(self.y)]
    }
    fn reference(&self, run: Run, host: &mut Host) {
        let numbers = (self.rows.of(run) * self.dim) as usize;
        let y = reference::normalize(&host.floats(self.x)[..numbers], self.dim as usize, self.eps);
        host.store(self.y, &y);
    }
    // The file for the GPU runs no plans on the CPU.
    #[cfg(not(feature = "wasm-gpu"))]
    fn cpu(&self, run: Run, host: &mut Host) {
        let numbers = (self.rows.of(run) * self.dim) as usize;
        let mut act = host.take(self.y);
        let y = &mut bytemuck::cast_slice_mut(&mut act)[..numbers];
        crate::cpu::normalize(host.threads, &host.floats(self.x)[..numbers], self.dim as usize, self.eps, y);
        host.acts[self.y.0] = act;
    }
}
