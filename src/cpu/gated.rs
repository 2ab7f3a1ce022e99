//! The gate of a gated MLP, in f32.

use pulp::{Simd, WithSimd};

use super::{dispatch, math::activate};
use crate::{config::Activation, threads::Threads};

/// Numbers that a thread works on at a time.
const NUMBERS: usize = 1 << 14;

/// y = activation(gate) · up, for each row of x, `[rows, 2 · dim]`, and of y, `[rows, dim]`.
pub fn gated(threads: &Threads, x: &[f32], dim: usize, activation: Activation, y: &mut [f32]) {
    let rows = NUMBERS.div_ceil(dim);
    let work = 16 * y.len() as u64;
    let parts = x.chunks(rows * 2 * dim).zip(y.chunks_mut(rows * dim));
    threads.each(parts.map(|(x, y)| Part { x, dim, activation, y }).collect(), work, dispatch);
}

struct Part<'a> {
    x: &'a [f32],
    dim: usize,
    activation: Activation,
    y: &'a mut [f32],
}

impl WithSimd for Part<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (x, y) in self.x.chunks_exact(2 * self.dim).zip(self.y.chunks_exact_mut(self.dim)) {
            let (gate, up) = x.split_at(self.dim);
            y.copy_from_slice(gate);
            activate(self.activation, y);
            for (y, up) in y.iter_mut().zip(up) {
                *y *= up;
            }
        }
    }
}
