//! One axis of Pillow's resampling, in its own 32-bit integers: three channels, or sixteen pixels, at once.

use pulp::{Simd, WithSimd};

use super::dispatch;
use crate::{
    preprocess::{PRECISION_BITS, TABLE_HEAD},
    threads::Threads,
};

/// Pixels across the axis that are summed side by side.
const COLUMNS: usize = 16;
/// Bytes of a pixel.
pub(super) const RGBA: usize = 4;
/// Half of the last place, which makes cutting round.
const HALF: i32 = 1 << (PRECISION_BITS - 1);

/// What [`crate::preprocess::Axis::table`] says.
#[derive(Clone, Copy)]
pub(super) struct Table<'a> {
    pub rows: &'a [u32],
    /// Words of an output.
    pub entry: usize,
    /// Words between source neighbours along the axis.
    pub step: usize,
}

impl<'a> Table<'a> {
    /// The first source pixel of an output, and the weights from there on.
    #[inline(always)]
    pub fn output(&self, at: usize) -> (usize, &'a [u32]) {
        let row = &self.rows[at * self.entry..][..self.entry];
        (row[0] as usize, &row[2..][..row[1] as usize])
    }
}

/// Resamples `lines` lines to `outputs` pixels each; both in words of RGBA.
pub fn resize(threads: &Threads, source: &[u32], table: &[u32], lines: usize, out: &mut [u32]) {
    let (head, rows) = table.split_first_chunk::<TABLE_HEAD>().expect("its head");
    let [taps, outputs, white, step, line, out_step, out_line, start] = head.map(|word| word as usize);
    let on_white: Vec<u32>;
    let source = match white {
        0 => source,
        _ => {
            on_white = source.iter().map(|&pixel| composite(pixel)).collect();
            &on_white
        }
    };
    let table = Table { rows, entry: taps + 2, step };
    let out = &mut out[start..];
    let work = (2 * RGBA * taps * outputs * lines) as u64;
    if out_step == 1 {
        // Each line of the source makes a row of the output.
        let rows = out.chunks_mut(out_line).take(lines).enumerate();
        let parts = rows.map(|(at, out)| Along { source: &source[at * line..], table, out: &mut out[..outputs] });
        threads.each(parts.collect(), work, dispatch);
    } else {
        // Lines are neighbours, and each output is a row of them.
        assert_eq!([line, out_line], [1; 2], "resize: expected rows or columns");
        let rows = out.chunks_mut(out_step).take(outputs).enumerate();
        let parts = rows.map(|(at, out)| Across { source, table, at, out: &mut out[..lines] });
        threads.each(parts.collect(), work, dispatch);
    }
}

/// A pixel on white.
pub(super) fn composite(pixel: u32) -> u32 {
    let [r, g, b, alpha] = pixel.to_le_bytes();
    let alpha = u32::from(alpha);
    let on_white = |channel: u8| ((u32::from(channel) * alpha + 255 * (255 - alpha) + 127) / 255) as u8;
    u32::from_le_bytes([on_white(r), on_white(g), on_white(b), 255])
}

struct Along<'a> {
    source: &'a [u32],
    table: Table<'a>,
    out: &'a mut [u32],
}

impl WithSimd for Along<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (at, out) in self.out.iter_mut().enumerate() {
            let (first, weights) = self.table.output(at);
            let mut sums = [HALF; RGBA];
            let pixels = self.source[first * self.table.step..].iter().step_by(self.table.step);
            for (pixel, weight) in pixels.zip(weights) {
                for (sum, byte) in sums.iter_mut().zip(pixel.to_le_bytes()) {
                    *sum += i32::from(byte) * *weight as i32;
                }
            }
            *out = u32::from_le_bytes(sums.map(byte)) | OPAQUE;
        }
    }
}

struct Across<'a> {
    source: &'a [u32],
    table: Table<'a>,
    /// Number of the output.
    at: usize,
    out: &'a mut [u32],
}

impl WithSimd for Across<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let (first, weights) = self.table.output(self.at);
        for (block, out) in self.out.chunks_mut(COLUMNS).enumerate() {
            let mut sums = [HALF; COLUMNS * RGBA];
            for (k, weight) in weights.iter().enumerate() {
                let row = &self.source[(first + k) * self.table.step + block * COLUMNS..][..out.len()];
                for (sum, byte) in sums.iter_mut().zip(bytemuck::cast_slice::<u32, u8>(row)) {
                    *sum += i32::from(*byte) * *weight as i32;
                }
            }
            for (out, sums) in out.iter_mut().zip(sums.as_chunks::<RGBA>().0) {
                *out = u32::from_le_bytes(sums.map(byte)) | OPAQUE;
            }
        }
    }
}

const OPAQUE: u32 = 255 << 24;

#[inline(always)]
fn byte(sum: i32) -> u8 {
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}
