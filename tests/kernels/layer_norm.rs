use ocelli::{
    kernels::{ActId, LayerNorm, Rows, Run, VectorRef, WeightId},
    quant::{Format, Matrix},
    random::Random,
};

use crate::case::{Build, Case, Step, output, poison, words};

pub fn cases() -> Vec<Case> {
    // Fewer columns than lanes, a tail, published widths; one row, and more rows than one dimension of a dispatch has.
    let whole = [(1, 1), (3, 5), (7, 63), (2, 65), (5, 768), (2, 1152), (70_000, 2)];
    whole.into_iter().map(|(rows, dim)| case(rows, dim)).collect()
}

fn case(rows: usize, dim: usize) -> Case {
    let mut random = Random::new((rows + dim * 3) as u64);
    let mut x = random.floats(rows * dim);
    // A mean far from zero: a variance from one pass would cancel.
    for (i, v) in x.iter_mut().enumerate() {
        *v += 30.0 + if i % dim == 0 { 50.0 } else { 0.0 };
    }
    let weights: Vec<Matrix> =
        (0..2).map(|_| Matrix::new(Format::F32, &random.floats(dim), dim).expect("small weights")).collect();
    let vector = move |i: usize| VectorRef { id: WeightId(i), len: dim as u32 };
    let build = move |eps: f32, order: [usize; 2], off: u32| -> Build {
        let weights = weights.clone();
        Box::new(move || Step {
            kernel: Box::new(LayerNorm {
                x: ActId(0),
                weight: vector(order[0]),
                bias: vector(order[1]),
                y: output(1),
                rows: Rows::Shared(rows as u32 - off),
                eps,
            }),
            weights: weights.clone(),
        })
    };
    let mut wrong =
        vec![("weight and bias exchanged", build(1e-5, [1, 0], 0)), ("last row left out", build(1e-5, [0, 1], 1))];
    if dim > 1 {
        wrong.push(("epsilon of 100", build(100.0, [0, 1], 0)));
    }
    if rows == 1 {
        // No rows is no dispatch.
        wrong.retain(|(what, _)| *what != "last row left out");
    }
    Case {
        name: format!("layer_norm rows={rows} dim={dim}"),
        acts: vec![words(&x), poison(rows * dim)],
        rough: None,
        run: Run::items(1),
        right: build(1e-5, [0, 1], 0),
        wrong,
        // Inputs near 80 are known to 2^-24 · 80; divided by a deviation that is never below about 0.1 here, and the mean of
        // `dim` such numbers adds its own rounding.
        bound: Some((vec![1.0; rows * dim], (64.0 + dim as f64) * 80.0 * 10.0 * 2f64.powi(-24))),
    }
}
