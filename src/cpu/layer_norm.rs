//! Layer norm in f32.

use pulp::{Simd, WithSimd};

use super::{dispatch, math::sum};
use crate::threads::Threads;

/// Numbers that a thread works on at a time.
const NUMBERS: usize = 1 << 15;

/// y = (x - mean) / √(variance + eps) · weight + bias, for each row of x and y, `[rows, dim]`.
pub fn layer_norm(threads: &Threads, x: &[f32], weight: &[f32], bias: &[f32], eps: f32, y: &mut [f32]) {
    let dim = weight.len();
    let rows = NUMBERS.div_ceil(dim);
    let parts = x.chunks(rows * dim).zip(y.chunks_mut(rows * dim));
    let parts = parts.map(|(x, y)| Part { x, weight, bias, eps, y }).collect();
    threads.each(parts, 8 * x.len() as u64, dispatch);
}

struct Part<'a> {
    x: &'a [f32],
    weight: &'a [f32],
    bias: &'a [f32],
    eps: f32,
    y: &'a mut [f32],
}

impl WithSimd for Part<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let dim = self.weight.len();
        for (x, y) in self.x.chunks_exact(dim).zip(self.y.chunks_exact_mut(dim)) {
            let mean = sum(x, |x| x) / dim as f32;
            let variance = sum(x, |x| (x - mean) * (x - mean)) / dim as f32;
            let scale = 1.0 / (variance + self.eps).sqrt();
            for (((y, x), weight), bias) in y.iter_mut().zip(x).zip(self.weight).zip(self.bias) {
                *y = (x - mean) * scale * weight + bias;
            }
        }
    }
}
