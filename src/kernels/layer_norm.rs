//! Layer norm of each row, or of each row times its item's class token.

use std::borrow::Cow;

use super::{ActId, Field, Host, Kernel, Operand, Rows, Run, VectorRef, params::params, row_shader, row_tier, spread};
use crate::{
    gpu::{Shader, Tier, Tuning, wgsl},
    reference,
};

/// y = (x - mean) / √(variance + eps) · weight + bias, over the last dimension.
#[derive(Debug, Clone)]
pub struct LayerNorm {
    /// `[rows, dim]`; if `merge`, of each item a class token and then its rows, `[batch, 1 + rows, dim]`
    pub x: ActId,
    /// `[dim]`
    pub weight: VectorRef,
    /// `[dim]`
    pub bias: VectorRef,
    /// `[rows, dim]`
    pub y: ActId,
    /// Rows of y.
    pub rows: Rows,
    /// Added to the variance.
    pub eps: f32,
    /// Whether each row is first multiplied by its item's class token.
    pub merge: bool,
}

params! {
    struct Params {
        rows: u32,
        dim: u32,
        eps: f32,
        tokens: u32,
    }
}

impl LayerNorm {
    /// What is normed, `[rows, dim]`.
    fn input<'a>(&self, run: Run, host: &'a Host) -> Cow<'a, [f32]> {
        let (x, dim) = (host.floats(self.x), self.weight.len as usize);
        let rows = self.rows.of(run) as usize;
        if !self.merge {
            return x[..rows * dim].into();
        }
        let each = self.rows.each(run) as usize;
        reference::merge(&x[..rows / each * (1 + each) * dim], each, dim).into()
    }
}

impl Kernel for LayerNorm {
    fn variant(&self, tuning: &Tuning, run: Run) -> Tier {
        row_tier(tuning, self.rows.of(run))
    }
    fn shader(&self, tier: Tier) -> Shader {
        row_shader("layer_norm", wgsl!("layer_norm.wgsl"), tier, self.weight.len).with("MERGE", self.merge)
    }
    fn fields(&self) -> &'static [Field] {
        Params::FIELDS
    }
    fn params(&self, run: Run) -> Vec<u8> {
        let (rows, tokens) = (self.rows.of(run), self.rows.each(run));
        bytemuck::bytes_of(&Params { rows, dim: self.weight.len, eps: self.eps, tokens }).to_vec()
    }
    fn workgroups(&self, _tier: Tier, run: Run) -> [u32; 3] {
        spread(self.rows.of(run))
    }
    fn operands(&self) -> Vec<Operand> {
        vec![Operand::Act(self.x), Operand::Vector(self.weight), Operand::Vector(self.bias), Operand::Act(self.y)]
    }
    fn reference(&self, run: Run, host: &mut Host) {
        let x = self.input(run, host);
        let y = reference::layer_norm(&x, &host.vector(self.weight), &host.vector(self.bias), self.eps);
        drop(x);
        host.store(self.y, &y);
    }
    // The file for the GPU runs no plans on the CPU.
    #[cfg(not(feature = "wasm-gpu"))]
    fn cpu(&self, run: Run, host: &mut Host) {
        let mut act = host.take(self.y);
        let x = self.input(run, host);
        let y = &mut bytemuck::cast_slice_mut(&mut act)[..x.len()];
        crate::cpu::layer_norm(host.threads, &x, &host.vector(self.weight), &host.vector(self.bias), self.eps, y);
        drop(x);
        host.acts[self.y.0] = act;
    }
}
