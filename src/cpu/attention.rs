//! Attention as two matrix products a head, with the softmax between them.

use pulp::{Simd, WithSimd};

use super::{
    columns::columns,
    dispatch,
    math::softmax,
    tile::{Rows, product},
};
use crate::{
    quant::{PANEL, Panel},
    reference::Heads,
    threads::Threads,
};

/// Queries whose scores are in memory at a time.
const QUERIES: usize = 96;

/// y = softmax(q·kᵀ / √size)·v for each head; shapes are those of [`Heads`]. A row of y has `stride` numbers, of which these heads are the
/// first.
pub fn attention(threads: &Threads, shape: &Heads, q: &[f32], kv: &[f32], y: &mut [f32], stride: usize) {
    let width = shape.heads * shape.size;
    let flops = 4 * (shape.batch * shape.q_len * shape.kv_len * width) as u64;
    let mut parts = Vec::new();
    for (item, y) in y.chunks_exact_mut(shape.q_len * stride).enumerate() {
        let (q, kv) = (&q[item * shape.q_item..], &kv[item * shape.kv_item..]);
        let heads = columns(y, stride, width, shape.size).into_iter().enumerate();
        parts.extend(heads.map(|(head, y)| Head { shape, item, head, q, kv, y }));
    }
    threads.each(parts, flops, dispatch);
}

/// One head of an item.
struct Head<'a> {
    shape: &'a Heads,
    item: usize,
    head: usize,
    q: &'a [f32],
    kv: &'a [f32],
    /// For each query, the outputs of this head.
    y: Vec<&'a mut [f32]>,
}

impl WithSimd for Head<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let Heads { size, kv_len, q_len, .. } = *self.shape;
        let scale = 1.0 / (size as f32).sqrt();
        let token = |j: usize, offset: usize| &self.kv[j * self.shape.kv_stride + offset + self.head * size..][..size];
        let mut keys = vec![[0.0; PANEL]; kv_len.div_ceil(PANEL) * size];
        let mut values = vec![[0.0; PANEL]; size.div_ceil(PANEL) * kv_len];
        for j in 0..kv_len {
            let panel = &mut keys[j / PANEL * size..][..size];
            panel.iter_mut().zip(token(j, self.shape.k)).for_each(|(row, key)| row[j % PANEL] = *key);
            for (panel, part) in token(j, self.shape.v).chunks(PANEL).enumerate() {
                values[panel * kv_len + j][..part.len()].copy_from_slice(part);
            }
        }
        let keys: Vec<&Panel> = keys.chunks_exact(size).collect();
        let values: Vec<&Panel> = values.chunks_exact(kv_len).collect();
        let mut scores = vec![0.0; QUERIES.min(q_len) * kv_len];
        let q = Rows { data: &self.q[self.head * size..], count: q_len, stride: self.shape.q_stride };
        for first in (0..q_len).step_by(QUERIES) {
            let count = QUERIES.min(q_len - first);
            product(
                simd,
                q.part(first, count),
                &keys,
                #[inline(always)]
                |row, panel, sums| {
                    let scores = &mut scores[row * kv_len + panel * PANEL..(row + 1) * kv_len];
                    scores.iter_mut().zip(sums).for_each(|(score, sum)| *score = sum * scale);
                },
            );
            for (row, scores) in scores.chunks_exact_mut(kv_len).take(count).enumerate() {
                let (seen, unseen) = scores.split_at_mut(self.shape.keys_seen(self.item, first + row));
                softmax(seen);
                unseen.fill(0.0);
            }
            product(
                simd,
                Rows { data: &scores, count, stride: kv_len },
                &values,
                #[inline(always)]
                |row, panel, sums| {
                    let y = &mut self.y[first + row][panel * PANEL..];
                    y.iter_mut().zip(sums).for_each(|(y, sum)| *y = sum);
                },
            );
        }
    }
}
