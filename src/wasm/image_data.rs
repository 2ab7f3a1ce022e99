//! A picture that is there as its pixels.

use std::ops::Range;

use js_sys::Uint8ClampedArray;
use wasm_bindgen::prelude::*;
use web_sys::ImageData;

use crate::{Error, Result, backend::Backend, session::Strip};

#[wasm_bindgen]
extern "C" {
    /// `ImageData`, of which web-sys copies all pixels into wasm memory at once.
    #[wasm_bindgen(extends = ImageData)]
    type Rgba;
    #[wasm_bindgen(method, getter)]
    fn data(this: &Rgba) -> Uint8ClampedArray;
}

/// An `ImageData` whose pixels are all there.
pub struct Pixels {
    width: u32,
    height: u32,
    /// RGBA
    data: Uint8ClampedArray,
}

impl Pixels {
    pub fn of(image: &ImageData) -> Result<Self> {
        let (width, height) = (image.width(), image.height());
        let data = image.unchecked_ref::<Rgba>().data();
        // In 64 bits: of a width and a height that lie, the product could be any number in 32.
        if u64::from(data.length()) != u64::from(width) * u64::from(height) * 4 {
            return Err(Error::BadImage(format!(
                "expected {width} × {height} pixels with 4 bytes each, found {} bytes",
                data.length()
            )));
        }
        Ok(Self { width, height, data })
    }

    /// Width and height.
    pub fn size(&self) -> (usize, usize) {
        (self.width as usize, self.height as usize)
    }

    /// All of them, RGBA in words.
    #[cfg(feature = "writing")]
    pub fn words(&self) -> Vec<u32> {
        bytemuck::pod_collect_to_vec(&self.data.to_vec())
    }

    /// Puts rows into a strip.
    pub fn fill<B: Backend>(&self, rows: Range<usize>, strip: &Strip<B>) {
        let bytes = self.width * 4;
        strip.fill(rows.map(|row| self.data.subarray(row as u32 * bytes, (row as u32 + 1) * bytes).to_vec()));
    }
}
