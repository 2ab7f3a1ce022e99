//! One axis of Pillow's resampling.

use super::{ActId, Field, Host, Kernel, Operand, Rows, Run, params::params};
use crate::{
    gpu::{Shader, Tier, wgsl},
    preprocess::TABLE_HEAD,
    reference,
};

/// Resamples lines of RGBA pixels along one axis. Nothing here knows how large the pictures are: what varies with that is at the head of
/// the table, and lines are rows of a run.
#[derive(Debug, Clone)]
pub struct Resize {
    /// Words of RGBA
    pub source: ActId,
    /// [`crate::preprocess::Axis::table`], i32
    pub table: ActId,
    /// Words of RGBA
    pub out: ActId,
    /// Output pixels along the axis.
    pub outputs: u32,
    /// Lines across the axis.
    pub lines: Rows,
    /// Words between source neighbours along the axis.
    pub step: u32,
    /// Words between output neighbours along the axis, and between lines.
    pub out_strides: [u32; 2],
}

params! {
    struct Params {
        outputs: u32,
        lines: u32,
        step: u32,
        out_step: u32,
        out_line: u32,
    }
}

impl Kernel for Resize {
    fn shader(&self, _tier: Tier) -> Shader {
        Shader::new("resize", wgsl!("resize.wgsl"))
    }
    fn fields(&self) -> &'static [Field] {
        Params::FIELDS
    }
    fn params(&self, run: Run) -> Vec<u8> {
        let [out_step, out_line] = self.out_strides;
        let params = Params { outputs: self.outputs, lines: self.lines.of(run), step: self.step, out_step, out_line };
        bytemuck::bytes_of(&params).to_vec()
    }
    fn workgroups(&self, _tier: Tier, run: Run) -> [u32; 3] {
        [self.outputs.div_ceil(8), self.lines.of(run).div_ceil(8), 1]
    }
    fn operands(&self) -> Vec<Operand> {
        vec![Operand::Act(self.source), Operand::Act(self.table), Operand::Act(self.out)]
    }
    fn reference(&self, run: Run, host: &mut Host) {
        let (source, table) = (&host.acts[self.source.0], &host.acts[self.table.0]);
        let start = table[TABLE_HEAD - 1];
        let (lines, step) = (self.lines.of(run) as usize, self.step as usize);
        let pixels = reference::resize(source, table, self.outputs as usize, lines, step);
        let out = &mut host.acts[self.out.0];
        for (i, pixel) in pixels.into_iter().enumerate() {
            let (line, output) = (i as u32 / self.outputs, i as u32 % self.outputs);
            let [step, stride] = self.out_strides;
            out[(start + line * stride + output * step) as usize] = pixel;
        }
    }
    // The file for the GPU runs no plans on the CPU.
    #[cfg(not(feature = "wasm-gpu"))]
    fn cpu(&self, run: Run, host: &mut Host) {
        let (outputs, lines, step) = (self.outputs as usize, self.lines.of(run) as usize, self.step as usize);
        let fast = match self.out_strides {
            [1, line] if line == self.outputs => crate::cpu::resize_rows,
            [output, 1] if output as usize == lines && host.acts[self.table.0][1] == 1 => crate::cpu::resize_columns,
            _ => return self.reference(run, host),
        };
        let mut out = host.take(self.out);
        let (source, table) = (&host.acts[self.source.0], &host.acts[self.table.0]);
        let start = table[TABLE_HEAD - 1] as usize;
        let shape = crate::cpu::Lines { outputs, lines, step };
        fast(host.threads, source, table, shape, &mut out[start..][..outputs * lines]);
        host.acts[self.out.0] = out;
    }
}
