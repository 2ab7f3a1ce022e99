//! Pictures with what was found in them.

use std::path::Path;

use image::{Rgb, RgbImage};
use ocelli::{
    Result,
    found::{Bounds, Mask},
    pictures::Picture,
};

use crate::png;

/// Colours for labels in turn, which also colour-blind people tell apart: M. Okabe and K. Ito, "Color Universal Design".
const COLOURS: [(&str, [u8; 3]); 7] = [
    ("orange", [230, 159, 0]),
    ("sky blue", [86, 180, 233]),
    ("green", [0, 158, 115]),
    ("yellow", [240, 228, 66]),
    ("blue", [0, 114, 178]),
    ("red", [213, 94, 0]),
    ("pink", [204, 121, 167]),
];

/// What a label's colour is called.
pub fn colour(label: usize) -> &'static str {
    COLOURS[label % COLOURS.len()].0
}

fn rgb(label: usize) -> Rgb<u8> {
    Rgb(COLOURS[label % COLOURS.len()].1)
}

/// The picture as it is shown, without its transparency.
pub fn canvas(picture: &Picture) -> RgbImage {
    image::DynamicImage::from(picture.0.clone()).into_rgb8()
}

/// Draws the box of a label, just inside of its edges.
pub fn frame(canvas: &mut RgbImage, label: usize, bounds: Bounds) {
    let (width, height) = canvas.dimensions();
    let thick = (width.min(height) / 200).max(1);
    let Bounds { x, y, width: across, height: down } = bounds.clipped(width.into(), height.into());
    let [left, top] = [x, y].map(|edge| edge.floor() as u32);
    let [right, bottom] = [x + across, y + down].map(|edge| edge.ceil() as u32);
    for y in top..bottom.min(height) {
        for x in left..right.min(width) {
            if (x - left).min(y - top).min(right - 1 - x).min(bottom - 1 - y) < thick {
                canvas.put_pixel(x, y, rgb(label));
            }
        }
    }
}

/// Tints the pixels of a label's mask.
pub fn tint(canvas: &mut RgbImage, label: usize, mask: &Mask) {
    let Rgb(colour) = rgb(label);
    for (Rgb(pixel), _) in canvas.pixels_mut().zip(&mask.bits).filter(|(_, bit)| **bit) {
        pixel.iter_mut().zip(colour).for_each(|(channel, other)| *channel = channel.midpoint(other));
    }
}

/// Writes a mask as a PNG, white on black.
pub fn save_mask(mask: &Mask, path: &Path) -> Result<()> {
    let grey = mask.bits.iter().map(|&bit| if bit { 255 } else { 0 }).collect();
    let image = image::GrayImage::from_raw(mask.width as u32, mask.height as u32, grey).expect("a byte a pixel");
    png::save_png(path, image)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_and_tints_stay_inside() {
        let mut canvas = RgbImage::new(8, 6);
        frame(&mut canvas, 0, Bounds { x: 1.0, y: 1.0, width: 4.0, height: 3.0 });
        let drawn = |canvas: &RgbImage| canvas.pixels().filter(|pixel| pixel.0 != [0; 3]).count();
        // 4 × 3 without the 2 × 1 inside.
        assert_eq!(drawn(&canvas), 10);
        assert_eq!((canvas.get_pixel(1, 1), canvas.get_pixel(2, 2)), (&rgb(0), &Rgb([0; 3])));
        // What is beyond the edges is not drawn, and nothing is where nothing is left.
        frame(&mut canvas, 1, Bounds { x: -5.0, y: -5.0, width: 100.0, height: 100.0 });
        assert_eq!(canvas.get_pixel(7, 5), &rgb(1));
        let before = canvas.clone();
        frame(&mut canvas, 2, Bounds { x: 20.0, y: 2.0, width: 4.0, height: 4.0 });
        assert_eq!(canvas, before);

        let mut canvas = RgbImage::new(2, 1);
        tint(&mut canvas, 4, &Mask { width: 2, height: 1, bits: vec![false, true] });
        assert_eq!((canvas.get_pixel(0, 0), canvas.get_pixel(1, 0)), (&Rgb([0; 3]), &Rgb([0, 57, 89])));
    }
}
