//! A convolution of 3 × 3 of each column by itself, in f32.

use pulp::{Simd, WithSimd};

use super::dispatch;
use crate::threads::Threads;

/// y = x + conv(x) + bias, of grids `[grid, grid, dim]`, zeros beyond them; the weight is `[dim, 3, 3]`.
pub fn depthwise(threads: &Threads, x: &[f32], weight: &[f32], bias: &[f32], grid: usize, y: &mut [f32]) {
    let dim = bias.len();
    // The numbers of a tap are neighbours, and those of x are in the one in the middle.
    let tap = |tap: usize| (0..dim).map(move |d| weight[9 * d + tap] + f32::from(u8::from(tap == 4)));
    let taps: Vec<f32> = (0..9).flat_map(tap).collect();
    let lines = y.chunks_mut(grid * dim).enumerate();
    let parts = lines.map(|(line, y)| {
        let item = &x[line / grid * grid * grid * dim..][..grid * grid * dim];
        Part { item, taps: &taps, bias, grid, line: line % grid, y }
    });
    threads.each(parts.collect(), 9 * x.len() as u64, dispatch);
}

/// A line of the grid.
struct Part<'a> {
    item: &'a [f32],
    taps: &'a [f32],
    bias: &'a [f32],
    grid: usize,
    line: usize,
    y: &'a mut [f32],
}

impl WithSimd for Part<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let (grid, dim) = (self.grid, self.bias.len());
        for (column, y) in self.y.chunks_exact_mut(dim).enumerate() {
            y.copy_from_slice(self.bias);
            for (tap, weight) in self.taps.chunks_exact(dim).enumerate() {
                // One more than the place, so that nothing is below 0.
                let (row, column) = (self.line + tap / 3, column + tap % 3);
                if (1..=grid).contains(&row) && (1..=grid).contains(&column) {
                    let x = &self.item[((row - 1) * grid + column - 1) * dim..][..dim];
                    for ((y, x), weight) in y.iter_mut().zip(x).zip(weight) {
                        *y += x * weight;
                    }
                }
            }
        }
    }
}
