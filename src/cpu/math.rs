//! Functions that compilers turn into vector instructions, which calls into the standard library are not. Each is inlined where it is
//! called: only there is it known which instructions the CPU has.

use crate::config::Activation;

/// e^x to about two units in the last place (Cephes' `expf`); 0 below -87, and at most e^88. Not a number stays so, also where the
/// compiler has made relaxed minima and maxima of the comparisons.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    // 1.5 · 2^23: adding it rounds to a whole number, which are then the low bits of the sum.
    const ROUND: f32 = 12_582_912.0;
    let small = x < -87.0;
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = x - n * LN2_HIGH - n * LN2_LOW;
    let mut p = 1.987_569_1e-4;
    for c in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_65, 0.5] {
        p = p * r + c;
    }
    // By the bits, because a cast to integers would look for NaN, number by number.
    let y = (p * r * r + r + 1.0) * f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
    if small { 0.0 } else { y }
}

/// As `shaders/lib/activation.wgsl`. Loops and no closures, which would be compiled without the caller's vector instructions.
#[inline(always)]
pub fn activate(activation: Activation, row: &mut [f32]) {
    match activation {
        Activation::None => {}
        Activation::Relu => {
            for x in row {
                // In place of `f32::max`, which in WebAssembly is a call for each number. Not a number stays so.
                *x = if *x < 0.0 { 0.0 } else { *x };
            }
        }
        Activation::QuickGelu | Activation::Silu => {
            let steepness = if activation == Activation::Silu { 1.0 } else { 1.702 };
            for x in row {
                *x /= 1.0 + exp(-steepness * *x);
            }
        }
        Activation::Gelu => {
            for x in row {
                *x = 0.5 * *x * (1.0 + erf(*x * std::f32::consts::FRAC_1_SQRT_2));
            }
        }
        Activation::GeluTanh => {
            for x in row {
                let u = 0.797_884_6 * (*x + 0.044_715 * *x * *x * *x);
                // tanh by way of the logistic function, without the difference of two near numbers.
                *x /= 1.0 + exp(-2.0 * u);
            }
        }
    }
}

/// The error function, Abramowitz and Stegun 7.1.26: off by at most 1.5e-7.
#[inline(always)]
fn erf(x: f32) -> f32 {
    let t = 1.0 / (1.0 + 0.327_591_1 * x.abs());
    let mut p = 1.061_405_4;
    for c in [-1.453_152, 1.421_413_8, -0.284_496_74, 0.254_829_6] {
        p = p * t + c;
    }
    (1.0 - p * t * exp(-x * x)).copysign(x)
}

/// cap · tanh(x / cap), in place.
#[inline(always)]
pub fn cap(row: &mut [f32], cap: f32) {
    for x in row {
        // tanh by way of the logistic function: near 0 it is off by as much as numbers near `cap` are rounded by.
        *x = cap * (2.0 / (1.0 + exp(-2.0 * *x / cap)) - 1.0);
    }
}

/// exp(x) / Σ exp(x), in place.
#[inline(always)]
pub fn softmax(row: &mut [f32]) {
    // In place of `f32::max`, which in WebAssembly is a call for each number.
    let peak = fold(row, f32::NEG_INFINITY, |x| x, |a, b| if a > b { a } else { b });
    for x in &mut *row {
        *x = exp(*x - peak);
    }
    let scale = 1.0 / sum(row, |x| x);
    for x in row {
        *x *= scale;
    }
}

/// Σ of(x), in sixteen sums at once, which is faster and rounds less than one long sum.
#[inline(always)]
pub fn sum(row: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    fold(row, 0.0, of, |a, b| a + b)
}

/// Folds of(x), sixteen numbers at once.
#[inline(always)]
fn fold(row: &[f32], start: f32, of: impl Fn(f32) -> f32, join: impl Fn(f32, f32) -> f32) -> f32 {
    let mut all = [start; 16];
    let (parts, rest) = row.as_chunks::<16>();
    for part in parts {
        all.iter_mut().zip(part).for_each(|(a, x)| *a = join(*a, of(*x)));
    }
    all.iter_mut().zip(rest).for_each(|(a, x)| *a = join(*a, of(*x)));
    all.into_iter().fold(start, join)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference;

    #[test]
    fn exp_is_right_to_two_units() {
        for i in -8700..=8700 {
            let x = i as f32 / 100.0;
            let expected = f64::from(x).exp();
            let off = (f64::from(exp(x)) - expected).abs() / expected;
            assert!(off < 2.0 * f64::from(f32::EPSILON), "e^{x}: off by {off:e} of it");
        }
        assert_eq!(exp(-1e9), 0.0);
        assert!(exp(1e9).is_finite());
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn activations_are_those_of_the_reference() {
        use Activation::{Gelu, GeluTanh, None, QuickGelu, Relu, Silu};
        for activation in [None, QuickGelu, Gelu, GeluTanh, Relu, Silu] {
            let mut row: Vec<f32> = (-1200..=1200).map(|i| i as f32 / 100.0).collect();
            let expected: Vec<f64> = row.iter().map(|&x| reference::activate(activation, f64::from(x))).collect();
            activate(activation, &mut row);
            for (y, expected) in row.iter().zip(expected) {
                // The error function's approximation, and rounding, twice where it counts.
                let most = f64::max(1e-6, f64::from(f32::EPSILON) * expected.abs());
                assert!((f64::from(*y) - expected).abs() <= most, "{activation:?}: expected {expected}, found {y}");
            }
        }
    }

    #[test]
    fn caps_are_those_of_a_hyperbolic_tangent() {
        for most in [2.0f32, 50.0] {
            let mut row: Vec<f32> = (-1200..=1200).map(|i| i as f32 / 3.0).collect();
            let tanh = |x: &f32| f64::from(most) * (f64::from(*x) / f64::from(most)).tanh();
            let expected: Vec<f64> = row.iter().map(tanh).collect();
            cap(&mut row, most);
            for (y, expected) in row.iter().zip(expected) {
                let off = (f64::from(*y) - expected).abs();
                assert!(off <= f64::from(most * 2.0 * f32::EPSILON), "{most}: expected {expected}, found {y}");
            }
        }
    }

    #[test]
    fn softmax_adds_up() {
        let mut row: Vec<f32> = (0..197).map(|i| ((i * 37) % 101) as f32 / 7.0 - 900.0).collect();
        let expected = reference::softmax(&row.iter().map(|&x| f64::from(x)).collect::<Vec<_>>());
        softmax(&mut row);
        for (y, expected) in row.iter().zip(expected) {
            assert!((f64::from(*y) - expected).abs() <= 1e-6 * expected + 1e-9, "expected {expected}, found {y}");
        }
    }
}
