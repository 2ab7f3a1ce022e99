//! Sixteen numbers to a mask: the decoder half of the autoencoder that PaliGemma's `<seg…>` come from (`Decoder` in big_vision's
//! `evaluators/proj/paligemma/transfers/segmentation.py`, after arXiv 2301.02229).
//!
//! 1.2 million weights and 40 million products a mask: milliseconds on a core, so that it needs no device.

use super::Mask;
use crate::error::Result;

/// Codes in a row, and rows.
const GRID: usize = 4;
/// Codes of a mask, row by row.
pub const CODES: usize = GRID * GRID;
/// Numbers of a code.
const CODE: usize = 512;
/// How many codes there are.
const COUNT: usize = 128;
/// Channels, but for those of the last layers.
const CHANNELS: usize = 128;

/// What makes masks of numbers.
pub struct MaskDecoder {
    /// `[128, 512]`
    codes: Vec<f32>,
    first: Layer,
    residual: [[Layer; 3]; 2],
    /// Each doubles the side.
    doubling: [Layer; 4],
    last: Layer,
}

/// What the decoder says: a square whose numbers are above 0 in the mask, about -1 to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Square {
    /// Pixels in a row, and rows.
    pub side: usize,
    /// Row by row, `[side, side]`.
    pub scores: Vec<f32>,
}

/// A convolution of either kind, as what each input adds to the outputs around it.
struct Layer {
    kernel: usize,
    stride: usize,
    /// `[kernel, kernel, inputs, outputs]`
    weights: Vec<f32>,
    bias: Vec<f32>,
}

impl MaskDecoder {
    /// The file beside a model's own that has the weights.
    pub const FILE: &str = "masks.safetensors";

    /// Asks for each weight by name and shape. Names are those of big_vision's `vae-oid.npz`, shapes are PyTorch's:
    /// `_vq_vae._embedding` `[128, 512]`; `decoder.N.weight` and `.bias` with N = 0, 4, 6, 8, 10, 12, of which the transposed ones (4 to
    /// 10) have `[inputs, outputs, 4, 4]`; `decoder.M.net.N` with M = 2, 3 and N = 0, 2, 4.
    ///
    /// # Errors
    /// What `tensor` says.
    pub fn load(mut tensor: impl FnMut(&str, &[usize]) -> Result<Vec<f32>>) -> Result<Self> {
        let codes = tensor("_vq_vae._embedding", &[COUNT, CODE])?;
        let mut plain = |name: &str, inputs, outputs, kernel| {
            let weights = tensor(&format!("{name}.weight"), &[outputs, inputs, kernel, kernel])?;
            Ok(Layer::convolution(&weights, tensor(&format!("{name}.bias"), &[outputs])?, inputs, kernel))
        };
        let first = plain("decoder.0", CODE, CHANNELS, 1)?;
        let mut block = |at: usize| {
            let mut layer = |name, kernel| plain(&format!("decoder.{at}.net.{name}"), CHANNELS, CHANNELS, kernel);
            Ok([layer(0, 3)?, layer(2, 3)?, layer(4, 1)?])
        };
        let residual = [block(2)?, block(3)?];
        let last = plain("decoder.12", CHANNELS / 8, 1, 1)?;
        let mut transposed = |name: &str, inputs, outputs| {
            let weights = tensor(&format!("{name}.weight"), &[inputs, outputs, 4, 4])?;
            Ok(Layer::transposed(&weights, tensor(&format!("{name}.bias"), &[outputs])?, inputs))
        };
        let doubling = [
            transposed("decoder.4", CHANNELS, CHANNELS)?,
            transposed("decoder.6", CHANNELS, CHANNELS / 2)?,
            transposed("decoder.8", CHANNELS / 2, CHANNELS / 4)?,
            transposed("decoder.10", CHANNELS / 4, CHANNELS / 8)?,
        ];
        Ok(Self { codes, first, residual, doubling, last })
    }

    /// The mask of these codes, row by row, at 64 × 64.
    ///
    /// # Panics
    /// If a code is above 127.
    #[must_use]
    pub fn decode(&self, codes: &[u8; CODES]) -> Square {
        let rows: Vec<f32> =
            codes.iter().flat_map(|&code| &self.codes[usize::from(code) * CODE..][..CODE]).copied().collect();
        let mut x = relu(self.first.apply(&rows, GRID));
        for [one, two, three] in &self.residual {
            let inner = relu(two.apply(&relu(one.apply(&x, GRID)), GRID));
            x.iter_mut().zip(three.apply(&inner, GRID)).for_each(|(x, more)| *x += more);
        }
        let mut side = GRID;
        for layer in &self.doubling {
            x = relu(layer.apply(&x, side));
            side *= layer.stride;
        }
        Square { side, scores: self.last.apply(&x, side) }
    }
}

impl Square {
    /// Pixels above 0 at another size: resized as Pillow's `BILINEAR` does numbers of 32 bits, which smooths where it shrinks.
    #[must_use]
    pub fn mask(&self, width: usize, height: usize) -> Mask {
        let columns: Vec<_> = (0..width).map(|at| weights(self.side, width, at)).collect();
        let sum = |line: &mut dyn Iterator<Item = f32>, weights: &[f64]| {
            line.zip(weights).fold(0.0, |sum, (x, weight)| sum + f64::from(x) * weight) as f32
        };
        let across = |row: &[f32]| -> Vec<f32> {
            columns.iter().map(|(first, weights)| sum(&mut row[*first..].iter().copied(), weights)).collect()
        };
        let wide: Vec<f32> = self.scores.chunks_exact(self.side).flat_map(across).collect();
        let mut bits = Vec::with_capacity(width * height);
        for (first, weights) in (0..height).map(|at| weights(self.side, height, at)) {
            bits.extend(
                (0..width).map(|x| sum(&mut wide[first * width + x..].iter().step_by(width).copied(), &weights) > 0.0),
            );
        }
        Mask { width, height, bits }
    }
}

impl Layer {
    /// Of `[outputs, inputs, kernel, kernel]`, with so many zeros around that the side stays. What an input adds is the kernel seen from
    /// the other end.
    fn convolution(weights: &[f32], bias: Vec<f32>, inputs: usize, kernel: usize) -> Self {
        let area = kernel * kernel;
        let place = |tap: usize, input: usize, output: usize| (output * inputs + input) * area + area - 1 - tap;
        Self::of([kernel, 1, inputs], weights, bias, place)
    }

    /// Of `[inputs, outputs, 4, 4]`, with a stride of 2 and PyTorch's padding of 1.
    fn transposed(weights: &[f32], bias: Vec<f32>, inputs: usize) -> Self {
        let outputs = bias.len();
        Self::of([4, 2, inputs], weights, bias, |tap, input, output| (input * outputs + output) * 16 + tap)
    }

    fn of(
        [kernel, stride, inputs]: [usize; 3],
        weights: &[f32],
        bias: Vec<f32>,
        place: impl Fn(usize, usize, usize) -> usize,
    ) -> Self {
        let mut ordered = Vec::with_capacity(weights.len());
        for tap in 0..kernel * kernel {
            for input in 0..inputs {
                ordered.extend((0..bias.len()).map(|output| weights[place(tap, input, output)]));
            }
        }
        Self { kernel, stride, weights: ordered, bias }
    }

    /// From `[side, side, inputs]` to `[side · stride, side · stride, outputs]`.
    fn apply(&self, x: &[f32], side: usize) -> Vec<f32> {
        let (outputs, inputs, large) = (self.bias.len(), x.len() / (side * side), side * self.stride);
        let mut y = self.bias.repeat(large * large);
        // The first tap of a pixel's kernel lies so far before it.
        let before = (self.kernel - 1) / 2;
        let place = |at: usize, tap: usize| (at * self.stride + tap).checked_sub(before).filter(|&to| to < large);
        for (at, pixel) in x.chunks_exact(inputs).enumerate() {
            for (tap, weights) in self.weights.chunks_exact(inputs * outputs).enumerate() {
                let row = place(at / side, tap / self.kernel);
                let Some((row, column)) = row.zip(place(at % side, tap % self.kernel)) else { continue };
                let to = &mut y[(row * large + column) * outputs..][..outputs];
                for (x, weights) in pixel.iter().zip(weights.chunks_exact(outputs)).filter(|(x, _)| **x != 0.0) {
                    to.iter_mut().zip(weights).for_each(|(y, weight)| *y += x * weight);
                }
            }
        }
        y
    }
}

fn relu(mut x: Vec<f32>) -> Vec<f32> {
    x.iter_mut().for_each(|x| *x = x.max(0.0));
    x
}

/// The first of the `source` numbers that output `at` of `full` is made of, and the weights from there on: Pillow's `Resample.c`, of
/// which [`crate::config::Filter`] has more.
fn weights(source: usize, full: usize, at: usize) -> (usize, Vec<f64>) {
    let scale = source as f64 / full as f64;
    let support = scale.max(1.0);
    let center = (at as f64 + 0.5) * scale;
    let first = (center - support + 0.5).max(0.0) as usize;
    let end = ((center + support + 0.5) as usize).min(source);
    let curve = |x: usize| (1.0 - ((x as f64 - center + 0.5) / support).abs()).max(0.0);
    let sum: f64 = (first..end).map(curve).sum();
    (first, (first..end).map(|x| curve(x) / sum).collect())
}
