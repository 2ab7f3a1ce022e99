//! Attention as two matrix products a head, with the softmax between them.

use pulp::{Simd, WithSimd};

use super::{
    columns::columns,
    dispatch,
    math::{cap, softmax},
    tile::{Rows, product},
};
use crate::{
    config::WRITES,
    quant::{PANEL, Panel},
    reference::Heads,
    threads::Threads,
};

/// Queries whose scores are in memory at a time.
const QUERIES: usize = 96;

/// y = softmax(cap(q·kᵀ · scale))·v for each head; shapes are those of [`Heads`]. A row of y has `stride` numbers, of which these heads
/// are the first.
pub fn attention(threads: &Threads, shape: &Heads, q: &[f32], kv: &[f32], y: &mut [f32], stride: usize) {
    let (parts, flops) = heads(shape, q, kv, y, stride);
    threads.each(parts, flops, dispatch);
}

/// The heads of every item, and the additions and multiplications in them.
pub(super) fn heads<'a>(
    shape: &'a Heads,
    q: &'a [f32],
    kv: &'a [f32],
    y: &'a mut [f32],
    stride: usize,
) -> (Vec<Head<'a>>, u64) {
    let width = shape.heads * shape.size;
    let mut parts = Vec::new();
    for (item, y) in y.chunks_exact_mut(shape.q_len * stride).enumerate() {
        let (q, kv) = (&q[item * shape.q_item..], &kv[item * shape.kv_item..]);
        let heads = columns(y, stride, width, shape.size).into_iter().enumerate();
        parts.extend(heads.map(|(head, y)| Head { shape, item, head, q, kv, y }));
    }
    (parts, 4 * (shape.batch * shape.q_len * shape.kv_len * width) as u64)
}

/// One head of an item.
pub(super) struct Head<'a> {
    pub shape: &'a Heads,
    pub item: usize,
    head: usize,
    q: &'a [f32],
    kv: &'a [f32],
    /// For each query, the outputs of this head.
    pub y: Vec<&'a mut [f32]>,
}

impl<'a> Head<'a> {
    pub fn query(&self, i: usize) -> &'a [f32] {
        &self.q[i * self.shape.q_stride + self.head * self.shape.size..][..self.shape.size]
    }

    pub fn key(&self, j: usize) -> &'a [f32] {
        self.part(j, self.shape.k)
    }

    pub fn value(&self, j: usize) -> &'a [f32] {
        self.part(j, self.shape.v)
    }

    fn part(&self, j: usize, offset: usize) -> &'a [f32] {
        &self.kv[j * self.shape.kv_stride + offset + self.shape.shared(self.head)..][..self.shape.size]
    }
}

impl WithSimd for Head<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let Heads { size, kv_len, q_len, scale, .. } = *self.shape;
        // Keys that no query sees are left out.
        let start = self.shape.keys_seen(self.item, 0).start;
        let kv_len = kv_len - start;
        let mut keys = vec![[0.0; PANEL]; kv_len.div_ceil(PANEL) * size];
        let mut values = vec![[0.0; PANEL]; size.div_ceil(PANEL) * kv_len];
        for j in 0..kv_len {
            let panel = &mut keys[j / PANEL * size..][..size];
            panel.iter_mut().zip(self.key(start + j)).for_each(|(row, key)| row[j % PANEL] = *key);
            for (panel, part) in self.value(start + j).chunks(PANEL).enumerate() {
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
                let seen = self.shape.keys_seen(self.item, first + row);
                scores[..seen.start - start].fill(0.0);
                scores[seen.end - start..].fill(0.0);
                let seen = &mut scores[seen.start - start..seen.end - start];
                if WRITES && let Some(most) = self.shape.cap {
                    cap(seen, most);
                }
                softmax(seen);
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
