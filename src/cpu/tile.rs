//! The matrix product: tiles whose sums stay in registers, as many rows and panels as the vector unit has registers for. The sum of an
//! output runs over K in order, whatever the tile, so results do not depend on how work is shared.

use std::array;

use pulp::Simd;

use crate::quant::{PANEL, Panel};

/// Rows of the left-hand matrix that lie `stride` apart.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    pub data: &'a [f32],
    pub count: usize,
    pub stride: usize,
}

impl<'a> Rows<'a> {
    /// `count` rows from number `first` on.
    pub fn part(self, first: usize, count: usize) -> Self {
        Self { data: &self.data[first * self.stride..], count, ..self }
    }

    fn row(&self, at: usize, inner: usize) -> &'a [f32] {
        &self.data[at * self.stride..][..inner]
    }
}

/// rows · panels, which are `[K, 16]` each: `out` takes the number of a row, the number of a panel, and its sums.
#[inline(always)]
pub fn product<S: Simd>(simd: S, rows: Rows<'_>, panels: &[&Panel], mut out: impl FnMut(usize, usize, [f32; PANEL])) {
    let out = &mut out;
    // Vectors of a panel's row, rows of a tile, panels of a tile. A single row has too few sums to keep the vector unit busy with one
    // panel.
    match (S::F32_LANES, rows.count) {
        (16, 1) => tiles::<S, 1, 1, 4>(simd, rows, panels, out),
        (16, _) => tiles::<S, 1, 12, 2>(simd, rows, panels, out),
        (8, 1) => tiles::<S, 2, 1, 4>(simd, rows, panels, out),
        (8, _) => tiles::<S, 2, 6, 1>(simd, rows, panels, out),
        (4, 1) => tiles::<S, 4, 1, 2>(simd, rows, panels, out),
        (4, _) if cfg!(target_arch = "aarch64") => tiles::<S, 4, 6, 1>(simd, rows, panels, out),
        // WebAssembly: engines spill the sums of larger tiles.
        (4, _) => tiles::<S, 4, 2, 1>(simd, rows, panels, out),
        // No vectors that are known at run time: the compiler's own, of sixteen numbers.
        _ => tiles::<S, PANEL, 2, 1>(simd, rows, panels, out),
    }
}

#[inline(always)]
fn tiles<S: Simd, const V: usize, const R: usize, const P: usize>(
    simd: S,
    rows: Rows<'_>,
    panels: &[&Panel],
    out: &mut impl FnMut(usize, usize, [f32; PANEL]),
) {
    let (groups, rest) = panels.as_chunks::<P>();
    for (at, group) in groups.iter().enumerate() {
        down::<S, V, R, P>(simd, rows, *group, at * P, out);
    }
    for (at, panel) in rest.iter().enumerate() {
        down::<S, V, R, 1>(simd, rows, [*panel], groups.len() * P + at, out);
    }
}

/// All rows by some panels, of which `first` is the first one's number.
#[inline(always)]
fn down<S: Simd, const V: usize, const R: usize, const P: usize>(
    simd: S,
    rows: Rows<'_>,
    panels: [&Panel; P],
    first: usize,
    out: &mut impl FnMut(usize, usize, [f32; PANEL]),
) {
    let mut row = 0;
    while row < rows.count {
        row += match rows.count - row {
            left if left >= R => tile::<S, V, R, P>(simd, rows, row, panels, first, out),
            4.. => tile::<S, V, 4, P>(simd, rows, row, panels, first, out),
            2.. => tile::<S, V, 2, P>(simd, rows, row, panels, first, out),
            _ => tile::<S, V, 1, P>(simd, rows, row, panels, first, out),
        };
    }
}

#[inline(always)]
fn tile<S: Simd, const V: usize, const R: usize, const P: usize>(
    simd: S,
    rows: Rows<'_>,
    row: usize,
    panels: [&Panel; P],
    first: usize,
    out: &mut impl FnMut(usize, usize, [f32; PANEL]),
) -> usize {
    let inner = panels[0].len();
    let panels = panels.map(|panel| &panel[..inner]);
    let x: [&[f32]; R] = array::from_fn(|r| rows.row(row + r, inner));
    let mut sums = [[[simd.splat_f32s(0.0); V]; P]; R];
    for k in 0..inner {
        let w: [[S::f32s; V]; P] = array::from_fn(|p| {
            let vectors = S::as_simd_f32s(&panels[p][k]).0;
            array::from_fn(|v| vectors[v])
        });
        for (sums, x) in sums.iter_mut().zip(&x) {
            let x = simd.splat_f32s(x[k]);
            for (sums, w) in sums.iter_mut().zip(&w) {
                for (sum, w) in sums.iter_mut().zip(w) {
                    *sum = simd.mul_add_e_f32s(x, *w, *sum);
                }
            }
        }
    }
    for (r, sums) in sums.into_iter().enumerate() {
        for (p, sums) in sums.into_iter().enumerate() {
            let mut all = [0.0; PANEL];
            S::as_mut_simd_f32s(&mut all).0.copy_from_slice(&sums);
            out(row + r, first + p, all);
        }
    }
    R
}

#[cfg(test)]
mod tests {
    use pulp::WithSimd;

    use super::*;
    use crate::random::Random;

    struct Case<'a> {
        rows: Rows<'a>,
        panels: &'a [Vec<[f32; PANEL]>],
    }

    impl WithSimd for Case<'_> {
        type Output = Vec<(usize, usize, [f32; PANEL])>;
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
            let panels: Vec<&Panel> = self.panels.iter().map(Vec::as_slice).collect();
            let mut seen = Vec::new();
            product(simd, self.rows, &panels, |row, panel, sums| seen.push((row, panel, sums)));
            seen
        }
    }

    #[test]
    fn every_number_of_rows_and_panels() {
        let mut random = Random::new(3);
        let (inner, stride) = (37, 41);
        for (count, panels) in (0..=26).flat_map(|count| (1..=9).map(move |panels| (count, panels))) {
            let panels: Vec<Vec<[f32; PANEL]>> =
                (0..panels).map(|_| (0..inner).map(|_| array::from_fn(|_| random.floats(1)[0])).collect()).collect();
            let data = random.floats(count * stride);
            let case = || Case { rows: Rows { data: &data, count, stride }, panels: &panels };
            for mut seen in [crate::cpu::dispatch(case()), case().with_simd(pulp::Scalar)] {
                seen.sort_by_key(|(row, panel, _)| (*row, *panel));
                let places: Vec<_> = seen.iter().map(|(row, panel, _)| (*row, *panel)).collect();
                let all: Vec<_> = (0..count).flat_map(|row| (0..panels.len()).map(move |p| (row, p))).collect();
                assert_eq!(places, all, "every row and panel once");
                for (row, panel, sums) in seen {
                    for (column, sum) in sums.into_iter().enumerate() {
                        let term = |k: usize| f64::from(data[row * stride + k]) * f64::from(panels[panel][k][column]);
                        let expected: f64 = (0..inner).map(term).sum();
                        let off = (f64::from(sum) - expected).abs();
                        assert!(off < 1e-5, "{row}, {panel}, {column}: expected {expected}, found {sum}");
                    }
                }
            }
        }
    }
}
