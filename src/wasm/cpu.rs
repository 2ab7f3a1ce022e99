//! What is different where models run on the CPU: there is no device to ask for, and pictures come as their pixels.

use std::ops::Range;

use js_sys::{Reflect, Uint8Array};
use serde_json::{Value, json};
use wasm_bindgen::prelude::*;

use super::js_error;
use crate::{
    Error, Result, Session,
    backend::Cpu,
    session::{Source, Strip},
    trial,
};

/// What plans run on.
pub type Backend = Cpu;

/// This machine's CPU.
#[wasm_bindgen]
#[derive(Default)]
pub struct Device;

impl Device {
    /// The CPU, for a model.
    pub fn take(&mut self) -> Cpu {
        Cpu
    }
}

#[wasm_bindgen]
impl Device {
    /// There is one at all times.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        console_error_panic_hook::set_once();
        Self
    }

    /// The package's version: how fast it is may change with the next.
    pub fn version() -> String {
        env!("CARGO_PKG_VERSION").into()
    }

    /// Billions of operations a second.
    pub fn race(&self) -> std::result::Result<f64, JsValue> {
        trial::cpu_rate().map_err(|e| js_error(&e))
    }
}

/// What there is to say of the device under a model.
pub fn facts(_: &Session<Cpu>) -> Value {
    json!({ "tier": "plain", "tiers": ["plain"], "gpuBytes": 0, "kernels": [] })
}

/// Pictures need no place on the way.
#[derive(Default)]
pub struct Texture(());

/// An `ImageData`.
pub struct Picture {
    width: usize,
    height: usize,
    /// RGBA
    data: Uint8Array,
}

impl Picture {
    pub fn new(image: JsValue, _: &Texture) -> Result<Self> {
        let get = |key: &str| Reflect::get(&image, &key.into()).unwrap_or_default();
        let side = |key| get(key).as_f64().unwrap_or(0.0) as usize;
        let (width, height, data) = (side("width"), side("height"), Uint8Array::new(&get("data")));
        if data.length() as usize != width * height * 4 {
            return Err(Error::BadImage(format!(
                "expected {width} × {height} pixels with 4 bytes each, found {} bytes",
                data.length()
            )));
        }
        Ok(Self { width, height, data })
    }
}

impl Source<Cpu> for Picture {
    fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }
    fn upload(&self, rows: Range<usize>, strip: &Strip<Cpu>) -> Result<()> {
        let bytes = (self.width * 4) as u32;
        strip.fill(rows.map(|row| self.data.subarray(row as u32 * bytes, (row as u32 + 1) * bytes).to_vec()));
        Ok(())
    }
}
