//! From a picture of any size to what the tower sees, as Pillow 12 and transformers make it: 8 bits a channel, or floats for OWLv2
//! (`smooth`).
//!
//! Resizing is Pillow's antialiased resampling in its own fixed-point arithmetic (`src/libImaging/Resample.c`):
//! coefficients in f64, rounded to 22 bits; horizontal pass first, but for very tall pictures; 8 bits between the passes.
//! Here are the coefficients, computed for the cropped window only, and the CPU oracle; the GPU applies them
//! (`shaders/resize.wgsl`, `shaders/resize_float.wgsl`).

mod filter;
mod packing;
mod smooth;
mod square;
mod tiles;

use std::{borrow::Cow, ops::Range};

pub use packing::Packing;
pub use smooth::bytes;
pub use tiles::{Stage, Tiling};

use crate::{
    config::{Alpha, CropRounding, Filter, Preprocessor, Resize},
    error::{Error, Result},
};

/// Fraction bits of a coefficient: Pillow's `PRECISION_BITS`.
pub const PRECISION_BITS: u32 = 32 - 8 - 2;

/// Words before the first entry of [`Axis::table`]; the last of them is the place of the first line in the output, or, of floats,
/// whether the output is added to.
pub const TABLE_HEAD: usize = 8;

/// One axis: for every output pixel, the first source pixel and the weights from there on. No weights make a black pixel,
/// which is what a picture is padded with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Axis {
    /// First source pixel of each output.
    pub first: Vec<usize>,
    /// Weights of each output: in units of 2^-22, or, of [`Filter::Smooth`], the bits of f32.
    pub weights: Vec<Vec<i32>>,
}

impl Axis {
    /// Coefficients for the outputs `window` of `full` (which may reach beyond it) from `source` pixels.
    /// Pillow: `precompute_coeffs` and `normalize_coeffs_8bpc`.
    #[must_use]
    pub fn new(filter: Filter, source: usize, full: usize, window: Range<isize>) -> Self {
        let mut axis = Self { first: Vec::new(), weights: Vec::new() };
        for at in window {
            if at < 0 || at >= full as isize {
                axis.first.push(0);
                axis.weights.push(Vec::new());
                continue;
            }
            let (first, exact) = filter.weights(source, full, at as usize);
            let fixed = |w: &f64| {
                let w = w * f64::from(1u32 << PRECISION_BITS);
                (if w < 0.0 { w - 0.5 } else { w + 0.5 }) as i32
            };
            let float = |w: &f64| bytemuck::cast::<f32, i32>(*w as f32);
            axis.first.push(first);
            axis.weights.push(if filter.floats() {
                exact.iter().map(float).collect()
            } else {
                exact.iter().map(fixed).collect()
            });
        }
        axis
    }

    /// The same with the weights of these source pixels alone: as if all others were black.
    #[must_use]
    pub fn within(&self, pixels: Range<usize>) -> Self {
        let part = |(&first, weights): (&usize, &Vec<i32>)| {
            let [start, end] = [pixels.start, pixels.end].map(|at| at.saturating_sub(first).min(weights.len()));
            if start < end { (first + start, weights[start..end].to_vec()) } else { (pixels.start, Vec::new()) }
        };
        let (first, weights) = self.first.iter().zip(&self.weights).map(part).unzip();
        Self { first, weights }
    }

    /// The range of source pixels that the outputs need.
    #[must_use]
    pub fn source(&self) -> Range<usize> {
        let used = || self.first.iter().zip(&self.weights).filter(|(_, w)| !w.is_empty());
        let start = used().map(|(f, _)| *f).min().unwrap_or(0);
        let end = used().map(|(f, w)| f + w.len()).max().unwrap_or(0);
        start..end.max(start)
    }

    /// The largest number of weights that any output has.
    #[must_use]
    pub fn taps(&self) -> usize {
        self.weights.iter().map(Vec::len).max().unwrap_or(0)
    }

    /// The table for the GPU, with what varies from picture to picture at its head: taps, outputs, whether transparent pixels are
    /// put on white, the strides, and 0 (see [`TABLE_HEAD`]). Then, for each output,
    /// `first - origin`, count, and the weights, padded to `2 + taps`.
    #[must_use]
    pub fn table(&self, origin: usize, Strides { step, line, out_step, out_line }: Strides, alpha: Alpha) -> Vec<i32> {
        let (taps, outputs) = (self.taps(), self.first.len());
        let mut table = Vec::with_capacity(TABLE_HEAD + outputs * (taps + 2));
        let white = (alpha == Alpha::White).into();
        table.extend([taps, outputs, white, step, line, out_step, out_line, 0].map(|word| word as i32));
        for (first, weights) in self.first.iter().zip(&self.weights) {
            table.extend([first.saturating_sub(origin) as i32, weights.len() as i32]);
            table.extend(weights);
            table.extend(std::iter::repeat_n(0, taps - weights.len()));
        }
        table
    }
}

/// How a pass goes over its source, and where its pixels go, in words.
#[derive(Debug, Clone, Copy)]
pub struct Strides {
    /// Between source neighbours along the axis.
    pub step: usize,
    /// Between lines of the source.
    pub line: usize,
    /// Between output neighbours along the axis.
    pub out_step: usize,
    /// Between lines of the output.
    pub out_line: usize,
}

/// Both axes for one picture size: resize and centre crop in one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sampling {
    /// The filter along x.
    pub horizontal: Axis,
    /// The filter along y.
    pub vertical: Axis,
    /// Whether the pass along y is the first: of pictures more than 100 times as high as wide that become less high, as in
    /// Pillow 12.3's `Image.resize`.
    pub vertical_first: bool,
    /// What becomes of transparent pixels, before both.
    pub alpha: Alpha,
    /// The filter of both.
    pub filter: Filter,
}

/// From this height on, as a multiple of the width, pictures are tall.
const TALL: usize = 100;

/// Longest side of a picture, in pixels.
pub const MAX_SIDE: usize = 1 << 20;

impl Sampling {
    /// For a picture of `width` × `height` pixels.
    ///
    /// # Errors
    /// [`Error::BadImage`] for a side of 0 or above [`MAX_SIDE`].
    pub fn new(rule: &Preprocessor, width: usize, height: usize) -> Result<Self> {
        check_size(width, height)?;
        // transformers' `get_resize_output_image_size`: `int(size * long / short)`; the product may need more than 32 bits.
        let longer = |edge: usize, long: usize, short: usize| {
            usize::try_from(edge as u64 * long as u64 / short as u64).map_err(|_| {
                Error::BadImage(format!("expected a picture that can be resized, found {width} × {height} pixels"))
            })
        };
        let (w, h) = match rule.resize {
            Resize::Squash { width, height } => (width, height),
            Resize::ShortestEdge(edge) if width <= height => (edge, longer(edge, height, width)?),
            Resize::ShortestEdge(edge) => (longer(edge, width, height)?, edge),
            Resize::MaxPatches { patch, most } => max_patches(width, height, patch, most),
            Resize::PadSquare(side) => (side, side),
        };
        // The square is never made: its padding is black, and so are weights that are left out.
        let (across, down) = match rule.resize {
            Resize::PadSquare(_) => (width.max(height), width.max(height)),
            _ => (width, height),
        };
        let (crop_w, crop_h) = rule.crop.unwrap_or((w, h));
        let window = [crop(w, crop_w, rule.rounding), crop(h, crop_h, rule.rounding)];
        let part = Self::part(rule.filter, rule.alpha, [across, down], [w, h], window);
        let [horizontal, vertical] = [part.horizontal.within(0..width), part.vertical.within(0..height)];
        Ok(Self { horizontal, vertical, ..part })
    }

    /// From a picture of `source` to one of `full` pixels, width and height, of which only `window`, along x and along y, is made; black
    /// beyond it.
    fn part(filter: Filter, alpha: Alpha, source: [usize; 2], full: [usize; 2], window: [Range<isize>; 2]) -> Self {
        let ([x, y], [width, height]) = (window, source);
        Self {
            horizontal: Axis::new(filter, width, full[0], x),
            vertical: Axis::new(filter, height, full[1], y),
            // Without a rounding between them, floats know no order.
            vertical_first: !filter.floats() && height > width * TALL && full[1] < height,
            alpha,
            filter,
        }
    }

    /// The axes in the order of their passes.
    #[must_use]
    pub fn passes(&self) -> [&Axis; 2] {
        if self.vertical_first { [&self.vertical, &self.horizontal] } else { [&self.horizontal, &self.vertical] }
    }

    /// Width and height of the resized and cropped picture, in pixels.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        (self.horizontal.first.len(), self.vertical.first.len())
    }
}

fn check_size(width: usize, height: usize) -> Result<()> {
    match [width, height].iter().all(|side| (1..=MAX_SIDE).contains(side)) {
        true => Ok(()),
        false => Err(Error::BadImage(format!(
            "expected a picture of 1 to {MAX_SIDE} pixels a side, found {width} × {height}"
        ))),
    }
}

/// Width and height in pixels of a picture of at most so many patches: transformers' `get_image_size_for_max_num_patches`, whose
/// bisection is repeated step by step.
fn max_patches(width: usize, height: usize, patch: usize, most: usize) -> (usize, usize) {
    const EPS: f64 = 1e-5;
    let patches = |scale: f64, side: usize| ((side as f64 * scale / patch as f64).ceil() as usize).max(1);
    let (mut low, mut high) = (EPS / 10.0, 100.0);
    while high - low >= EPS {
        let scale = (low + high) / 2.0;
        match patches(scale, width) * patches(scale, height) <= most {
            true => low = scale,
            false => high = scale,
        }
    }
    (patches(low, width) * patch, patches(low, height) * patch)
}

/// The positions of a picture of `rows` × `columns` patches, then those of the first patch, which the reference pads with, up to `most`:
/// `[most, dim]`. The `table` is a square, `[side, side, dim]`. This is `resize_positional_embeddings` in transformers'
/// `modeling_siglip2.py`, whose `interpolate(…, mode="bilinear", antialias=True)` has the weights of Pillow's filter.
#[must_use]
pub fn positions(table: &[f32], dim: usize, [rows, columns]: [usize; 2], most: usize) -> Vec<f32> {
    let side = (table.len() / dim).isqrt();
    // Sums of `count` lines of `dim` numbers, `step` lines apart.
    let blend = |lines: &[f64], step: usize, (first, weights): &(usize, Vec<f64>)| {
        let mut sum = vec![0.0; dim];
        for (i, weight) in weights.iter().enumerate() {
            let line = &lines[(first + i) * step * dim..][..dim];
            sum.iter_mut().zip(line).for_each(|(sum, x)| *sum += weight * x);
        }
        sum
    };
    let axis = |full: usize| (0..full).map(move |at| Filter::Bilinear.weights(side, full, at)).collect::<Vec<_>>();
    let (across, mut down) = (axis(columns), axis(rows));
    // As PyTorch's kernel for the CPU does: its rows of a single column are all the first one, unless they are as many as the table's.
    if columns == 1 && rows != side {
        let first = down[0].clone();
        down.fill(first);
    }
    let table: Vec<f64> = table.iter().map(|&x| f64::from(x)).collect();
    let narrow: Vec<f64> =
        table.chunks_exact(side * dim).flat_map(|row| across.iter().flat_map(move |at| blend(row, 1, at))).collect();
    let mut all: Vec<f32> = Vec::with_capacity(most * dim);
    for at in &down {
        for column in 0..columns {
            all.extend(blend(&narrow[column * dim..], columns, at).into_iter().map(|x| x as f32));
        }
    }
    while all.len() < most * dim {
        all.extend_from_within(..dim);
    }
    all
}

/// The centre crop; where it is larger than the picture, the rest is padding.
///
/// transformers: `(size - crop) // 2`, and padding of `ceil((crop - size) / 2)`. torchvision: `round((size - crop) / 2)`, which
/// takes half a pixel to the even side, and padding of `(crop - size) // 2`.
fn crop(size: usize, crop: usize, rounding: CropRounding) -> Range<isize> {
    let (size, crop) = (size as isize, crop as isize);
    let rest = size - crop;
    let start = match rounding {
        CropRounding::Down => rest.div_euclid(2),
        CropRounding::HalfEven if rest < 0 => rest / 2,
        CropRounding::HalfEven => rest / 2 + isize::from(rest % 4 == 3),
    };
    start..start + crop
}

/// The CPU oracle: one pass of [`Axis`] over lines of RGBA pixels, which come and go packed, red in the low byte.
/// `step` and `line` are the strides of the source along and across the axis; the result is `[lines, outputs]`.
#[must_use]
pub fn resample(source: &[u32], axis: &Axis, step: usize, line: usize, lines: usize) -> Vec<u32> {
    resample_onto(&vec![[HALF; 3]; axis.first.len()], source, axis, step, line, lines)
}

/// One half, of which whole numbers are cut off.
const HALF: i32 = 1 << (PRECISION_BITS - 1);

/// The same, where each output's channels begin with these sums.
fn resample_onto(begun: &[[i32; 3]], source: &[u32], axis: &Axis, step: usize, line: usize, lines: usize) -> Vec<u32> {
    let mut out = Vec::with_capacity(lines * axis.first.len());
    for l in 0..lines {
        for ((first, weights), begun) in axis.first.iter().zip(&axis.weights).zip(begun) {
            let mut sums = *begun;
            for (i, w) in weights.iter().enumerate() {
                let pixel = source[l * line + (first + i) * step];
                for (c, sum) in sums.iter_mut().enumerate() {
                    *sum += (pixel >> (8 * c) & 255) as i32 * w;
                }
            }
            let byte = |c: usize| ((sums[c] >> PRECISION_BITS).clamp(0, 255) as u32) << (8 * c);
            out.push(byte(0) | byte(1) | byte(2) | 255 << 24);
        }
    }
    out
}

/// A pixel on white: each channel is the nearest whole number, as Pillow's `alpha_composite` has it.
fn on_white(pixel: u32) -> u32 {
    let alpha = pixel >> 24;
    let channel = |shift: u32| (((pixel >> shift & 255) * alpha + 255 * (255 - alpha) + 127) / 255) << shift;
    channel(0) | channel(8) | channel(16) | 255 << 24
}

/// The reference: both passes over a whole picture, on the CPU. As words: RGBA, or, of [`Filter::Smooth`], three f32 a pixel.
#[must_use]
pub fn resize(pixels: &[u32], width: usize, height: usize, sampling: &Sampling) -> Vec<u32> {
    let pixels = &*opaque(pixels, sampling.alpha);
    if sampling.filter.floats() {
        let [across, down] = sampling.passes().map(|axis| {
            axis.first.iter().zip(&axis.weights).map(|(&first, weights)| (first, &weights[..])).collect::<Vec<_>>()
        });
        return smooth::resize(pixels, [width, height], [&across, &down]);
    }
    if sampling.vertical_first {
        let columns = resample(pixels, &sampling.vertical, width, 1, width);
        let h = sampling.size().1;
        return resample(&columns, &sampling.horizontal, h, 1, h);
    }
    let across = resample(pixels, &sampling.horizontal, 1, width, height);
    let (w, h) = sampling.size();
    rows_of(&resample(&across, &sampling.vertical, w, 1, w), w, h)
}

fn opaque(pixels: &[u32], alpha: Alpha) -> Cow<'_, [u32]> {
    match alpha {
        Alpha::Drop => pixels.into(),
        Alpha::White => pixels.iter().copied().map(on_white).collect(),
    }
}

/// Rows of a picture of which there are columns.
fn rows_of(columns: &[u32], w: usize, h: usize) -> Vec<u32> {
    (0..w * h).map(|i| columns[i % w * h + i / w]).collect()
}
