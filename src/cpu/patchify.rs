//! Patches: each byte's value is looked up in a table of 256; floats are computed.

use std::array;

use crate::{reference::Cut, threads::Threads};

/// As [`crate::reference::patchify`], with the same numbers to the last bit; y is `[items, rows, 3 · patch²]`.
pub fn patchify(threads: &Threads, pixels: &[u32], cut: &Cut, scale: [f32; 3], shift: [f32; 3], y: &mut [f32]) {
    let value = |c: usize, byte: usize| (byte as f64 * f64::from(scale[c]) + f64::from(shift[c])) as f32;
    let values: [[f32; 256]; 3] = array::from_fn(|c| array::from_fn(|byte| value(c, byte)));
    let each = 3 * cut.patch * cut.patch;
    let words = if cut.floats { 3 } else { 1 };
    let items = y.chunks_exact_mut(cut.rows * each).zip(&cut.pictures).enumerate();
    let parts = items
        .map(|(item, (y, &[width, columns, count]))| (&pixels[words * item * cut.area..], y, width, columns, count));
    let flops = 2 * (cut.pictures.len() * cut.rows * each) as u64;
    threads.each(parts.collect(), flops, |(pixels, y, width, columns, count)| {
        let (lead, rest) = y.split_at_mut(cut.lead * each);
        let (patches, padding) = rest.split_at_mut(count * each);
        lead.fill(0.0);
        padding.fill(0.0);
        for (at, row) in patches.chunks_exact_mut(each).enumerate() {
            let corner = (at / columns * width + at % columns) * cut.patch;
            for line in 0..cut.patch {
                let pixels = &pixels[words * (corner + line * width)..][..words * cut.patch];
                let first = line * cut.patch;
                match cut.floats {
                    true => fill_floats(row, bytemuck::cast_slice(pixels), first, scale, shift),
                    false => fill(row, pixels, first, cut.channels_last, &values),
                }
            }
        }
    });
}

/// Puts a line of a patch into its row; the line's first pixel is number `first` of the patch.
fn fill(row: &mut [f32], pixels: &[u32], first: usize, channels_last: bool, values: &[[f32; 256]; 3]) {
    if channels_last {
        let triples = row.as_chunks_mut::<3>().0[first..].iter_mut();
        for (triple, pixel) in triples.zip(pixels) {
            let bytes = pixel.to_le_bytes();
            *triple = array::from_fn(|c| values[c][usize::from(bytes[c])]);
        }
        return;
    }
    let plane = row.len() / 3;
    for (c, plane) in row.chunks_exact_mut(plane).enumerate() {
        for (y, pixel) in plane[first..].iter_mut().zip(pixels) {
            *y = values[c][usize::from(pixel.to_le_bytes()[c])];
        }
    }
}

/// Likewise from floats, channels first.
fn fill_floats(row: &mut [f32], pixels: &[[f32; 3]], first: usize, scale: [f32; 3], shift: [f32; 3]) {
    let plane = row.len() / 3;
    for (c, plane) in row.chunks_exact_mut(plane).enumerate() {
        let (scale, shift) = (f64::from(scale[c]), f64::from(shift[c]));
        for (y, pixel) in plane[first..].iter_mut().zip(pixels) {
            *y = (f64::from(pixel[c]) * scale + shift) as f32;
        }
    }
}
