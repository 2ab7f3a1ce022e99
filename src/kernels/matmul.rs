//! Matrix product with weights in any format; bias and activation fused, and what becomes of the rows.

#[cfg(not(feature = "wasm-gpu"))]
use std::borrow::Cow;
use std::ops::Range;

use super::{
    ActId, Field, Host, Kernel, MatrixRef, Operand, Rows, Run, VectorRef,
    params::params,
    spread,
    stretch::{ByRows, stretches},
};
#[cfg(not(feature = "wasm-gpu"))]
use super::{Part, Work, rows_of, worth_sharing};
use crate::{
    config::Activation,
    gpu::{Shader, Size, Tier, Tuning, wgsl},
    quant::Format,
    reference,
};

/// Outputs of the product that tiers are raced on.
pub const RACED: u32 = 768;

/// y = activation(x·Wᵀ + bias), in the place that is said.
#[derive(Debug, Clone)]
pub struct Matmul {
    /// `[rows, weight.cols]`
    pub x: Operand,
    /// `[weight.rows, weight.cols]`, as `torch.nn.Linear` keeps it.
    pub weight: MatrixRef,
    /// `[weight.rows]`; of [`Place::Shuffle`] one for each channel.
    pub bias: Option<VectorRef>,
    /// `[rows, weight.rows]`; of [`Place::Shuffle`] what that says, of [`Place::Columns`] `[rows, of]`.
    pub y: ActId,
    /// Rows of x.
    pub rows: Rows,
    /// Applied after the bias.
    pub activation: Activation,
    /// Where a row goes, and what is added there.
    pub place: Place,
}

/// Where the rows of a product go, and what is added to them there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Place {
    /// y =
    #[default]
    Set,
    /// The residual: y +=
    Add,
    /// y = in some columns, where rows of y have more: a matrix that is too large for one binding is several that lie side by side.
    Columns {
        /// Which number of a row of y the first output is.
        first: u32,
        /// Numbers of a row of y.
        of: u32,
    },
    /// The patches of a picture, and where they are.
    Positions(Positions),
    /// The pixels of a transposed convolution.
    Shuffle(Shuffle),
}

/// Position embeddings, and the class token if there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Positions {
    /// `[weight.rows]`, for the first row of an item
    pub class_token: Option<VectorRef>,
    /// `[tokens, weight.rows]`, for an item's rows
    pub table: VectorRef,
}

/// A transposed convolution whose stride is its kernel, so that nothing overlaps: a row of x becomes a square of y. An item of x is
/// `lead + grid²` rows, and one of y `[(grid · kernel)², channels]`: the rows of another product, or with one channel a picture. The
/// weight is `[channels · kernel², inputs]`, as `torch.nn.ConvTranspose2d` keeps it, with its inputs last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shuffle {
    /// Rows of an item of x before its grid, which are left out: 1 for a class token.
    pub lead: u32,
    /// Rows along a side of the grid.
    pub grid: u32,
    /// Places of y along a side of the square.
    pub kernel: u32,
}

impl Shuffle {
    /// As [`reference::shuffle`] takes it.
    fn shape(self) -> [usize; 3] {
        [self.lead, self.grid, self.kernel].map(|n| n as usize)
    }
    /// Places of y that a row becomes.
    fn area(self) -> usize {
        (self.kernel * self.kernel) as usize
    }
}

params! {
    struct Params {
        rows: u32,
        inner: u32,
        cols: u32,
        tokens: u32,
        first: u32,
    }
}

impl Matmul {
    /// y = x·Wᵀ; everything else is for struct update syntax.
    pub fn new(x: impl Into<Operand>, weight: MatrixRef, y: ActId, rows: Rows) -> Self {
        Self { x: x.into(), weight, bias: None, y, rows, activation: Activation::None, place: Place::Set }
    }
    /// Rows of the product that tiers are raced on which have as many tiles: these fill a device, not rows alone. Few rows stay few,
    /// since they leave large tiles empty however many columns there are.
    fn rows_alike(&self, rows: u32) -> u32 {
        // At most four times as many: each class of sizes must be met by runs of 1, 2, 4, … tokens (`GpuPlan`).
        let alike = rows * self.weight.rows.min(4 * RACED) / RACED;
        if rows < Size::Some.least() { rows } else { alike.max(Size::Some.least()) }
    }
    /// Numbers of x.
    fn inputs(&self, run: Run) -> usize {
        (self.rows.of(run) * self.weight.cols) as usize
    }
    /// Numbers of rows that hold nothing but outputs.
    fn outputs(&self, run: Run) -> usize {
        (self.rows.of(run) * self.weight.rows) as usize
    }
    /// Of rows that are not shuffled, how many numbers of y each has, and which of them is the first output.
    fn row(&self) -> [usize; 2] {
        match self.place {
            Place::Columns { first, of } => [of as usize, first as usize],
            _ => [self.weight.rows as usize, 0],
        }
    }
    /// One number for each row of the weight.
    fn full_bias(&self, host: &Host) -> Option<Vec<f32>> {
        let bias = host.vector(self.bias?);
        Some(match self.place {
            Place::Shuffle(shuffle) => bias.iter().flat_map(|&b| std::iter::repeat_n(b, shuffle.area())).collect(),
            _ => bias,
        })
    }
    /// Puts sums, which have these columns of each row, where they belong.
    fn put(&self, sums: &[f32], columns: Range<usize>, y: &mut [f32]) {
        let ([of, first], count) = (self.row(), columns.len());
        let rows =
            y.chunks_exact_mut(of).map(|y| &mut y[first + columns.start..][..count]).zip(sums.chunks_exact(count));
        match self.place {
            Place::Set | Place::Columns { .. } | Place::Positions(_) => {
                rows.for_each(|(y, sums)| y.copy_from_slice(sums))
            }
            Place::Add => rows.for_each(|(y, sums)| y.iter_mut().zip(sums).for_each(|(y, sum)| *y += sum)),
            Place::Shuffle(shuffle) => {
                reference::shuffle(sums, columns, shuffle.shape(), of / shuffle.area(), y);
            }
        }
    }
    fn add_positions(&self, run: Run, host: &mut Host) {
        let Place::Positions(positions) = self.place else { return };
        let class = positions.class_token.map(|c| host.vector(c));
        let table = host.vector(positions.table);
        let y: &mut [f32] = bytemuck::cast_slice_mut(&mut host.acts[self.y.0]);
        reference::add_positions(&mut y[..self.outputs(run)], class.as_deref(), &table);
    }
}

/// The files that only this kind of product is made of.
fn own_files(tier: Tier, format: Format) -> (&'static str, Vec<&'static str>) {
    let weight = weight_file(format);
    let words = match format {
        Format::Q4 => wgsl!("lib/words_q4.wgsl"),
        _ => wgsl!("lib/words_q8.wgsl"),
    };
    let tiled = wgsl!("matmul_tiled.wgsl");
    let in_f32 = wgsl!("lib/element_f32.wgsl");
    let few = wgsl!("matmul_vector.wgsl");
    let small = wgsl!("lib/tile_4x4.wgsl");
    let large = wgsl!("lib/tile_8x8.wgsl");
    match tier {
        Tier::Plain => ("matmul", vec![wgsl!("matmul.wgsl"), weight]),
        Tier::Registers => ("matmul_registers", vec![wgsl!("matmul_registers.wgsl"), weight]),
        Tier::Tiled => ("matmul_tiled", vec![in_f32, tiled, small, weight]),
        Tier::Sliced => ("matmul_sliced", vec![in_f32, tiled, wgsl!("lib/tile_4x4_sliced.wgsl"), weight]),
        Tier::Wide => ("matmul_wide", vec![in_f32, tiled, large, weight]),
        Tier::Half => ("matmul_half", vec![wgsl!("lib/element_f16.wgsl"), tiled, large, weight]),
        Tier::Dot8 => ("matmul_dot8", vec![wgsl!("matmul_dot8.wgsl"), small, words]),
        Tier::Vector => ("matmul_vector", vec![few, weight]),
        // Attention's own.
        Tier::Serial => own_files(Tier::Plain, format),
    }
}

/// Of the tiers for a few rows the invocations that share an output, and the outputs of a workgroup.
fn lanes(tier: Tier) -> Option<[u32; 2]> {
    match tier {
        Tier::Vector => Some([16, 4]),
        _ => None,
    }
}

impl Kernel for Matmul {
    /// A few rows would leave most of a large tile empty, and some formats have no variant of their own.
    fn variant(&self, tuning: &Tuning, run: Run) -> Tier {
        let rows = self.rows.of(run);
        match tuning.at(self.rows_alike(rows), self.weight.format) {
            Tier::Plain => Tier::Plain,
            _ if rows < 8 && matches!(self.place, Place::Positions(_) | Place::Shuffle(_)) => Tier::Plain,
            // Where barriers are slow, small tiles are faster than any invocation that sums alone.
            Tier::Registers if rows < 8 => Tier::Plain,
            _ if rows < 8 => Tier::Vector,
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
        let (name, own) = own_files(tier, self.weight.format);
        let (place, output_file, switches) = match self.place {
            Place::Set | Place::Add => {
                ("", wgsl!("lib/output.wgsl"), vec![("ACCUMULATE", (self.place == Place::Add).into())])
            }
            Place::Columns { first, of } => ("", wgsl!("lib/output.wgsl"), vec![("FIRST", first), ("OF", of)]),
            Place::Positions(positions) => {
                let class = positions.class_token.is_some();
                (".positions", wgsl!("lib/output_positions.wgsl"), vec![("HAS_CLASS", class.into())])
            }
            Place::Shuffle(Shuffle { lead, grid, kernel }) => {
                let shape = vec![("LEAD", lead), ("GRID", grid), ("KERNEL", kernel)];
                (".shuffle", wgsl!("lib/output_shuffle.wgsl"), shape)
            }
        };
        let own_switches = lanes(tier)
            .map_or(Vec::new(), |[lanes, cols]| vec![("LANES", lanes), ("COLS", cols), ("WORKGROUP", lanes * cols)]);
        let shared = vec![("ACTIVATION", code(self.activation)), ("HAS_BIAS", self.bias.is_some().into())];
        let overrides = [shared, switches, own_switches];
        Shader {
            name,
            variant: format!("{input}.{}{place}", self.weight.format.name()),
            files: own.into_iter().chain([input_file, wgsl!("lib/activation.wgsl"), output_file]).collect(),
            overrides: overrides.concat(),
        }
    }
    fn fields(&self) -> &'static [Field] {
        Params::FIELDS
    }
    fn params(&self, run: Run) -> Vec<u8> {
        self.params_of(run, &(0..self.rows.of(run)))
    }
    fn workgroups(&self, tier: Tier, run: Run) -> [u32; 3] {
        self.workgroups_of(tier, run, self.rows.of(run))
    }
    fn operands(&self) -> Vec<Operand> {
        let positions = match self.place {
            Place::Positions(p) => vec![p.class_token.into(), Operand::Vector(p.table)],
            _ => Vec::new(),
        };
        [vec![self.x, self.bias.into()], positions, vec![Operand::Act(self.y)]].concat()
    }
    fn matrix(&self) -> Option<MatrixRef> {
        Some(self.weight)
    }
    fn flops(&self, run: Run) -> u64 {
        2 * u64::from(self.rows.of(run)) * u64::from(self.weight.rows) * u64::from(self.weight.cols)
    }
    fn cut(&self, run: Run, most: u64) -> Vec<Box<dyn Kernel>> {
        match self.place {
            // Its rows do not lie in order.
            Place::Shuffle(_) => Vec::new(),
            _ => stretches(self, run, most),
        }
    }
    fn reference(&self, run: Run, host: &mut Host) {
        let x = host.operand(self.x);
        let bias = self.full_bias(host);
        let weight = &host.weights[self.weight.id.0];
        let sums = reference::matmul(&x[..self.inputs(run)], weight, bias.as_deref(), self.activation);
        drop(x);
        self.put(&sums, 0..self.weight.rows as usize, bytemuck::cast_slice_mut(&mut host.acts[self.y.0]));
        self.add_positions(run, host);
    }
    // The file for the GPU runs no plans on the CPU.
    #[cfg(not(feature = "wasm-gpu"))]
    fn cpu(&self, run: Run, host: &mut Host) {
        self.product(run, host, 1);
        self.add_positions(run, host);
    }
    #[cfg(not(feature = "wasm-gpu"))]
    fn parts<'a>(&self, run: Run, host: &'a Host, engines: usize) -> Vec<(usize, Part<'a>)> {
        let MatrixRef { id, rows: outputs, .. } = self.weight;
        let mut x = host.operand(self.x);
        if let Cow::Borrowed(x) = &mut x {
            *x = &x[..self.inputs(run)];
        }
        let bias = self.full_bias(host);
        let part = |engine| {
            let own = rows_of(outputs as usize, engines, engine);
            let bias = bias.as_ref().map_or(Vec::new(), |bias| bias[own.clone()].to_vec());
            let work = Work::Product { weight: id.0, activation: self.activation, follows: run.past > 0 };
            (!own.is_empty()).then(|| (engine, Part { work, inputs: [x.clone(), bias.into()] }))
        };
        // A matrix that is here whole and was not lent is shared by nobody.
        let lent = host.lent.contains(&id.0)
            && worth_sharing(self.rows.of(run) as usize, outputs as usize, self.weight.cols as usize);
        let shared = host.weights[id.0].rows < outputs as usize || lent;
        (1..engines).filter(|_| shared).filter_map(part).collect()
    }
    #[cfg(not(feature = "wasm-gpu"))]
    fn own_part(&self, run: Run, host: &mut Host, engines: usize) {
        self.product(run, host, engines);
    }
    #[cfg(not(feature = "wasm-gpu"))]
    fn join(&self, run: Run, host: &mut Host, engines: usize, parts: &[(usize, Vec<f32>)]) {
        let y: &mut [f32] = bytemuck::cast_slice_mut(&mut host.acts[self.y.0]);
        for (engine, part) in parts {
            self.put(part, rows_of(self.weight.rows as usize, engines, *engine), y);
        }
        self.add_positions(run, host);
    }
}

impl ByRows for Matmul {
    fn count(&self, run: Run) -> u32 {
        self.rows.of(run)
    }
    fn params_of(&self, _: Run, rows: &Range<u32>) -> Vec<u8> {
        let tokens = match self.place {
            Place::Positions(positions) => positions.table.len / self.weight.rows,
            _ => 0,
        };
        let MatrixRef { rows: cols, cols: inner, .. } = self.weight;
        bytemuck::bytes_of(&Params { rows: rows.end, inner, cols, tokens, first: rows.start }).to_vec()
    }
    fn workgroups_of(&self, tier: Tier, _: Run, rows: u32) -> [u32; 3] {
        if let Some([_, cols]) = lanes(tier) {
            let [x, y, _] = spread(self.weight.rows.div_ceil(cols));
            return [x, y, rows];
        }
        // Rows and columns of a workgroup's outputs: TILE in `shaders/lib/tile_*.wgsl`, and as much in the others.
        let tile = match tier {
            Tier::Wide | Tier::Half => 64,
            _ => 32,
        };
        [self.weight.rows.div_ceil(tile), rows.div_ceil(tile), 1]
    }
    fn words_of(&self, _: Run, rows: &Range<u32>) -> (ActId, Vec<Range<usize>>) {
        let ([of, first], outputs) = (self.row(), self.weight.rows as usize);
        let starts = rows.clone().map(|row| row as usize * of + first);
        (self.y, starts.map(|start| start..start + outputs).collect())
    }
}

#[cfg(not(feature = "wasm-gpu"))]
impl Matmul {
    /// The outputs of the first of so many engines, which has the first rows of the weight.
    fn product(&self, run: Run, host: &mut Host, engines: usize) {
        let mut act = host.take(self.y);
        let y: &mut [f32] = bytemuck::cast_slice_mut(&mut act);
        let (input, bias, weight) = (host.operand(self.x), self.full_bias(host), &host.weights[self.weight.id.0]);
        let x = &input[..self.inputs(run)];
        let outputs = rows_of(self.weight.rows as usize, engines, 0).len();
        // What does not lie in y row by row is put there afterwards.
        let apart = matches!(self.place, Place::Shuffle(_) | Place::Columns { .. });
        let product = crate::cpu::Product {
            weight,
            outputs,
            bias: bias.as_deref(),
            activation: self.activation,
            accumulate: self.place == Place::Add,
            stride: if apart { outputs } else { self.weight.rows as usize },
            follows: run.past > 0,
        };
        if apart {
            let mut sums = vec![0.0; self.rows.of(run) as usize * outputs];
            product.run(host.threads, x, &mut sums);
            self.put(&sums, 0..outputs, y);
        } else {
            product.run(host.threads, x, &mut y[..self.outputs(run)]);
        }
        drop(input);
        host.acts[self.y.0] = act;
    }
}

/// `weight4` for a matrix in this format.
pub(super) fn weight_file(format: Format) -> &'static str {
    match format {
        Format::F32 => wgsl!("lib/weight_f32.wgsl"),
        Format::F16 => wgsl!("lib/weight_f16.wgsl"),
        Format::Q8 => wgsl!("lib/weight_q8.wgsl"),
        Format::Q4 => wgsl!("lib/weight_q4.wgsl"),
    }
}

/// `ACTIVATION` in `shaders/lib/activation.wgsl`.
pub(super) fn code(activation: Activation) -> u32 {
    match activation {
        Activation::None => 0,
        Activation::QuickGelu => 1,
        Activation::Gelu => 2,
        Activation::GeluTanh => 3,
        Activation::Relu => 4,
        Activation::Silu => 5,
    }
}
