//! Attention for few queries: keys and values are read once, where they are.

use pulp::{Simd, WithSimd};

use super::{
    attention::{Head, heads},
    dispatch,
    math::{cap, softmax},
};
use crate::{reference::Heads, threads::Threads};

/// As [`super::attention`], which packs keys and values for many queries.
pub fn attention_row(threads: &Threads, shape: &Heads, q: &[f32], kv: &[f32], y: &mut [f32], stride: usize) {
    let (parts, flops) = heads(shape, q, kv, y, stride);
    threads.each(parts, flops, |head| dispatch(ByRow(head)));
}

struct ByRow<'a>(Head<'a>);

impl WithSimd for ByRow<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let mut scores = vec![0.0; self.0.shape.kv_len];
        for i in 0..self.0.y.len() {
            let Head { shape, item, .. } = self.0;
            let (query, seen) = (self.0.query(i), shape.keys_seen(item, i));
            let scores = &mut scores[seen.clone()];
            for (score, j) in scores.iter_mut().zip(seen.clone()) {
                *score = dot(simd, query, self.0.key(j)) * shape.scale;
            }
            if let Some(most) = shape.cap {
                cap(scores, most);
            }
            softmax(scores);
            self.0.y[i].fill(0.0);
            for (share, j) in scores.iter().zip(seen) {
                let value = self.0.value(j);
                add(simd, *share, value, self.0.y[i]);
            }
        }
    }
}

/// Σ a · b
#[inline(always)]
fn dot<S: Simd>(simd: S, a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (S::as_simd_f32s(a), S::as_simd_f32s(b));
    let mut sums = simd.splat_f32s(0.0);
    for (a, b) in a.iter().zip(b) {
        sums = simd.mul_add_e_f32s(*a, *b, sums);
    }
    let mut sum = simd.reduce_sum_f32s(sums);
    for (a, b) in a_rest.iter().zip(b_rest) {
        sum += a * b;
    }
    sum
}

/// y += by · x
#[inline(always)]
fn add<S: Simd>(simd: S, by: f32, x: &[f32], y: &mut [f32]) {
    let ((x, x_rest), (y, y_rest)) = (S::as_simd_f32s(x), S::as_mut_simd_f32s(y));
    let all = simd.splat_f32s(by);
    for (y, x) in y.iter_mut().zip(x) {
        *y = simd.mul_add_e_f32s(all, *x, *y);
    }
    for (y, x) in y_rest.iter_mut().zip(x_rest) {
        *y += by * x;
    }
}
