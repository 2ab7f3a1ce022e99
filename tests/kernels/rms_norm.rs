use ocelli::{
    kernels::{ActId, RmsNorm, Rows, Run, VectorRef, WeightId},
    quant::{Format, Matrix},
    random::Random,
    reference,
};

use crate::case::{Case, changed, poison, with_others, words};

const EPS: f32 = 1e-5;

pub fn cases() -> Vec<Case> {
    // Items, rows of each, columns, magnitude: fewer columns than lanes, tails, published widths, one row, more rows than one
    // dimension of a dispatch has; numbers so small that epsilon counts, and so large that f16 could not hold them.
    let shapes = [
        ([1, 1, 1], 1.0),
        ([3, 1, 5], 0.01),
        ([1, 7, 63], 1e5),
        ([2, 3, 65], 0.003),
        ([1, 5, 576], 1.0),
        ([2, 1, 2048], 0.01),
        ([1, 70_000, 2], 1.0),
    ];
    shapes.into_iter().flat_map(|(shape, scale)| [false, true].map(|one_plus| case(shape, scale, one_plus))).collect()
}

fn case([batch, rows, dim]: [usize; 3], scale: f32, one_plus: bool) -> Case {
    let mut random = Random::new((batch * rows + dim * 3) as u64);
    let numbers = batch * rows * dim;
    let mut x: Vec<f32> = random.floats(numbers).iter().map(|v| (v + 0.3) * scale).collect();
    // One channel ten times larger, as trained models have them.
    x.iter_mut().step_by(dim).for_each(|v| *v *= 10.0);
    let [weight, other] = [random.floats(dim), random.floats(dim)];
    // By a shift and a divisor of each row.
    let by_hand = |of: fn(&[f64], f64) -> [f64; 2]| {
        let row = |row: &[f32]| {
            let row: Vec<f64> = row.iter().map(|&v| f64::from(v)).collect();
            let [shift, divisor] = of(&row, f64::from(EPS));
            let factor = |w: f32| f64::from(w) + if one_plus { 1.0 } else { 0.0 };
            row.iter().zip(&weight).map(|(x, &w)| ((x - shift) / divisor * factor(w)) as f32).collect::<Vec<_>>()
        };
        words(&x.chunks_exact(dim).flat_map(row).collect::<Vec<_>>())
    };
    let mut others = vec![
        ("not divided", by_hand(|_, _| [0.0, 1.0])),
        (
            "the mean taken off",
            by_hand(|x, eps| {
                let mean = mean(x);
                [mean, (squares(x) - mean * mean + eps).sqrt()]
            }),
        ),
    ];
    if dim > 1 {
        others.push(("the sum of the squares", by_hand(|x, eps| [0.0, (squares(x) * x.len() as f64 + eps).sqrt()])));
        others.push((
            "the mean of the magnitudes",
            by_hand(|x, _| [0.0, x.iter().map(|x| x.abs()).sum::<f64>() / x.len() as f64]),
        ));
    }
    if scale < 0.1 {
        others.push(("no epsilon", by_hand(|x, _| [0.0, squares(x).sqrt()])));
        others.push(("epsilon beside the root", by_hand(|x, eps| [0.0, squares(x).sqrt() + eps])));
        others.push(("epsilon squared", by_hand(|x, eps| [0.0, (squares(x) + eps * eps).sqrt()])));
    }
    let magnitude = reference::rms_norm(&x, &weight, EPS, one_plus).iter().map(|y| y.abs() + 1.0).collect();
    // Added to something where there are two items.
    let accumulate = batch > 1;
    let before = if accumulate { words(&random.floats(numbers)) } else { poison(numbers) };
    let (acts, y, mut wrong) = with_others(vec![words(&x)], others, before, batch);
    let weights: Vec<Matrix> =
        [weight, other].map(|v| Matrix::new(Format::F32, &v, dim).expect("small weights")).into();
    let weight = VectorRef { id: WeightId(0), len: dim as u32 };
    let right = RmsNorm { x: ActId(0), weight, y, rows: Rows::PerItem(rows as u32), eps: EPS, one_plus, accumulate };
    let build = |change: fn(&mut RmsNorm)| changed(&right, &weights, change);
    wrong.push(("one added or left out", build(|k| k.one_plus = !k.one_plus)));
    wrong.push(("another weight", build(|k| k.weight.id = WeightId(1))));
    if scale < 0.1 {
        wrong.push(("epsilon of a millionth", build(|k| k.eps = 1e-6)));
    }
    if accumulate {
        wrong.push(("in the place of what was there", build(|k| k.accumulate = false)));
    }
    if batch * rows > 1 {
        wrong.push(("one row", build(|k| k.rows = Rows::Shared(1))));
    }
    Case {
        name: format!("rms_norm batch={batch} rows={rows} dim={dim} scale={scale:e} one_plus={one_plus}"),
        acts,
        rough: None,
        run: Run::items(batch as u32),
        right: build(|_| ()),
        wrong,
        // `dim` additions of squares under a root, which WGSL lets be off by two units in the last place, and three more roundings.
        bound: Some((magnitude, (dim as f64 / 2.0 + 16.0) * 2f64.powi(-24))),
    }
}

fn mean(x: &[f64]) -> f64 {
    x.iter().sum::<f64>() / x.len() as f64
}

/// Their mean.
fn squares(x: &[f64]) -> f64 {
    x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64
}
