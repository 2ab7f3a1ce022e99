//! One row by a panel. Weights are used as soon as they are in f32, and scales are multiplied with sums: with a single row, every other
//! step on a weight would cost as much as the product itself.

use pulp::Simd;

use super::{
    Format, Matrix, PANEL, Q4_BLOCK, Q8_BLOCK,
    panels::unit,
    unpack::{halves, nibbles},
};

/// Weights along K that are brought to f32 at a time: a block of every format.
const BLOCK: usize = 32;

impl Matrix {
    /// x · panel number `panel`, for x of [`Matrix::cols`] numbers and a matrix in panels that is not in f32.
    #[inline(always)]
    pub(crate) fn row_by_panel<S: Simd>(&self, simd: S, panel: usize, x: &[f32]) -> [f32; PANEL] {
        // As many sums as keep the vector unit busy: one waits for the product before it.
        match S::F32_LANES {
            16 => self.row_by::<S, 1, 4>(simd, panel, x),
            8 => self.row_by::<S, 2, 4>(simd, panel, x),
            4 => self.row_by::<S, 4, 2>(simd, panel, x),
            _ => self.row_by::<S, PANEL, 1>(simd, panel, x),
        }
    }

    /// With vectors of which `V` are a row of a panel, and `U` sums of each, of every `U`th weight along K.
    #[inline(always)]
    fn row_by<S: Simd, const V: usize, const U: usize>(&self, simd: S, panel: usize, x: &[f32]) -> [f32; PANEL] {
        let (bytes, units) = unit(self.format, self.cols);
        let values = &self.packed.values[panel * units * bytes * PANEL..][..units * bytes * PANEL];
        let scales = self.format.scales(self.cols) * 2 * PANEL;
        let scales = self.packed.scales[panel * scales..][..scales].as_chunks::<{ 2 * PANEL }>().0;
        let nothing = [[simd.splat_f32s(0.0); V]; U];
        let mut sums = nothing;
        match self.format {
            Format::F32 => unreachable!("a panel in f32 lies there as it is needed"),
            Format::F16 => {
                let mut weights = [[0.0; PANEL]; BLOCK];
                for (x, values) in x.chunks(BLOCK).zip(values.chunks(2 * BLOCK * PANEL)) {
                    halves(values, weights.as_flattened_mut());
                    add(simd, x, &weights, &mut sums);
                }
            }
            Format::Q8 => {
                let mut weights = [[0.0; PANEL]; Q8_BLOCK];
                for ((x, values), scales) in x.chunks(Q8_BLOCK).zip(values.chunks(Q8_BLOCK * PANEL)).zip(scales) {
                    // A long loop over numbers that lie side by side, which compilers turn into vector instructions.
                    for (w, q) in weights.as_flattened_mut().iter_mut().zip(values) {
                        *w = f32::from(*q as i8);
                    }
                    let mut block = nothing;
                    add(simd, x, &weights, &mut block);
                    add_scaled(simd, &block, scales, &mut sums);
                }
            }
            Format::Q4 => {
                let mut weights = [[[0.0; PANEL]; Q4_BLOCK / 2]; 2];
                let mut each = [[0.0; Q4_BLOCK / 2]; 2];
                for ((x, values), scales) in x.chunks(Q4_BLOCK).zip(values.chunks(Q4_BLOCK / 2 * PANEL)).zip(scales) {
                    let [low, high] = &mut weights;
                    nibbles(values, [low.as_flattened_mut(), high.as_flattened_mut()]);
                    // A byte holds two neighbours.
                    let [even, odd] = &mut each;
                    for ((even, odd), pair) in even.iter_mut().zip(odd).zip(x.chunks(2)) {
                        [*even, *odd] = [pair[0], pair.get(1).copied().unwrap_or_default()];
                    }
                    let mut block = nothing;
                    for (x, weights) in each.iter().zip(&weights) {
                        add(simd, &x[..values.len() / PANEL], weights, &mut block);
                    }
                    add_scaled(simd, &block, scales, &mut sums);
                }
            }
        }
        let mut all = [0.0; PANEL];
        S::as_mut_simd_f32s(&mut all).0.copy_from_slice(&joined(simd, &sums));
        all
    }
}

/// sums += x · weights
#[inline(always)]
fn add<S: Simd, const V: usize, const U: usize>(
    simd: S,
    x: &[f32],
    weights: &[[f32; PANEL]],
    sums: &mut [[S::f32s; V]; U],
) {
    let ((x, x_rest), (weights, weights_rest)) = (x.as_chunks::<U>(), weights.as_chunks::<U>());
    for (x, weights) in x.iter().zip(weights) {
        for ((x, weights), sums) in x.iter().zip(weights).zip(&mut *sums) {
            add_one(simd, *x, weights, sums);
        }
    }
    for (x, weights) in x_rest.iter().zip(weights.iter().skip(x.len()).flatten().chain(weights_rest)) {
        add_one(simd, *x, weights, &mut sums[0]);
    }
}

/// sums += x · weights of one place along K
#[inline(always)]
fn add_one<S: Simd, const V: usize>(simd: S, x: f32, weights: &[f32; PANEL], sums: &mut [S::f32s; V]) {
    let (x, weights) = (simd.splat_f32s(x), S::as_simd_f32s(weights).0);
    for (sum, weight) in sums.iter_mut().zip(weights) {
        *sum = simd.mul_add_e_f32s(x, *weight, *sum);
    }
}

/// sums += block · scales
#[inline(always)]
fn add_scaled<S: Simd, const V: usize, const U: usize>(
    simd: S,
    block: &[[S::f32s; V]; U],
    scales: &[u8; 2 * PANEL],
    sums: &mut [[S::f32s; V]; U],
) {
    let mut factors = [0.0; PANEL];
    halves(scales, &mut factors);
    let block = joined(simd, block);
    for ((sum, part), factor) in sums[0].iter_mut().zip(block).zip(S::as_simd_f32s(&factors).0) {
        *sum = simd.mul_add_e_f32s(part, *factor, *sum);
    }
}

/// The `U` sums of each as one.
#[inline(always)]
fn joined<S: Simd, const V: usize, const U: usize>(simd: S, sums: &[[S::f32s; V]; U]) -> [S::f32s; V] {
    let mut all = sums[0];
    for more in &sums[1..] {
        for (sum, more) in all.iter_mut().zip(more) {
            *sum = simd.add_f32s(*sum, *more);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use pulp::WithSimd;

    use super::*;
    use crate::{quant::Order, quant::Plane, random::Random};

    struct Case<'a> {
        matrix: &'a Matrix,
        panel: usize,
        x: &'a [f32],
    }

    impl WithSimd for Case<'_> {
        type Output = [f32; PANEL];
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
            self.matrix.row_by_panel(simd, self.panel, self.x)
        }
    }

    fn panels(rows: &Matrix) -> Matrix {
        let mut panels = Matrix::zeros(rows.format, rows.rows, rows.cols, Order::Panels);
        panels.put(Plane::Values, 0, &rows.packed.values);
        if !rows.packed.scales.is_empty() {
            panels.put(Plane::Scales, 0, &rows.packed.scales);
        }
        panels
    }

    /// As in f64 from the weights that are stored, in every format and vector width, whatever the rest of a block or a panel; and a sum
    /// without the first weight is not.
    #[test]
    fn a_row_by_a_panel() {
        let mut random = Random::new(6);
        for format in [Format::F16, Format::Q8, Format::Q4] {
            for (rows, cols) in [(2, 1), (16, 7), (17, 33), (40, 65), (20, 576)] {
                let weights = Matrix::new(format, &random.floats(rows * cols), cols).expect("small weights");
                let (x, matrix) = (random.floats(cols), panels(&weights));
                for panel in 0..rows.div_ceil(PANEL) {
                    let case = || Case { matrix: &matrix, panel, x: &x };
                    for found in [pulp::Arch::new().dispatch(case()), case().with_simd(pulp::Scalar)] {
                        for (at, found) in found.into_iter().enumerate() {
                            let row = panel * PANEL + at;
                            let row = if row < rows { weights.row(row) } else { vec![0.0; cols] };
                            let term = |i: usize| f64::from(x[i]) * f64::from(row[i]);
                            let (expected, short) =
                                ((0..cols).map(term).sum::<f64>(), (1..cols).map(term).sum::<f64>());
                            let size = (0..cols).map(|i| term(i).abs()).sum::<f64>();
                            let off = |expected: f64| (f64::from(found) - expected).abs() / size.max(f64::MIN_POSITIVE);
                            assert!(
                                off(expected) < 1e-6,
                                "{format:?} {rows} x {cols}, {panel}, {at}: {expected}, {found}"
                            );
                            if term(0) != 0.0 && term(0).abs() > 1e-4 * size {
                                assert!(off(short) > 1e-5, "{format:?} {rows} x {cols}: a weight that is left out");
                            }
                        }
                    }
                }
            }
        }
    }
}
