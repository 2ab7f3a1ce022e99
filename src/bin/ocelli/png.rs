//! PNG files.

use std::path::Path;

use image::{DynamicImage, ImageFormat};
use ocelli::Result;

use crate::bad_input;

/// Writes a square of RGBA words as an RGB PNG.
pub fn save(path: &Path, pixels: &[u32], [width, height]: [u32; 2]) -> Result<()> {
    let rgb: Vec<u8> = pixels.iter().flat_map(|p| p.to_le_bytes()[..3].to_vec()).collect();
    let image = image::RgbImage::from_raw(width, height, rgb).expect("three bytes a pixel");
    save_png(path, image)
}

/// Writes a PNG.
pub fn save_png(path: &Path, image: impl Into<DynamicImage>) -> Result<()> {
    let saved = image.into().save_with_format(path, ImageFormat::Png);
    saved.map_err(|e| bad_input(format!("{}: {e}", path.display())))
}
