use ocelli::{
    kernels::{ActId, Best, Rows, Run},
    random::Random,
};

use crate::case::{Case, changed, poison, with_others, words};

pub fn cases() -> Vec<Case> {
    // Items, rows of each, labels: one of all, tails of a workgroup, many labels.
    let shapes = [(1, 1, 1), (1, 3, 2), (2, 37, 5), (1, 130, 20), (3, 2, 1203)];
    shapes.map(|(batch, rows, labels)| case(batch, rows, labels)).into()
}

/// The place and the value that are the best by `better`, which sees what it has and the next.
fn by(x: &[f32], labels: usize, better: fn(f32, f32) -> bool) -> Vec<u32> {
    let best = |row: &[f32]| {
        let mut best = 0;
        for (place, &value) in row.iter().enumerate() {
            if better(row[best], value) {
                best = place;
            }
        }
        [best as u32, row[best].to_bits()]
    };
    x.chunks_exact(labels).flat_map(best).collect()
}

fn case(batch: usize, rows: usize, labels: usize) -> Case {
    let mut random = Random::new((batch * rows * 31 + labels) as u64);
    // A few values, all below 0 in every third row, so that the largest is there more than once.
    let steps = labels.div_ceil(2).min(8);
    let value = |at: usize, random: &mut Random| {
        let below = if (at / labels).is_multiple_of(3) { 9.0 } else { 3.0 };
        random.below(steps) as f32 - below
    };
    let x: Vec<f32> = (0..batch * rows * labels).map(|at| value(at, &mut random)).collect();
    let right = by(&x, labels, |best, next| next > best);
    let mut others = Vec::new();
    if labels > 1 {
        others.push(("the last of equals", by(&x, labels, |best, next| next >= best)));
        others.push(("value and place exchanged", right.chunks_exact(2).flat_map(|pair| [pair[1], pair[0]]).collect()));
    }
    if labels > 2 {
        others.push(("the smallest", by(&x, labels, |best, next| next < best)));
        others.push(("the largest by magnitude", by(&x, labels, |best, next| next.abs() > best.abs())));
        let place = |pair: &[u32]| [(pair[0] as f32).to_bits(), pair[1]];
        others.push(("the place as a float", right.chunks_exact(2).flat_map(place).collect()));
    }
    let (acts, y, mut wrong) = with_others(vec![words(&x)], others, poison(right.len()), batch);
    let right = Best { x: ActId(0), y, labels: labels as u32, rows: Rows::PerItem(rows as u32) };
    let build = |change: fn(&mut Best)| changed(&right, &[], change);
    if batch * rows > 1 {
        wrong.push(("one row", build(|k| k.rows = Rows::Shared(1))));
        wrong.push(("rows one longer", build(|k| k.labels += 1)));
    }
    Case {
        name: format!("best batch={batch} rows={rows} labels={labels}"),
        acts,
        rough: None,
        run: Run::items(batch as u32),
        right: build(|_| ()),
        wrong,
        // Copies.
        bound: None,
    }
}
