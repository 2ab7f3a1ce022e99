use ocelli::{
    kernels::{ActId, Run, Windows},
    random::Random,
};

use crate::case::{Case, changed, poison, with_others, words};

pub fn cases() -> Vec<Case> {
    // Items, side, window, columns: one window and no rest, a window wider than the grid, a rest, several windows without one.
    let shapes = [(2, 3, 3, 4), (1, 3, 5, 7), (2, 23, 5, 3), (3, 6, 4, 5), (1, 24, 12, 16)];
    shapes
        .iter()
        .flat_map(|&(batch, grid, window, dim)| [false, true].map(|back| case([batch, grid, window, dim], back)))
        .collect()
}

fn case([batch, grid, window, dim]: [usize; 4], back: bool) -> Case {
    let across = grid.div_ceil(window);
    let (area, all) = (grid * grid, (across * window).pow(2));
    let (from, to) = if back { (all, area) } else { (area, all) };
    let x = Random::new((batch + grid * 31 + window * 7 + dim) as u64).floats(batch * from * dim);
    // Of a row of y the row of x that it is, by window and place in it; none beyond the grid.
    let other = |places: &dyn Fn([usize; 2], [usize; 2]) -> [usize; 2]| {
        let mut rows = vec![None; to];
        for (at, inside) in (0..across * across).flat_map(|at| (0..window * window).map(move |inside| (at, inside))) {
            let row = at * window * window + inside;
            let [gy, gx] = places([at / across, at % across], [inside / window, inside % window]);
            if gy < grid && gx < grid {
                let place = gy * grid + gx;
                if back { rows[place] = Some(row) } else { rows[row] = Some(place) }
            }
        }
        let of = |item: usize, row: usize, d: usize| rows[row].map_or(0.0, |at| x[(item * from + at) * dim + d]);
        let numbers = (0..batch * to * dim).map(|at| of(at / dim / to, at / dim % to, at % dim));
        words(&numbers.collect::<Vec<f32>>())
    };
    let place = |at: [usize; 2], inside: [usize; 2]| [0, 1].map(|i| at[i] * window + inside[i]);
    let mut others = vec![("columns first inside a window", other(&|at, [y, x]| place(at, [x, y])))];
    if across > 1 {
        others.push(("windows column by column", other(&|[y, x], inside| place([x, y], inside))));
        others.push((
            "every so manyth place in a window",
            other(&|at, inside| [0, 1].map(|i| inside[i] * across + at[i])),
        ));
    }
    if grid % window > 0 && !back {
        let clamped = |at: [usize; 2], inside: [usize; 2]| place(at, inside).map(|at| at.min(grid - 1));
        others.push(("edges replicated", other(&clamped)));
    }
    let (acts, y, mut wrong) = with_others(vec![words(&x)], others, poison(batch * to * dim), batch);
    let right = Windows { x: ActId(0), y, grid: grid as u32, window: window as u32, dim: dim as u32, back };
    if across > 1 {
        wrong.push(("the other way", changed(&right, &[], |k| k.back = !k.back)));
    }
    Case {
        name: format!("windows batch={batch} grid={grid} window={window} dim={dim} back={back}"),
        acts,
        rough: None,
        run: Run::items(batch as u32),
        right: changed(&right, &[], |_| ()),
        wrong,
        // Copies.
        bound: None,
    }
}
