//! The layout that the CPU reads: panels of 16 rows, weight by weight of K, so that a matrix product loads the weights of 16 outputs at
//! once.
//!
//! A panel is `[K, 16]` values, and `[blocks, 16]` scales where the format has them. In q4 a byte holds two neighbours along K of
//! one row, as it does in a row. Rows that the last panel lacks are zeros.

use pulp::Simd;

use super::{Format, Matrix, Order, Packed, Plane, Q4_BLOCK, Q8_BLOCK};

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

/// Puts packed rows of `width` bytes, of which `row` is the first one's number, where a panel has their units of `BYTES` each, `count` a
/// row.
fn scatter<const BYTES: usize>(into: &mut [u8], mut row: usize, mut from: &[u8], width: usize, count: usize) {
    let mut panels = into.chunks_exact_mut(count * BYTES * PANEL).skip(row / PANEL);
    while !from.is_empty() {
        let (first, here) = (row % PANEL, (PANEL - row % PANEL).min(from.len() / width));
        let (now, later) = from.split_at(here * width);
        let panel = panels.next().expect("a panel for every row");
        // Unit by unit, so that what is written lies side by side.
        let rows: Vec<&[[u8; BYTES]]> = now.chunks_exact(width).map(|row| &row.as_chunks().0[..count]).collect();
        for (at, units) in panel.as_chunks_mut::<BYTES>().0.chunks_exact_mut(PANEL).enumerate() {
            units[first..].iter_mut().zip(&rows).for_each(|(unit, row)| *unit = row[at]);
        }
        (row, from) = (row + here, later);
    }
}

/// The units of a row, out of its panel.
fn gather(from: &[u8], row: usize, bytes: usize, count: usize) -> impl Iterator<Item = &[u8]> {
    // Where there are no scales there is nothing to begin at.
    let from = from.get(row / PANEL * count * bytes * PANEL + row % PANEL * bytes..).unwrap_or_default();
    (0..count).map(move |at| &from[at * bytes * PANEL..][..bytes])
}

impl Matrix {
    /// Puts whole packed rows, from number `row` on.
    pub(super) fn scatter(&mut self, plane: Plane, row: usize, from: &[u8]) {
        let (bytes, units) = unit(self.format, self.cols);
        let width = plane.row_bytes(self.format, self.cols);
        let Packed { values, scales } = &mut self.packed;
        match (plane, bytes) {
            (Plane::Scales, _) => scatter::<2>(scales, row, from, width, self.format.scales(self.cols)),
            (Plane::Values, 4) => scatter::<4>(values, row, from, width, units),
            (Plane::Values, 2) => scatter::<2>(values, row, from, width, units),
            (Plane::Values, _) => scatter::<1>(values, row, from, width, units),
        }
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
    pub(crate) fn panel_into<S: Simd>(&self, simd: S, panel: usize, out: &mut Panel) {
        if self.order == Order::Rows {
            return self.rows_into(panel * PANEL, out);
        }
        let (bytes, units) = unit(self.format, self.cols);
        let values = &self.packed.values[panel * units * bytes * PANEL..][..units * bytes * PANEL];
        let scales = self.format.scales(self.cols) * 2 * PANEL;
        let scales = self.packed.scales[panel * scales..][..scales].as_chunks::<{ 2 * PANEL }>().0;
        // Long loops over numbers that lie side by side, which compilers turn into vector instructions; short ones they
        // unroll, and closures they compile without the caller's instructions.
        match self.format {
            Format::F32 => {
                for (x, bytes) in out.as_flattened_mut().iter_mut().zip(values.as_chunks().0) {
                    *x = f32::from_le_bytes(*bytes);
                }
            }
            Format::F16 => halves(values, out.as_flattened_mut()),
            Format::Q8 => {
                let blocks = out.chunks_mut(Q8_BLOCK).zip(values.chunks(Q8_BLOCK * PANEL));
                for ((out, values), scales) in blocks.zip(scales) {
                    for (x, q) in out.as_flattened_mut().iter_mut().zip(values) {
                        *x = f32::from(*q as i8);
                    }
                    scale(simd, scales, out);
                }
            }
            Format::Q4 => {
                let blocks = out.chunks_mut(Q4_BLOCK).zip(values.chunks(Q4_BLOCK / 2 * PANEL));
                for ((out, values), scales) in blocks.zip(scales) {
                    let [mut low, mut high] = [[0.0; Q4_BLOCK / 2 * PANEL]; 2];
                    for ((low, high), q) in low.iter_mut().zip(&mut high).zip(values) {
                        // Two's complement of four bits.
                        *low = f32::from((q & 15 ^ 8) as i8 - 8);
                        *high = f32::from((q >> 4 ^ 8) as i8 - 8);
                    }
                    let rows = low.as_chunks::<PANEL>().0.iter().zip(high.as_chunks::<PANEL>().0);
                    for (pair, (low, high)) in out.chunks_mut(2).zip(rows) {
                        pair[0] = *low;
                        if let Some(row) = pair.get_mut(1) {
                            *row = *high;
                        }
                    }
                    scale(simd, scales, out);
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

/// Multiplies rows of sixteen with their scales, in f16.
#[inline(always)]
fn scale<S: Simd>(simd: S, scales: &[u8; 2 * PANEL], rows: &mut Panel) {
    let mut factors = [0.0; PANEL];
    halves(scales, &mut factors);
    let factors = S::as_simd_f32s(&factors).0;
    for row in rows {
        let vectors = S::as_mut_simd_f32s(row).0;
        for (x, factor) in vectors.iter_mut().zip(factors) {
            *x = simd.mul_f32s(*x, *factor);
        }
    }
}

/// Finite f16 in f32. In place of the crate's own function, which is a call for each number: this one becomes vector instructions.
#[inline(always)]
fn halves(bytes: &[u8], out: &mut [f32]) {
    // Moves the exponent from f16's bias to f32's, subnormal numbers included.
    const REBIAS: f32 = f32::from_bits((127 + 127 - 15) << 23);
    for (x, bytes) in out.iter_mut().zip(bytes.as_chunks().0) {
        let half = u32::from(u16::from_le_bytes(*bytes));
        let size = f32::from_bits((half & 0x7fff) << 13) * REBIAS;
        *x = f32::from_bits(size.to_bits() | (half & 0x8000) << 16);
    }
}

#[cfg(test)]
mod tests {
    use half::f16;

    use super::*;
    use crate::random::Random;

    #[test]
    fn every_finite_half() {
        for bits in (0..=u16::MAX).filter(|&bits| f16::from_bits(bits).is_finite()) {
            let mut found = [0.0];
            halves(&bits.to_le_bytes(), &mut found);
            assert_eq!(found[0].to_bits(), f16::from_bits(bits).to_f32().to_bits(), "{bits:#06x}");
        }
    }

    /// Rows put into panels come back as they were, by rows and by panels, whatever the format and the rest of a panel.
    #[test]
    fn panels_hold_rows() {
        let mut random = Random::new(5);
        for format in Format::ALL {
            for (rows, cols) in [(1, 1), (2, 7), (16, 16), (17, 33), (40, 65)] {
                let rowwise = Matrix::new(format, &random.floats(rows * cols), cols).expect("small weights");
                let mut panels = Matrix::zeros(format, rows, cols, Order::Panels);
                // In two parts, as they arrive.
                let half = rows / 2;
                let (values, scales) = (format.row_bytes(cols), format.scale_bytes(cols));
                for part in [half..rows, 0..half] {
                    let bytes = part.start * values..part.end * values;
                    panels.put(Plane::Values, bytes.start, &rowwise.packed.values[bytes]);
                    if scales > 0 {
                        let bytes = part.start * scales..part.end * scales;
                        panels.put(Plane::Scales, bytes.start, &rowwise.packed.scales[bytes]);
                    }
                }
                let mut panel = vec![[9.0; PANEL]; cols];
                for row in 0..rows.next_multiple_of(PANEL) {
                    panels.panel_into(pulp::Scalar, row / PANEL, &mut panel);
                    let found: Vec<f32> = panel.iter().map(|x| x[row % PANEL]).collect();
                    let expected = if row < rows { rowwise.row(row) } else { vec![0.0; cols] };
                    assert_eq!(found, expected, "{format:?} {rows} x {cols}: row {row} of a panel");
                    rowwise.panel_into(pulp::Scalar, row / PANEL, &mut panel);
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
