//! Matrix products: weights are brought to f32 eight rows at a time, so that they stay quantised in memory.

use super::{
    math::activate,
    threads::{in_parallel, threads},
    tile::{Rows, WIDTH, column, product},
};
use crate::{config::Activation, quant::Matrix};

/// y = activation(x·Wᵀ + bias), added to what y holds if `accumulate`.
pub struct Product<'a> {
    /// `[outputs, inputs]`
    pub weight: &'a Matrix,
    /// `[outputs]`
    pub bias: &'a [f32],
    /// Applied after the bias.
    pub activation: Activation,
    /// y += instead of y =.
    pub accumulate: bool,
}

impl Product<'_> {
    /// From x `[rows, inputs]` to y `[rows, outputs]`. Many rows are shared among threads, few rows' outputs are.
    pub fn run(&self, x: &[f32], y: &mut [f32]) {
        let (outputs, inputs) = (self.weight.rows, self.weight.cols);
        let rows = x.len() / inputs;
        let workers = threads(2 * (rows * outputs * inputs) as u64);
        let share = rows.div_ceil(workers);
        let parts = y.chunks_mut(share * outputs).zip(x.chunks(share * inputs));
        in_parallel(parts, |(y, x)| self.part(x, y));
    }

    /// Some rows of the product.
    fn part(&self, x: &[f32], y: &mut [f32]) {
        let (outputs, inputs) = (self.weight.rows, self.weight.cols);
        let rows = Rows { data: x, count: x.len() / inputs, stride: inputs };
        let mut panel = vec![[0.0; WIDTH]; inputs];
        let mut row = vec![0.0; inputs];
        for start in (0..outputs).step_by(WIDTH) {
            let width = WIDTH.min(outputs - start);
            for at in 0..width {
                self.weight.row_into(start + at, &mut row);
                column(&mut panel, at, &row);
            }
            let bias = &self.bias[start..start + width];
            product(rows, &panel, |row, mut sums| {
                sums.iter_mut().zip(bias).for_each(|(sum, b)| *sum += b);
                activate(self.activation, &mut sums);
                let y = &mut y[row * outputs + start..][..width];
                if self.accumulate {
                    y.iter_mut().zip(sums).for_each(|(y, sum)| *y += sum);
                } else {
                    y.copy_from_slice(&sums[..width]);
                }
            });
        }
    }
}
