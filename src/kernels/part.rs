//! Steps that several engines share, each of which has a slice of every matrix in memory of its own and knows no plan.
//!
//! An engine computes some columns of a step's output, from whole inputs. Each number is summed by one engine as a single one would sum
//! it, so that any number of them gives the same.

use std::{borrow::Cow, ops::Range};

use serde::{Deserialize, Serialize};

use crate::{config::Activation, quant::PANEL, reference::Heads};
// The file for the GPU runs no plans on the CPU.
#[cfg(not(feature = "wasm-gpu"))]
use crate::{quant::Matrix, threads::Threads};

/// What one engine does of a step.
#[derive(Debug, Clone)]
pub struct Part<'a> {
    /// What is computed.
    pub work: Work,
    /// From what.
    pub inputs: [Cow<'a, [f32]>; 2],
}

/// What an engine computes, from two inputs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Work {
    /// activation(x·Wᵀ + bias) from x `[rows, inputs]` and a bias `[outputs]`, which may be empty.
    Product {
        /// W: a slice of the weight of this number.
        weight: usize,
        /// Applied after the bias.
        activation: Activation,
        /// Whether these are rows of a decoder that follow others, a single one of which is summed in an order of its own.
        follows: bool,
    },
    /// Some heads, from their queries and their keys and values.
    Attention(Heads),
}

/// Number `engine` of `engines` shares of `count` things in order. The first one is empty only if all are.
pub(super) fn share(count: usize, engines: usize, engine: usize) -> Range<usize> {
    let start = |engine: usize| (count * engine).div_ceil(engines);
    start(engine)..start(engine + 1)
}

/// Which rows of a matrix engine number `engine` of `engines` has: whole panels. The first engine has all of a vector.
#[must_use]
pub fn rows_of(rows: usize, engines: usize, engine: usize) -> Range<usize> {
    let panels = share(rows.div_ceil(PANEL), engines, engine);
    (panels.start * PANEL).min(rows)..(panels.end * PANEL).min(rows)
}

/// Whether a product of so many rows with a matrix takes longer than to ask a helper and to hear its answer, which browsers need about
/// 0.2 ms for. Of 8 million operations a core needs 0.7 ms, and a helper saves a half at most.
#[must_use]
pub fn worth_sharing(rows: usize, outputs: usize, inputs: usize) -> bool {
    2 * rows * outputs * inputs >= 8_000_000
}

#[cfg(not(feature = "wasm-gpu"))]
impl Work {
    /// Does it. `weights` are this engine's slices.
    #[must_use]
    pub fn run(&self, weights: &[Matrix], [a, b]: [&[f32]; 2]) -> Vec<f32> {
        match self {
            &Self::Product { weight, activation, follows } => {
                let weight = &weights[weight];
                let mut y = vec![0.0; a.len() / weight.cols * weight.rows];
                let bias = (!b.is_empty()).then_some(b);
                let product = crate::cpu::Product {
                    weight,
                    outputs: weight.rows,
                    bias,
                    activation,
                    accumulate: false,
                    stride: weight.rows,
                    follows,
                };
                product.run(&Threads::ONE, a, &mut y);
                y
            }
            Self::Attention(heads) => {
                let mut y = vec![0.0; heads.outputs()];
                crate::cpu::attention(&Threads::ONE, heads, a, b, &mut y, heads.heads * heads.size);
                y
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_cover_every_row_once_in_whole_panels() {
        for (rows, engines) in [(1, 1), (1, 3), (16, 2), (17, 2), (40, 4), (768, 3), (100, 16)] {
            let shares: Vec<_> = (0..engines).map(|engine| rows_of(rows, engines, engine)).collect();
            assert_eq!(shares.iter().cloned().flatten().collect::<Vec<_>>(), (0..rows).collect::<Vec<_>>());
            assert!(!shares[0].is_empty() && shares.iter().all(|own| own.start % PANEL == 0 || own.is_empty()));
        }
    }
}
