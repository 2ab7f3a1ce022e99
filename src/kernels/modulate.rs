//! Tokens that all items share, scaled and shifted by each item (FiLM).

use super::{ActId, Field, Host, Kernel, Operand, Run, params::params, spread};
use crate::{
    gpu::{Shader, Tier, wgsl},
    reference,
};

/// y = factor · x + addend, for each item
#[derive(Debug, Clone)]
pub struct Modulate {
    /// `[tokens, dim]`
    pub x: ActId,
    /// `[batch, 2, dim]`: factor, addend
    pub by: ActId,
    /// `[batch, tokens, dim]`
    pub y: ActId,
    /// Rows of x.
    pub tokens: u32,
    /// Floats in a row.
    pub dim: u32,
}

params! {
    struct Params {
        batch: u32,
        tokens: u32,
        dim: u32,
    }
}

impl Kernel for Modulate {
    fn shader(&self, _tier: Tier) -> Shader {
        Shader::new("modulate", wgsl!("modulate.wgsl"))
    }
    fn fields(&self) -> &'static [Field] {
        Params::FIELDS
    }
    fn params(&self, run: Run) -> Vec<u8> {
        bytemuck::bytes_of(&Params { batch: run.batch, tokens: self.tokens, dim: self.dim }).to_vec()
    }
    fn workgroups(&self, _tier: Tier, run: Run) -> [u32; 3] {
        spread((run.batch * self.tokens * self.dim).div_ceil(64))
    }
    fn operands(&self) -> Vec<Operand> {
        vec![Operand::Act(self.x), Operand::Act(self.by), Operand::Act(self.y)]
    }
    fn reference(&self, run: Run, host: &mut Host) {
        let [batch, tokens, dim] = [run.batch, self.tokens, self.dim].map(|n| n as usize);
        let (x, by) = (&host.floats(self.x)[..tokens * dim], &host.floats(self.by)[..batch * 2 * dim]);
        let y = reference::modulate(x, by, dim);
        host.store(self.y, &y);
    }
    // The file for the GPU runs no plans on the CPU.
    #[cfg(not(feature = "wasm-gpu"))]
    fn cpu(&self, run: Run, host: &mut Host) {
        let [batch, tokens, dim] = [run.batch, self.tokens, self.dim].map(|n| n as usize);
        let mut act = host.take(self.y);
        let y: &mut [f32] = bytemuck::cast_slice_mut(&mut act);
        let x = &host.floats(self.x)[..tokens * dim];
        let items = y.chunks_exact_mut(tokens * dim).zip(host.floats(self.by).chunks_exact(2 * dim)).take(batch);
        for (y, by) in items {
            let (factor, addend) = by.split_at(dim);
            for (y, x) in y.chunks_exact_mut(dim).zip(x.chunks_exact(dim)) {
                let terms = x.iter().zip(factor).zip(addend);
                y.iter_mut().zip(terms).for_each(|(y, ((x, factor), addend))| *y = x * factor + addend);
            }
        }
        host.acts[self.y.0] = act;
    }
}
