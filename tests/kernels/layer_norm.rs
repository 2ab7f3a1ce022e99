use ocelli::{
    kernels::{ActId, LayerNorm, Rows, Run, VectorRef, WeightId},
    quant::{Format, Matrix},
    random::Random,
    reference,
};

use crate::case::{Build, Case, Step, changed, output, poison, with_others, words};

pub fn cases() -> Vec<Case> {
    // Fewer columns than lanes, a tail, published widths; one row, and more rows than one dimension of a dispatch has.
    let whole = [(1, 1), (3, 5), (7, 63), (2, 65), (5, 768), (2, 1152), (70_000, 2)];
    // Items, rows of an item beside its class token, columns.
    let merged = [(1, 1, 5), (2, 3, 70), (3, 10, 5), (1, 36, 768), (2, 500, 3)];
    let merged = merged.into_iter().map(|(batch, rows, dim)| merged_case(batch, rows, dim));
    whole.into_iter().map(|(rows, dim)| case(rows, dim)).chain(merged).collect()
}

/// Each row times the class token of its item.
fn merged_case(batch: usize, rows: usize, dim: usize) -> Case {
    let mut random = Random::new((batch + rows * 7 + dim * 3) as u64);
    let x: Vec<f32> = random.floats(batch * (1 + rows) * dim).iter().map(|v| v + 3.0).collect();
    let [weight, bias] = [random.floats(dim), random.floats(dim)];
    // What other merges come to, by what each takes of an item: its row number t and the class token.
    let by_hand = |merge: &dyn Fn(&[f32], usize, usize) -> f32| {
        let item = |item: usize| &x[item * (1 + rows) * dim..][..(1 + rows) * dim];
        let value = |i: usize| merge(item(i / (rows * dim)), i / dim % rows, i % dim);
        let merged: Vec<f32> = (0..batch * rows * dim).map(value).collect();
        words(&reference::layer_norm(&merged, &weight, &bias, 1e-5))
    };
    let first = &x[..dim];
    let mut others = vec![
        ("no merge", by_hand(&|x, t, d| x[(1 + t) * dim + d])),
        ("a sum in place of the product", by_hand(&|x, t, d| x[(1 + t) * dim + d] + x[d])),
        ("the class token is a row too", by_hand(&|x, t, d| x[t * dim + d] * x[d])),
    ];
    if batch > 1 {
        others.push(("one class token for all items", by_hand(&|x, t, d| x[(1 + t) * dim + d] * first[d])));
    }
    let (acts, y, mut wrong) = with_others(vec![words(&x)], others, poison(batch * rows * dim), batch);
    let weights: Vec<Matrix> = [weight, bias].map(|v| Matrix::new(Format::F32, &v, dim).expect("small weights")).into();
    let vector = |i: usize| VectorRef { id: WeightId(i), len: dim as u32 };
    let right = LayerNorm {
        x: ActId(0),
        weight: vector(0),
        bias: vector(1),
        y,
        rows: Rows::PerItem(rows as u32),
        eps: 1e-5,
        merge: true,
    };
    let build = |change: fn(&mut LayerNorm)| changed(&right, &weights, change);
    wrong.push(("weight and bias exchanged", build(|k| std::mem::swap(&mut k.weight, &mut k.bias))));
    wrong.push(("merge off", build(|k| k.merge = false)));
    if batch > 1 {
        wrong.push((
            "rows of all items taken for one item's",
            build(|k| k.rows = Rows::Shared(2 * k.rows.each(Run::items(1)))),
        ));
    }
    Case {
        name: format!("layer_norm batch={batch} rows={rows} dim={dim} merged"),
        acts,
        rough: None,
        run: Run::items(batch as u32),
        right: build(|_| ()),
        wrong,
        // As below, with products of up to 16, and deviations that may be small in short rows.
        bound: Some((vec![1.0; batch * rows * dim], (64.0 + dim as f64) * 16.0 * 64.0 * 2f64.powi(-24))),
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
                merge: false,
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
