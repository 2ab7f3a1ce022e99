//! Cases of the kernels that bring a picture to its tower.

use super::case::{Case, Step, case, poison, words};
use crate::{
    config::{Alpha, Filter},
    kernels::{ActId, Patchify, Pictures, Resize, ResizeFloat, Rows},
    preprocess::{Axis, Strides, TABLE_HEAD},
    random::Random,
};

pub fn cases() -> Vec<(Case, Step)> {
    vec![
        patchify(false),
        patchify(true),
        naflex(),
        resize(Filter::Bilinear, Alpha::White),
        resize(Filter::Bicubic, Alpha::Drop),
        resize_float_rows(),
        resize_float_columns(),
    ]
}

fn patchify(floats: bool) -> (Case, Step) {
    const BATCH: usize = 2;
    // A rest that is dropped.
    const SIZE: usize = 17;
    const PATCH: usize = 7;
    let mut random = Random::new(7);
    // Alpha is random too, and must not matter.
    let (size, lead) = (SIZE as u32, 1);
    let (pictures, pixels) = match floats {
        true => (Pictures::Floats { size, lead }, words(&values(&mut random, 3 * BATCH * SIZE * SIZE))),
        false => (Pictures::Squares { size, lead }, (0..BATCH * SIZE * SIZE).map(|_| random.bits()).collect()),
    };
    let (scale, shift) = ([0.0146, 0.015, 0.0142], [-1.79, -1.75, -1.48]);
    let rows = 1 + (SIZE / PATCH).pow(2);
    let kernel = Patchify {
        pixels: ActId(0),
        y: ActId(1),
        rows: Rows::PerItem(rows as u32),
        pictures,
        patch: PATCH as u32,
        scale,
        shift,
    };
    let n = BATCH * rows * 3 * PATCH * PATCH;
    // One multiplication and one addition of numbers up to 4, fused or not.
    let bound = Some((4.0, 2f64.powi(-23)));
    let name = format!("patchify {SIZE} by {PATCH}{}", if floats { " of floats" } else { "" });
    case(name, vec![pixels, poison(n)], BATCH as u32, bound, (kernel, Vec::new()))
}

/// Channels from 0 to 255.
fn values(random: &mut Random, count: usize) -> Vec<f32> {
    random.floats(count).iter().map(|x| x.abs() * 255.0).collect()
}

/// Two pictures of other shapes than each other, with room for more patches.
fn naflex() -> (Case, Step) {
    const ROWS: usize = 7;
    const PATCH: usize = 3;
    let mut random = Random::new(11);
    let pixels = (0..2 * ROWS * PATCH * PATCH).map(|_| random.bits()).collect();
    let (scale, shift) = ([0.0146, 0.015, 0.0142], [-1.79, -1.75, -1.48]);
    let pictures = Pictures::Naflex { columns: ActId(1), lengths: ActId(2) };
    let (rows, patch) = (Rows::PerItem(ROWS as u32), PATCH as u32);
    let kernel = Patchify { pixels: ActId(0), y: ActId(3), rows, pictures, patch, scale, shift };
    let acts = vec![pixels, vec![3, 2], vec![6, 4], poison(2 * ROWS * 3 * PATCH * PATCH)];
    case("patchify NaFlex".into(), acts, 2, Some((4.0, 2f64.powi(-23))), (kernel, Vec::new()))
}

fn resize(filter: Filter, alpha: Alpha) -> (Case, Step) {
    const LINES: usize = 3;
    // Down, and a crop that reaches beyond the picture.
    let axis = Axis::new(filter, 61, 24, -2..25);
    let mut random = Random::new(10);
    // Black and white beside each other, so that the cubic's overshoot is clipped.
    let pixels = (0..61 * LINES).map(|i| if i % 3 == 0 { u32::MAX } else { random.bits() & !(i as u32 % 2) }).collect();
    let outputs = axis.first.len();
    let strides = Strides { step: 1, line: 61, out_step: 1, out_line: outputs };
    let table = axis.table(0, strides, alpha).iter().map(|&v| v as u32).collect();
    let lines = Rows::PerItem(LINES as u32);
    // Fewer than there are: some invocations compute two.
    let kernel = Resize { source: ActId(0), table: ActId(1), out: ActId(2), usual: 9, lines };
    // Integers.
    case(format!("resize {filter:?}"), vec![pixels, table, poison(outputs * LINES)], 1, None, (kernel, Vec::new()))
}

/// Down, with padding.
fn smooth() -> Axis {
    Axis::new(Filter::Smooth, 61, 24, 0..24).within(0..40)
}

fn resize_float(name: &str, first: bool, acts: Vec<Vec<u32>>, lines: usize) -> (Case, Step) {
    let lines = Rows::PerItem(lines as u32);
    // Fewer than there are: some invocations compute two.
    let kernel = ResizeFloat { source: ActId(0), table: ActId(1), out: ActId(2), first, usual: 9, lines };
    // A product and an addition for each tap, of weights that add up to 1, and what was there.
    let bound = Some((510.0, (smooth().taps() + 3) as f64 * 2f64.powi(-24)));
    case(format!("resize_float {name}"), acts, 1, bound, (kernel, Vec::new()))
}

fn resize_float_rows() -> (Case, Step) {
    const LINES: usize = 3;
    let mut random = Random::new(12);
    let pixels = (0..40 * LINES).map(|_| random.bits()).collect();
    let strides = Strides { step: 1, line: 40, out_step: 3, out_line: 3 * 24 };
    let table = bytemuck::cast_slice(&smooth().table(0, strides, Alpha::White)).to_vec();
    resize_float("of bytes", true, vec![pixels, table, poison(3 * 24 * LINES)], LINES)
}

fn resize_float_columns() -> (Case, Step) {
    const LINES: usize = 5;
    let mut random = Random::new(13);
    let strides = Strides { step: 3 * LINES, line: 3, out_step: 3 * LINES, out_line: 3 };
    let mut table = smooth().table(0, strides, Alpha::Drop);
    table[TABLE_HEAD - 1] = 1;
    let [pixels, out] = [40, 24].map(|pixels| words(&values(&mut random, 3 * pixels * LINES)));
    resize_float("added up", false, vec![pixels, bytemuck::cast_slice(&table).to_vec(), out], LINES)
}
