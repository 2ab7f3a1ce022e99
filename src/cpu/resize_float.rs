//! One axis of a resize in floats: rows of bytes, or columns of floats.

use pulp::{Simd, WithSimd};

use super::{
    dispatch,
    resize::{RGBA, Table, composite},
};
use crate::{preprocess::TABLE_HEAD, threads::Threads};

/// Numbers of a pixel.
const RGB: usize = 3;
/// Numbers across the axis that are summed side by side.
const BLOCK: usize = 64;

/// Resamples `lines` lines to `outputs` pixels each. The first pass goes along rows of RGBA words, the other one down columns of pixels
/// in three floats.
pub fn resize_float(threads: &Threads, source: &[u32], table: &[u32], lines: usize, first: bool, out: &mut [f32]) {
    let (head, rows) = table.split_first_chunk::<TABLE_HEAD>().expect("its head");
    let [taps, outputs, white, step, line, out_step, out_line, add] = head.map(|word| word as usize);
    let table = Table { rows, entry: taps + 2, step };
    let work = (2 * RGB * taps * outputs * lines) as u64;
    if first {
        assert_eq!([step, out_step, add], [1, RGB, 0], "resize_float: expected rows");
        let width = (0..outputs).map(|at| table.output(at)).map(|(first, weights)| first + weights.len()).max();
        let width = width.unwrap_or(0);
        let rows = out.chunks_mut(out_line).take(lines).enumerate();
        let parts = rows.map(|(at, out)| {
            let (source, out) = (&source[at * line..][..width], &mut out[..outputs * RGB]);
            Along { source, white: white != 0, table, out }
        });
        threads.each(parts.collect(), work, dispatch);
    } else {
        assert_eq!([line, out_line], [RGB; 2], "resize_float: expected columns");
        let source = bytemuck::cast_slice(source);
        let rows = out.chunks_mut(out_step).take(outputs).enumerate();
        let parts =
            rows.map(|(at, out)| Across { source, table, at, add: add != 0, out: &mut out[..lines * RGB] }).collect();
        threads.each(parts, work, dispatch);
    }
}

struct Along<'a> {
    source: &'a [u32],
    white: bool,
    table: Table<'a>,
    out: &'a mut [f32],
}

impl WithSimd for Along<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let opaque = |&pixel: &u32| if self.white { composite(pixel) } else { pixel };
        // A pixel is needed by several outputs.
        let row: Vec<[f32; RGBA]> =
            self.source.iter().map(|pixel| opaque(pixel).to_le_bytes().map(f32::from)).collect();
        for (at, out) in self.out.as_chunks_mut::<RGB>().0.iter_mut().enumerate() {
            let (first, weights) = self.table.output(at);
            let mut sums = [0.0; RGBA];
            for (pixel, weight) in row[first..].iter().zip(weights) {
                for (sum, x) in sums.iter_mut().zip(pixel) {
                    *sum += x * f32::from_bits(*weight);
                }
            }
            *out = [sums[0], sums[1], sums[2]];
        }
    }
}

struct Across<'a> {
    source: &'a [f32],
    table: Table<'a>,
    /// Number of the output.
    at: usize,
    add: bool,
    out: &'a mut [f32],
}

impl WithSimd for Across<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let (first, weights) = self.table.output(self.at);
        for (block, out) in self.out.chunks_mut(BLOCK).enumerate() {
            let mut sums = [0.0; BLOCK];
            for (k, weight) in weights.iter().enumerate() {
                let row = &self.source[(first + k) * self.table.step + block * BLOCK..][..out.len()];
                for (sum, x) in sums.iter_mut().zip(row) {
                    *sum += x * f32::from_bits(*weight);
                }
            }
            for (out, sum) in out.iter_mut().zip(sums) {
                *out = if self.add { *out + sum } else { sum };
            }
        }
    }
}
