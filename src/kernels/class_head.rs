//! Cosines to logits, by what a token itself says of its shift and its scale (OWL's class head).

use super::{ActId, Field, Host, Kernel, Operand, Rows, Run, params::params, spread};
use crate::{
    gpu::{Shader, Tier, wgsl},
    reference,
};

/// y = (cos + shift) · (elu(scale) + 1)
#[derive(Debug, Clone)]
pub struct ClassHead {
    /// `[rows, labels]`
    pub cos: ActId,
    /// `[rows, 2]`: shift, scale
    pub scale: ActId,
    /// `[rows, labels]`
    pub y: ActId,
    /// Cosines of a row.
    pub labels: u32,
    /// Rows, one a token.
    pub rows: Rows,
}

params! {
    struct Params {
        rows: u32,
        labels: u32,
    }
}

impl ClassHead {
    /// Numbers of y.
    fn numbers(&self, run: Run) -> usize {
        (self.rows.of(run) * self.labels) as usize
    }
}

impl Kernel for ClassHead {
    fn shader(&self, _tier: Tier) -> Shader {
        Shader::new("class_head", wgsl!("class_head.wgsl"))
    }
    fn fields(&self) -> &'static [Field] {
        Params::FIELDS
    }
    fn params(&self, run: Run) -> Vec<u8> {
        bytemuck::bytes_of(&Params { rows: self.rows.of(run), labels: self.labels }).to_vec()
    }
    fn workgroups(&self, _tier: Tier, run: Run) -> [u32; 3] {
        spread((self.rows.of(run) * self.labels).div_ceil(64))
    }
    fn operands(&self) -> Vec<Operand> {
        vec![Operand::Act(self.cos), Operand::Act(self.scale), Operand::Act(self.y)]
    }
    fn reference(&self, run: Run, host: &mut Host) {
        let cos = &host.floats(self.cos)[..self.numbers(run)];
        let y = reference::class_head(cos, host.floats(self.scale), self.labels as usize);
        host.store(self.y, &y);
    }
    // The file for the GPU runs no plans on the CPU.
    #[cfg(not(feature = "wasm-gpu"))]
    fn cpu(&self, run: Run, host: &mut Host) {
        let mut act = host.take(self.y);
        let y: &mut [f32] = &mut bytemuck::cast_slice_mut(&mut act)[..self.numbers(run)];
        let labels = self.labels as usize;
        let rows = y.chunks_exact_mut(labels).zip(host.floats(self.cos).chunks_exact(labels));
        for ((y, cos), own) in rows.zip(host.floats(self.scale).as_chunks::<2>().0) {
            let [shift, scale] = *own;
            let factor = if scale > 0.0 { scale + 1.0 } else { scale.exp() };
            y.iter_mut().zip(cos).for_each(|(y, cos)| *y = (cos + shift) * factor);
        }
        host.acts[self.y.0] = act;
    }
}
