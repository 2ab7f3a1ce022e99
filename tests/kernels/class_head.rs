use ocelli::{
    kernels::{ActId, ClassHead, Rows, Run},
    random::Random,
};

use crate::case::{Case, changed, poison, with_others, words};

pub fn cases() -> Vec<Case> {
    // Items, rows of each, labels: one of all, tails, more labels than a workgroup, and more workgroups than one dimension has.
    let shapes = [(1, 2, 1), (1, 37, 5), (3, 10, 7), (2, 3, 1203), (1, 66_000, 70)];
    shapes.map(|(batch, rows, labels)| case(batch, rows, labels)).into()
}

/// Of a cosine, a shift and a scale.
type Formula = fn(f64, f64, f64) -> f64;

fn elu(scale: f64) -> f64 {
    if scale > 0.0 { scale } else { scale.exp_m1() }
}

fn case(batch: usize, rows: usize, labels: usize) -> Case {
    let mut random = Random::new((batch * rows * 31 + labels) as u64);
    let tokens = batch * rows;
    let cos = random.floats(tokens * labels);
    // Scales on both sides of 0, where the two halves of elu are.
    let own: Vec<f32> = (0..tokens)
        .flat_map(|token| {
            let sign = if token % 2 == 0 { 1.0 } else { -1.0 };
            [1.5 * random.float(), sign * (1.0 + 3.0 * random.float().abs())]
        })
        .collect();
    let exchanged: Vec<f32> = own.chunks_exact(2).flat_map(|pair| [pair[1], pair[0]]).collect();
    let number = |at: usize, of: &dyn Fn(f64, f64, f64) -> f64| {
        let token = at / labels;
        of(f64::from(cos[at]), f64::from(own[2 * token]), f64::from(own[2 * token + 1])) as f32
    };
    let all = |of: &dyn Fn(f64, f64, f64) -> f64| (0..cos.len()).map(|at| number(at, of)).collect::<Vec<_>>();
    let others: [(&str, Formula); 8] = [
        ("shift after scale", |cos, shift, scale| cos * (elu(scale) + 1.0) + shift),
        ("no shift", |cos, _, scale| cos * (elu(scale) + 1.0)),
        ("no scale", |cos, shift, _| cos + shift),
        ("exp for elu + 1", |cos, shift, scale| (cos + shift) * scale.exp()),
        ("relu for elu", |cos, shift, scale| (cos + shift) * (scale.max(0.0) + 1.0)),
        ("softplus for elu", |cos, shift, scale| (cos + shift) * (scale.exp().ln_1p() + 1.0)),
        ("no + 1", |cos, shift, scale| (cos + shift) * elu(scale)),
        ("no elu", |cos, shift, scale| (cos + shift) * (scale + 1.0)),
    ];
    // Of millions of numbers one wrong variant is enough.
    let others = others.into_iter().filter(|_| cos.len() < 1 << 20);
    let others = others.map(|(what, of)| (what, words(&all(&of)))).collect();
    let inputs = vec![words(&cos), words(&own), words(&exchanged)];
    let (acts, y, mut wrong) = with_others(inputs, others, poison(cos.len()), batch);
    let right =
        ClassHead { cos: ActId(0), scale: ActId(1), y, labels: labels as u32, rows: Rows::PerItem(rows as u32) };
    let build = |change: fn(&mut ClassHead)| changed(&right, &[], change);
    wrong.push(("shift and scale exchanged", build(|k| k.scale = ActId(2))));
    wrong.push(("one row", build(|k| k.rows = Rows::Shared(1))));
    if labels > 1 {
        wrong.push(("rows one shorter", build(|k| k.labels -= 1)));
    }
    Case {
        name: format!("class_head batch={batch} rows={rows} labels={labels}"),
        acts,
        rough: None,
        run: Run::items(batch as u32),
        right: build(|_| ()),
        wrong,
        // WGSL lets exp be off by 3 + 2·|x| units in the last place, here 11; the rest rounds thrice.
        bound: Some((all(&|cos, shift, scale| (cos.abs() + shift.abs()) * (elu(scale) + 1.0)), 16.0 * 2f64.powi(-23))),
    }
}
