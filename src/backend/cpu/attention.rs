//! Attention as two matrix products a head, with the softmax between them.

use std::mem;

use super::{
    math::softmax,
    matmul::{in_parallel, threads},
    product::{Rows, WIDTH, column, product},
};
use crate::{
    config::Mask,
    kernels::{Attention, Host, Kernel},
};

/// [`Attention`], as `shaders/attention.wgsl` has it.
pub fn run(a: &Attention, batch: u32, host: &mut Host) {
    let width = (a.heads * a.head_size) as usize;
    let (q_len, kv_len) = (a.q.len as usize, a.kv.len as usize);
    let mut act = mem::take(&mut host.acts[a.y.0]);
    let y: &mut [f32] = &mut bytemuck::cast_slice_mut(&mut act)[..batch as usize * q_len * width];
    let (q, kv) = (host.floats(a.q.act), host.floats(a.kv.act));
    let share = q_len.div_ceil(threads(a.flops(batch) / u64::from(batch)));
    for (item, y) in y.chunks_exact_mut(q_len * width).enumerate() {
        let kv = &kv[item * kv_len * a.kv.stride as usize..];
        let q = &q[if a.q.shared { 0 } else { item * q_len * a.q.stride as usize }..];
        in_parallel(y.chunks_mut(share * width).enumerate(), |(part, y)| queries(a, part * share, y, q, kv));
    }
    host.acts[a.y.0] = act;
}

/// Some queries of an item, from number `first` on.
fn queries(a: &Attention, first: usize, y: &mut [f32], q: &[f32], kv: &[f32]) {
    let (size, kv_len) = (a.head_size as usize, a.kv.len as usize);
    let (q_stride, kv_stride) = (a.q.stride as usize, a.kv.stride as usize);
    let width = a.heads as usize * size;
    let count = y.len() / width;
    let scale = 1.0 / (size as f32).sqrt();
    let mut scores = vec![0.0; count * kv_len];
    let mut keys = vec![[0.0; WIDTH]; size];
    let mut values = vec![[0.0; WIDTH]; kv_len];
    for head in 0..a.heads as usize {
        let token = |j: usize, offset: u32| &kv[j * kv_stride + offset as usize + head * size..][..size];
        let queries = Rows { data: &q[first * q_stride + head * size..], count, stride: q_stride };
        for start in (0..kv_len).step_by(WIDTH) {
            let some = WIDTH.min(kv_len - start);
            (0..some).for_each(|at| column(&mut keys, at, token(start + at, a.kv.k)));
            product(queries, &keys, |row, sums| {
                scores[row * kv_len + start..][..some].copy_from_slice(&sums.map(|sum| sum * scale)[..some]);
            });
        }
        for (row, scores) in scores.chunks_exact_mut(kv_len).enumerate() {
            let visible = if a.mask == Mask::Causal { first + row + 1 + kv_len - a.q.len as usize } else { kv_len };
            let (seen, unseen) = scores.split_at_mut(visible);
            softmax(seen);
            unseen.fill(0.0);
        }
        let shares = Rows { data: &scores, count, stride: kv_len };
        for start in (0..size).step_by(WIDTH) {
            let some = WIDTH.min(size - start);
            for (j, panel) in values.iter_mut().enumerate() {
                panel[..some].copy_from_slice(&token(j, a.kv.v)[start..start + some]);
            }
            product(shares, &values, |row, sums| {
                y[row * width + head * size + start..][..some].copy_from_slice(&sums[..some]);
            });
        }
    }
}
