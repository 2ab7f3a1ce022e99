//! The naive twin of every kernel: the formula on the CPU, summed in f64, nothing clever. It judges the shaders.

mod attention;
mod davit;
mod decoder;

use std::ops::Range;

pub use attention::{Heads, Seen, attention, attention_join, attention_spans};
pub use davit::{channel_mix, channel_scores, depthwise, prepend_mean, windows};
pub use decoder::{embed, gated, normed, pick, pixel_shuffle, reorder, rms_norm, rope};

use crate::{
    config::Activation,
    preprocess::{PRECISION_BITS, TABLE_HEAD},
    quant::Matrix,
};

/// `shaders/layer_norm.wgsl`
#[must_use]
pub fn layer_norm(x: &[f32], weight: &[f32], bias: &[f32], eps: f32) -> Vec<f32> {
    let mut y = Vec::with_capacity(x.len());
    for row in x.chunks_exact(weight.len()) {
        let n = row.len() as f64;
        let mean = row.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
        let variance = row.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n;
        let scale = 1.0 / (variance + f64::from(eps)).sqrt();
        for ((&v, &w), &b) in row.iter().zip(weight).zip(bias) {
            y.push(((f64::from(v) - mean) * scale * f64::from(w) + f64::from(b)) as f32);
        }
    }
    y
}

/// Each of an item's rows times the class token before them, as `shaders/layer_norm.wgsl` reads them: x is `[batch, 1 + rows, dim]`.
#[must_use]
pub fn merge(x: &[f32], rows: usize, dim: usize) -> Vec<f32> {
    let item = |item: &[f32]| {
        let (class, rows) = item.split_at(dim);
        rows.iter().zip(class.iter().cycle()).map(|(x, class)| x * class).collect::<Vec<_>>()
    };
    x.chunks_exact((1 + rows) * dim).flat_map(item).collect()
}

/// `shaders/matmul.wgsl`, without the residual
#[must_use]
pub fn matmul(x: &[f32], weight: &Matrix, bias: Option<&[f32]>, activation: Activation) -> Vec<f32> {
    let columns: Vec<Vec<f32>> = each(weight.rows, x.len(), |n| {
        let w: Vec<f64> = weight.row(n).into_iter().map(f64::from).collect();
        let b = bias.map_or(0.0, |bias| f64::from(bias[n]));
        let dot = |row: &[f32]| row.iter().zip(&w).map(|(&x, w)| f64::from(x) * w).sum::<f64>();
        x.chunks_exact(weight.cols).map(|row| activate(activation, dot(row) + b) as f32).collect()
    });
    let rows = x.len() / weight.cols;
    (0..rows * weight.rows).map(|i| columns[i % weight.rows][i / weight.rows]).collect()
}

/// What `one` makes of 0 to `n` - 1, in order; natively by all cores if there is much to do, `work` additions for each.
fn each<T: Send>(n: usize, work: usize, one: impl Fn(usize) -> T + Sync) -> Vec<T> {
    #[cfg(not(target_arch = "wasm32"))]
    if n * work > 1 << 20 {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let (share, one) = (n.div_ceil(threads), &one);
        return std::thread::scope(|scope| {
            let starts = (0..n).step_by(share);
            let workers: Vec<_> = starts
                .map(|start| scope.spawn(move || (start..(start + share).min(n)).map(one).collect::<Vec<T>>()))
                .collect();
            workers.into_iter().flat_map(|worker| worker.join().expect("nothing here panics")).collect()
        });
    }
    let _ = work;
    (0..n).map(one).collect()
}

/// `shaders/lib/activation.wgsl`
#[must_use]
pub fn activate(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::None => x,
        Activation::Relu => x.max(0.0),
        Activation::QuickGelu => x / (1.0 + (-1.702 * x).exp()),
        Activation::Silu => x / (1.0 + (-x).exp()),
        Activation::Gelu => 0.5 * x * (1.0 + erf(x / std::f64::consts::SQRT_2)),
        Activation::GeluTanh => {
            0.5 * x * (1.0 + (std::f64::consts::FRAC_2_PI.sqrt() * (x + 0.044715 * x * x * x)).tanh())
        }
    }
}

/// The error function by its Maclaurin series, and 1 where the series would lose digits (erfc(4) < 2e-8).
fn erf(x: f64) -> f64 {
    if x.abs() > 4.0 {
        return x.signum();
    }
    let (mut term, mut sum) = (x, x);
    for n in 1..100 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    sum * std::f64::consts::FRAC_2_SQRT_PI
}

/// exp(x) / Σ exp(x)
#[must_use]
pub fn softmax(x: &[f64]) -> Vec<f64> {
    let peak = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let total: f64 = x.iter().map(|v| (v - peak).exp()).sum();
    x.iter().map(|v| (v - peak).exp() / total).collect()
}

/// Positions, and a class token in the first row of each item: what `shaders/lib/output_positions.wgsl` adds.
pub fn add_positions(y: &mut [f32], class: Option<&[f32]>, positions: &[f32]) {
    for item in y.chunks_exact_mut(positions.len()) {
        item.iter_mut().zip(class.unwrap_or_default()).for_each(|(y, c)| *y += c);
        item.iter_mut().zip(positions).for_each(|(y, p)| *y += p);
    }
}

/// A transposed convolution's sums put in their places: what `shaders/lib/output_shuffle.wgsl` does. `sums` has these `columns` of
/// each row, and y is `[batch, (grid · kernel)², channels]`.
pub fn shuffle(sums: &[f32], columns: Range<usize>, [lead, grid, kernel]: [usize; 3], channels: usize, y: &mut [f32]) {
    let (rows, side) = (lead + grid * grid, grid * kernel);
    for (row, sums) in sums.chunks_exact(columns.len()).enumerate() {
        let Some(place) = (row % rows).checked_sub(lead) else { continue };
        let corner = (row / rows * side + place / grid * kernel) * side + place % grid * kernel;
        for (column, sum) in columns.clone().zip(sums) {
            let (channel, dy, dx) = (column / (kernel * kernel), column / kernel % kernel, column % kernel);
            y[(corner + dy * side + dx) * channels + channel] = *sum;
        }
    }
}

/// `shaders/patchify.wgsl`
#[must_use]
pub fn patchify(pixels: &[u32], cut: &Cut, scale: [f32; 3], shift: [f32; 3]) -> Vec<f32> {
    let Cut { patch, area, lead, rows, channels_last, floats, .. } = *cut;
    let each = 3 * patch * patch;
    let mut y = Vec::new();
    for (b, &[width, columns, count]) in cut.pictures.iter().enumerate() {
        y.resize((b * rows + lead) * each, 0.0);
        for (gy, gx) in (0..count).map(|i| (i / columns, i % columns)) {
            for at in 0..each {
                let (c, place) =
                    if channels_last { (at % 3, at / 3) } else { (at / (patch * patch), at % (patch * patch)) };
                let (py, px) = (gy * patch + place / patch, gx * patch + place % patch);
                let pixel = b * area + py * width + px;
                let value = match floats {
                    true => f64::from(f32::from_bits(pixels[3 * pixel + c])),
                    false => f64::from((pixels[pixel] >> (8 * c)) & 255),
                };
                y.push((value * f64::from(scale[c]) + f64::from(shift[c])) as f32);
            }
        }
        y.resize((b + 1) * rows * each, 0.0);
    }
    y
}

/// How pictures are cut into patches.
#[derive(Debug, Clone)]
pub struct Cut {
    /// Side of a patch in pixels.
    pub patch: usize,
    /// Pixels of an item.
    pub area: usize,
    /// Rows of zeros before an item's patches.
    pub lead: usize,
    /// Rows of an item in all; what is left after its patches is zeros.
    pub rows: usize,
    /// Whether red, green and blue of a pixel are neighbours in a row, and not red of all pixels.
    pub channels_last: bool,
    /// Whether a pixel is three f32, and not RGBA in a word.
    pub floats: bool,
    /// Of each item: its width in pixels, its columns of patches, its patches.
    pub pictures: Vec<[usize; 3]>,
}

/// `shaders/gather.wgsl`: row `index[i]` of the `of` rows of each item
#[must_use]
pub fn gather(x: &[f32], index: &[u32], of: usize, dim: usize) -> Vec<f32> {
    index.iter().enumerate().flat_map(|(b, &i)| x[(b * of + i as usize) * dim..][..dim].iter().copied()).collect()
}

/// `shaders/normalize.wgsl`
#[must_use]
pub fn normalize(x: &[f32], dim: usize, eps: f32) -> Vec<f32> {
    let length = |row: &[f32]| row.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt() + f64::from(eps);
    let unit = |row: &[f32], length: f64| row.iter().map(|&v| (f64::from(v) / length) as f32).collect::<Vec<_>>();
    x.chunks_exact(dim).flat_map(|row| unit(row, length(row).max(1e-30))).collect()
}

/// `shaders/class_head.wgsl`; `scale` is `[rows, 2]`: shift, scale
#[must_use]
pub fn class_head(cos: &[f32], scale: &[f32], labels: usize) -> Vec<f32> {
    let rows = cos.chunks_exact(labels).zip(scale.chunks_exact(2));
    rows.flat_map(|(cos, own)| {
        let (shift, scale) = (f64::from(own[0]), f64::from(own[1]));
        let elu = if scale > 0.0 { scale } else { scale.exp_m1() };
        cos.iter().map(move |&cos| ((f64::from(cos) + shift) * (elu + 1.0)) as f32)
    })
    .collect()
}

/// `shaders/best.wgsl`
#[must_use]
pub fn best(x: &[f32], labels: usize) -> Vec<(u32, f32)> {
    let first_of_largest = |row: &[f32]| {
        let larger =
            |best: (u32, f32), (place, &value): (u32, &f32)| if value > best.1 { (place, value) } else { best };
        (0..).zip(row).fold((0, row[0]), larger)
    };
    x.chunks_exact(labels).map(first_of_largest).collect()
}

/// `shaders/modulate.wgsl`; `by` is `[batch, 2, dim]`
#[must_use]
pub fn modulate(x: &[f32], by: &[f32], dim: usize) -> Vec<f32> {
    let value = |by: &[f32], at: usize| {
        let (factor, addend) = (by[at % dim], by[dim + at % dim]);
        (f64::from(x[at]) * f64::from(factor) + f64::from(addend)) as f32
    };
    by.chunks_exact(2 * dim).flat_map(|by| (0..x.len()).map(move |at| value(by, at))).collect()
}

/// `shaders/add_shared.wgsl`
pub fn add_shared(x: &[f32], y: &mut [f32]) {
    for item in y.chunks_exact_mut(x.len()) {
        item.iter_mut().zip(x).for_each(|(y, x)| *y += x);
    }
}

/// `shaders/unfold.wgsl`
pub fn unfold(x: &[f32], [grid, dim, lead]: [usize; 3], [side, stride, padding]: [usize; 3], y: &mut [f32]) {
    let (outputs, taps) = ((grid + 2 * padding - side) / stride + 1, side * side);
    let area = outputs * outputs;
    for (at, row) in y.chunks_exact_mut(taps * dim).enumerate() {
        let (item, gy, gx) = (at / area, at % area / outputs * stride, at % outputs * stride);
        for (at, y) in row.iter_mut().enumerate() {
            // More by the padding, so that nothing is below 0.
            let (d, py, px) = (at / taps, gy + at / side % side, gx + at % side);
            let inside = |at: usize| (padding..grid + padding).contains(&at);
            let token = || item * (lead + grid * grid) + lead + (py - padding) * grid + px - padding;
            *y = if inside(py) && inside(px) { x[token() * dim + d] } else { 0.0 };
        }
    }
}

/// `shaders/resize.wgsl`; `[lines, outputs]`
#[must_use]
pub fn resize(source: &[u32], table: &[u32], lines: usize) -> Vec<u32> {
    let (head, rows) = table.split_first_chunk::<TABLE_HEAD>().expect("its head");
    let [taps, outputs, white, step, stride, ..] = head.map(|word| word as usize);
    let (entry, white) = (taps + 2, white != 0);
    let mut out = Vec::new();
    for line in 0..lines {
        for row in rows.chunks(entry).take(outputs) {
            let start = line * stride + row[0] as usize * step;
            let channel = |shift: u32| {
                let sum: i64 = (0..row[1] as usize)
                    .map(|i| {
                        let pixel = source[start + i * step];
                        let (mut channel, alpha) = (f64::from(pixel >> shift & 255), f64::from(pixel >> 24) / 255.0);
                        if white {
                            channel = (channel * alpha + 255.0 * (1.0 - alpha)).round();
                        }
                        channel as i64 * i64::from(row[2 + i] as i32)
                    })
                    .sum();
                (((sum + (1 << (PRECISION_BITS - 1))) >> PRECISION_BITS).clamp(0, 255) as u32) << shift
            };
            out.push(channel(0) | channel(8) | channel(16) | (255 << 24));
        }
    }
    out
}

/// `shaders/resize_float.wgsl`, without what the output had; `[lines, outputs]`
#[must_use]
pub fn resize_float(source: &[u32], table: &[u32], lines: usize, bytes: bool) -> Vec<[f32; 3]> {
    let (head, rows) = table.split_first_chunk::<TABLE_HEAD>().expect("its head");
    let [taps, outputs, white, step, stride, ..] = head.map(|word| word as usize);
    let value = |at: usize, c: usize| {
        if !bytes {
            return f64::from(f32::from_bits(source[at + c]));
        }
        let (channel, alpha) = (f64::from(source[at] >> (8 * c) & 255), f64::from(source[at] >> 24) / 255.0);
        if white == 0 { channel } else { (channel * alpha + 255.0 * (1.0 - alpha)).round() }
    };
    let mut out = Vec::new();
    for line in 0..lines {
        for row in rows.chunks(taps + 2).take(outputs) {
            let start = line * stride + row[0] as usize * step;
            let weights = || row[2..][..row[1] as usize].iter().map(|&word| f64::from(f32::from_bits(word)));
            let sum = |c| weights().enumerate().map(|(i, weight)| value(start + i * step, c) * weight).sum::<f64>();
            out.push([0, 1, 2].map(|c| sum(c) as f32));
        }
    }
    out
}
