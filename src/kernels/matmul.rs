//! Matrix product with weights in any format; bias, activation and residual fused.

#[cfg(not(feature = "wasm-gpu"))]
use std::borrow::Cow;

use super::{ActId, Field, Host, Kernel, MatrixRef, Operand, Rows, Run, VectorRef, params::params};
#[cfg(not(feature = "wasm-gpu"))]
use super::{Part, Work, rows_of};
use crate::{
    config::Activation,
    gpu::{Shader, Tier, Tuning, wgsl},
    quant::Format,
    reference,
};

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
    /// Rows of x and y.
    pub rows: Rows,
    /// Applied after the bias.
    pub activation: Activation,
    /// The residual: y += instead of y =.
    pub accumulate: bool,
    /// What is added to the patches of a picture; not together with `accumulate`.
    pub positions: Option<Positions>,
}

/// Position embeddings, and the class token if there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Positions {
    /// `[weight.rows]`, for the first row of an item
    pub class_token: Option<VectorRef>,
    /// `[tokens, weight.rows]`, for an item's rows
    pub table: VectorRef,
}

params! {
    struct Params {
        rows: u32,
        inner: u32,
        cols: u32,
        tokens: u32,
    }
}

impl Matmul {
    /// y = x·Wᵀ; everything else is for struct update syntax.
    pub fn new(x: impl Into<Operand>, weight: MatrixRef, y: ActId, rows: Rows) -> Self {
        let activation = Activation::None;
        Self { x: x.into(), weight, bias: None, y, rows, activation, accumulate: false, positions: None }
    }
}

impl Kernel for Matmul {
    /// A few rows would leave most of a large tile empty, and some formats have no variant of their own.
    fn variant(&self, tuning: &Tuning, run: Run) -> Tier {
        let rows = self.rows.of(run);
        match tuning.at(rows, self.weight.format) {
            _ if rows < 8 => Tier::Plain,
            tier if !tier.suits(self.weight.format) => Tier::Tiled,
            tier => tier,
        }
    }
    fn shader(&self, tier: Tier) -> Shader {
        let (input, input_file) = if self.weight.cols.is_multiple_of(4) {
            ("f32x4", wgsl!("lib/input_f32x4.wgsl"))
        } else {
            ("f32", wgsl!("lib/input_f32.wgsl"))
        };
        let weight_file = match self.weight.format {
            Format::F32 => wgsl!("lib/weight_f32.wgsl"),
            Format::F16 => wgsl!("lib/weight_f16.wgsl"),
            Format::Q8 => wgsl!("lib/weight_q8.wgsl"),
            Format::Q4 => wgsl!("lib/weight_q4.wgsl"),
        };
        let words_file = match self.weight.format {
            Format::Q4 => wgsl!("lib/words_q4.wgsl"),
            _ => wgsl!("lib/words_q8.wgsl"),
        };
        let tiled = wgsl!("matmul_tiled.wgsl");
        let in_f32 = wgsl!("lib/element_f32.wgsl");
        let small = wgsl!("lib/tile_4x4.wgsl");
        let large = wgsl!("lib/tile_8x8.wgsl");
        let (name, own) = match tier {
            Tier::Plain => ("matmul", vec![wgsl!("matmul.wgsl"), weight_file]),
            Tier::Registers => ("matmul_registers", vec![wgsl!("matmul_registers.wgsl"), weight_file]),
            Tier::Tiled => ("matmul_tiled", vec![in_f32, tiled, small, weight_file]),
            Tier::Wide => ("matmul_wide", vec![in_f32, tiled, large, weight_file]),
            Tier::Half => {
                let in_f16 = wgsl!("lib/element_f16.wgsl");
                ("matmul_half", vec![in_f16, tiled, large, weight_file])
            }
            Tier::Dot8 => ("matmul_dot8", vec![wgsl!("matmul_dot8.wgsl"), small, words_file]),
        };
        let common = [
            input_file,
            wgsl!("lib/activation.wgsl"),
            match self.positions {
                None => wgsl!("lib/output.wgsl"),
                Some(_) => wgsl!("lib/output_positions.wgsl"),
            },
        ];
        let (switch, on) = match self.positions {
            None => ("ACCUMULATE", self.accumulate),
            Some(positions) => ("HAS_CLASS", positions.class_token.is_some()),
        };
        Shader {
            name,
            variant: format!(
                "{input}.{}{}",
                self.weight.format.name(),
                if self.positions.is_some() { ".positions" } else { "" }
            ),
            files: own.into_iter().chain(common).collect(),
            overrides: vec![
                ("ACTIVATION", code(self.activation)),
                (switch, on.into()),
                ("HAS_BIAS", self.bias.is_some().into()),
            ],
        }
    }
    fn fields(&self) -> &'static [Field] {
        Params::FIELDS
    }
    fn params(&self, run: Run) -> Vec<u8> {
        let tokens = self.positions.map_or(0, |positions| positions.table.len / self.weight.rows);
        let params = Params { rows: self.rows.of(run), inner: self.weight.cols, cols: self.weight.rows, tokens };
        bytemuck::bytes_of(&params).to_vec()
    }
    fn workgroups(&self, tier: Tier, run: Run) -> [u32; 3] {
        // Rows and columns of a workgroup's outputs: TILE in `shaders/lib/tile_*.wgsl`, and as much in the others.
        let tile = match tier {
            Tier::Plain | Tier::Registers | Tier::Tiled | Tier::Dot8 => 32,
            Tier::Wide | Tier::Half => 64,
        };
        [self.weight.rows.div_ceil(tile), self.rows.of(run).div_ceil(tile), 1]
    }
    fn operands(&self) -> Vec<Operand> {
        let positions = self.positions.map_or(Vec::new(), |p| vec![p.class_token.into(), Operand::Vector(p.table)]);
        [vec![self.x, self.bias.into()], positions, vec![Operand::Act(self.y)]].concat()
    }
    fn matrix(&self) -> Option<MatrixRef> {
        Some(self.weight)
    }
    fn flops(&self, run: Run) -> u64 {
        2 * u64::from(self.rows.of(run)) * u64::from(self.weight.rows) * u64::from(self.weight.cols)
    }
    fn reference(&self, run: Run, host: &mut Host) {
        let (rows, cols) = (self.rows.of(run) as usize, self.weight.rows as usize);
        let x = host.operand(self.x);
        let x = &x[..rows * self.weight.cols as usize];
        let bias = self.bias.map(|b| host.vector(b));
        let mut y = reference::matmul(x, &host.weights[self.weight.id.0], bias.as_deref(), self.activation);
        if self.accumulate {
            let residual = &host.floats(self.y)[..rows * cols];
            y.iter_mut().zip(residual).for_each(|(y, r)| *y += r);
        }
        if let Some(positions) = self.positions {
            let class = positions.class_token.map(|c| host.vector(c));
            reference::add_positions(&mut y, class.as_deref(), &host.vector(positions.table));
        }
        host.store(self.y, &y);
    }
    // The file for the GPU runs no plans on the CPU.
    #[cfg(not(feature = "wasm-gpu"))]
    fn cpu(&self, run: Run, host: &mut Host) {
        self.product(run, host);
        self.add_positions(run, host);
    }
    #[cfg(not(feature = "wasm-gpu"))]
    fn parts<'a>(&self, run: Run, host: &'a Host, engines: usize) -> Vec<(usize, Part<'a>)> {
        let MatrixRef { id, rows: outputs, cols: inner, .. } = self.weight;
        let mut x = host.operand(self.x);
        if let Cow::Borrowed(x) = &mut x {
            *x = &x[..(self.rows.of(run) * inner) as usize];
        }
        let bias = self.bias.map(|bias| host.vector(bias));
        let part = |engine| {
            let own = rows_of(outputs as usize, engines, engine);
            let bias = bias.as_ref().map_or(Vec::new(), |bias| bias[own.clone()].to_vec());
            let work = Work::Product { weight: id.0, activation: self.activation };
            (!own.is_empty()).then(|| (engine, Part { work, inputs: [x.clone(), bias.into()] }))
        };
        // A matrix that is here whole is shared by nobody.
        let shared = host.weights[id.0].rows < outputs as usize;
        (1..engines).filter(|_| shared).filter_map(part).collect()
    }
    #[cfg(not(feature = "wasm-gpu"))]
    fn own_part(&self, run: Run, host: &mut Host, _: usize) {
        self.product(run, host);
    }
    #[cfg(not(feature = "wasm-gpu"))]
    fn join(&self, run: Run, host: &mut Host, engines: usize, parts: &[(usize, Vec<f32>)]) {
        let (rows, cols) = (self.rows.of(run) as usize, self.weight.rows as usize);
        let y: &mut [f32] = &mut bytemuck::cast_slice_mut(&mut host.acts[self.y.0])[..rows * cols];
        for (engine, part) in parts {
            let own = rows_of(cols, engines, *engine);
            for (y, part) in y.chunks_exact_mut(cols).zip(part.chunks_exact(own.len())) {
                let y = &mut y[own.clone()];
                if self.accumulate {
                    y.iter_mut().zip(part).for_each(|(y, sum)| *y += sum);
                } else {
                    y.copy_from_slice(part);
                }
            }
        }
        self.add_positions(run, host);
    }
}

#[cfg(not(feature = "wasm-gpu"))]
impl Matmul {
    /// The outputs of those rows of the weight that are here, which are the first.
    fn product(&self, run: Run, host: &mut Host) {
        let (rows, stride, inner) = (self.rows.of(run) as usize, self.weight.rows as usize, self.weight.cols as usize);
        let mut act = host.take(self.y);
        let y: &mut [f32] = &mut bytemuck::cast_slice_mut(&mut act)[..rows * stride];
        let x = host.operand(self.x);
        let bias = self.bias.map(|bias| host.vector(bias));
        let product = crate::cpu::Product {
            weight: &host.weights[self.weight.id.0],
            bias: bias.as_deref(),
            activation: self.activation,
            accumulate: self.accumulate,
            stride,
        };
        product.run(host.threads, &x[..rows * inner], y);
        drop(x);
        host.acts[self.y.0] = act;
    }

    fn add_positions(&self, run: Run, host: &mut Host) {
        let Some(positions) = self.positions else { return };
        let class = positions.class_token.map(|c| host.vector(c));
        let table = host.vector(positions.table);
        let numbers = (self.rows.of(run) * self.weight.rows) as usize;
        let y: &mut [f32] = bytemuck::cast_slice_mut(&mut host.acts[self.y.0]);
        reference::add_positions(&mut y[..numbers], class.as_deref(), &table);
    }
}

/// `ACTIVATION` in `shaders/lib/activation.wgsl`.
fn code(activation: Activation) -> u32 {
    match activation {
        Activation::None => 0,
        Activation::QuickGelu => 1,
        Activation::Gelu => 2,
        Activation::GeluTanh => 3,
        Activation::Relu => 4,
    }
}
