//! Matrix products. Quantised weights stay so in memory: a few panels at a time are brought to f32, once for many rows.

use std::cell::RefCell;

use pulp::{Simd, WithSimd};

use super::{
    columns::columns,
    dispatch,
    math::activate,
    tile::{Rows, product},
};
use crate::{
    config::{Activation, WRITES},
    quant::{Matrix, PANEL, Panel},
    threads::Threads,
};

/// Panels that a thread works on at a time.
const PANELS: usize = 4;
/// Most rows that a thread works on at a time.
const ROWS: usize = 512;
/// Rows of the largest tile.
const TILE: usize = 12;
/// Bytes of rows that stay in a core's cache while panels go by.
const CACHE: usize = 1 << 19;

thread_local! {
    /// Panels in f32, whose memory is kept from part to part: new memory costs about as much as to fill it.
    static IN_F32: RefCell<Vec<[f32; PANEL]>> = const { RefCell::new(Vec::new()) };
}

/// So many rows at a time, at most about `most`, that all parts of `count` rows are alike and few tiles are left half empty.
fn even(count: usize, most: usize) -> usize {
    count.div_ceil(count.div_ceil(most)).next_multiple_of(TILE)
}

/// y = activation(x·Wᵀ + bias), added to what y holds if `accumulate`.
#[derive(Clone, Copy)]
pub struct Product<'a> {
    /// `[outputs or more, inputs]`
    pub weight: &'a Matrix,
    /// How many of its first rows are multiplied with.
    pub outputs: usize,
    /// `[outputs]`
    pub bias: Option<&'a [f32]>,
    /// Applied after the bias.
    pub activation: Activation,
    /// y += instead of y =.
    pub accumulate: bool,
    /// Numbers of a row of y, of which the first are the outputs.
    pub stride: usize,
    /// Whether these are rows of a decoder that follow others. A single one is summed in the order that is cheapest for it; of others the
    /// sums are the same however many rows there are.
    pub follows: bool,
}

impl Product<'_> {
    /// From x `[rows, inputs]` to y `[rows, stride]`.
    pub fn run(&self, threads: &Threads, x: &[f32], y: &mut [f32]) {
        let (outputs, inputs) = (self.outputs, self.weight.cols);
        let mut parts = Vec::new();
        let rows = even(x.len() / inputs, ROWS);
        for (x, y) in x.chunks(rows * inputs).zip(y.chunks_mut(rows * self.stride)) {
            let rows = Rows { data: x, count: x.len() / inputs, stride: inputs };
            for (at, y) in columns(y, self.stride, outputs, PANELS * PANEL).into_iter().enumerate() {
                parts.push(Part { product: *self, rows, first: at * PANELS, y });
            }
        }
        threads.each(parts, 2 * (x.len() * outputs) as u64, dispatch);
    }
}

/// Some rows by some panels.
struct Part<'a> {
    product: Product<'a>,
    rows: Rows<'a>,
    /// Number of the first panel.
    first: usize,
    /// For each row, the outputs of these panels.
    y: Vec<&'a mut [f32]>,
}

impl Part<'_> {
    /// Ends sums of a row and a panel, both counted from the first of this part.
    #[inline(always)]
    fn put(&mut self, row: usize, panel: usize, mut sums: [f32; PANEL]) {
        let Product { bias, activation, accumulate, .. } = self.product;
        if let Some(bias) = bias {
            let own = &bias[(self.first + panel) * PANEL..];
            sums.iter_mut().zip(own).for_each(|(sum, b)| *sum += b);
        }
        activate(activation, &mut sums);
        let y = &mut self.y[row][panel * PANEL..];
        if accumulate {
            y.iter_mut().zip(sums).for_each(|(y, sum)| *y += sum);
        } else {
            y.iter_mut().zip(sums).for_each(|(y, sum)| *y = sum);
        }
    }
}

impl WithSimd for Part<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let Product { weight, .. } = self.product;
        let width = self.y[0].len();
        let numbers = self.first..self.first + width.div_ceil(PANEL);
        if WRITES && self.product.follows && self.rows.count == 1 && weight.in_small_panels() {
            for (at, number) in numbers.enumerate() {
                self.put(0, at, weight.row_by_panel(simd, number, &self.rows.data[..weight.cols]));
            }
            return;
        }
        let mut in_f32 = IN_F32.take();
        let panels: Vec<&Panel> = if weight.panel(self.first).is_some() {
            numbers.filter_map(|number| weight.panel(number)).collect()
        } else {
            let needed = numbers.len() * weight.cols;
            in_f32.resize(needed.max(in_f32.len()), [0.0; PANEL]);
            for (number, panel) in numbers.zip(in_f32.chunks_exact_mut(weight.cols)) {
                weight.panel_into(simd, number, panel);
            }
            in_f32[..needed].chunks_exact(weight.cols).collect()
        };
        let block = even(self.rows.count, (CACHE / (4 * weight.cols)).max(TILE));
        for first in (0..self.rows.count).step_by(block) {
            let rows = self.rows.part(first, block.min(self.rows.count - first));
            // Inlined, or it would not be compiled for these vector instructions.
            product(
                simd,
                rows,
                &panels,
                #[inline(always)]
                |row, panel, sums| self.put(first + row, panel, sums),
            );
        }
        IN_F32.set(in_f32);
    }
}
