use ocelli::{
    kernels::{ActId, PrependMean, Run},
    random::Random,
};

use crate::case::{Case, changed, poison, with_others, words};

pub fn cases() -> Vec<Case> {
    // Items, rows, columns: one row, tails, a published number of rows.
    [(1, 1, 1), (2, 9, 7), (3, 5, 64), (1, 576, 10)].map(|(batch, rows, dim)| case([batch, rows, dim])).into()
}

fn case([batch, rows, dim]: [usize; 3]) -> Case {
    let x = Random::new((batch + rows * 31 + dim) as u64).floats(batch * rows * dim);
    let other = |last: bool, divisor: usize| {
        let item = |x: &[f32]| {
            let sum = |d: usize| x.iter().skip(d).step_by(dim).map(|&x| f64::from(x)).sum::<f64>();
            let mean: Vec<f32> = (0..dim).map(|d| (sum(d) / divisor as f64) as f32).collect();
            if last { [x, &mean].concat() } else { [&mean, x].concat() }
        };
        words(&x.chunks_exact(rows * dim).flat_map(item).collect::<Vec<_>>())
    };
    let mut others = vec![("a mean with itself in it", other(false, rows + 1))];
    if rows > 1 {
        others.push(("the mean last", other(true, rows)));
        others.push(("the sum", other(false, 1)));
    }
    let (acts, y, mut wrong) = with_others(vec![words(&x)], others, poison(batch * (rows + 1) * dim), batch);
    let right = PrependMean { x: ActId(0), y, rows: rows as u32, dim: dim as u32 };
    if rows > 1 {
        wrong.push(("one row less", changed(&right, &[], |k| k.rows -= 1)));
    }
    Case {
        name: format!("prepend_mean batch={batch} rows={rows} dim={dim}"),
        acts,
        rough: None,
        run: Run::items(batch as u32),
        right: changed(&right, &[], |_| ()),
        wrong,
        // As many sums of numbers up to 1, and a division that may be off by 2.5 units in the last place.
        bound: Some((vec![1.0; batch * (rows + 1) * dim], (rows as f64 + 6.0) * 2f64.powi(-24))),
    }
}
