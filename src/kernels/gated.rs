//! The gate of a gated MLP.

use super::{ActId, Field, Host, Kernel, Operand, Rows, Run, matmul::code, params::params, spread};
use crate::{
    config::Activation,
    gpu::{Shader, Tier, wgsl},
    reference,
};

/// y = activation(gate) · up (`LlamaMLP` in transformers' `modeling_llama.py`, between its projections)
#[derive(Debug, Clone)]
pub struct Gated {
    /// `[rows, 2 · dim]`: gate, then up
    pub x: ActId,
    /// `[rows, dim]`
    pub y: ActId,
    /// Rows of x and y.
    pub rows: Rows,
    /// Floats in a row of y.
    pub dim: u32,
    /// Of the gate.
    pub activation: Activation,
}

params! {
    struct Params {
        rows: u32,
        dim: u32,
    }
}

impl Gated {
    /// Numbers of y; x has twice as many.
    fn numbers(&self, run: Run) -> usize {
        (self.rows.of(run) * self.dim) as usize
    }
}

impl Kernel for Gated {
    fn shader(&self, _tier: Tier) -> Shader {
        Shader::new("gated", wgsl!("gated.wgsl"))
            .and(wgsl!("lib/activation.wgsl"))
            .with("ACTIVATION", code(self.activation))
    }
    fn fields(&self) -> &'static [Field] {
        Params::FIELDS
    }
    fn params(&self, run: Run) -> Vec<u8> {
        bytemuck::bytes_of(&Params { rows: self.rows.of(run), dim: self.dim }).to_vec()
    }
    fn workgroups(&self, _tier: Tier, run: Run) -> [u32; 3] {
        spread((self.rows.of(run) * self.dim).div_ceil(64))
    }
    fn operands(&self) -> Vec<Operand> {
        vec![Operand::Act(self.x), Operand::Act(self.y)]
    }
    fn reference(&self, run: Run, host: &mut Host) {
        let x = &host.floats(self.x)[..2 * self.numbers(run)];
        let y = reference::gated(x, self.dim as usize, self.activation);
        host.store(self.y, &y);
    }
    // The file for the GPU runs no plans on the CPU.
    #[cfg(not(feature = "wasm-gpu"))]
    fn cpu(&self, run: Run, host: &mut Host) {
        let (numbers, dim) = (self.numbers(run), self.dim as usize);
        let mut act = host.take(self.y);
        let y = &mut bytemuck::cast_slice_mut(&mut act)[..numbers];
        crate::cpu::gated(host.threads, &host.floats(self.x)[..2 * numbers], dim, self.activation, y);
        host.acts[self.y.0] = act;
    }
}
