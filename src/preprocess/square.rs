//! A picture in the middle of a square of one colour, resized. The square is never made: it may be far larger than the picture.

use super::{Axis, HALF, Sampling, opaque, resample_onto, rows_of};

/// Most pixels between the passes: a picture may be a million pixels high.
const NARROW: usize = 4 << 20;

/// The reference: both passes over the square, whose sampling it is, on the CPU. `fill` is the colour beside the picture, as a word, which
/// resizes to itself.
pub fn resize_in_square(pixels: &[u32], [width, height]: [usize; 2], sampling: &Sampling, fill: u32) -> Vec<u32> {
    let (pixels, (w, h), square) = (opaque(pixels, sampling.alpha), sampling.size(), width.max(height));
    let (across, beside) = in_middle(&sampling.horizontal, square, width, fill);
    let (down, above) = in_middle(&sampling.vertical, square, height, fill);
    let mut columns = Vec::with_capacity(w * h);
    let most = (NARROW / height).max(1);
    for start in (0..w).step_by(most) {
        let some = start..(start + most).min(w);
        let part = Axis { first: across.first[some.clone()].into(), weights: across.weights[some.clone()].into() };
        let count = some.len();
        let narrow = resample_onto(&beside[some], &pixels, &part, 1, width, height);
        columns.extend(resample_onto(&above, &narrow, &down, count, 1, count));
    }
    rows_of(&columns, w, h)
}

/// Of an axis over the square the part over `count` pixels in its middle, and what the colour beside them adds to each output's channels.
fn in_middle(axis: &Axis, square: usize, count: usize, fill: u32) -> (Axis, Vec<[i32; 3]>) {
    let start = (square - count) / 2;
    let mut part = axis.within(start..start + count);
    part.first.iter_mut().for_each(|first| *first -= start);
    let sum = |weights: &Vec<i32>| weights.iter().sum::<i32>();
    let of_output = |(all, inside)| {
        let rest = sum(all) - sum(inside);
        [0, 8, 16].map(|shift| HALF + rest * (fill >> shift & 255) as i32)
    };
    let beside = axis.weights.iter().zip(&part.weights).map(of_output).collect();
    (part, beside)
}
