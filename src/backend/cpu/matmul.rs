//! Matrix products: weights are brought to f32 some rows at a time, so that they stay quantised in memory.

use std::mem;

use super::{
    gemm::{by_rows, product, transposed},
    math::activate,
};
use crate::{
    kernels::{Host, Kernel, Matmul},
    quant::Matrix,
    reference,
};

/// Rows of the weights that are brought to f32 at a time: with 768 columns they fit into a second-level cache.
const PANEL: usize = 128;

/// [`Matmul`], as `shaders/matmul.wgsl` has it.
pub fn run(m: &Matmul, batch: u32, host: &mut Host) {
    let (rows, cols, inner) = (m.rows.of(batch) as usize, m.weight.rows as usize, m.weight.cols as usize);
    let mut act = mem::take(&mut host.acts[m.y.0]);
    let y: &mut [f32] = &mut bytemuck::cast_slice_mut(&mut act)[..rows * cols];
    let x = host.operand(m.x);
    let bias = m.bias.map(|bias| host.vector(bias));
    let weight = &host.weights[m.weight.id.0];
    let share = rows.div_ceil(threads(m.flops(batch)));
    let parts = y.chunks_mut(share * cols).zip(x[..rows * inner].chunks(share * inner));
    in_parallel(parts, |(y, x)| part(m, weight, bias.as_deref(), y, x));
    if let Some(place) = m.place {
        let class = place.class_token.map(|c| host.vector(c));
        reference::place(y, class.as_deref(), &host.vector(place.positions));
    }
    drop(x);
    host.acts[m.y.0] = act;
}

/// Some rows of the product.
fn part(m: &Matmul, weight: &Matrix, bias: Option<&[f32]>, y: &mut [f32], x: &[f32]) {
    let (cols, inner) = (weight.rows, weight.cols);
    let rows = x.len() / inner;
    let mut panel = vec![0.0; PANEL * inner];
    let mut sums = vec![0.0; rows * PANEL];
    for start in (0..cols).step_by(PANEL) {
        let width = PANEL.min(cols - start);
        for (at, row) in panel.chunks_exact_mut(inner).take(width).enumerate() {
            weight.row_into(start + at, row);
        }
        product(
            by_rows(&mut sums[..], rows, width, width),
            by_rows(x, rows, inner, inner),
            transposed(by_rows(&panel[..], width, inner, inner)),
            1.0,
        );
        for (y, sums) in y.chunks_exact_mut(cols).zip(sums.chunks_exact_mut(width)) {
            if let Some(bias) = bias {
                sums.iter_mut().zip(&bias[start..]).for_each(|(sum, b)| *sum += b);
            }
            activate(m.activation, sums);
            let y = &mut y[start..start + width];
            if m.accumulate {
                y.iter_mut().zip(sums).for_each(|(y, sum)| *y += *sum);
            } else {
                y.copy_from_slice(sums);
            }
        }
    }
}

/// Threads that are worth their start: one in browsers, where stable Rust has no others.
pub fn threads(flops: u64) -> usize {
    if cfg!(target_arch = "wasm32") || flops < 10_000_000 {
        return 1;
    }
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Works on all parts, each on a thread of its own; a single one on this thread.
pub fn in_parallel<T: Send>(parts: impl ExactSizeIterator<Item = T>, work: impl Fn(T) + Sync) {
    if parts.len() < 2 {
        return parts.for_each(work);
    }
    std::thread::scope(|scope| {
        for part in parts {
            let work = &work;
            scope.spawn(move || work(part));
        }
    });
}
