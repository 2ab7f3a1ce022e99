//! The layout that the CPU reads: panels of 16 rows, weight by weight of K, so that a matrix product loads the weights of 16 outputs at
//! once.
//!
//! A panel is `[K, 16]` values, and `[blocks, 16]` scales where the format has them. In q4 a byte holds two neighbours along K of
//! one row, as it does in a row. Rows that the last panel lacks are zeros.

use super::{Format, Matrix, Order, Packed, Q4_BLOCK, Q8_BLOCK};

/// Rows of a panel.
pub const PANEL: usize = 16;

/// A panel in f32, `[K, 16]`.
pub type Panel = [[f32; PANEL]];

/// Bytes of a value along K, and how many of them a row has.
fn unit(format: Format, cols: usize) -> (usize, usize) {
    match format {
        Format::F32 => (4, cols),
        Format::F16 => (2, cols),
        Format::Q8 => (1, cols),
        Format::Q4 => (1, cols.div_ceil(2)),
    }
}

/// Room for a matrix in panels.
pub(super) fn zeros(format: Format, rows: usize, cols: usize) -> Packed {
    let (panels, (bytes, units)) = (rows.div_ceil(PANEL), unit(format, cols));
    Packed {
        values: vec![0; panels * units * bytes * PANEL],
        scales: vec![0; panels * format.scales(cols) * 2 * PANEL],
    }
}

/// Puts `count` units of `bytes` each, which a row has in order, where a panel has them.
fn scatter(into: &mut [u8], row: usize, from: &[u8], bytes: usize, count: usize) {
    let into = &mut into[row / PANEL * count * bytes * PANEL + row % PANEL * bytes..];
    for (at, unit) in from.chunks_exact(bytes).take(count).enumerate() {
        into[at * bytes * PANEL..][..bytes].copy_from_slice(unit);
    }
}

/// The reverse of [`scatter`].
fn gather<'a>(from: &'a [u8], row: usize, bytes: usize, count: usize) -> impl Iterator<Item = &'a [u8]> {
    // Where there are no scales there is nothing to begin at.
    let from = from.get(row / PANEL * count * bytes * PANEL + row % PANEL * bytes..).unwrap_or_default();
    (0..count).map(move |at| &from[at * bytes * PANEL..][..bytes])
}

impl Matrix {
    pub(super) fn scatter_values(&mut self, row: usize, from: &[u8]) {
        let (bytes, units) = unit(self.format, self.cols);
        scatter(&mut self.packed.values, row, from, bytes, units);
    }

    pub(super) fn scatter_scales(&mut self, row: usize, from: &[u8]) {
        scatter(&mut self.packed.scales, row, from, 2, self.format.scales(self.cols));
    }

    /// The packed bytes of a row: its values, and its scales.
    pub(super) fn gather_row(&self, row: usize) -> Packed {
        let (bytes, units) = unit(self.format, self.cols);
        Packed {
            values: gather(&self.packed.values, row, bytes, units).flatten().copied().collect(),
            scales: gather(&self.packed.scales, row, 2, self.format.scales(self.cols)).flatten().copied().collect(),
        }
    }

    /// Panel number `panel` as it lies in memory, if it is f32 there.
    #[inline]
    #[must_use]
    pub fn panel(&self, panel: usize) -> Option<&Panel> {
        if self.format != Format::F32 || self.order != Order::Panels {
            return None;
        }
        let bytes = self.cols * 4 * PANEL;
        bytemuck::try_cast_slice(&self.packed.values[panel * bytes..][..bytes]).ok()
    }

    /// Panel number `panel` in f32; `out` has [`Matrix::cols`] rows.
    #[inline(always)]
    pub fn panel_into(&self, panel: usize, out: &mut Panel) {
        if self.order == Order::Rows {
            return self.rows_into(panel * PANEL, out);
        }
        let (bytes, units) = unit(self.format, self.cols);
        let values = &self.packed.values[panel * units * bytes * PANEL..][..units * bytes * PANEL];
        let scales = self.format.scales(self.cols) * 2 * PANEL;
        let scales = self.packed.scales[panel * scales..][..scales].as_chunks::<{ 2 * PANEL }>().0;
        match self.format {
            Format::F32 => {
                for (out, bytes) in out.iter_mut().zip(values.as_chunks::<{ 4 * PANEL }>().0) {
                    out.iter_mut().zip(bytes.as_chunks().0).for_each(|(x, b)| *x = f32::from_le_bytes(*b));
                }
            }
            Format::F16 => {
                for (out, bytes) in out.iter_mut().zip(values.as_chunks().0) {
                    *out = halves(bytes);
                }
            }
            Format::Q8 => {
                let blocks = out.chunks_mut(Q8_BLOCK).zip(values.chunks(Q8_BLOCK * PANEL));
                for ((out, values), scales) in blocks.zip(scales) {
                    let scales = halves(scales);
                    for (out, q) in out.iter_mut().zip(values.as_chunks::<PANEL>().0) {
                        for ((x, q), scale) in out.iter_mut().zip(q).zip(&scales) {
                            *x = f32::from(*q as i8) * scale;
                        }
                    }
                }
            }
            Format::Q4 => {
                let blocks = out.chunks_mut(Q4_BLOCK).zip(values.chunks(Q4_BLOCK / 2 * PANEL));
                for ((out, values), scales) in blocks.zip(scales) {
                    let scales = halves(scales);
                    for (pair, q) in out.chunks_mut(2).zip(values.as_chunks::<PANEL>().0) {
                        let [low, rest @ ..] = pair else { continue };
                        for ((x, q), scale) in low.iter_mut().zip(q).zip(&scales) {
                            *x = f32::from((*q << 4) as i8 >> 4) * scale;
                        }
                        let Some(high) = rest.first_mut() else { continue };
                        for ((x, q), scale) in high.iter_mut().zip(q).zip(&scales) {
                            *x = f32::from(*q as i8 >> 4) * scale;
                        }
                    }
                }
            }
        }
    }

    /// Sixteen rows from `first` on as a panel, of a matrix that lies in rows.
    fn rows_into(&self, first: usize, out: &mut Panel) {
        let mut row = vec![0.0; self.cols];
        for at in 0..PANEL {
            match first + at < self.rows {
                true => self.row_into(first + at, &mut row),
                false => row.fill(0.0),
            }
            out.iter_mut().zip(&row).for_each(|(out, x)| out[at] = *x);
        }
    }
}

/// Sixteen finite f16 in f32. In place of the crate's own function, which is a call for each number: this one becomes vector
/// instructions.
#[inline(always)]
fn halves(bytes: &[u8; 2 * PANEL]) -> [f32; PANEL] {
    // Moves the exponent from f16's bias to f32's, subnormal numbers included.
    const REBIAS: f32 = f32::from_bits((127 + 127 - 15) << 23);
    let mut out = [0.0; PANEL];
    for (x, bytes) in out.iter_mut().zip(bytes.as_chunks().0) {
        let half = u32::from(u16::from_le_bytes(*bytes));
        let size = f32::from_bits((half & 0x7fff) << 13) * REBIAS;
        *x = f32::from_bits(size.to_bits() | (half & 0x8000) << 16);
    }
    out
}

#[cfg(test)]
mod tests {
    use half::f16;

    use super::*;
    use crate::random::Random;

    #[test]
    fn every_finite_half() {
        for bits in (0..=u16::MAX).filter(|&bits| f16::from_bits(bits).is_finite()) {
            let mut bytes = [0; 2 * PANEL];
            bytes[6..8].copy_from_slice(&bits.to_le_bytes());
            assert_eq!(halves(&bytes)[3].to_bits(), f16::from_bits(bits).to_f32().to_bits(), "{bits:#06x}");
        }
    }

    /// Rows put into panels come back as they were, by rows and by panels, whatever the format and the rest of a panel.
    #[test]
    fn panels_hold_rows() {
        let mut random = Random::new(5);
        for format in Format::ALL {
            for (rows, cols) in [(1, 1), (2, 7), (16, 16), (17, 33), (40, 65)] {
                let rowwise = Matrix::new(format, &random.floats(rows * cols), cols).unwrap();
                let mut panels = Matrix::zeros(format, rows, cols, Order::Panels);
                // In two parts, as they arrive.
                let half = rows / 2;
                let (values, scales) = (format.row_bytes(cols), format.scale_bytes(cols));
                for part in [half..rows, 0..half] {
                    let bytes = part.start * values..part.end * values;
                    panels.put_values(bytes.start, &rowwise.packed.values[bytes]);
                    if scales > 0 {
                        let bytes = part.start * scales..part.end * scales;
                        panels.put_scales(bytes.start, &rowwise.packed.scales[bytes]);
                    }
                }
                let mut panel = vec![[9.0; PANEL]; cols];
                for row in 0..rows.next_multiple_of(PANEL) {
                    panels.panel_into(row / PANEL, &mut panel);
                    let found: Vec<f32> = panel.iter().map(|x| x[row % PANEL]).collect();
                    let expected = if row < rows { rowwise.row(row) } else { vec![0.0; cols] };
                    assert_eq!(found, expected, "{format:?} {rows} x {cols}: row {row} of a panel");
                    rowwise.panel_into(row / PANEL, &mut panel);
                    let found: Vec<f32> = panel.iter().map(|x| x[row % PANEL]).collect();
                    assert_eq!(found, expected, "{format:?} {rows} x {cols}: row {row} of a panel made of rows");
                    if row < rows {
                        assert_eq!(panels.row(row), expected, "{format:?} {rows} x {cols}: row {row}");
                    }
                }
                assert_eq!(panels.panel(0).is_some(), format == Format::F32 && rows > 1);
            }
        }
    }
}
