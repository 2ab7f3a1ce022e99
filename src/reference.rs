//! The naive twin of every kernel: the formula on the CPU, summed in f64, nothing clever. It judges the shaders.

use std::ops::Range;

use serde::{Deserialize, Serialize};

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
        Activation::QuickGelu => x / (1.0 + (-1.702 * x).exp()),
        Activation::Gelu => 0.5 * x * (1.0 + erf(x / std::f64::consts::SQRT_2)),
        Activation::GeluTanh => {
            0.5 * x * (1.0 + (std::f64::consts::FRAC_2_PI.sqrt() * (x + 0.044715 * x * x * x)).tanh())
        }
        Activation::Relu => x.max(0.0),
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

/// The shape of an attention, in tokens and floats: what `shaders/lib/attention_shape.wgsl` has as parameters.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Heads {
    /// Items.
    pub batch: usize,
    /// Heads of a token.
    pub heads: usize,
    /// Floats of a head.
    pub size: usize,
    /// Queries of an item.
    pub q_len: usize,
    /// Keys of an item.
    pub kv_len: usize,
    /// Floats between two query tokens.
    pub q_stride: usize,
    /// Floats between two items' queries; 0 where all items share them.
    pub q_item: usize,
    /// Floats between two key tokens.
    pub kv_stride: usize,
    /// Floats between two items' keys.
    pub kv_item: usize,
    /// Where keys start in a token.
    pub k: usize,
    /// Where values start in a token.
    pub v: usize,
    /// Which keys a query sees.
    pub seen: Seen,
}

/// Which keys a query sees.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Seen {
    /// All of them.
    All,
    /// The first so many of each item: the rest is padding.
    First(Vec<usize>),
    /// Those up to its own place; of each item the place of its first query among the keys.
    UpTo(Vec<usize>),
}

impl Heads {
    /// How many keys query `i` of an item sees.
    #[must_use]
    pub fn keys_seen(&self, item: usize, i: usize) -> usize {
        match &self.seen {
            Seen::All => self.kv_len,
            Seen::First(lengths) => lengths[item],
            Seen::UpTo(first) => first[item] + i + 1,
        }
    }

    /// Floats of the output, `[batch, q_len, heads, size]`.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.batch * self.q_len * self.heads * self.size
    }

    /// Some of the heads by themselves, with their queries and with their keys and values, each without what lies between them.
    #[must_use]
    pub fn some(&self, heads: Range<usize>, q: &[f32], kv: &[f32]) -> (Self, Vec<f32>, Vec<f32>) {
        let width = heads.len() * self.size;
        let start = heads.start * self.size;
        let mut own =
            Self { heads: heads.len(), q_stride: width, kv_stride: 2 * width, k: 0, v: width, ..self.clone() };
        (own.q_item, own.kv_item) = (if self.q_item == 0 { 0 } else { self.q_len * width }, self.kv_len * 2 * width);
        let items = if self.q_item == 0 { 1 } else { self.batch };
        let (mut queries, mut keys) =
            (Vec::with_capacity(items * self.q_len * width), Vec::with_capacity(self.batch * own.kv_item));
        for token in (0..items).flat_map(|item| (0..self.q_len).map(move |i| item * self.q_item + i * self.q_stride)) {
            queries.extend(&q[token + start..][..width]);
        }
        for token in
            (0..self.batch).flat_map(|item| (0..self.kv_len).map(move |j| item * self.kv_item + j * self.kv_stride))
        {
            keys.extend(&kv[token + self.k + start..][..width]);
            keys.extend(&kv[token + self.v + start..][..width]);
        }
        (own, queries, keys)
    }
}

/// `shaders/attention.wgsl`
#[must_use]
pub fn attention(shape: &Heads, q: &[f32], kv: &[f32]) -> Vec<f32> {
    let Heads { heads, size, q_len, kv_len, .. } = *shape;
    each(shape.batch * q_len, 2 * kv_len * heads * size, |row| {
        let (b, i) = (row / q_len, row % q_len);
        let seen = shape.keys_seen(b, i);
        let mut y = Vec::with_capacity(heads * size);
        for h in 0..heads {
            let query = &q[b * shape.q_item + i * shape.q_stride + h * size..][..size];
            let part =
                |j: usize, offset: usize| &kv[b * shape.kv_item + j * shape.kv_stride + offset + h * size..][..size];
            let dot = |key: &[f32]| query.iter().zip(key).map(|(&q, &k)| f64::from(q) * f64::from(k)).sum::<f64>();
            let scores: Vec<f64> = (0..seen).map(|j| dot(part(j, shape.k)) / (size as f64).sqrt()).collect();
            let shares = softmax(&scores);
            for d in 0..size {
                y.push((0..seen).map(|j| shares[j] * f64::from(part(j, shape.v)[d])).sum::<f64>() as f32);
            }
        }
        y
    })
    .concat()
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

/// `shaders/patchify.wgsl`
#[must_use]
pub fn patchify(pixels: &[u32], cut: &Cut, scale: [f32; 3], shift: [f32; 3]) -> Vec<f32> {
    let Cut { patch, area, lead, rows, channels_last, .. } = *cut;
    let each = 3 * patch * patch;
    let mut y = Vec::new();
    for (b, &[width, columns, count]) in cut.pictures.iter().enumerate() {
        y.resize((b * rows + lead) * each, 0.0);
        for (gy, gx) in (0..count).map(|i| (i / columns, i % columns)) {
            for at in 0..each {
                let (c, place) =
                    if channels_last { (at % 3, at / 3) } else { (at / (patch * patch), at % (patch * patch)) };
                let (py, px) = (gy * patch + place / patch, gx * patch + place % patch);
                let value = f64::from((pixels[b * area + py * width + px] >> (8 * c)) & 255);
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
    /// Words of pixels an item.
    pub area: usize,
    /// Rows of zeros before an item's patches.
    pub lead: usize,
    /// Rows of an item in all; what is left after its patches is zeros.
    pub rows: usize,
    /// Whether red, green and blue of a pixel are neighbours in a row, and not red of all pixels.
    pub channels_last: bool,
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
pub fn normalize(x: &[f32], dim: usize) -> Vec<f32> {
    let length = |row: &[f32]| row.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt().max(1e-30);
    x.chunks_exact(dim).flat_map(|row| row.iter().map(move |&v| (f64::from(v) / length(row)) as f32)).collect()
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
