//! A transposed convolution, which is a matrix product whose rows become squares.

use libtest_mimic::Failed;
use ocelli::{
    config::Activation,
    kernels::{ActId, Matmul, MatrixRef, Place, Rows, Run, Shuffle, VectorRef, WeightId},
    quant::{Format, Matrix},
    random::Random,
    reference,
};

use crate::case::{Case, changed, poison, rough, with_others, words};

#[derive(Clone, Copy)]
struct Shape {
    batch: usize,
    /// Rows before the grid.
    lead: usize,
    grid: usize,
    inputs: usize,
    channels: usize,
    kernel: usize,
    bias: bool,
    activation: Activation,
}

impl Shape {
    /// Of x, an item.
    fn rows(self) -> usize {
        self.lead + self.grid * self.grid
    }
    /// Of the weight.
    fn outputs(self) -> usize {
        self.channels * self.kernel * self.kernel
    }
    /// Numbers of y.
    fn numbers(self) -> usize {
        self.batch * (self.grid * self.kernel).pow(2) * self.channels
    }
}

pub fn cases() -> Vec<Case> {
    let base = Shape {
        batch: 1,
        lead: 0,
        grid: 2,
        inputs: 5,
        channels: 1,
        kernel: 2,
        bias: true,
        activation: Activation::None,
    };
    let relu = Activation::Relu;
    // One channel and several, with a class token and without; the published heads on a smaller grid.
    let shapes = [
        base,
        Shape { batch: 3, lead: 1, grid: 3, inputs: 7, channels: 4, kernel: 3, ..base },
        Shape { lead: 1, grid: 6, inputs: 24, kernel: 16, ..base },
        Shape { batch: 2, grid: 6, inputs: 64, channels: 32, kernel: 4, activation: relu, ..base },
        Shape { batch: 2, grid: 9, inputs: 32, kernel: 4, bias: false, ..base },
        Shape { batch: 2, lead: 2, grid: 1, inputs: 12, channels: 3, kernel: 5, activation: relu, ..base },
    ];
    shapes.into_iter().flat_map(|shape| [Format::F32, Format::Q8].map(|format| case(shape, format))).collect()
}

/// Where the sum of an item's row and column goes: a row, a column and a channel of y, of so many along a side.
type To<'a> = &'a dyn Fn(usize, usize) -> Option<[usize; 3]>;

/// y by another rule; what nothing goes to is zeros.
fn by_hand(s: Shape, sums: &[f32], to: To<'_>) -> Vec<u32> {
    let (side, mut y) = (s.grid * s.kernel, vec![0.0; s.numbers()]);
    for (at, &sum) in sums.iter().enumerate() {
        let (item, row, column) = (at / (s.rows() * s.outputs()), at / s.outputs() % s.rows(), at % s.outputs());
        if let Some([py, px, channel]) = to(row, column) {
            y[((item * side + py) * side + px) * s.channels + channel] = sum;
        }
    }
    words(&y)
}

/// Other rules.
fn others(s: Shape, sums: &[f32]) -> Vec<(&'static str, Vec<u32>)> {
    let Shape { lead, grid, kernel, channels, .. } = s;
    let place = move |row: usize| {
        let place = row.checked_sub(lead)?;
        Some([place / grid, place % grid])
    };
    let parts = move |column: usize| (column / (kernel * kernel), [column / kernel % kernel, column % kernel]);
    let other = |to: To<'_>| by_hand(s, sums, to);
    let mut others = vec![
        (
            "kernel's x and y exchanged",
            other(&|row, column| {
                let ([y, x], (channel, [dy, dx])) = (place(row)?, parts(column));
                Some([y * kernel + dx, x * kernel + dy, channel])
            }),
        ),
        (
            "kernel turned by half",
            other(&|row, column| {
                let ([y, x], (channel, [dy, dx])) = (place(row)?, parts(column));
                Some([y * kernel + kernel - 1 - dy, x * kernel + kernel - 1 - dx, channel])
            }),
        ),
    ];
    if grid > 1 {
        others.push((
            "grid transposed",
            other(&|row, column| {
                let ([y, x], (channel, [dy, dx])) = (place(row)?, parts(column));
                Some([x * kernel + dy, y * kernel + dx, channel])
            }),
        ));
        others.push((
            "neighbours interleaved",
            other(&|row, column| {
                let ([y, x], (channel, [dy, dx])) = (place(row)?, parts(column));
                Some([dy * grid + y, dx * grid + x, channel])
            }),
        ));
    }
    if channels > 1 {
        others.push((
            "columns with channels last",
            other(&|row, column| {
                let ([y, x], step) = (place(row)?, column / channels);
                Some([y * kernel + step / kernel, x * kernel + step % kernel, column % channels])
            }),
        ));
    }
    if lead > 0 {
        others.push((
            "the class token is a place too",
            other(&|row, column| {
                let (channel, [dy, dx]) = parts(column);
                (row < grid * grid).then(|| [row / grid * kernel + dy, row % grid * kernel + dx, channel])
            }),
        ));
    }
    others
}

fn case(s: Shape, format: Format) -> Case {
    let mut random = Random::new((s.grid * 31 + s.inputs * 7 + s.channels) as u64);
    let x = random.floats(s.batch * s.rows() * s.inputs);
    let matrix = Matrix::new(format, &random.floats(s.outputs() * s.inputs), s.inputs).expect("small weights");
    let bias = random.floats(s.channels);
    let full: Vec<f32> = (0..s.outputs()).map(|row| bias[row / (s.kernel * s.kernel)]).collect();
    let sums = reference::matmul(&x, &matrix, s.bias.then_some(&full[..]), s.activation);
    let mut others = others(s, &sums);
    if s.bias && s.channels > 1 {
        // One for each column in turn.
        let turned: Vec<f32> = (0..s.outputs()).map(|row| bias[row % s.channels]).collect();
        let sums = reference::matmul(&x, &matrix, Some(&turned), s.activation);
        let kernel = Shuffle { lead: s.lead as u32, grid: s.grid as u32, kernel: s.kernel as u32 };
        others.push(("bias by column", shuffled(s, &sums, kernel)));
    }
    let (acts, y, mut wrong) = with_others(vec![words(&x)], others, poison(s.numbers()), s.batch);
    let weights = vec![matrix.clone(), Matrix::new(Format::F32, &bias, s.channels).expect("small weights")];
    let right = Matmul {
        bias: s.bias.then_some(VectorRef { id: WeightId(1), len: s.channels as u32 }),
        activation: s.activation,
        place: Place::Shuffle(Shuffle { lead: s.lead as u32, grid: s.grid as u32, kernel: s.kernel as u32 }),
        ..Matmul::new(
            ActId(0),
            MatrixRef { id: WeightId(0), format, rows: s.outputs() as u32, cols: s.inputs as u32 },
            y,
            Rows::PerItem(s.rows() as u32),
        )
    };
    let build = |change: fn(&mut Matmul)| changed(&right, &weights, change);
    wrong.push(("not shuffled", build(|k| k.place = Place::Set)));
    if s.bias {
        wrong.push(("bias dropped", build(|k| k.bias = None)));
    }
    if s.activation != Activation::None {
        wrong.push(("activation dropped", build(|k| k.activation = Activation::None)));
    }
    if s.batch > 1 {
        wrong.push(("one item", build(|k| k.rows = Rows::Shared(k.rows.each(Run::items(1))))));
    }
    // How far each sum may be off, in the places of the sums.
    let absolute = |v: &[f32]| v.iter().map(|x| x.abs()).collect::<Vec<_>>();
    let rows: Vec<f32> = (0..s.outputs()).flat_map(|row| absolute(&matrix.row(row))).collect();
    let all = Matrix::new(Format::F32, &rows, s.inputs).expect("small weights");
    let magnitude = reference::matmul(&absolute(&x), &all, Some(&absolute(&full)), Activation::None);
    let magnitude: Vec<f32> = magnitude.iter().map(|m| m + 1.0).collect();
    let largest = vec![magnitude.iter().fold(0.0f32, |a, b| a.max(*b)); s.numbers()];
    let steps = rough(&absolute(&x), &rows, s.inputs, &magnitude);
    let most = largest.clone();
    Case {
        name: format!(
            "matmul shuffled batch={} lead={} grid={} inputs={} channels={} kernel={} {} {:?} bias={}",
            s.batch,
            s.lead,
            s.grid,
            s.inputs,
            s.channels,
            s.kernel,
            format.name(),
            s.activation,
            s.bias
        ),
        acts,
        run: Run::items(s.batch as u32),
        right: build(|_| ()),
        wrong,
        // As for other products; the largest sum's for all.
        bound: Some((largest, (s.inputs as f64 / 4.0 + 16.0) * 2f64.powi(-24))),
        rough: Some(std::sync::Arc::new(move |tier| {
            let (each, share) = steps(tier);
            (vec![each.iter().fold(0.0f32, |a, b| a.max(*b)); most.len()], share)
        })),
    }
}

fn shuffled(s: Shape, sums: &[f32], Shuffle { lead, grid, kernel }: Shuffle) -> Vec<u32> {
    let mut y = vec![0.0; s.numbers()];
    reference::shuffle(sums, 0..s.outputs(), [lead, grid, kernel].map(|n| n as usize), s.channels, &mut y);
    words(&y)
}

/// A product and the naive twin are a transposed convolution as `torch.nn.ConvTranspose2d` has it, with stride = kernel and a weight
/// `[in, out, k, k]`.
pub fn is_a_transposed_convolution() -> Result<(), Failed> {
    let [grid, inputs, channels, kernel] = [3, 4, 2, 3];
    let mut random = Random::new(2);
    let (x, weight) = (random.floats(grid * grid * inputs), random.floats(inputs * channels * kernel * kernel));
    let outputs = channels * kernel * kernel;
    let transposed: Vec<f32> = (0..outputs * inputs).map(|at| weight[at % inputs * outputs + at / inputs]).collect();
    let matrix = Matrix::new(Format::F32, &transposed, inputs).expect("small weights");
    let sums = reference::matmul(&x, &matrix, None, Activation::None);
    let side = grid * kernel;
    let mut found = vec![f32::NAN; side * side * channels];
    reference::shuffle(&sums, 0..outputs, [0, grid, kernel], channels, &mut found);
    for (y, x_at, o) in
        (0..side * side * channels).map(|at| (at / channels / side, at / channels % side, at % channels))
    {
        let pixel = &x[(y / kernel * grid + x_at / kernel) * inputs..][..inputs];
        let term = |i: usize| pixel[i] * weight[((i * channels + o) * kernel + y % kernel) * kernel + x_at % kernel];
        let expected: f32 = (0..inputs).map(term).sum();
        let found = found[(y * side + x_at) * channels + o];
        assert!((found - expected).abs() < 1e-5, "{y}, {x_at}, {o}: expected {expected}, found {found}");
    }
    Ok(())
}
