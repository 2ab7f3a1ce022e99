//! Panels in f32, a whole one at a time.

use pulp::Simd;

use super::{Format, Matrix, Order, PANEL, Panel, Q4_BLOCK, Q8_BLOCK, panels::unit};

impl Matrix {
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
                    nibbles(values, [&mut low, &mut high]);
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

/// Numbers of four bits in two's complement: those in the low bits of bytes, and those in the high bits.
#[inline(always)]
pub(super) fn nibbles(bytes: &[u8], [low, high]: [&mut [f32]; 2]) {
    for ((low, high), q) in low.iter_mut().zip(high).zip(bytes) {
        *low = f32::from((q & 15 ^ 8) as i8 - 8);
        *high = f32::from((q >> 4 ^ 8) as i8 - 8);
    }
}

/// Finite f16 in f32. In place of the crate's own function, which is a call for each number: this one becomes vector instructions.
#[inline(always)]
pub(super) fn halves(bytes: &[u8], out: &mut [f32]) {
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

    #[test]
    fn every_finite_half() {
        for bits in (0..=u16::MAX).filter(|&bits| f16::from_bits(bits).is_finite()) {
            let mut found = [0.0];
            halves(&bits.to_le_bytes(), &mut found);
            assert_eq!(found[0].to_bits(), f16::from_bits(bits).to_f32().to_bits(), "{bits:#06x}");
        }
    }
}
