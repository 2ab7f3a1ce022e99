//! Attention as two matrix products a head, with the softmax between them.

use super::{
    math::softmax,
    threads::{in_parallel, threads},
    tile::{Rows, WIDTH, column, product},
};
use crate::reference::Heads;

/// y = softmax(q·kᵀ / √size)·v for each head; shapes are those of [`Heads`].
pub fn attention(shape: &Heads, q: &[f32], kv: &[f32], y: &mut [f32]) {
    let width = shape.heads * shape.size;
    let flops = 4 * (shape.q_len * shape.kv_len * width) as u64;
    let share = shape.q_len.div_ceil(threads(flops));
    for (item, y) in y.chunks_exact_mut(shape.q_len * width).enumerate() {
        let (q, kv) = (&q[item * shape.q_item..], &kv[item * shape.kv_item..]);
        let parts = y.chunks_mut(share * width).enumerate();
        in_parallel(parts, |(part, y)| queries(shape, item, part * share, y, q, kv));
    }
}

/// Some queries of an item, from number `first` on.
fn queries(shape: &Heads, item: usize, first: usize, y: &mut [f32], q: &[f32], kv: &[f32]) {
    let (size, kv_len, width) = (shape.size, shape.kv_len, shape.heads * shape.size);
    let count = y.len() / width;
    let scale = 1.0 / (size as f32).sqrt();
    let mut scores = vec![0.0; count * kv_len];
    let mut keys = vec![[0.0; WIDTH]; size];
    let mut values = vec![[0.0; WIDTH]; kv_len];
    for head in 0..shape.heads {
        let token = |j: usize, offset: usize| &kv[j * shape.kv_stride + offset + head * size..][..size];
        let queries = Rows { data: &q[first * shape.q_stride + head * size..], count, stride: shape.q_stride };
        for start in (0..kv_len).step_by(WIDTH) {
            let some = WIDTH.min(kv_len - start);
            (0..some).for_each(|at| column(&mut keys, at, token(start + at, shape.k)));
            product(queries, &keys, |row, sums| {
                scores[row * kv_len + start..][..some].copy_from_slice(&sums.map(|sum| sum * scale)[..some]);
            });
        }
        for (row, scores) in scores.chunks_exact_mut(kv_len).enumerate() {
            let (seen, unseen) = scores.split_at_mut(shape.keys_seen(item, first + row));
            softmax(seen);
            unseen.fill(0.0);
        }
        let shares = Rows { data: &scores, count, stride: kv_len };
        for start in (0..size).step_by(WIDTH) {
            let some = WIDTH.min(size - start);
            for (j, panel) in values.iter_mut().enumerate() {
                panel[..some].copy_from_slice(&token(j, shape.v)[start..start + some]);
            }
            product(shares, &values, |row, sums| {
                y[row * width + head * size + start..][..some].copy_from_slice(&sums[..some]);
            });
        }
    }
}
