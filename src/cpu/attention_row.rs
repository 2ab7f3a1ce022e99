//! Attention for few queries: keys and values are read once, where they are.

use pulp::{Simd, WithSimd};

use super::{
    attention::{Head, heads},
    dispatch,
    math::{cap, softmax},
};
use crate::{reference::Heads, threads::Threads};

/// Keys that all heads see before any sees the next ones. A token's keys and values lie side by side for all heads, so memory is read in
/// order; head by head most of the time goes into waiting for it.
const BLOCK: usize = 32;

/// As [`super::attention`], which packs keys and values for many queries.
pub fn attention_row(threads: &Threads, shape: &Heads, q: &[f32], kv: &[f32], y: &mut [f32], stride: usize) {
    let (heads, flops) = heads(shape, q, kv, y, stride);
    let each = shape.heads.div_ceil(threads.count());
    let (mut heads, mut parts) = (heads.into_iter(), Vec::new());
    for _ in 0..shape.batch {
        for first in (0..shape.heads).step_by(each) {
            parts.push(ByRow(heads.by_ref().take(each.min(shape.heads - first)).collect()));
        }
    }
    threads.each(parts, flops, dispatch);
}

/// Heads of an item.
struct ByRow<'a>(Vec<Head<'a>>);

impl WithSimd for ByRow<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let (shape, item) = (self.0[0].shape, self.0[0].item);
        let kv_len = shape.kv_len;
        let mut scores = vec![0.0; self.0.len() * kv_len];
        for i in 0..shape.q_len {
            let seen = shape.keys_seen(item, i);
            for first in seen.clone().step_by(BLOCK) {
                for (head, scores) in self.0.iter().zip(scores.chunks_exact_mut(kv_len)) {
                    let query = head.query(i);
                    let keys = first..seen.end.min(first + BLOCK);
                    for (score, j) in scores[keys.clone()].iter_mut().zip(keys) {
                        *score = dot(simd, query, head.key(j)) * shape.scale;
                    }
                }
            }
            for (head, scores) in self.0.iter_mut().zip(scores.chunks_exact_mut(kv_len)) {
                let scores = &mut scores[seen.clone()];
                if let Some(most) = shape.cap {
                    cap(scores, most);
                }
                softmax(scores);
                head.y[i].fill(0.0);
            }
            for first in seen.clone().step_by(BLOCK) {
                for (head, shares) in self.0.iter_mut().zip(scores.chunks_exact(kv_len)) {
                    let keys = first..seen.end.min(first + BLOCK);
                    for (share, j) in shares[keys.clone()].iter().zip(keys) {
                        let value = head.value(j);
                        add(simd, *share, value, head.y[i]);
                    }
                }
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
