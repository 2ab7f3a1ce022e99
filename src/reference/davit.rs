//! What DaViT has beside matrix products, layer norms and attention: Florence-2's picture tower.

use super::{each, softmax};

/// `shaders/depthwise.wgsl`; `[grid², dim]` an item, the weight is `[dim, 3, 3]`
#[must_use]
pub fn depthwise(x: &[f32], weight: &[f32], bias: &[f32], grid: usize) -> Vec<f32> {
    let (dim, area) = (bias.len(), grid * grid);
    each(x.len() / dim, 18 * dim, |row| {
        let (item, gy, gx) = (row / area, row % area / grid, row % grid);
        let number = |d: usize| {
            let mut sum = f64::from(x[row * dim + d]) + f64::from(bias[d]);
            for (dy, dx) in (0..9).map(|tap| (tap / 3, tap % 3)) {
                // One more than the place, so that nothing is below 0.
                let (py, px) = (gy + dy, gx + dx);
                if (1..=grid).contains(&py) && (1..=grid).contains(&px) {
                    let token = item * area + (py - 1) * grid + px - 1;
                    sum += f64::from(weight[9 * d + 3 * dy + dx]) * f64::from(x[token * dim + d]);
                }
            }
            sum as f32
        };
        (0..dim).map(number).collect::<Vec<_>>()
    })
    .concat()
}

/// `shaders/windows.wgsl`
pub fn windows(x: &[f32], [grid, window, dim]: [usize; 3], back: bool, y: &mut [f32]) {
    let across = grid.div_ceil(window);
    let (area, all) = (grid * grid, (across * window).pow(2));
    // Of a place in the grid its row among windows.
    let row_of = |gy: usize, gx: usize| {
        let at = gy / window * across + gx / window;
        at * window * window + gy % window * window + gx % window
    };
    if !back {
        y.fill(0.0);
    }
    let items = y.len() / dim / if back { area } else { all };
    for (item, gy, gx) in (0..items * area).map(|at| (at / area, at % area / grid, at % grid)) {
        let (place, row) = (item * area + gy * grid + gx, item * all + row_of(gy, gx));
        let (from, to) = if back { (row, place) } else { (place, row) };
        y[to * dim..][..dim].copy_from_slice(&x[from * dim..][..dim]);
    }
}

/// `shaders/channel_scores.wgsl`
#[must_use]
pub fn channel_scores(qkv: &[f32], [tokens, groups, size]: [usize; 3]) -> Vec<f32> {
    let dim = groups * size;
    let items = qkv.len() / (3 * tokens * dim);
    each(items * dim, 2 * tokens * size, |row| {
        let (item, c) = (row / dim, row % dim);
        let token = |t: usize| &qkv[(item * tokens + t) * 3 * dim..][..2 * dim];
        let score = |d: usize| {
            let of = |t: usize| f64::from(token(t)[c]) * f64::from(token(t)[dim + c / size * size + d]);
            (0..tokens).map(of).sum::<f64>() / (tokens as f64).sqrt()
        };
        softmax(&(0..size).map(score).collect::<Vec<_>>()).into_iter().map(|share| share as f32).collect::<Vec<_>>()
    })
    .concat()
}

/// `shaders/channel_mix.wgsl`
#[must_use]
pub fn channel_mix(shares: &[f32], qkv: &[f32], [tokens, groups, size]: [usize; 3]) -> Vec<f32> {
    let dim = groups * size;
    each(qkv.len() / (3 * dim), 2 * dim * size, |row| {
        let v = &qkv[(row * 3 + 2) * dim..][..dim];
        let number = |c: usize| {
            let own = &shares[(row / tokens * dim + c) * size..][..size];
            let v = &v[c / size * size..][..size];
            own.iter().zip(v).map(|(&share, &v)| f64::from(share) * f64::from(v)).sum::<f64>() as f32
        };
        (0..dim).map(number).collect::<Vec<_>>()
    })
    .concat()
}

/// `shaders/prepend_mean.wgsl`
#[must_use]
pub fn prepend_mean(x: &[f32], rows: usize, dim: usize) -> Vec<f32> {
    let item = |x: &[f32]| {
        let mean = |d: usize| x.iter().skip(d).step_by(dim).map(|&x| f64::from(x)).sum::<f64>() / rows as f64;
        (0..dim).map(|d| mean(d) as f32).chain(x.iter().copied()).collect::<Vec<_>>()
    };
    x.chunks_exact(rows * dim).flat_map(item).collect()
}
