//! A convolution of 3 × 3 that mixes no columns, and its residual: DaViT's positions.

use super::{ActId, Field, Host, Kernel, Operand, Run, VectorRef, params::params, spread};
use crate::{
    gpu::{Shader, Tier, wgsl},
    reference,
};

/// y = x + conv(x), each column by itself; zeros beyond the grid (`conv1` and `conv2` in transformers' `modeling_florence2.py`).
#[derive(Debug, Clone)]
pub struct Depthwise {
    /// `[batch, grid², dim]`
    pub x: ActId,
    /// `[dim, 3, 3]`
    pub weight: VectorRef,
    /// `[dim]`
    pub bias: VectorRef,
    /// `[batch, grid², dim]`
    pub y: ActId,
    /// Places along a side of the grid.
    pub grid: u32,
}

params! {
    struct Params {
        batch: u32,
        grid: u32,
        dim: u32,
    }
}

impl Depthwise {
    /// Numbers of x and of y.
    fn numbers(&self, run: Run) -> u32 {
        run.batch * self.grid * self.grid * self.bias.len
    }
}

impl Kernel for Depthwise {
    fn shader(&self, _tier: Tier) -> Shader {
        Shader::new("depthwise", wgsl!("depthwise.wgsl"))
    }
    fn fields(&self) -> &'static [Field] {
        Params::FIELDS
    }
    fn params(&self, run: Run) -> Vec<u8> {
        bytemuck::bytes_of(&Params { batch: run.batch, grid: self.grid, dim: self.bias.len }).to_vec()
    }
    fn workgroups(&self, _tier: Tier, run: Run) -> [u32; 3] {
        spread(self.numbers(run).div_ceil(64))
    }
    fn operands(&self) -> Vec<Operand> {
        vec![Operand::Act(self.x), Operand::Vector(self.weight), Operand::Vector(self.bias), Operand::Act(self.y)]
    }
    fn flops(&self, run: Run) -> u64 {
        20 * u64::from(self.numbers(run))
    }
    fn reference(&self, run: Run, host: &mut Host) {
        let x = &host.floats(self.x)[..self.numbers(run) as usize];
        let y = reference::depthwise(x, &host.vector(self.weight), &host.vector(self.bias), self.grid as usize);
        host.store(self.y, &y);
    }
    // The file for the GPU runs no plans on the CPU.
    #[cfg(not(feature = "wasm-gpu"))]
    fn cpu(&self, run: Run, host: &mut Host) {
        let mut act = host.take(self.y);
        let numbers = self.numbers(run) as usize;
        let y = &mut bytemuck::cast_slice_mut(&mut act)[..numbers];
        let (weight, bias) = (host.vector(self.weight), host.vector(self.bias));
        let x = &host.floats(self.x)[..numbers];
        crate::cpu::depthwise(host.threads, x, &weight, &bias, self.grid as usize, y);
        host.acts[self.y.0] = act;
    }
}
