//! Weight formats. Quantisation starts and stops here: a model file never mentions it.
//!
//! A [`Matrix`] is `[rows, cols]`; y = W·x contracts over `cols`, which papers call K. Packed rows are padded with zeros so that a
//! shader can read four weights at a time for any K. For the CPU, rows lie in panels.
//!
//! q8 and q4 work alike: a block of weights along K shares an f16 scale, w ≈ scale · q, and the scale is searched for the
//! least squared error of its block. In q4 the scale has a sign, so that the outermost of the sixteen steps, -8, serves
//! whichever end of the block is longer.
//!
//! `docs/decisions/weights-and-quantisation.md` has the measurements behind the block sizes and behind q4.

mod matrix;
mod panels;
// The file for the GPU runs no plans on the CPU.
#[cfg(not(feature = "wasm-gpu"))]
mod row;
#[cfg(not(feature = "wasm-gpu"))]
mod unpack;

use std::borrow::Cow;

use half::f16;
pub use matrix::{Matrix, Order, Plane};
pub use panels::{PANEL, Panel};
use pulp::{Simd, WithSimd};

use crate::{
    error::{Error, Result},
    threads::Threads,
};

/// Weights along K that share a scale.
const Q8_BLOCK: usize = 16;
const Q4_BLOCK: usize = 32;

/// Version of what [`pack`] computes: packed rows are kept, and those of another version are not met again. Raise it whenever
/// the same weights are packed to other bytes.
pub const PACKING: u32 = 1;

/// How a matrix is stored, in memory and on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// 4 bytes a weight.
    F32,
    /// 2 bytes a weight.
    F16,
    /// 1 byte a weight and an f16 scale for every 16 of them: w ≈ scale · q, q in -127..=127.
    Q8,
    /// Half a byte a weight and an f16 scale for every 32 of them: w ≈ scale · q, q in -8..=7 in two's complement, the
    /// first of two weights in the low bits. Not for every matrix: see [`Format::of_matrix`].
    Q4,
}

impl Format {
    /// From the most bytes to the fewest.
    pub const ALL: [Self; 4] = [Self::F32, Self::F16, Self::Q8, Self::Q4];

    /// The format's name: `f32`, `f16`, `q8` or `q4`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Q8 => "q8",
            Self::Q4 => "q4",
        }
    }
    /// The reverse of [`Format::name`].
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|f| f.name() == name)
    }
    /// How the matrix of this name is kept in a model of this format: in q4, the token table and the blocks of the towers
    /// have 4 bits, but for each tower's first block; that, and what comes before and after the blocks (patch embedding,
    /// pooling head, projections), has 8; and so have the heads of detectors and segmenters, whose blocks are as
    /// small as they are few.
    #[must_use]
    pub fn of_matrix(self, name: &str) -> Self {
        let tower = !name.starts_with("decoder.");
        let later_block = tower && name.contains(".layers.") && !name.contains(".layers.0.");
        let four_bits = later_block || name.contains(".token_embedding.");
        if self == Self::Q4 && !four_bits { Self::Q8 } else { self }
    }
    /// Weights along K that share a scale; none where there are no scales.
    #[must_use]
    pub fn block(self) -> Option<usize> {
        match self {
            Self::F32 | Self::F16 => None,
            Self::Q8 => Some(Q8_BLOCK),
            Self::Q4 => Some(Q4_BLOCK),
        }
    }
    /// Number of scales in a row of `cols` weights.
    #[must_use]
    pub fn scales(self, cols: usize) -> usize {
        self.block().map_or(0, |block| cols.div_ceil(block))
    }
    /// Bytes of values in one row of a file, where nothing is padded but half a byte.
    #[must_use]
    pub fn file_row_bytes(self, cols: usize) -> usize {
        match self {
            Self::F32 => cols * 4,
            Self::F16 => cols * 2,
            Self::Q8 => cols,
            Self::Q4 => cols.div_ceil(2),
        }
    }
    /// Bytes of values in one packed row.
    #[must_use]
    pub fn row_bytes(self, cols: usize) -> usize {
        let cols4 = cols.div_ceil(4);
        match self {
            Self::F32 => cols4 * 16,
            Self::F16 => cols4 * 8,
            Self::Q8 => cols4 * 4,
            Self::Q4 => cols.div_ceil(8) * 4,
        }
    }
    /// Bytes of scales in one packed row: an even number of f16, so that a row starts on a 32-bit word.
    #[must_use]
    pub fn scale_bytes(self, cols: usize) -> usize {
        self.scales(cols).div_ceil(2) * 4
    }
}

/// Packed rows: the layout that the GPU reads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Packed {
    /// Values, `[rows, Format::row_bytes]`.
    pub values: Vec<u8>,
    /// Scales in f16, `[rows, Format::scale_bytes]`.
    pub scales: Vec<u8>,
}

/// Packs rows of f32.
///
/// # Errors
/// [`Error::BadCheckpoint`] if a weight is too large for f16.
pub fn pack(format: Format, data: &[f32], cols: usize) -> Result<Packed> {
    pack_on(&Threads::ONE, format, data, cols)
}

/// As [`pack`], with the rows shared by threads.
///
/// # Errors
/// As [`pack`], of the first row that has such a weight.
pub fn pack_on(threads: &Threads, format: Format, data: &[f32], cols: usize) -> Result<Packed> {
    /// Weights that a thread packs at a time.
    const WEIGHTS: usize = 1 << 15;
    /// About as much work as a weight is.
    const FLOPS: u64 = 50;
    let (rows, step) = (data.len() / cols, WEIGHTS.div_ceil(cols));
    let (row, scale_row) = (format.row_bytes(cols), format.scale_bytes(cols));
    let mut packed = Packed { values: vec![0; rows * row], scales: vec![0; rows * scale_row] };
    let mut outcomes: Vec<Result<()>> = (0..rows.div_ceil(step)).map(|_| Ok(())).collect();
    let values = packed.values.chunks_mut(step * row);
    // Where there are no scales, there are none for each part.
    let scales = packed.scales.chunks_mut((step * scale_row).max(1)).chain(std::iter::repeat_with(Default::default));
    let parts = data.chunks(step * cols).zip(values).zip(scales).zip(&mut outcomes);
    let parts = parts.map(|(((data, values), scales), outcome)| (Rows { format, cols, data, values, scales }, outcome));
    threads.each(parts.collect(), FLOPS * data.len() as u64, |(rows, outcome)| *outcome = dispatch(rows));
    outcomes.into_iter().collect::<Result<()>>()?;
    Ok(packed)
}

/// Some rows, and where they are packed.
struct Rows<'a> {
    format: Format,
    cols: usize,
    data: &'a [f32],
    values: &'a mut [u8],
    scales: &'a mut [u8],
}

impl WithSimd for Rows<'_> {
    type Output = Result<()>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Result<()> {
        let (width, scale_width) = (self.format.row_bytes(self.cols), self.format.scale_bytes(self.cols));
        let rows = self.data.chunks_exact(self.cols).zip(self.values.chunks_exact_mut(width));
        for (at, (row, values)) in rows.enumerate() {
            match self.format {
                Format::F32 => values[..row.len() * 4].copy_from_slice(bytemuck::cast_slice(row)),
                Format::F16 => {
                    for (bytes, &w) in values.as_chunks_mut().0.iter_mut().zip(row) {
                        *bytes = to_f16(w)?.to_le_bytes();
                    }
                }
                Format::Q8 | Format::Q4 => {
                    let (steps, scales) = quantize(self.format, row)?;
                    values[..steps.len()].copy_from_slice(&steps);
                    let into = &mut self.scales[at * scale_width..][..scale_width];
                    into.as_chunks_mut()
                        .0
                        .iter_mut()
                        .zip(scales)
                        .for_each(|(bytes, scale)| *bytes = scale.to_le_bytes());
                }
            }
        }
        Ok(())
    }
}

/// In the widest vector instructions of this CPU; in browsers, in those that the file was compiled for.
fn dispatch<T: WithSimd>(operation: T) -> T::Output {
    #[cfg(target_arch = "wasm32")]
    return operation.with_simd(pulp::Scalar);
    #[cfg(not(target_arch = "wasm32"))]
    pulp::Arch::new().dispatch(operation)
}

/// Rows that are quantised already, `[rows, file_row_bytes]`, in the layout that the GPU reads.
#[must_use]
pub fn pad_values(format: Format, values: &[u8], cols: usize) -> Cow<'_, [u8]> {
    pad_rows(values, format.file_row_bytes(cols), format.row_bytes(cols))
}

/// The scales of quantised rows, f16 `[rows, Format::scales]`, in the layout that the GPU reads.
#[must_use]
pub fn pad_scales(format: Format, scales: &[u8], cols: usize) -> Cow<'_, [u8]> {
    pad_rows(scales, format.scales(cols) * 2, format.scale_bytes(cols))
}

fn pad_rows(bytes: &[u8], row: usize, padded: usize) -> Cow<'_, [u8]> {
    if row == padded {
        return bytes.into();
    }
    let mut all = Vec::with_capacity(bytes.len() / row * padded);
    for row in bytes.chunks_exact(row) {
        let end = all.len() + padded;
        all.extend(row);
        all.resize(end, 0);
    }
    all.into()
}

#[inline(always)]
fn to_f16(w: f32) -> Result<f16> {
    let half = f16::from_f32(w);
    if half.is_finite() {
        return Ok(half);
    }
    Err(Error::BadCheckpoint(format!("expected weights within ±65504 for f16, found {w}: keep this model unquantised")))
}

/// One row as it lies in a file: values, and a scale for each block. Scales are rounded to f16 first and used as rounded.
///
/// # Errors
/// [`Error::BadCheckpoint`] if a block is too large for an f16 scale.
///
/// # Panics
/// If the format has no scales.
pub fn quantize_row(format: Format, row: &[f32]) -> Result<(Vec<u8>, Vec<f16>)> {
    struct Row<'a>(Format, &'a [f32]);
    impl WithSimd for Row<'_> {
        type Output = Result<(Vec<u8>, Vec<f16>)>;
        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> Self::Output {
            quantize(self.0, self.1)
        }
    }
    dispatch(Row(format, row))
}

#[inline(always)]
fn quantize(format: Format, row: &[f32]) -> Result<(Vec<u8>, Vec<f16>)> {
    let block = format.block().expect("a format with scales");
    let (mut steps, mut scales) = (vec![0; row.len()], Vec::with_capacity(format.scales(row.len())));
    for (block, steps) in row.chunks(block).zip(steps.chunks_mut(block)) {
        let (range, scale) = if format == Format::Q4 { (Q4, search_q4(block)?) } else { (Q8, search_q8(block)?) };
        let step = scale.to_f32();
        // No closures in here: they would be compiled without this function's vector instructions.
        for (q, &w) in steps.iter_mut().zip(block) {
            *q = nearest(w, step, range) as i8 as u8;
        }
        scales.push(scale);
    }
    if format == Format::Q4 {
        steps = steps.chunks(2).map(|pair| pair[0] & 15 | pair.get(1).unwrap_or(&0) << 4).collect();
    }
    Ok((steps, scales))
}

/// Lowest and highest step.
type Steps = [f32; 2];
const Q8: Steps = [-127.0, 127.0];
const Q4: Steps = [-8.0, 7.0];

/// The largest weight becomes 127, 126, …: whichever makes the squared error of the whole block least.
#[inline(always)]
fn search_q8(block: &[f32]) -> Result<f16> {
    let peak = outermost(block).abs();
    let mut best = (f32::INFINITY, f16::ZERO);
    for steps in (120..=127u8).rev() {
        attempt(block, to_f16(peak / f32::from(steps))?, Q8, &mut best);
    }
    Ok(best.1)
}

/// The outermost weight becomes 5.5 to 8.5 steps up or down, beyond the last step if the others gain by it; then, twice,
/// the scale that suits the steps so found best.
#[inline(always)]
fn search_q4(block: &[f32]) -> Result<f16> {
    let outermost = outermost(block);
    let mut best = (f32::INFINITY, f16::ZERO);
    for eighths in (44..=68u8).step_by(3) {
        let scale = to_f16(outermost * 8.0 / f32::from(eighths))?;
        attempt(block, scale, Q4, &mut best);
        attempt(block, -scale, Q4, &mut best);
    }
    for _ in 0..2 {
        let step = best.1.to_f32();
        let (mut products, mut squares) = (0.0, 0.0);
        for &w in block {
            let q = nearest(w, step, Q4);
            products += w * q;
            squares += q * q;
        }
        if squares > 0.0 {
            attempt(block, to_f16(products / squares)?, Q4, &mut best);
        }
    }
    Ok(best.1)
}

/// The weight that is farthest from zero, with its sign.
#[inline(always)]
fn outermost(block: &[f32]) -> f32 {
    block.iter().fold(0.0f32, |a, &w| if w.abs() > a.abs() { w } else { a })
}

/// Keeps the scale if the squared error of the block is less than the best so far.
#[inline(always)]
fn attempt(block: &[f32], scale: f16, range: Steps, best: &mut (f32, f16)) {
    let step = scale.to_f32();
    // First the squares, side by side, and then their sum, in order.
    let mut squares = [0.0; Q4_BLOCK];
    for (square, &w) in squares.iter_mut().zip(block) {
        *square = (w - nearest(w, step, range) * step).powi(2);
    }
    let error = squares[..block.len()].iter().sum();
    if error < best.0 {
        *best = (error, scale);
    }
}

#[inline(always)]
fn nearest(w: f32, step: f32, [low, high]: Steps) -> f32 {
    let steps = w / step;
    // `round` in two instructions: in WebAssembly it is a call, and this is what quantising on the way in waits for.
    let steps = (steps + 0.5f32.next_down().copysign(steps)).trunc().max(low).min(high);
    // Not left early, so that many weights go side by side.
    if step == 0.0 { 0.0 } else { steps }
}

/// What quantisation costs a matrix, or several together: squared errors beside the squares of the weights.
#[derive(Debug, Clone, Copy, Default)]
pub struct Loss {
    errors: f64,
    squares: f64,
}

impl Loss {
    /// Adds rows of `cols` weights, and the same rows after quantisation in this format.
    ///
    /// # Errors
    /// As [`pack`].
    pub fn add(&mut self, format: Format, weights: &[f32], cols: usize) -> Result<()> {
        let kept = Matrix::new(format, weights, cols)?;
        for (at, row) in weights.chunks_exact(cols).enumerate() {
            self.add_row(row, &kept.row(at));
        }
        Ok(())
    }
    /// Adds weights, and the same weights after quantisation.
    pub fn add_row(&mut self, weights: &[f32], kept: &[f32]) {
        for (&w, &k) in weights.iter().zip(kept) {
            self.errors += (f64::from(w) - f64::from(k)).powi(2);
            self.squares += f64::from(w).powi(2);
        }
    }
    /// √(Σ error² / Σ weight²), the root mean square of the errors relative to that of the weights; 0 for zeros that stay
    /// zeros.
    #[must_use]
    pub fn relative_rms(&self) -> f64 {
        if self.errors == 0.0 { 0.0 } else { (self.errors / self.squares).sqrt() }
    }
}
