//! Layer norm of each row.

use super::{ActId, Field, Host, Kernel, Operand, Rows, Run, VectorRef, params::params, spread};
use crate::{
    gpu::{Shader, Tier, Tuning, wgsl},
    quant::Format,
    reference,
};

/// y = (x - mean) / √(variance + eps) · weight + bias, over the last dimension.
#[derive(Debug, Clone)]
pub struct LayerNorm {
    /// `[rows, dim]`
    pub x: ActId,
    /// `[dim]`
    pub weight: VectorRef,
    /// `[dim]`
    pub bias: VectorRef,
    /// `[rows, dim]`
    pub y: ActId,
    /// Rows of x and y.
    pub rows: Rows,
    /// Added to the variance.
    pub eps: f32,
}

params! {
    struct Params {
        rows: u32,
        dim: u32,
        eps: f32,
    }
}

impl Kernel for LayerNorm {
    fn variant(&self, tuning: &Tuning, run: Run) -> Tier {
        // All but one of the tiers have the same shader.
        match tuning.at(self.rows.of(run), Format::F32) {
            Tier::Registers => Tier::Registers,
            _ => Tier::Plain,
        }
    }
    fn shader(&self, tier: Tier) -> Shader {
        // Where barriers are slow, as few invocations as run in step.
        let workgroup = if tier == Tier::Registers { 4u32 } else { 64 };
        Shader::new("layer_norm", wgsl!("layer_norm.wgsl")).with("WORKGROUP", workgroup)
    }
    fn fields(&self) -> &'static [Field] {
        Params::FIELDS
    }
    fn params(&self, run: Run) -> Vec<u8> {
        let params = Params { rows: self.rows.of(run), dim: self.weight.len, eps: self.eps };
        bytemuck::bytes_of(&params).to_vec()
    }
    fn workgroups(&self, _tier: Tier, run: Run) -> [u32; 3] {
        spread(self.rows.of(run))
    }
    fn operands(&self) -> Vec<Operand> {
        vec![Operand::Act(self.x), Operand::Vector(self.weight), Operand::Vector(self.bias), Operand::Act(self.y)]
    }
    fn reference(&self, run: Run, host: &mut Host) {
        let rows = self.rows.of(run) as usize;
        let dim = self.weight.len as usize;
        let x = &host.floats(self.x)[..rows * dim];
        let y = reference::layer_norm(x, &host.vector(self.weight), &host.vector(self.bias), self.eps);
        host.store(self.y, &y);
    }
    // The file for the GPU runs no plans on the CPU.
    #[cfg(not(feature = "wasm-gpu"))]
    fn cpu(&self, run: Run, host: &mut Host) {
        let numbers = (self.rows.of(run) * self.weight.len) as usize;
        let mut act = host.take(self.y);
        let y = &mut bytemuck::cast_slice_mut(&mut act)[..numbers];
        let x = &host.floats(self.x)[..numbers];
        crate::cpu::layer_norm(host.threads, x, &host.vector(self.weight), &host.vector(self.bias), self.eps, y);
        host.acts[self.y.0] = act;
    }
}
