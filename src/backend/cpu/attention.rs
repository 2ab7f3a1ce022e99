//! Attention as two matrix products a head, with the softmax between them.

use std::mem;

use super::{
    gemm::{by_rows, product, transposed},
    math::softmax,
    matmul::{in_parallel, threads},
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
    let rows = y.len() / width;
    let mut scores = vec![0.0; rows * kv_len];
    for head in 0..a.heads as usize {
        let from = |offset: u32| by_rows(&kv[offset as usize + head * size..], kv_len, size, kv_stride);
        product(
            by_rows(&mut scores[..], rows, kv_len, kv_len),
            by_rows(&q[first * q_stride + head * size..], rows, size, q_stride),
            transposed(from(a.kv.k)),
            1.0 / (size as f32).sqrt(),
        );
        for (row, scores) in scores.chunks_exact_mut(kv_len).enumerate() {
            let visible = if a.mask == Mask::Causal { first + row + 1 + kv_len - a.q.len as usize } else { kv_len };
            let (seen, unseen) = scores.split_at_mut(visible);
            softmax(seen);
            unseen.fill(0.0);
        }
        product(
            by_rows(&mut y[head * size..], rows, size, width),
            by_rows(&scores[..], rows, kv_len, kv_len),
            from(a.kv.v),
            1.0,
        );
    }
}
