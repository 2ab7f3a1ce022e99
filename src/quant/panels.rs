//! The layout that the CPU reads: panels of 16 rows, weight by weight of K, so that a matrix product loads the weights of 16 outputs at
//! once.
//!
//! A panel is `[K, 16]` values, and `[blocks, 16]` scales where the format has them. In q4 a byte holds two neighbours along K of
//! one row, as it does in a row. Rows that the last panel lacks are zeros.

use super::{Format, Matrix, Order, Packed, Plane};

/// Rows of a panel.
pub const PANEL: usize = 16;

/// A panel in f32, `[K, 16]`.
pub type Panel = [[f32; PANEL]];

/// Bytes of a value along K, and how many of them a row has.
pub(super) fn unit(format: Format, cols: usize) -> (usize, usize) {
    match format {
        Format::F32 => (4, cols),
        Format::F16 => (2, cols),
        Format::Q8 => (1, cols),
        Format::Q4 => (1, cols.div_ceil(2)),
    }
}

impl Packed {
    /// Room for a matrix in panels.
    pub(super) fn panels(format: Format, rows: usize, cols: usize) -> Self {
        let (panels, (bytes, units)) = (rows.div_ceil(PANEL), unit(format, cols));
        Self {
            values: vec![0; panels * units * bytes * PANEL],
            scales: vec![0; panels * format.scales(cols) * 2 * PANEL],
        }
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

    /// Whether it lies in panels that are smaller than f32.
    #[must_use]
    pub fn in_small_panels(&self) -> bool {
        self.order == Order::Panels && self.format != Format::F32
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

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
