use libtest_mimic::Failed;
use ocelli::{
    kernels::{ActId, Run, Taps, Unfold},
    random::Random,
    reference,
};

use crate::case::{Case, changed, poison, with_others, words};

pub fn cases() -> Vec<Case> {
    // Items, side, columns, rows before the grid: one place, two (all of them edge), tails, published shapes.
    let shapes = [(1, 1, 3, 0), (2, 2, 5, 1), (3, 6, 7, 2), (2, 22, 16, 1), (1, 5, 64, 0)];
    let around = shapes.map(|(batch, grid, dim, lead)| case([batch, grid, dim, lead]));
    // Side, stride, padding: those of Florence-2, without a rest and with one, and none that is usual.
    let strided =
        [([2, 23, 3, 0], [7, 4, 3]), ([1, 8, 5, 0], [3, 2, 1]), ([2, 7, 4, 1], [3, 2, 1]), ([1, 9, 2, 0], [2, 3, 0])];
    around.into_iter().chain(strided.map(|(shape, taps)| strides(shape, taps))).collect()
}

/// From a place and a column of y: where it is from, if that is inside the grid, and of what column of x.
type From<'a> = &'a dyn Fn([usize; 2], usize) -> Option<([usize; 2], usize)>;

/// For each number of y the place that it is from, by row, column and its place in the row; none is a zero.
fn by_hand(x: &[f32], [batch, grid, dim, lead]: [usize; 4], from: From<'_>) -> Vec<u32> {
    let (area, mut y) = (grid * grid, Vec::new());
    for (item, place, at) in (0..batch)
        .flat_map(|item| (0..area).map(move |place| (item, place)))
        .flat_map(|(item, place)| (0..9 * dim).map(move |at| (item, place, at)))
    {
        let number = from([place / grid, place % grid], at)
            .map(|([y, x], d)| (item * (lead + area) + lead + y * grid + x) * dim + d);
        y.push(number.map_or(0.0, |number| x[number]));
    }
    words(&y)
}

fn case(shape: [usize; 4]) -> Case {
    let [batch, grid, dim, lead] = shape;
    let mut random = Random::new((batch + grid * 31 + dim * 7 + lead) as u64);
    let x = random.floats(batch * (lead + grid * grid) * dim);
    // From a place by so much; beyond the grid there is nothing.
    let inside = move |[y, x]: [usize; 2], [dy, dx]: [usize; 2]| {
        let [py, px] = [(y + dy).checked_sub(1)?, (x + dx).checked_sub(1)?];
        (py < grid && px < grid).then_some([py, px])
    };
    let clamped = move |[y, x]: [usize; 2], [dy, dx]: [usize; 2]| {
        [(y + dy).saturating_sub(1).min(grid - 1), (x + dx).saturating_sub(1).min(grid - 1)]
    };
    let around =
        move |[y, x]: [usize; 2], [dy, dx]: [usize; 2]| [(y + dy + grid - 1) % grid, (x + dx + grid - 1) % grid];
    let order = |at: usize| (at / 9, [at / 3 % 3, at % 3]);
    let other = |from: From<'_>| by_hand(&x, shape, from);
    let mut others = vec![("the place itself everywhere", other(&|place, at| Some((place, order(at).0))))];
    if grid > 1 {
        others.push((
            "x and y exchanged",
            other(&|place, at| {
                let (d, [dy, dx]) = order(at);
                Some((inside(place, [dx, dy])?, d))
            }),
        ));
        others.push((
            "turned by half",
            other(&|place, at| {
                let (d, [dy, dx]) = order(at);
                Some((inside(place, [2 - dy, 2 - dx])?, d))
            }),
        ));
        others.push((
            "the grid transposed",
            other(&|[y, x], at| {
                let (d, step) = order(at);
                Some((inside([x, y], step)?, d))
            }),
        ));
    }
    others.push(("edges replicated", other(&|place, at| Some((clamped(place, order(at).1), order(at).0)))));
    others.push(("edges from the other side", other(&|place, at| Some((around(place, order(at).1), order(at).0)))));
    others.push((
        "columns last",
        other(&|place, at| {
            let (step, d) = (at / dim, at % dim);
            Some((inside(place, [step / 3, step % 3])?, d))
        }),
    ));
    let (acts, y, mut wrong) = with_others(vec![words(&x)], others, poison(batch * grid * grid * 9 * dim), batch);
    let [grid, dim, lead] = [grid, dim, lead].map(|n| n as u32);
    let right = Unfold { x: ActId(0), y, grid, dim, lead, taps: Taps::AROUND };
    let build = |change: fn(&mut Unfold)| changed(&right, &[], change);
    if lead > 0 {
        wrong.push(("the class token is a place too", build(|k| k.lead -= 1)));
    }
    if dim > 1 {
        wrong.push(("rows one shorter", build(|k| k.dim -= 1)));
    }
    Case {
        name: format!("unfold batch={batch} grid={grid} dim={dim} lead={lead}"),
        acts,
        rough: None,
        run: Run::items(batch as u32),
        right: build(|_| ()),
        wrong,
        // Copies.
        bound: None,
    }
}

/// Squares that are apart.
fn strides([batch, grid, dim, lead]: [usize; 4], [side, stride, padding]: [usize; 3]) -> Case {
    let x = Random::new((batch + grid * 31 + dim * 7 + side) as u64).floats(batch * (lead + grid * grid) * dim);
    let outputs = (grid + 2 * padding - side) / stride + 1;
    // From a square and a place in it: where in x that is, by row and column, which may lie beyond it.
    let other = |place: &dyn Fn([usize; 2], [usize; 2]) -> [isize; 2]| {
        let mut y = Vec::new();
        for (item, gy, gx) in
            (0..batch * outputs * outputs).map(|at| (at / (outputs * outputs), at / outputs % outputs, at % outputs))
        {
            for (d, dy, dx) in (0..dim * side * side).map(|at| (at / (side * side), at / side % side, at % side)) {
                let [row, column] = place([gy, gx], [dy, dx]);
                let inside = [row, column].iter().all(|at| (0..grid as isize).contains(at));
                let token = || item * (lead + grid * grid) + lead + row as usize * grid + column as usize;
                y.push(if inside { x[token() * dim + d] } else { 0.0 });
            }
        }
        words(&y)
    };
    let at = |stride: usize, padding: usize| {
        move |square: [usize; 2], inside: [usize; 2]| {
            [0, 1].map(|i| (square[i] * stride + inside[i]) as isize - padding as isize)
        }
    };
    let others = vec![
        ("squares one apart", other(&at(1, padding))),
        ("another padding", other(&at(stride, padding + 1))),
        ("rows and columns exchanged", other(&|[gy, gx], [dy, dx]| at(stride, padding)([gy, gx], [dx, dy]))),
    ];
    let numbers = batch * (outputs * side).pow(2) * dim;
    let (acts, y, wrong) = with_others(vec![words(&x)], others, poison(numbers), batch);
    let [side, stride, padding] = [side, stride, padding].map(|n| n as u32);
    let taps = Taps { side, stride, padding };
    let right = Unfold { x: ActId(0), y, grid: grid as u32, dim: dim as u32, lead: lead as u32, taps };
    Case {
        name: format!(
            "unfold batch={batch} grid={grid} dim={dim} lead={lead} side={side} stride={stride} padding={padding}"
        ),
        acts,
        rough: None,
        run: Run::items(batch as u32),
        right: changed(&right, &[], |_| ()),
        wrong,
        // Copies.
        bound: None,
    }
}

/// The naive twin and a product are a convolution as `torch.nn.Conv2d` has it, with padding 1 and a weight `[out, in, 3, 3]`.
pub fn is_what_a_convolution_sees() -> Result<(), Failed> {
    let [grid, dim, lead, outputs] = [4, 3, 1, 2];
    let mut random = Random::new(1);
    let (x, weight) = (random.floats((lead + grid * grid) * dim), random.floats(outputs * dim * 9));
    let mut unfolded = vec![0.0; grid * grid * 9 * dim];
    reference::unfold(&x, [grid, dim, lead], [3, 1, 1], &mut unfolded);
    for (place, row) in unfolded.chunks_exact(9 * dim).enumerate() {
        for o in 0..outputs {
            let found: f32 = row.iter().zip(&weight[o * 9 * dim..]).map(|(x, w)| x * w).sum();
            let mut expected = 0.0;
            for (d, dy, dx) in (0..9 * dim).map(|at| (at / 9, at / 3 % 3, at % 3)) {
                let (y, x_at) = ((place / grid + dy) as i32 - 1, (place % grid + dx) as i32 - 1);
                if (0..grid as i32).contains(&y) && (0..grid as i32).contains(&x_at) {
                    let pixel = x[(lead + y as usize * grid + x_at as usize) * dim + d];
                    expected += pixel * weight[((o * dim + d) * 3 + dy) * 3 + dx];
                }
            }
            assert!((found - expected).abs() < 1e-5, "{place}, {o}: expected {expected}, found {found}");
        }
    }
    Ok(())
}
