use ocelli::{
    config::Activation,
    kernels::{ActId, Matmul, MatrixRef, Operand, Place, Positions, Rows, Run, VectorRef, WeightId},
    quant::{Format, Matrix, Packed},
    random::Random,
    reference,
};

use crate::case::{Build, Case, Step, changed, output, poison, rough, words};

#[derive(Clone, Copy)]
struct Shape {
    m: usize,
    k: usize,
    n: usize,
    format: Format,
    activation: Activation,
    accumulate: bool,
    bias: bool,
}

pub fn cases() -> Vec<Case> {
    let plain =
        Shape { m: 1, k: 1, n: 1, format: Format::F32, activation: Activation::None, accumulate: false, bias: true };
    let mut shapes = Vec::new();
    for format in [Format::F32, Format::F16, Format::Q8, Format::Q4] {
        // Tails in every dimension; K of one block, of less, of odd numbers of blocks, not a multiple of 4; 588 and 4304
        // are a patch row and an MLP of published models, 1 row of 1536 a step of a decoder.
        for (m, k, n) in [
            (1, 1, 1),
            (1, 1536, 131),
            (5, 7, 3),
            (2, 30, 9),
            (33, 64, 31),
            (7, 100, 70),
            (3, 588, 5),
            (9, 4304, 6),
            (50, 36, 33),
            (70, 99, 67),
        ] {
            shapes.push(Shape { m, k, n, format, ..plain });
        }
        let gelus = [Activation::QuickGelu, Activation::Gelu, Activation::GeluTanh];
        for activation in gelus.into_iter().chain([Activation::Relu, Activation::Silu]) {
            shapes.push(Shape { m: 9, k: 48, n: 13, format, activation, ..plain });
        }
        shapes.push(Shape { m: 2, k: 48, n: 13, format, activation: Activation::Silu, ..plain });
        shapes.push(Shape { m: 6, k: 40, n: 10, format, accumulate: true, ..plain });
        shapes.push(Shape { m: 6, k: 41, n: 10, format, bias: false, ..plain });
    }
    // Side by side with others: the first, in the middle, the last; in tiles and for a few rows.
    let side_by_side = [([1, 30, 9], [0, 20]), ([5, 36, 33], [7, 50]), ([40, 64, 70], [30, 100])];
    let side_by_side = side_by_side
        .into_iter()
        .flat_map(|(shape, columns)| [Format::F32, Format::Q8].map(|format| columns_case(shape, columns, format)));
    let placed = [(1, 2, 9, true), (3, 10, 48, true), (2, 9, 36, false), (2, 50, 7, true), (1, 1, 3, false)];
    let placed = placed.into_iter().map(|(batch, tokens, n, class)| placed_case(batch, tokens, n, class));
    // Some of the rows: 150 are cut into 64, 64 and 22.
    let cut = [(Format::F32, false, 1), (Format::Q8, true, 2), (Format::Q4, false, 0), (Format::F16, true, 1)];
    let long = |format, accumulate| Shape { m: 150, k: 36, n: 70, format, accumulate, ..plain };
    let cut = cut.map(|(format, accumulate, part)| case(long(format, accumulate)).cut(part));
    let [m, k, n] = [150, 36, 70];
    let cut_columns = columns_case([m, k, n], [30, 101], Format::F32).cut(1);
    let all = shapes.into_iter().map(case).chain(placed).chain(side_by_side);
    all.chain(cut).chain([cut_columns]).collect()
}

/// A product that fills some columns of y: from `first` on, `of` so many.
fn columns_case([m, k, n]: [usize; 3], [first, of]: [usize; 2], format: Format) -> Case {
    let mut random = Random::new((m * 31 + k * 7 + n) as u64);
    let x = random.floats(m * k);
    let matrix = Matrix::new(format, &random.floats(n * k), k).expect("small weights");
    let weights = vec![matrix, Matrix::new(Format::F32, &random.floats(n), n).expect("small weights")];
    // What the neighbours have written.
    let y = random.floats(m * of);
    let right = Matmul {
        bias: Some(VectorRef { id: WeightId(1), len: n as u32 }),
        place: Place::Columns { first: first as u32, of: of as u32 },
        ..Matmul::new(
            ActId(0),
            MatrixRef { id: WeightId(0), format, rows: n as u32, cols: k as u32 },
            output(1),
            Rows::Shared(m as u32),
        )
    };
    let moved = |by: [u32; 2]| {
        let place = Place::Columns { first: first as u32 + by[0], of: of as u32 + by[1] };
        let (kernel, weights) = (Matmul { place, ..right.clone() }, weights.clone());
        Box::new(move || Step { kernel: Box::new(kernel.clone()), weights: weights.clone() }) as Build
    };
    let mut wrong =
        vec![("one column on", moved([1, 0])), ("bias dropped", changed(&right, &weights, |k| k.bias = None))];
    if m > 1 {
        wrong.push(("not among others", changed(&right, &weights, |k| k.place = Place::Set)));
        wrong.push(("longer rows", moved([0, 1])));
    }
    let magnitude = vec![k as f32 + 2.0; m * of];
    // In the places of the outputs, each as far off as any can be.
    let most = rough(&vec![1.0; m * k], &vec![1.0; of * k], k, &magnitude);
    Case {
        name: format!("matmul m={m} k={k} n={n} {} in columns from {first} of {of}", format.name()),
        acts: vec![words(&x), words(&y)],
        rough: Some(most),
        run: Run::items(1),
        right: changed(&right, &weights, |_| ()),
        wrong,
        // As for other products, of numbers up to 1.
        bound: Some((magnitude, (k as f64 / 4.0 + 16.0) * 2f64.powi(-24))),
    }
}

/// A patch embedding, and where its patches are.
fn placed_case(batch: usize, tokens: usize, n: usize, class: bool) -> Case {
    const K: usize = 12;
    let mut random = Random::new((batch + tokens * n) as u64);
    let x = random.floats(batch * tokens * K);
    let vector = |random: &mut Random, len| Matrix::new(Format::F32, &random.floats(len), len).expect("small weights");
    let matrix = Matrix::new(Format::F32, &random.floats(n * K), K).expect("small weights");
    let weights =
        vec![matrix, vector(&mut random, n), vector(&mut random, tokens * n), vector(&mut random, tokens * n)];
    let build = move |class: bool, positions: usize, bias: bool| -> Build {
        let weights = weights.clone();
        let vector = |id, len: usize| VectorRef { id: WeightId(id), len: len as u32 };
        let table = vector(positions, tokens * n);
        let positions = Positions { class_token: class.then(|| vector(1, n)), table };
        let kernel = Matmul {
            x: Operand::Act(ActId(0)),
            weight: MatrixRef { id: WeightId(0), format: Format::F32, rows: n as u32, cols: K as u32 },
            bias: bias.then(|| vector(1, n)),
            y: output(1),
            rows: Rows::PerItem(tokens as u32),
            activation: Activation::None,
            place: Place::Positions(positions),
        };
        Box::new(move || Step { kernel: Box::new(kernel.clone()), weights: weights.clone() })
    };
    let magnitude = vec![K as f32 + 3.0; batch * tokens * n];
    let rough = rough(&x, &vec![1.0; n * K], K, &magnitude);
    Case {
        name: format!("matmul batch={batch} tokens={tokens} n={n} with positions, class={class}"),
        acts: vec![words(&x), poison(batch * tokens * n)],
        run: Run::items(batch as u32),
        right: build(class, 2, !class),
        wrong: vec![
            ("other positions", build(class, 3, !class)),
            ("class token added or left out", build(!class, 2, !class)),
            ("bias added or left out", build(class, 2, class)),
        ],
        bound: Some((magnitude, (K as f64 / 4.0 + 16.0) * 2f64.powi(-24))),
        rough: Some(rough),
    }
}

fn case(s: Shape) -> Case {
    let mut random = Random::new((s.m * 31 + s.k * 7 + s.n) as u64);
    let mut x = random.floats(s.m * s.k);
    // One channel a hundred times larger, as trained models have them.
    x.iter_mut().step_by(s.k).for_each(|v| *v *= 100.0);
    let w: Vec<f32> = random.floats(s.k * s.n).iter().map(|v| v * 3.0).collect();
    let bias = random.floats(s.n);
    let matrix = Matrix::new(s.format, &w, s.k).expect("small weights");
    let vector = Matrix::new(Format::F32, &bias, s.n).expect("small weights");
    let y = if s.accumulate { words(&random.floats(s.m * s.n)) } else { poison(s.m * s.n) };

    let absolute = |v: &[f32]| v.iter().map(|x| x.abs()).collect::<Vec<_>>();
    let rows: Vec<f32> = (0..s.n).flat_map(|r| absolute(&matrix.row(r))).collect();
    let all = Matrix::new(Format::F32, &rows, s.k).expect("small weights");
    let magnitude: Vec<f32> = reference::matmul(&absolute(&x), &all, Some(&absolute(&bias)), Activation::None)
        .iter()
        .map(|m| m + 1.0)
        .collect();

    let f32_bound = (s.k as f64 / 4.0 + 16.0) * 2f64.powi(-24);
    let rough = rough(&absolute(&x), &rows, s.k, &magnitude);

    let right = s;
    let build = |s: Shape, weights: Vec<Matrix>| -> Build {
        Box::new(move || Step { kernel: Box::new(kernel(s)), weights: weights.clone() })
    };
    let weights = vec![matrix.clone(), vector.clone()];
    let mut wrong: Vec<(&'static str, Build)> = Vec::new();
    if s.bias {
        wrong.push(("bias dropped", build(Shape { bias: false, ..right }, weights.clone())));
    }
    if s.accumulate {
        wrong.push(("residual dropped", build(Shape { accumulate: false, ..right }, weights.clone())));
    }
    if s.activation != Activation::None {
        wrong.push(("activation dropped", build(Shape { activation: Activation::None, ..right }, weights.clone())));
    }
    if s.activation == Activation::Relu {
        let other = Shape { activation: Activation::Gelu, ..right };
        wrong.push(("gelu in place of relu", build(other, weights.clone())));
    }
    if s.activation == Activation::Silu {
        let other = Shape { activation: Activation::QuickGelu, ..right };
        wrong.push(("quick_gelu in place of silu", build(other, weights.clone())));
    }
    if matches!(s.activation, Activation::Gelu | Activation::GeluTanh) {
        let other = if s.activation == Activation::Gelu { Activation::GeluTanh } else { Activation::Gelu };
        wrong.push(("the other gelu", build(Shape { activation: other, ..right }, weights.clone())));
    }
    // What is on the GPU differs from what the twin reads.
    let mut misread = |what, change: &dyn Fn(&mut Packed)| {
        let mut other = matrix.clone();
        change(&mut other.packed);
        assert_ne!(other.packed, matrix.packed, "{what}");
        wrong.push((what, build(right, vec![other, vector.clone()])));
    };
    // Over many blocks scales that are alike average out.
    if (2..100).contains(&s.format.scales(s.k)) {
        misread("scale of the next block", &|p| p.scales.rotate_left(2));
    }
    if s.format == Format::Q4 {
        misread("sign of the scale", &|p| p.scales.iter_mut().skip(1).step_by(2).for_each(|high| *high ^= 0x80));
        if s.k > 1 {
            misread("half bytes without a sign", &|p| p.values.iter_mut().for_each(|q| *q &= 0x77));
            misread("half bytes swapped", &|p| p.values.iter_mut().for_each(|q| *q = q.rotate_left(4)));
        }
        if s.k > 4 {
            misread("the other half of a word", &|p| p.values.chunks_exact_mut(4).for_each(|word| word.rotate_left(2)));
        }
    }
    if s.k > 1 && s.n > 1 {
        let mut rotated = matrix;
        let row = s.format.row_bytes(s.k);
        rotated.packed.values.rotate_left(row);
        wrong.push(("weights of the next row", build(right, vec![rotated, vector])));
    }
    Case {
        name: format!(
            "matmul m={} k={} n={} {} {:?} accumulate={} bias={}",
            s.m,
            s.k,
            s.n,
            s.format.name(),
            s.activation,
            s.accumulate,
            s.bias
        ),
        acts: vec![words(&x), y],
        rough: Some(rough),
        run: Run::items(1),
        right: build(right, weights),
        wrong,
        // K / 4 additions of a product of four, each rounding by at most 2^-24 of the running magnitude, and a few for
        // bias and activation (whose slopes stay below 1.2; the error function is within 1.5e-7).
        bound: Some((magnitude, f32_bound)),
    }
}

fn kernel(s: Shape) -> Matmul {
    Matmul {
        x: Operand::Act(ActId(0)),
        weight: MatrixRef { id: WeightId(0), format: s.format, rows: s.n as u32, cols: s.k as u32 },
        bias: s.bias.then_some(VectorRef { id: WeightId(1), len: s.n as u32 }),
        y: output(1),
        rows: Rows::Shared(s.m as u32),
        activation: s.activation,
        place: if s.accumulate { Place::Add } else { Place::Set },
    }
}
