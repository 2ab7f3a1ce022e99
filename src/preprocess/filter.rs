//! Which source pixels an output is made of, and their weights: the curves of Pillow's `Resample.c`.

use std::f64::consts::PI;

use super::smooth;
use crate::config::{Filter, WRITES};

impl Filter {
    /// Whether what comes out is floats from 0 to 255, and not rounded to bytes.
    #[must_use]
    pub fn floats(self) -> bool {
        self == Self::Smooth
    }

    /// Words of a pixel that comes out: RGBA in one, or three f32.
    #[must_use]
    pub fn words(self) -> usize {
        if self.floats() { 3 } else { 1 }
    }

    /// The first of the `source` pixels that output `at` of `full` is made of, and the weights from there on, which add up to 1.
    pub(super) fn weights(self, source: usize, full: usize, at: usize) -> (usize, Vec<f64>) {
        let (support, curve): (f64, fn(f64) -> f64) = match self {
            Self::Smooth => return smooth::weights(source, full, at),
            // Pillow leaves out a pass that changes nothing.
            _ if source == full => return (at, vec![1.0]),
            Self::Lanczos if !WRITES => unreachable!("no model that is read has it"),
            Self::Lanczos => (3.0, lanczos),
            Self::Bilinear => (1.0, triangle),
            Self::Bicubic => (2.0, cubic),
        };
        let scale = source as f64 / full as f64;
        let filter_scale = scale.max(1.0);
        let support = support * filter_scale;
        let center = (at as f64 + 0.5) * scale;
        // C's cast truncates towards zero, as `as` does; what is below zero starts at zero.
        let first = (center - support + 0.5).max(0.0) as usize;
        let end = ((center + support + 0.5) as usize).min(source);
        let mut weights: Vec<f64> =
            (first..end).map(|x| curve(((x as f64 - center + 0.5) * (1.0 / filter_scale)).abs())).collect();
        // Summed in Pillow's order; another order could round differently.
        let sum = weights.iter().fold(0.0, |a, w| a + w);
        if sum != 0.0 {
            weights.iter_mut().for_each(|w| *w /= sum);
        }
        (first, weights)
    }
}

/// Pillow's `bilinear_filter`, for x ≥ 0.
fn triangle(x: f64) -> f64 {
    (1.0 - x).max(0.0)
}

/// Pillow's `bicubic_filter`, likewise.
fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    match x {
        x if x < 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
        x if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * A,
        _ => 0.0,
    }
}

/// Pillow's `lanczos_filter`, likewise.
fn lanczos(x: f64) -> f64 {
    let sinc = |x: f64| if x == 0.0 { 1.0 } else { (x * PI).sin() / (x * PI) };
    if x < 3.0 { sinc(x) * sinc(x / 3.0) } else { 0.0 }
}
