//! One axis of a resize in floats.

use super::{ActId, Field, Host, Kernel, Operand, Rows, Run, params::params};
use crate::{
    gpu::{Shader, Tier, wgsl},
    preprocess::TABLE_HEAD,
    reference,
};

/// As [`super::Resize`], without a rounding: bytes of a picture become floats from 0 to 255, and these others.
#[derive(Debug, Clone)]
pub struct ResizeFloat {
    /// Words of RGBA if this is the first pass, or `[pixels, 3]`
    pub source: ActId,
    /// [`crate::preprocess::Axis::table`], weights in f32
    pub table: ActId,
    /// `[pixels, 3]`
    pub out: ActId,
    /// Whether the source is bytes. On the CPU its lines are then rows, and columns otherwise.
    pub first: bool,
    /// Output pixels along the axis as a rule. Where the table has more, an invocation computes several.
    pub usual: u32,
    /// Lines across the axis.
    pub lines: Rows,
}

params! {
    struct Params {
        lines: u32,
    }
}

impl Kernel for ResizeFloat {
    fn shader(&self, _tier: Tier) -> Shader {
        Shader::new("resize_float", wgsl!("resize_float.wgsl")).with("FIRST", self.first)
    }
    fn fields(&self) -> &'static [Field] {
        Params::FIELDS
    }
    fn params(&self, run: Run) -> Vec<u8> {
        bytemuck::bytes_of(&Params { lines: self.lines.of(run) }).to_vec()
    }
    fn workgroups(&self, _tier: Tier, run: Run) -> [u32; 3] {
        [self.usual.div_ceil(8), self.lines.of(run).div_ceil(8), 1]
    }
    fn operands(&self) -> Vec<Operand> {
        vec![Operand::Act(self.source), Operand::Act(self.table), Operand::Act(self.out)]
    }
    fn reference(&self, run: Run, host: &mut Host) {
        let (source, table) = (&host.acts[self.source.0], &host.acts[self.table.0]);
        let &[_, outputs, _, _, _, step, stride, add] = table.first_chunk::<TABLE_HEAD>().expect("its head");
        let pixels = reference::resize_float(source, table, self.lines.of(run) as usize, self.first);
        let out: &mut [f32] = bytemuck::cast_slice_mut(&mut host.acts[self.out.0]);
        for (i, pixel) in pixels.into_iter().enumerate() {
            let (line, output) = (i as u32 / outputs, i as u32 % outputs);
            for (out, x) in out[(line * stride + output * step) as usize..].iter_mut().zip(pixel) {
                *out = if add == 0 { x } else { *out + x };
            }
        }
    }
    // The file for the GPU runs no plans on the CPU.
    #[cfg(not(feature = "wasm-gpu"))]
    fn cpu(&self, run: Run, host: &mut Host) {
        let mut act = host.take(self.out);
        let (source, table) = (&host.acts[self.source.0], &host.acts[self.table.0]);
        let lines = self.lines.of(run) as usize;
        crate::cpu::resize_float(host.threads, source, table, lines, self.first, bytemuck::cast_slice_mut(&mut act));
        host.acts[self.out.0] = act;
    }
}
