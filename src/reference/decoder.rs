//! The twins of the kernels that only text decoders have.

use super::{activate, best};
use crate::{config::Activation, quant::Matrix, tokens::PICTURE};

/// `shaders/embed.wgsl`, into what y holds
pub fn embed(ids: &[u32], table: &Matrix, first: u32, scale: f32, pictures: Option<&[f32]>, y: &mut [f32]) {
    let dim = table.cols;
    for (&id, y) in ids.iter().zip(y.chunks_exact_mut(dim)) {
        let row = id.checked_sub(first).map(|row| row as usize).filter(|&row| row < table.rows);
        match (id & PICTURE != 0, pictures, row) {
            (true, Some(pictures), _) => y.copy_from_slice(&pictures[(id & !PICTURE) as usize * dim..][..dim]),
            (false, _, Some(row)) => {
                let scaled = |w: f32| (f64::from(w) * f64::from(scale)) as f32;
                y.iter_mut().zip(table.row(row)).for_each(|(y, w)| *y = scaled(w));
            }
            _ => {}
        }
    }
}

/// `shaders/pixel_shuffle.wgsl`, of one item without what stands before its grid
#[must_use]
pub fn pixel_shuffle(x: &[f32], grid: usize, scale: usize, dim: usize) -> Vec<f32> {
    let across = grid / scale;
    let square = |row: usize| {
        let (gy, gx) = (row / across * scale, row % across * scale);
        (0..scale * scale).map(move |inside| (gy + inside / scale) * grid + gx + inside % scale)
    };
    (0..across * across).flat_map(square).flat_map(|token| &x[token * dim..][..dim]).copied().collect()
}

/// `shaders/rms_norm.wgsl`
#[must_use]
pub fn rms_norm(x: &[f32], weight: &[f32], eps: f32, one_plus: bool) -> Vec<f32> {
    x.chunks_exact(weight.len()).flat_map(|row| normed(row, weight, eps, one_plus)).map(|y| y as f32).collect()
}

/// One row of it, not rounded.
#[must_use]
pub fn normed(row: &[f32], weight: &[f32], eps: f32, one_plus: bool) -> Vec<f64> {
    let squares = row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>();
    let root = (squares / row.len() as f64 + f64::from(eps)).sqrt();
    let more = if one_plus { 1.0 } else { 0.0 };
    row.iter().zip(weight).map(|(&x, &w)| f64::from(x) / root * (more + f64::from(w))).collect()
}

/// `shaders/rope.wgsl`, of one head; `turn` is its place's cosines of half a head, then the sines
#[must_use]
pub fn rope(head: &[f64], turn: &[f32]) -> Vec<f32> {
    let half = head.len() / 2;
    let turned = |i: usize| if i < half { -head[i + half] } else { head[i - half] };
    let [cos, sin] = [0, half].map(|from| move |i: usize| f64::from(turn[from + i % half]));
    (0..head.len()).map(|i| (head[i] * cos(i) + turned(i) * sin(i)) as f32).collect()
}

/// `shaders/gated.wgsl`; x is `[rows, 2 · dim]`: gate, then up
#[must_use]
pub fn gated(x: &[f32], dim: usize, activation: Activation) -> Vec<f32> {
    let product = |(&gate, &up): (&f32, &f32)| (activate(activation, f64::from(gate)) * f64::from(up)) as f32;
    x.chunks_exact(2 * dim).flat_map(|row| row[..dim].iter().zip(&row[dim..]).map(product)).collect()
}

/// `shaders/pick.wgsl`; `u32::MAX` where none is a number
#[must_use]
pub fn pick(x: &[f32], count: usize) -> Vec<u32> {
    let above = |(place, value): (u32, f32)| if value > f32::MIN { place } else { u32::MAX };
    // A comparison with NaN is false, so that the first number would hide all that follow it.
    let numbers: Vec<f32> = x.iter().map(|&x| if x.is_nan() { f32::MIN } else { x }).collect();
    best(&numbers, count).into_iter().map(above).collect()
}

/// `shaders/reorder.wgsl`: the first `numbers` of each item of so many
pub fn reorder(from: &[u32], item: usize, numbers: usize, state: &mut [f32]) {
    let before: Vec<Vec<f32>> = from.iter().map(|&from| state[from as usize * item..][..numbers].to_vec()).collect();
    state.chunks_exact_mut(item).zip(before).for_each(|(item, before)| item[..numbers].copy_from_slice(&before));
}
