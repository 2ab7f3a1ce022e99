//! RMS norm of each row: Llama's, and Gemma's, whose weights are stored less one.

use super::{ActId, Field, Host, Kernel, Operand, Rows, Run, VectorRef, params::params, row_shader, row_tier, spread};
use crate::{
    gpu::{Shader, Tier, Tuning, wgsl},
    reference,
};

/// y = x / √(mean(x²) + eps) · weight, over the last dimension (`LlamaRMSNorm` in transformers' `modeling_llama.py`).
#[derive(Debug, Clone)]
pub struct RmsNorm {
    /// `[rows, dim]`
    pub x: ActId,
    /// `[dim]`
    pub weight: VectorRef,
    /// `[rows, dim]`, not x
    pub y: ActId,
    /// Rows of x and y.
    pub rows: Rows,
    /// Added to the mean of the squares.
    pub eps: f32,
    /// Whether the factor is 1 + weight (`Gemma3RMSNorm` in `modeling_gemma3.py`).
    pub one_plus: bool,
    /// y += instead of y =: of norms before a residual (Gemma 2 and 3).
    pub accumulate: bool,
}

params! {
    struct Params {
        rows: u32,
        dim: u32,
        eps: f32,
    }
}

impl RmsNorm {
    /// Numbers of x and y.
    fn numbers(&self, run: Run) -> usize {
        (self.rows.of(run) * self.weight.len) as usize
    }
}

impl Kernel for RmsNorm {
    fn variant(&self, tuning: &Tuning, run: Run) -> Tier {
        row_tier(tuning, self.rows.of(run))
    }
    fn shader(&self, tier: Tier) -> Shader {
        row_shader("rms_norm", wgsl!("rms_norm.wgsl"), tier, self.weight.len)
            .with("ONE_PLUS", self.one_plus)
            .with("ACCUMULATE", self.accumulate)
    }
    fn fields(&self) -> &'static [Field] {
        Params::FIELDS
    }
    fn params(&self, run: Run) -> Vec<u8> {
        bytemuck::bytes_of(&Params { rows: self.rows.of(run), dim: self.weight.len, eps: self.eps }).to_vec()
    }
    fn workgroups(&self, _tier: Tier, run: Run) -> [u32; 3] {
        spread(self.rows.of(run))
    }
    fn operands(&self) -> Vec<Operand> {
        vec![Operand::Act(self.x), Operand::Vector(self.weight), Operand::Act(self.y)]
    }
    fn reference(&self, run: Run, host: &mut Host) {
        let x = &host.floats(self.x)[..self.numbers(run)];
        let mut y = reference::rms_norm(x, &host.vector(self.weight), self.eps, self.one_plus);
        if self.accumulate {
            y.iter_mut().zip(host.floats(self.y)).for_each(|(y, before)| *y += before);
        }
        host.store(self.y, &y);
    }
    // The file for the GPU runs no plans on the CPU.
    #[cfg(not(feature = "wasm-gpu"))]
    fn cpu(&self, run: Run, host: &mut Host) {
        let mut factors = host.vector(self.weight);
        if self.one_plus {
            factors.iter_mut().for_each(|w| *w += 1.0);
        }
        let numbers = self.numbers(run);
        let mut act = host.take(self.y);
        let y = &mut bytemuck::cast_slice_mut(&mut act)[..numbers];
        let x = &host.floats(self.x)[..numbers];
        crate::cpu::rms_norm(host.threads, x, &factors, (self.eps, self.accumulate), y);
        host.acts[self.y.0] = act;
    }
}
