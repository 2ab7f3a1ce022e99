//! Attention of columns to columns, in f32.

use pulp::{Simd, WithSimd};

use super::dispatch;
use crate::threads::Threads;

/// Tokens whose products are added up before they join the others: so a sum over many rounds little.
const TOKENS: usize = 256;

/// y = softmax(qᵀ·k / √tokens) of each group, `[batch, groups, size, size]`; qkv is `[batch, tokens, 3, groups, size]`.
pub fn channel_scores(threads: &Threads, qkv: &[f32], [tokens, groups, size]: [usize; 3], y: &mut [f32]) {
    let item = tokens * 3 * groups * size;
    let work = (y.len() * tokens) as u64;
    let parts = y.chunks_exact_mut(size * size).enumerate().map(|(at, y)| Scores {
        qkv: &qkv[at / groups * item..][..item],
        group: at % groups * size,
        dim: groups * size,
        size,
        y,
    });
    threads.each(parts.collect(), work, dispatch);
}

/// Of a group.
struct Scores<'a> {
    qkv: &'a [f32],
    /// Its first column.
    group: usize,
    dim: usize,
    size: usize,
    y: &'a mut [f32],
}

impl WithSimd for Scores<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { qkv, group, dim, size, y } = self;
        let scale = 1.0 / ((qkv.len() / 3 / dim) as f32).sqrt();
        y.fill(0.0);
        let mut sums = vec![0.0; y.len()];
        for tokens in qkv.chunks(TOKENS * 3 * dim) {
            sums.fill(0.0);
            for token in tokens.chunks_exact(3 * dim) {
                let (q, k) = (&token[group..][..size], &token[dim + group..][..size]);
                for (sums, q) in sums.chunks_exact_mut(size).zip(q) {
                    sums.iter_mut().zip(k).for_each(|(sum, k)| *sum += q * k);
                }
            }
            y.iter_mut().zip(&sums).for_each(|(y, sum)| *y += sum);
        }
        for row in y.chunks_exact_mut(size) {
            let peak = row.iter().fold(f32::NEG_INFINITY, |peak, &y| peak.max(y));
            row.iter_mut().for_each(|y| *y = ((*y - peak) * scale).exp());
            let total: f32 = row.iter().sum();
            row.iter_mut().for_each(|y| *y /= total);
        }
    }
}

/// y = v·sharesᵀ of each group, `[batch, tokens, groups, size]`; shares are `[batch, groups, size, size]`.
pub fn channel_mix(threads: &Threads, shares: &[f32], qkv: &[f32], [tokens, groups, size]: [usize; 3], y: &mut [f32]) {
    let dim = groups * size;
    // Columns of a group's shares as rows, so that what is summed up is neighbours.
    let turned = |group: &[f32]| (0..size * size).map(|at| group[at % size * size + at / size]).collect::<Vec<_>>();
    let shares: Vec<f32> = shares.chunks_exact(size * size).flat_map(turned).collect();
    let work = (y.len() * size) as u64;
    let mut parts = Vec::new();
    for (item, y) in y.chunks_mut(tokens * dim).enumerate() {
        let (qkv, shares) = (&qkv[item * tokens * 3 * dim..], &shares[item * dim * size..][..dim * size]);
        let chunks = y.chunks_mut(TOKENS * dim).zip(qkv.chunks(TOKENS * 3 * dim));
        parts.extend(chunks.map(|(y, qkv)| Mix { shares, qkv, size, dim, y }));
    }
    threads.each(parts, work, dispatch);
}

/// Of some tokens.
struct Mix<'a> {
    shares: &'a [f32],
    qkv: &'a [f32],
    size: usize,
    dim: usize,
    y: &'a mut [f32],
}

impl WithSimd for Mix<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { shares, qkv, size, dim, y } = self;
        y.fill(0.0);
        for (y, token) in y.chunks_exact_mut(dim).zip(qkv.chunks_exact(3 * dim)) {
            let groups = y.chunks_exact_mut(size).zip(token[2 * dim..].chunks_exact(size));
            for ((y, v), shares) in groups.zip(shares.chunks_exact(size * size)) {
                for (v, shares) in v.iter().zip(shares.chunks_exact(size)) {
                    y.iter_mut().zip(shares).for_each(|(y, share)| *y += v * share);
                }
            }
        }
    }
}
