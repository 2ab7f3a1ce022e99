use ocelli::{
    kernels::{ActId, Depthwise, Run, VectorRef, WeightId},
    quant::{Format, Matrix},
    random::Random,
};

use crate::case::{Case, changed, poison, with_others, words};

pub fn cases() -> Vec<Case> {
    // Items, side, columns: one place, two (all of them edge), tails, more lines than threads, a published width.
    [(1, 1, 1), (2, 2, 5), (3, 6, 7), (1, 23, 12), (2, 9, 128)]
        .map(|(batch, grid, dim)| case([batch, grid, dim]))
        .into()
}

/// By which numbers of the weight a place's neighbour and the place itself count, and what is beyond the grid.
type Rule<'a> = &'a dyn Fn(&dyn Fn(isize, isize) -> f64, &dyn Fn(isize, isize) -> f64) -> f64;

fn case(shape: [usize; 3]) -> Case {
    let [batch, grid, dim] = shape;
    let mut random = Random::new((batch + grid * 31 + dim * 7) as u64);
    let x = random.floats(batch * grid * grid * dim);
    let (weight, bias) = (random.floats(9 * dim), random.floats(dim));
    // `around(dy, dx)` is the neighbour in this direction, `of(dy, dx)` its factor.
    let by_hand = |edge: bool, rule: Rule<'_>| {
        let number = |at: usize| {
            let (d, place) = (at % dim, at / dim);
            let (item, gy, gx) = (place / (grid * grid), place / grid % grid, place % grid);
            let around = |dy: isize, dx: isize| {
                let place = [(gy, dy), (gx, dx)].map(|(at, by)| at as isize + by);
                let inside = place.iter().all(|at| (0..grid as isize).contains(at));
                let [row, column] = place.map(|at| at.clamp(0, grid as isize - 1) as usize);
                if inside || edge { f64::from(x[((item * grid + row) * grid + column) * dim + d]) } else { 0.0 }
            };
            let of = |dy: isize, dx: isize| f64::from(weight[9 * d + (3 * (dy + 1) + dx + 1) as usize]);
            (rule(&around, &of) + f64::from(bias[d])) as f32
        };
        words(&(0..x.len()).map(number).collect::<Vec<_>>())
    };
    let all = || (-1..=1).flat_map(|dy| (-1..=1).map(move |dx| (dy, dx)));
    let sum = |around: &dyn Fn(isize, isize) -> f64, of: &dyn Fn(isize, isize) -> f64| {
        all().map(|(dy, dx)| of(dy, dx) * around(dy, dx)).sum::<f64>()
    };
    let mut others = vec![
        ("no residual", by_hand(false, &|around, of| sum(around, of))),
        ("edges replicated", by_hand(true, &|around, of| sum(around, of) + around(0, 0))),
    ];
    if grid > 1 {
        let turned: Rule<'_> = &|around, of| sum(around, &|dy, dx| of(-dy, -dx)) + around(0, 0);
        let exchanged: Rule<'_> = &|around, of| sum(around, &|dy, dx| of(dx, dy)) + around(0, 0);
        others.push(("turned by half", by_hand(false, turned)));
        others.push(("x and y exchanged", by_hand(false, exchanged)));
    }
    let (acts, y, mut wrong) = with_others(vec![words(&x)], others, poison(x.len()), batch);
    let weights: Vec<Matrix> =
        [weight, bias].map(|v| Matrix::new(Format::F32, &v, v.len()).expect("small weights")).into();
    let vector = |id, len: usize| VectorRef { id: WeightId(id), len: len as u32 };
    let (weight, bias) = (vector(0, 9 * dim), vector(1, dim));
    let right = Depthwise { x: ActId(0), weight, bias, y, grid: grid as u32 };
    wrong.push(("the weight for a bias", changed(&right, &weights, |k| k.bias.id = WeightId(0))));
    Case {
        name: format!("depthwise batch={batch} grid={grid} dim={dim}"),
        acts,
        rough: None,
        run: Run::items(batch as u32),
        right: changed(&right, &weights, |_| ()),
        wrong,
        // Eleven sums of products of numbers up to 1, of which one has a factor that was rounded to up to 2.
        bound: Some((vec![11.0; batch * grid * grid * dim], 12.0 * 2f64.powi(-24))),
    }
}
