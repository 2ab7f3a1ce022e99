//! One axis of Pillow's resampling.

use super::{ActId, Field, Host, Kernel, Operand, Rows, Run, params::params};
use crate::{
    gpu::{Shader, Tier, wgsl},
    preprocess::TABLE_HEAD,
    reference,
};

/// Resamples lines of RGBA pixels along one axis. Nothing here knows how large the pictures are, before or after: what varies with that
/// is at the head of the table, the strides among it, and lines are rows of a run.
#[derive(Debug, Clone)]
pub struct Resize {
    /// Words of RGBA
    pub source: ActId,
    /// [`crate::preprocess::Axis::table`], i32
    pub table: ActId,
    /// Words of RGBA
    pub out: ActId,
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

impl Kernel for Resize {
    fn shader(&self, _tier: Tier) -> Shader {
        Shader::new("resize", wgsl!("resize.wgsl"))
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
        let &[_, outputs, _, _, _, step, stride, start] = table.first_chunk::<TABLE_HEAD>().expect("its head");
        let pixels = reference::resize(source, table, self.lines.of(run) as usize);
        let out = &mut host.acts[self.out.0];
        for (i, pixel) in pixels.into_iter().enumerate() {
            let (line, output) = (i as u32 / outputs, i as u32 % outputs);
            out[(start + line * stride + output * step) as usize] = pixel;
        }
    }
    // The file for the GPU runs no plans on the CPU.
    #[cfg(not(feature = "wasm-gpu"))]
    fn cpu(&self, run: Run, host: &mut Host) {
        let mut out = host.take(self.out);
        let (source, table) = (&host.acts[self.source.0], &host.acts[self.table.0]);
        crate::cpu::resize(host.threads, source, table, self.lines.of(run) as usize, &mut out);
        host.acts[self.out.0] = out;
    }
}
