use ocelli::{
    kernels::{ActId, Pick, Rows, Run},
    random::Random,
    reference,
};

use crate::case::{Case, changed, poison, with_others, words};

pub fn cases() -> Vec<Case> {
    // Items, rows of each, numbers of a row: one of all, fewer than lanes, one for each, tails, a vocabulary, more rows than one
    // dimension of a dispatch has.
    let shapes = [(1, 1, 1), (1, 3, 2), (2, 37, 5), (1, 9, 256), (3, 2, 1203), (2, 1, 49_281), (1, 70_000, 3)];
    shapes.map(|(batch, rows, count)| case(batch, rows, count)).into()
}

/// The place that is the best by `better`, which sees what it has and the next.
fn by(x: &[f32], count: usize, better: fn(f32, f32) -> bool) -> Vec<u32> {
    let best =
        |row: &[f32]| (1..count).fold(0, |best, next| if better(row[best], row[next]) { next } else { best }) as u32;
    x.chunks_exact(count).map(best).collect()
}

fn case(batch: usize, rows: usize, count: usize) -> Case {
    let mut random = Random::new((batch * rows * 31 + count) as u64);
    // A few values, all below 0 in every third row, so that the largest is there more than once.
    let steps = count.div_ceil(2).min(8);
    let value = |at: usize, random: &mut Random| {
        let below = if (at / count).is_multiple_of(3) { 9.0 } else { 3.0 };
        random.below(steps) as f32 - below
    };
    let mut x: Vec<f32> = (0..batch * rows * count).map(|at| value(at, &mut random)).collect();
    // Two that are larger than all others, far apart and in different lanes; the very first and the very last may be among them.
    for (number, row) in x.chunks_exact_mut(count).enumerate().skip(1) {
        let first = number * 257 % count;
        (row[first], row[count - 1]) = (20.0, 20.0);
    }
    if rows == 37 {
        // A row without a number, and one whose first is none.
        x[..count].fill(f32::NAN);
        x[count] = f32::NAN;
    }
    let right = reference::pick(&x, count);
    assert!(rows != 37 || right[0] == u32::MAX && right[1] < count as u32);
    let mut others = Vec::new();
    if count > 1 {
        others.push(("the last of equals", by(&x, count, |best, next| next >= best)));
    }
    if count > 2 {
        others.push(("the smallest", by(&x, count, |best, next| next < best)));
        others.push(("the largest by magnitude", by(&x, count, |best, next| next.abs() > best.abs())));
        others.push(("the place as a float", right.iter().map(|&place| (place as f32).to_bits()).collect()));
        // Of lanes the first one that has it, and not of places.
        let lanes = |row: &[f32]| {
            let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let equals = (0..count).filter(|&place| row[place] == largest);
            equals.min_by_key(|place| place % 256).unwrap_or(0) as u32
        };
        let lanes: Vec<u32> = x.chunks_exact(count).map(lanes).collect();
        if lanes != right {
            others.push(("the first lane's", lanes));
        }
    }
    let (acts, y, mut wrong) = with_others(vec![words(&x)], others, poison(right.len()), batch);
    let right = Pick { x: ActId(0), y, rows: Rows::PerItem(rows as u32), count: count as u32 };
    let build = |change: fn(&mut Pick)| changed(&right, &[], change);
    if batch * rows > 1 {
        wrong.push(("one row", build(|k| k.rows = Rows::Shared(1))));
        wrong.push(("rows one longer", build(|k| k.count += 1)));
    }
    Case {
        name: format!("pick batch={batch} rows={rows} count={count}"),
        acts,
        rough: None,
        run: Run::items(batch as u32),
        right: build(|_| ()),
        wrong,
        // Whole numbers.
        bound: None,
    }
}
