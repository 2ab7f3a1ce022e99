use ocelli::{
    kernels::{ActId, LayerNorm, Pick, Rows, VectorRef, WeightId},
    quant::{Format, Matrix},
    random::Random,
};

use crate::case::{Build, Case, Step, output, poison, words};

pub fn cases() -> Vec<Case> {
    // Fewer columns than lanes, a tail, published widths; one row, and more rows than one dimension of a dispatch has.
    let whole = [(1, 1), (3, 5), (7, 63), (2, 65), (5, 768), (2, 1152), (70_000, 2)];
    // One row of each item; the last, the first and one between.
    let picked = [(3, 7, 13, true), (3, 7, 70, false), (2, 77, 65, true)];
    let whole = whole.into_iter().map(|(rows, dim)| case(rows, dim));
    whole.chain(picked.into_iter().map(|(batch, of, dim, indexed)| one_row(batch, of, dim, indexed))).collect()
}

fn one_row(batch: usize, of: usize, dim: usize, indexed: bool) -> Case {
    let mut random = Random::new((batch + of * dim) as u64);
    let x = random.floats(batch * of * dim);
    let index: Vec<u32> = (0..batch).map(|b| [of - 1, 0, of / 2][b] as u32).collect();
    let weights: Vec<Matrix> =
        (0..2).map(|_| Matrix::new(Format::F32, &random.floats(dim), dim).expect("small weights")).collect();
    let build = move |pick: Option<Pick>| -> Build {
        let weights = weights.clone();
        Box::new(move || Step {
            kernel: Box::new(LayerNorm {
                x: ActId(0),
                weight: VectorRef { id: WeightId(0), len: dim as u32 },
                bias: VectorRef { id: WeightId(1), len: dim as u32 },
                y: output(2),
                rows: Rows::PerItem(1),
                eps: 1e-5,
                pick,
            }),
            weights: weights.clone(),
        })
    };
    let (of, own) = (of as u32, indexed.then_some(ActId(1)));
    let other = if indexed { None } else { Some(ActId(1)) };
    Case {
        name: format!("layer_norm batch={batch} one of {of} dim={dim} indexed={indexed}"),
        acts: vec![words(&x), index, poison(batch * dim)],
        batch: batch as u32,
        right: build(Some(Pick { of, index: own })),
        wrong: vec![
            ("index seen or not seen", build(Some(Pick { of, index: other }))),
            ("rows one after the other", build(None)),
            ("items of another length", build(Some(Pick { of: of - 1, index: own }))),
        ],
        // Numbers up to 1, divided by a deviation of about 0.6; the mean of `dim` of them adds its own rounding.
        bound: Some((vec![1.0; batch * dim], (64.0 + dim as f64) * 4.0 * 2f64.powi(-24))),
        rough: None,
    }
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
                pick: None,
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
        batch: 1,
        right: build(1e-5, [0, 1], 0),
        wrong,
        // Inputs near 80 are known to 2^-24 · 80; divided by a deviation that is never below about 0.1 here, and the mean of
        // `dim` such numbers adds its own rounding.
        bound: Some((vec![1.0; rows * dim], (64.0 + dim as f64) * 80.0 * 10.0 * 2f64.powi(-24))),
    }
}
