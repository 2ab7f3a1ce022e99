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
const RGBA: usize = 4;
/// Half of the last place, which makes cutting round.
const HALF: i32 = 1 << (PRECISION_BITS - 1);

/// Where the pixels of source and output lie, in words.
#[derive(Clone, Copy)]
pub struct Lines {
    /// Output pixels along the axis.
    pub outputs: usize,
    /// Lines across the axis.
    pub lines: usize,
    /// Between source neighbours along the axis.
    pub step: usize,
}

/// The rows of [`crate::preprocess::Axis::table`].
#[derive(Clone, Copy)]
struct Table<'a> {
    rows: &'a [u32],
    entry: usize,
    /// Words between lines of the source.
    stride: usize,
}

impl<'a> Table<'a> {
    fn new(table: &'a [u32]) -> Self {
        let (head, rows) = table.split_at(TABLE_HEAD);
        Self { rows, entry: head[0] as usize + 2, stride: head[1] as usize }
    }

    /// The first source pixel of an output, and the weights from there on.
    fn output(&self, at: usize) -> (usize, &'a [u32]) {
        let row = &self.rows[at * self.entry..][..self.entry];
        (row[0] as usize, &row[2..][..row[1] as usize])
    }
}

/// Along rows: each line of the source makes a row of the output.
pub fn resize_rows(threads: &Threads, source: &[u32], table: &[u32], shape: Lines, out: &mut [u32]) {
    let table = Table::new(table);
    let work = (out.len() * table.entry * 2 * RGBA) as u64;
    let rows = out.chunks_exact_mut(shape.outputs).take(shape.lines).enumerate();
    let parts = rows.map(|(line, out)| Along { source: &source[line * table.stride..], table, shape, out }).collect();
    threads.each(parts, work, dispatch);
}

struct Along<'a> {
    source: &'a [u32],
    table: Table<'a>,
    shape: Lines,
    out: &'a mut [u32],
}

impl WithSimd for Along<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (at, out) in self.out.iter_mut().enumerate() {
            let (first, weights) = self.table.output(at);
            let mut sums = [HALF; RGBA];
            let pixels = self.source[first * self.shape.step..].iter().step_by(self.shape.step);
            for (pixel, weight) in pixels.zip(weights) {
                for (sum, byte) in sums.iter_mut().zip(pixel.to_le_bytes()) {
                    *sum += i32::from(byte) * *weight as i32;
                }
            }
            *out = u32::from_le_bytes(sums.map(byte)) | OPAQUE;
        }
    }
}

/// Across rows: lines are neighbours, and each output is a row of them.
pub fn resize_columns(threads: &Threads, source: &[u32], table: &[u32], shape: Lines, out: &mut [u32]) {
    let table = Table::new(table);
    let work = (out.len() * table.entry * 2 * RGBA) as u64;
    let rows = out.chunks_exact_mut(shape.lines).take(shape.outputs).enumerate();
    let parts = rows.map(|(at, out)| Across { source, table, shape, at, out }).collect();
    threads.each(parts, work, dispatch);
}

struct Across<'a> {
    source: &'a [u32],
    table: Table<'a>,
    shape: Lines,
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
                let row = &self.source[(first + k) * self.shape.step + block * COLUMNS..][..out.len()];
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
