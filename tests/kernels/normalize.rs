use ocelli::{
    kernels::{ActId, Normalize, Rows, Run},
    random::Random,
};

use crate::case::{Case, changed, poison, with_others, words};

pub fn cases() -> Vec<Case> {
    // Items, rows of each, columns, magnitude, epsilon: fewer columns than lanes, a tail, published widths, and more rows than one
    // dimension of a dispatch has.
    let one = [(1, 1, 1, 1.0, 0.0), (3, 1, 36, 1.0, 0.0), (65, 1, 26, 1.0, 0.0), (2, 1, 768, 1.0, 0.0)];
    let many = [(1, 36, 512, 1.0, 1e-6), (2, 5, 40, 1.0, 1e-6), (1, 70_000, 2, 1.0, 1e-6)];
    // Squares of these overflow or vanish in f32; and an epsilon that counts.
    let odd = [(2, 1, 40, 1e30, 0.0), (2, 1, 40, 1e-25, 0.0), (2, 3, 70, 1e-6, 1e-6), (1, 4, 9, 1e-25, 1e-6)];
    let all = one.into_iter().chain(many).chain(odd);
    all.map(|(batch, rows, dim, scale, eps)| case([batch, rows, dim], scale, eps)).collect()
}

fn case([batch, rows, dim]: [usize; 3], scale: f32, eps: f32) -> Case {
    let mut random = Random::new((batch * rows + dim) as u64);
    let numbers = batch * rows * dim;
    let mut x: Vec<f32> = random.floats(numbers).iter().map(|v| v * scale).collect();
    if rows > 1 {
        // Of no length, and so it stays.
        x[..dim].fill(0.0);
    }
    let by_hand = |divisor: fn(f64, f64) -> f64| {
        let length = |row: &[f32]| row.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>();
        let divided = |row: &[f32]| {
            let divisor = divisor(length(row), f64::from(eps)).max(1e-30);
            row.iter().map(|&v| (f64::from(v) / divisor) as f32).collect::<Vec<_>>()
        };
        words(&x.chunks_exact(dim).flat_map(divided).collect::<Vec<_>>())
    };
    let mut others = Vec::new();
    // Where it counts.
    if eps > 0.1 * scale {
        others.push(("no epsilon", by_hand(|squares, _| squares.sqrt())));
    }
    if eps > 0.1 * scale && scale > 0.1 * eps {
        others.push(("at least epsilon", by_hand(|squares, eps| squares.sqrt().max(eps))));
        others.push(("epsilon under the root", by_hand(|squares, eps| (squares + eps).sqrt())));
    }
    if dim > 1 && scale == 1.0 {
        others.push(("not divided", words(&x)));
        others.push(("divided by the square", by_hand(|squares, _| squares)));
    }
    let other = random.floats(numbers);
    let (acts, y, mut wrong) = with_others(vec![words(&x), words(&other)], others, poison(numbers), batch);
    let right = Normalize { x: ActId(0), y, dim: dim as u32, rows: Rows::PerItem(rows as u32), eps };
    let build = |change: fn(&mut Normalize)| changed(&right, &[], change);
    if batch * rows > 1 {
        wrong.push(("rows one longer", build(|k| k.dim += 1)));
        wrong.push(("another input", build(|k| k.x = ActId(1))));
        wrong.push(("one row", build(|k| k.rows = Rows::Shared(1))));
    }
    Case {
        name: format!("normalize batch={batch} rows={rows} dim={dim} scale={scale:e} eps={eps:e}"),
        acts,
        rough: None,
        run: Run::items(batch as u32),
        right: build(|_| ()),
        wrong,
        // `dim` additions under a square root, three divisions that WGSL lets be off by 2.5 units in the last place.
        bound: Some((vec![1.0; numbers], (dim as f64 / 2.0 + 13.0) * 2f64.powi(-24))),
    }
}
