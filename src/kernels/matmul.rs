//! Matrix product with weights in any format; bias, activation and residual fused.

use bytemuck::{Pod, Zeroable};

use super::{ActId, Host, Kernel, MatrixRef, Operand, Rows, VectorRef};
use crate::{config::Activation, gpu::Shader, quant::Format, reference};

/// y = activation(x·Wᵀ + bias), added to what y holds if `accumulate`.
#[derive(Debug, Clone)]
pub struct Matmul {
    /// `[rows, weight.cols]`
    pub x: Operand,
    /// `[weight.rows, weight.cols]`, as `torch.nn.Linear` keeps it.
    pub weight: MatrixRef,
    /// `[weight.rows]`
    pub bias: Option<VectorRef>,
    /// `[rows, weight.rows]`
    pub y: ActId,
    /// How many.
    pub rows: Rows,
    /// Applied after the bias.
    pub activation: Activation,
    /// The residual: y += instead of y =.
    pub accumulate: bool,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    rows: u32,
    inner: u32,
    cols: u32,
}

impl Kernel for Matmul {
    fn shader(&self) -> Shader {
        let (input, input_file) = if self.weight.cols.is_multiple_of(4) {
            ("f32x4", include_str!("../../shaders/lib/input_f32x4.wgsl"))
        } else {
            ("f32", include_str!("../../shaders/lib/input_f32.wgsl"))
        };
        let weight_file = match self.weight.format {
            Format::F32 => include_str!("../../shaders/lib/weight_f32.wgsl"),
            Format::F16 => include_str!("../../shaders/lib/weight_f16.wgsl"),
            Format::Q8 => include_str!("../../shaders/lib/weight_q8.wgsl"),
            Format::Q4 => include_str!("../../shaders/lib/weight_q4.wgsl"),
        };
        Shader {
            name: "matmul",
            variant: format!("{input}.{}", self.weight.format.name()),
            files: vec![
                include_str!("../../shaders/matmul.wgsl"),
                input_file,
                weight_file,
                include_str!("../../shaders/lib/activation.wgsl"),
            ],
            overrides: vec![
                ("ACTIVATION", f64::from(code(self.activation))),
                ("ACCUMULATE", f64::from(u8::from(self.accumulate))),
                ("HAS_BIAS", f64::from(u8::from(self.bias.is_some()))),
            ],
        }
    }
    fn params(&self, batch: u32) -> Vec<u8> {
        let params = Params { rows: self.rows.of(batch), inner: self.weight.cols, cols: self.weight.rows };
        bytemuck::bytes_of(&params).to_vec()
    }
    fn workgroups(&self, batch: u32) -> [u32; 3] {
        // 8 × 8 invocations with 4 × 4 outputs each
        [self.weight.rows.div_ceil(32), self.rows.of(batch).div_ceil(32), 1]
    }
    fn operands(&self) -> Vec<Operand> {
        vec![self.x, self.bias.into(), Operand::Act(self.y)]
    }
    fn matrix(&self) -> Option<MatrixRef> {
        Some(self.weight)
    }
    fn reference(&self, batch: u32, host: &mut Host) {
        let (rows, cols) = (self.rows.of(batch) as usize, self.weight.rows as usize);
        let x = host.operand(self.x);
        let x = &x[..rows * self.weight.cols as usize];
        let bias = self.bias.map(|b| host.vector(b));
        let mut y = reference::matmul(x, &host.weights[self.weight.id.0], bias.as_deref(), self.activation);
        if self.accumulate {
            let residual = &host.floats(self.y)[..rows * cols];
            y.iter_mut().zip(residual).for_each(|(y, r)| *y += r);
        }
        host.store(self.y, &y);
    }
}

/// `ACTIVATION` in `shaders/lib/activation.wgsl`.
fn code(activation: Activation) -> u8 {
    match activation {
        Activation::None => 0,
        Activation::QuickGelu => 1,
        Activation::Gelu => 2,
        Activation::GeluTanh => 3,
    }
}
