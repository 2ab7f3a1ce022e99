//! Unit length in f32.

use pulp::{Simd, WithSimd};

use super::{dispatch, math::sum};
use crate::threads::Threads;

/// Numbers that a thread works on at a time.
const NUMBERS: usize = 1 << 15;

/// y = x / (‖x‖ + eps), for each row of x and y, `[rows, dim]`.
pub fn normalize(threads: &Threads, x: &[f32], dim: usize, eps: f32, y: &mut [f32]) {
    let rows = NUMBERS.div_ceil(dim);
    let parts = x.chunks(rows * dim).zip(y.chunks_mut(rows * dim));
    let parts = parts.map(|(x, y)| Part { x, dim, eps, y }).collect();
    threads.each(parts, 5 * x.len() as u64, dispatch);
}

struct Part<'a> {
    x: &'a [f32],
    dim: usize,
    eps: f32,
    y: &'a mut [f32],
}

impl WithSimd for Part<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (x, y) in self.x.chunks_exact(self.dim).zip(self.y.chunks_exact_mut(self.dim)) {
            // By the largest number first: the squares of a long row must not overflow, nor those of a short one vanish.
            let peak = x.iter().fold(0.0f32, |peak, x| if x.abs() > peak { x.abs() } else { peak }).max(1e-30);
            let length = (sum(x, |x| (x / peak) * (x / peak)).sqrt() + self.eps / peak).max(1e-30);
            y.iter_mut().zip(x).for_each(|(y, x)| *y = x / peak / length);
        }
    }
}
