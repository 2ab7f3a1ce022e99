//! One axis of Pillow's resampling.

use super::{ActId, Field, Host, Kernel, Operand, Run, params::params};
use crate::{
    gpu::{Shader, Tier, wgsl},
    reference,
};

/// Resamples lines of RGBA pixels along one axis. The table is [`crate::preprocess::Axis::table`].
#[derive(Debug, Clone)]
pub struct Resize {
    /// Words of RGBA
    pub source: ActId,
    /// `[outputs, 2 + taps]`, i32
    pub table: ActId,
    /// Words of RGBA
    pub out: ActId,
    /// Output pixels along the axis.
    pub outputs: u32,
    /// Lines across the axis.
    pub lines: u32,
    /// Most weights of any output.
    pub taps: u32,
    /// Words between source neighbours along the axis, and between lines.
    pub source_strides: [u32; 2],
    /// The same for the output.
    pub out_strides: [u32; 2],
    /// Word of the output where the first line goes.
    pub out_offset: u32,
}

params! {
    struct Params {
        outputs: u32,
        lines: u32,
        taps: u32,
        step: u32,
        line: u32,
        out_step: u32,
        out_line: u32,
        out_offset: u32,
    }
}

impl Kernel for Resize {
    fn shader(&self, _tier: Tier) -> Shader {
        Shader::new("resize", wgsl!("resize.wgsl"))
    }
    fn fields(&self) -> &'static [Field] {
        Params::FIELDS
    }
    fn params(&self, _run: Run) -> Vec<u8> {
        let params = Params {
            outputs: self.outputs,
            lines: self.lines,
            taps: self.taps,
            step: self.source_strides[0],
            line: self.source_strides[1],
            out_step: self.out_strides[0],
            out_line: self.out_strides[1],
            out_offset: self.out_offset,
        };
        bytemuck::bytes_of(&params).to_vec()
    }
    fn workgroups(&self, _tier: Tier, _run: Run) -> [u32; 3] {
        [self.outputs.div_ceil(8), self.lines.div_ceil(8), 1]
    }
    fn operands(&self) -> Vec<Operand> {
        vec![Operand::Act(self.source), Operand::Act(self.table), Operand::Act(self.out)]
    }
    fn reference(&self, _run: Run, host: &mut Host) {
        let pixels = reference::resize(self, &host.acts[self.source.0], &host.acts[self.table.0]);
        let out = &mut host.acts[self.out.0];
        for (i, pixel) in pixels.into_iter().enumerate() {
            let (line, output) = (i as u32 / self.outputs, i as u32 % self.outputs);
            let [step, stride] = self.out_strides;
            out[(self.out_offset + line * stride + output * step) as usize] = pixel;
        }
    }
}
