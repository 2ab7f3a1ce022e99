//! Unit length.

use super::{ActId, Field, Host, Kernel, Operand, Run, params::params};
use crate::{
    gpu::{Shader, Tier, wgsl},
    reference,
};

/// y = x / ‖x‖ for each item.
#[derive(Debug, Clone)]
pub struct Normalize {
    /// `[batch, dim]`
    pub x: ActId,
    /// `[batch, dim]`
    pub y: ActId,
    /// Length of an embedding.
    pub dim: u32,
}

params! {
    struct Params {
        rows: u32,
        dim: u32,
    }
}

impl Kernel for Normalize {
    fn shader(&self, _tier: Tier) -> Shader {
        Shader::new("normalize", wgsl!("normalize.wgsl"))
    }
    fn fields(&self) -> &'static [Field] {
        Params::FIELDS
    }
    fn params(&self, run: Run) -> Vec<u8> {
        bytemuck::bytes_of(&Params { rows: run.batch, dim: self.dim }).to_vec()
    }
    fn workgroups(&self, _tier: Tier, run: Run) -> [u32; 3] {
        [run.batch.div_ceil(64), 1, 1]
    }
    fn operands(&self) -> Vec<Operand> {
        vec![Operand::Act(self.x), Operand::Act(self.y)]
    }
    fn reference(&self, run: Run, host: &mut Host) {
        let dim = self.dim as usize;
        let y = reference::normalize(&host.floats(self.x)[..run.batch as usize * dim], dim);
        host.store(self.y, &y);
    }
    // The file for the GPU runs no plans on the CPU.
    #[cfg(not(feature = "wasm-gpu"))]
    fn cpu(&self, run: Run, host: &mut Host) {
        let numbers = (run.batch * self.dim) as usize;
        let mut act = host.take(self.y);
        let y = &mut bytemuck::cast_slice_mut(&mut act)[..numbers];
        crate::cpu::normalize(&host.floats(self.x)[..numbers], self.dim as usize, y);
        host.acts[self.y.0] = act;
    }
}
