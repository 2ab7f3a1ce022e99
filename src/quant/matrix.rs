//! A matrix in memory.

use half::f16;

use super::{Format, Packed, Q4_BLOCK, Q8_BLOCK, pack};
use crate::error::Result;

/// How the rows of a [`Matrix`] lie in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// One after the other, as the GPU and the naive reference read them.
    #[default]
    Rows,
    /// In panels of [`super::PANEL`] rows, as the CPU's matrix product reads them.
    Panels,
}

/// The two things that are stored of a weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plane {
    /// `rows × Format::row_bytes`
    Values,
    /// `rows × Format::scale_bytes`
    Scales,
}

impl Plane {
    /// Bytes of a packed row.
    #[must_use]
    pub fn row_bytes(self, format: Format, cols: usize) -> usize {
        match self {
            Self::Values => format.row_bytes(cols),
            Self::Scales => format.scale_bytes(cols),
        }
    }
}

/// A matrix in memory, for the CPU and the naive reference.
#[derive(Debug, Clone)]
pub struct Matrix {
    /// The format of `packed`.
    pub format: Format,
    /// Number of rows.
    pub rows: usize,
    /// Weights in a row, without padding.
    pub cols: usize,
    /// How the rows lie in `packed`.
    pub order: Order,
    /// The weights of all rows.
    pub packed: Packed,
}

impl Matrix {
    /// Packs a whole matrix.
    ///
    /// # Errors
    /// As [`pack`].
    pub fn new(format: Format, data: &[f32], cols: usize) -> Result<Self> {
        Ok(Self { format, rows: data.len() / cols, cols, order: Order::Rows, packed: pack(format, data, cols)? })
    }

    /// Room for a matrix. A vector lies in a single row, whatever the order.
    #[must_use]
    pub fn zeros(format: Format, rows: usize, cols: usize, order: Order) -> Self {
        let (order, packed) = match order {
            Order::Panels if rows > 1 => (order, Packed::panels(format, rows, cols)),
            _ => {
                let (values, scales) = (rows * format.row_bytes(cols), rows * format.scale_bytes(cols));
                (Order::Rows, Packed { values: vec![0; values], scales: vec![0; scales] })
            }
        };
        Self { format, rows, cols, order, packed }
    }

    /// Puts packed rows, which begin `offset` bytes into that plane of a matrix in rows. In panels they are whole rows.
    pub fn put(&mut self, plane: Plane, offset: usize, bytes: &[u8]) {
        if self.order == Order::Panels {
            return self.scatter(plane, offset / plane.row_bytes(self.format, self.cols), bytes);
        }
        let into = match plane {
            Plane::Values => &mut self.packed.values,
            Plane::Scales => &mut self.packed.scales,
        };
        into[offset..][..bytes.len()].copy_from_slice(bytes);
    }

    /// Row `row` in f32, `cols` numbers.
    #[must_use]
    pub fn row(&self, row: usize) -> Vec<f32> {
        let mut out = vec![0.0; self.cols];
        self.row_into(row, &mut out);
        out
    }

    /// One row, dequantised into `out`, which has [`Matrix::cols`] numbers.
    pub fn row_into(&self, row: usize, out: &mut [f32]) {
        let gathered;
        let (values, scales) = match self.order {
            Order::Rows => (
                chunk(&self.packed.values, row, self.format.row_bytes(self.cols)),
                chunk(&self.packed.scales, row, self.format.scale_bytes(self.cols)),
            ),
            Order::Panels => {
                gathered = self.gather_row(row);
                (gathered.values.as_slice(), gathered.scales.as_slice())
            }
        };
        let half = |b: &[u8]| f16::from_le_bytes([b[0], b[1]]).to_f32();
        let scales = scales.chunks_exact(2).map(half);
        match self.format {
            Format::F32 => {
                for (x, b) in out.iter_mut().zip(values.chunks_exact(4)) {
                    *x = f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
                }
            }
            Format::F16 => out.iter_mut().zip(values.chunks_exact(2)).for_each(|(x, b)| *x = half(b)),
            Format::Q8 => {
                for ((out, q), scale) in out.chunks_mut(Q8_BLOCK).zip(values.chunks(Q8_BLOCK)).zip(scales) {
                    out.iter_mut().zip(q).for_each(|(x, &q)| *x = f32::from(q as i8) * scale);
                }
            }
            Format::Q4 => {
                for ((out, q), scale) in out.chunks_mut(Q4_BLOCK).zip(values.chunks(Q4_BLOCK / 2)).zip(scales) {
                    for (pair, &q) in out.chunks_mut(2).zip(q) {
                        // Two's complement; the first is in the low bits.
                        let both = [f32::from((q << 4) as i8 >> 4) * scale, f32::from(q as i8 >> 4) * scale];
                        pair.copy_from_slice(&both[..pair.len()]);
                    }
                }
            }
        }
    }
}

fn chunk(bytes: &[u8], index: usize, size: usize) -> &[u8] {
    &bytes[index * size..(index + 1) * size]
}
