//! The matrix product: tiles of 6 rows and 8 columns, whose sums stay in registers. Plain loops over arrays, which compilers turn
//! into vector instructions of any width; `gemm` 0.19 is less than half as fast in WebAssembly.

use std::array;

/// Columns of a panel.
pub const WIDTH: usize = 8;

/// Eight columns of the right-hand matrix, row by row.
pub type Panel = [[f32; WIDTH]];

/// Rows of the left-hand matrix that lie `stride` apart.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    pub data: &'a [f32],
    pub count: usize,
    pub stride: usize,
}

/// Eight columns of rows · panel: `out` takes the number of a row and its sums.
pub fn product(rows: Rows<'_>, panel: &Panel, mut out: impl FnMut(usize, [f32; WIDTH])) {
    let mut row = 0;
    while row < rows.count {
        row += match rows.count - row {
            6.. => tile::<6>(rows, row, panel, &mut out),
            4.. => tile::<4>(rows, row, panel, &mut out),
            2.. => tile::<2>(rows, row, panel, &mut out),
            _ => tile::<1>(rows, row, panel, &mut out),
        };
    }
}

#[inline(always)]
fn tile<const R: usize>(
    rows: Rows<'_>,
    first: usize,
    panel: &Panel,
    out: &mut impl FnMut(usize, [f32; WIDTH]),
) -> usize {
    let x: [&[f32]; R] = array::from_fn(|r| &rows.data[(first + r) * rows.stride..][..panel.len()]);
    let mut sums = [[0.0f32; WIDTH]; R];
    for (k, w) in panel.iter().enumerate() {
        for (sums, x) in sums.iter_mut().zip(&x) {
            let x = x[k];
            for (sum, w) in sums.iter_mut().zip(w) {
                *sum += x * w;
            }
        }
    }
    for (r, sums) in sums.into_iter().enumerate() {
        out(first + r, sums);
    }
    R
}

/// Makes a row of the right-hand matrix's transpose column `at` of a panel.
pub fn column(panel: &mut Panel, at: usize, values: &[f32]) {
    for (row, value) in panel.iter_mut().zip(values) {
        row[at] = *value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn every_number_of_rows() {
        let mut random = Random::new(3);
        let (inner, stride) = (37, 41);
        let panel: Vec<[f32; WIDTH]> = (0..inner).map(|_| array::from_fn(|_| random.floats(1)[0])).collect();
        for count in 0..=20 {
            let data = random.floats(count * stride);
            let mut seen = Vec::new();
            product(Rows { data: &data, count, stride }, &panel, |row, sums| {
                seen.push(row);
                for (column, sum) in sums.into_iter().enumerate() {
                    let expected: f64 =
                        (0..inner).map(|k| f64::from(data[row * stride + k]) * f64::from(panel[k][column])).sum();
                    assert!(
                        (f64::from(sum) - expected).abs() < 1e-5,
                        "{row}, {column}: expected {expected}, found {sum}"
                    );
                }
            });
            assert_eq!(seen, (0..count).collect::<Vec<_>>(), "every row once, in order");
        }
    }
}
