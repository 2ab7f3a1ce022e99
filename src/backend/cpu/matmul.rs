//! Matrix products: weights are brought to f32 eight rows at a time, so that they stay quantised in memory.

use std::mem;

use super::{
    math::activate,
    product::{Rows, WIDTH, column, product},
};
use crate::{
    kernels::{Host, Kernel, Matmul},
    quant::Matrix,
    reference,
};

/// [`Matmul`], as `shaders/matmul.wgsl` has it.
pub fn run(m: &Matmul, batch: u32, host: &mut Host) {
    let (rows, cols, inner) = (m.rows.of(batch) as usize, m.weight.rows as usize, m.weight.cols as usize);
    let mut act = mem::take(&mut host.acts[m.y.0]);
    let y: &mut [f32] = &mut bytemuck::cast_slice_mut(&mut act)[..rows * cols];
    let x = host.operand(m.x);
    let bias = m.bias.map_or_else(|| vec![0.0; cols], |bias| host.vector(bias));
    let weight = &host.weights[m.weight.id.0];
    let share = rows.div_ceil(threads(m.flops(batch)));
    let parts = y.chunks_mut(share * cols).zip(x[..rows * inner].chunks(share * inner));
    in_parallel(parts, |(y, x)| part(m, weight, &bias, y, x));
    if let Some(place) = m.place {
        let class = place.class_token.map(|c| host.vector(c));
        reference::place(y, class.as_deref(), &host.vector(place.positions));
    }
    drop(x);
    host.acts[m.y.0] = act;
}

/// Some rows of the product.
fn part(m: &Matmul, weight: &Matrix, bias: &[f32], y: &mut [f32], x: &[f32]) {
    let (cols, inner) = (weight.rows, weight.cols);
    let rows = Rows { data: x, count: x.len() / inner, stride: inner };
    let mut panel = vec![[0.0; WIDTH]; inner];
    let mut row = vec![0.0; inner];
    for start in (0..cols).step_by(WIDTH) {
        let width = WIDTH.min(cols - start);
        for at in 0..width {
            weight.row_into(start + at, &mut row);
            column(&mut panel, at, &row);
        }
        let bias = &bias[start..start + width];
        product(rows, &panel, |row, mut sums| {
            sums.iter_mut().zip(bias).for_each(|(sum, b)| *sum += b);
            activate(m.activation, &mut sums);
            let y = &mut y[row * cols + start..][..width];
            if m.accumulate {
                y.iter_mut().zip(sums).for_each(|(y, sum)| *y += sum);
            } else {
                y.copy_from_slice(&sums[..width]);
            }
        });
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
