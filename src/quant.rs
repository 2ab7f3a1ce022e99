//! Weight formats. Quantisation starts and stops here: a model file never mentions it.
//!
//! A [`Matrix`] is row-major, `[rows, cols]`; y = W·x contracts over `cols`, which papers call K. Packed rows are padded
//! with zeros so that a shader can read four weights at a time for any K.

use half::f16;

use crate::error::{Error, Result};

/// Weights that share one scale in q8, along K. With 16 and the search below, the fixtures' embeddings move by a quarter
/// less than with 32 and scale = peak / 127, for 6 % more bytes.
pub const BLOCK: usize = 16;

/// How a matrix is stored, in memory and on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// 4 bytes a weight.
    F32,
    /// 2 bytes a weight.
    F16,
    /// 1 byte a weight and an f16 scale for every [`BLOCK`] of them: w ≈ scale · q, q in -127..=127.
    Q8,
}

impl Format {
    /// `f32`, `f16`, `q8`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Q8 => "q8",
        }
    }
    /// The reverse of [`Format::name`].
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::F32, Self::F16, Self::Q8].into_iter().find(|f| f.name() == name)
    }
    /// Bytes of values in one packed row.
    #[must_use]
    pub fn row_bytes(self, cols: usize) -> usize {
        let cols4 = cols.div_ceil(4);
        match self {
            Self::F32 => cols4 * 16,
            Self::F16 => cols4 * 8,
            Self::Q8 => cols4 * 4,
        }
    }
    /// Bytes of scales in one packed row: an even number of f16, so that a row starts on a 32-bit word.
    #[must_use]
    pub fn scale_bytes(self, cols: usize) -> usize {
        match self {
            Self::Q8 => cols.div_ceil(BLOCK).div_ceil(2) * 4,
            _ => 0,
        }
    }
}

/// Rows in the layout that the GPU reads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Packed {
    /// `rows × Format::row_bytes`
    pub values: Vec<u8>,
    /// `rows × Format::scale_bytes`
    pub scales: Vec<u8>,
}

/// Packs rows of f32.
///
/// # Errors
/// [`Error::BadCheckpoint`] if a weight is too large for f16.
pub fn pack(format: Format, data: &[f32], cols: usize) -> Result<Packed> {
    let mut packed = Packed::default();
    for row in data.chunks_exact(cols) {
        let padding = row.len().next_multiple_of(4) - row.len();
        match format {
            Format::F32 => packed.values.extend(row.iter().flat_map(|w| w.to_le_bytes())),
            Format::F16 => {
                for &w in row {
                    packed.values.extend(to_f16(w)?.to_le_bytes());
                }
            }
            Format::Q8 => {
                let (values, scales) = quantize_row(row)?;
                packed.values.extend(values.iter().map(|&q| q as u8));
                push_scales(&mut packed.scales, &scales);
            }
        }
        packed.values.extend(std::iter::repeat_n(0, padding * format.row_bytes(4) / 4));
    }
    Ok(packed)
}

/// Packs rows that are q8 already: `values` is `[rows, cols]`, `scales` `[rows, ⌈cols / BLOCK⌉]`.
#[must_use]
pub fn pack_q8(values: &[u8], scales: &[f32], cols: usize) -> Packed {
    let mut packed = Packed::default();
    for (row, scales) in values.chunks_exact(cols).zip(scales.chunks_exact(cols.div_ceil(BLOCK))) {
        packed.values.extend(row);
        packed.values.resize(packed.values.len().next_multiple_of(4), 0);
        push_scales(&mut packed.scales, &scales.iter().map(|&s| f16::from_f32(s)).collect::<Vec<_>>());
    }
    packed
}

fn push_scales(into: &mut Vec<u8>, scales: &[f16]) {
    into.extend(scales.iter().flat_map(|s| s.to_le_bytes()));
    into.resize(into.len().next_multiple_of(4), 0);
}

fn to_f16(w: f32) -> Result<f16> {
    let half = f16::from_f32(w);
    if half.is_finite() {
        return Ok(half);
    }
    Err(Error::BadCheckpoint(format!("expected weights within ±65504 for f16, found {w}: keep this model unquantised")))
}

/// One row in q8: values, and a scale for each block. The scale is rounded to f16 first and used as rounded, so that the
/// error of a weight stays within half a step.
///
/// # Errors
/// [`Error::BadCheckpoint`] if a block is too large for an f16 scale.
pub fn quantize_row(row: &[f32]) -> Result<(Vec<i8>, Vec<f16>)> {
    let mut values = Vec::with_capacity(row.len());
    let mut scales = Vec::with_capacity(row.len().div_ceil(BLOCK));
    for block in row.chunks(BLOCK) {
        let peak = block.iter().fold(0.0f32, |a, w| a.max(w.abs()));
        // The largest weight becomes 127, 126, …: whichever makes the squared error of the whole block least.
        let mut best = (f32::INFINITY, f16::ZERO);
        for steps in (120..=127u8).rev() {
            let scale = to_f16(peak / f32::from(steps))?;
            let error = block.iter().map(|w| (w - f32::from(nearest(*w, scale)) * scale.to_f32()).powi(2)).sum();
            if error < best.0 {
                best = (error, scale);
            }
        }
        values.extend(block.iter().map(|w| nearest(*w, best.1)));
        scales.push(best.1);
    }
    Ok((values, scales))
}

fn nearest(w: f32, scale: f16) -> i8 {
    if scale == f16::ZERO { 0 } else { (w / scale.to_f32()).round().clamp(-127.0, 127.0) as i8 }
}

/// A matrix in memory, for the token table and the naive reference.
#[derive(Debug, Clone)]
pub struct Matrix {
    /// How `packed` is stored.
    pub format: Format,
    /// Rows.
    pub rows: usize,
    /// Columns, without padding.
    pub cols: usize,
    /// The weights.
    pub packed: Packed,
}

impl Matrix {
    /// Packs a whole matrix.
    ///
    /// # Errors
    /// As [`pack`].
    pub fn new(format: Format, data: &[f32], cols: usize) -> Result<Self> {
        Ok(Self { format, rows: data.len() / cols, cols, packed: pack(format, data, cols)? })
    }

    /// One row, dequantised.
    #[must_use]
    pub fn row(&self, row: usize) -> Vec<f32> {
        let values = chunk(&self.packed.values, row, self.format.row_bytes(self.cols));
        let half = |b: &[u8]| f16::from_le_bytes([b[0], b[1]]).to_f32();
        let mut out: Vec<f32> = match self.format {
            Format::F32 => values.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
            Format::F16 => values.chunks_exact(2).map(half).collect(),
            Format::Q8 => {
                let scales = chunk(&self.packed.scales, row, self.format.scale_bytes(self.cols));
                values.iter().enumerate().map(|(k, &q)| f32::from(q as i8) * half(&scales[k / BLOCK * 2..])).collect()
            }
        };
        out.truncate(self.cols);
        out
    }
}

fn chunk(bytes: &[u8], index: usize, size: usize) -> &[u8] {
    &bytes[index * size..(index + 1) * size]
}
