//! RMS norm in f32.

use pulp::{Simd, WithSimd};

use super::{dispatch, math::sum};
use crate::threads::Threads;

/// Numbers that a thread works on at a time.
const NUMBERS: usize = 1 << 15;

/// y = x / √(mean(x²) + eps) · factors, for each row of x and y, `[rows, dim]`; added to what y holds if `accumulate`.
pub fn rms_norm(threads: &Threads, x: &[f32], factors: &[f32], (eps, accumulate): (f32, bool), y: &mut [f32]) {
    let dim = factors.len();
    let rows = NUMBERS.div_ceil(dim);
    let parts = x.chunks(rows * dim).zip(y.chunks_mut(rows * dim));
    let parts = parts.map(|(x, y)| Part { x, factors, eps, accumulate, y }).collect();
    threads.each(parts, 4 * x.len() as u64, dispatch);
}

struct Part<'a> {
    x: &'a [f32],
    factors: &'a [f32],
    eps: f32,
    accumulate: bool,
    y: &'a mut [f32],
}

impl WithSimd for Part<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let dim = self.factors.len();
        for (x, y) in self.x.chunks_exact(dim).zip(self.y.chunks_exact_mut(dim)) {
            let scale = 1.0 / (sum(x, |x| x * x) / dim as f32 + self.eps).sqrt();
            for ((y, x), factor) in y.iter_mut().zip(x).zip(self.factors) {
                *y = x * scale * factor + if self.accumulate { *y } else { 0.0 };
            }
        }
    }
}
