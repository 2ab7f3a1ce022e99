use ocelli::{
    kernels::{ActId, PixelShuffle, Run},
    random::Random,
};

use crate::case::{Case, changed, poison, with_others, words};

pub fn cases() -> Vec<Case> {
    // Items, side, tokens along a square's side, rows before the grid, columns: a copy, one square, tails, a published shape.
    let shapes = [(2, 3, 1, 1, 5), (1, 2, 2, 0, 3), (3, 6, 2, 0, 7), (2, 6, 3, 1, 4), (1, 32, 4, 0, 12)];
    shapes.map(|(batch, grid, scale, lead, dim)| case([batch, grid, scale, lead, dim])).into()
}

/// For each number of y the row and the column of x that it is from, by the square, the place in it, and the column.
type From<'a> = &'a dyn Fn([usize; 2], [usize; 2], usize) -> ([usize; 2], usize);

fn by_hand(x: &[f32], [batch, grid, scale, lead, dim]: [usize; 5], from: From<'_>) -> Vec<u32> {
    let (across, square) = (grid / scale, scale * scale);
    let item = |b: usize| &x[b * (lead + grid * grid) * dim..];
    let number = |b: usize, row: usize, at: usize| {
        let (inside, d) = (at / dim, at % dim);
        let ([y, x], d) = from([row / across, row % across], [inside / scale, inside % scale], d);
        item(b)[(lead + y * grid + x) * dim + d]
    };
    let each = (0..batch).flat_map(|b| (0..across * across).map(move |row| (b, row)));
    words(&each.flat_map(|(b, row)| (0..square * dim).map(move |at| number(b, row, at))).collect::<Vec<_>>())
}

fn case(shape: [usize; 5]) -> Case {
    let [batch, grid, scale, lead, dim] = shape;
    let x = Random::new((batch + grid * 31 + scale * 7 + lead + dim) as u64).floats(batch * (lead + grid * grid) * dim);
    let across = grid / scale;
    let place = move |square: [usize; 2], inside: [usize; 2]| [0, 1].map(|i| square[i] * scale + inside[i]);
    let other = |from: From<'_>| by_hand(&x, shape, from);
    let mut others = Vec::new();
    if grid > 1 {
        others.push(("the grid transposed", other(&|[y, x], inside, d| (place([x, y], inside), d))));
        others.retain(|_| across > 1);
    }
    if scale > 1 {
        others.push(("columns first inside a square", other(&|square, [y, x], d| (place(square, [x, y]), d))));
        let strided = |square: [usize; 2], inside: [usize; 2]| [0, 1].map(|i| inside[i] * across + square[i]);
        if across > 1 {
            others.push(("strides in place of squares", other(&|square, inside, d| (strided(square, inside), d))));
        }
        others.push((
            "columns of x outermost",
            other(&|square, [y, x], d| {
                let at = (y * scale + x) * dim + d;
                let (d, inside) = (at / (scale * scale), at % (scale * scale));
                (place(square, [inside / scale, inside % scale]), d)
            }),
        ));
    }
    let (acts, y, mut wrong) = with_others(vec![words(&x)], others, poison(batch * grid * grid * dim), batch);
    let right =
        PixelShuffle { x: ActId(0), y, grid: grid as u32, scale: scale as u32, lead: lead as u32, dim: dim as u32 };
    if lead > 0 {
        wrong.push(("the class token is a patch", changed(&right, &[], |k| k.lead = 0)));
    }
    Case {
        name: format!("pixel_shuffle batch={batch} grid={grid} scale={scale} lead={lead} dim={dim}"),
        acts,
        rough: None,
        run: Run::items(batch as u32),
        right: changed(&right, &[], |_| ()),
        wrong,
        bound: None,
    }
}
