//! A picture that is there as its pixels.

use std::ops::Range;

use js_sys::{Reflect, Uint8Array};
use wasm_bindgen::prelude::*;

use crate::{Error, Result, backend::Backend, session::Strip};

/// An `ImageData`.
pub struct ImageData {
    width: usize,
    /// RGBA
    data: Uint8Array,
}

impl ImageData {
    /// Of an `ImageData` with this size; none of anything else.
    pub fn of(image: &JsValue, (width, height): (usize, usize)) -> Result<Option<Self>> {
        let data = Reflect::get(image, &"data".into()).unwrap_or_default();
        if data.is_undefined() {
            return Ok(None);
        }
        let data = Uint8Array::new(&data);
        if data.length() as usize != width * height * 4 {
            return Err(Error::BadImage(format!(
                "expected {width} × {height} pixels with 4 bytes each, found {} bytes",
                data.length()
            )));
        }
        Ok(Some(Self { width, data }))
    }

    /// Puts rows into a strip.
    pub fn fill<B: Backend>(&self, rows: Range<usize>, strip: &Strip<B>) {
        let bytes = (self.width * 4) as u32;
        strip.fill(rows.map(|row| self.data.subarray(row as u32 * bytes, (row as u32 + 1) * bytes).to_vec()));
    }
}
