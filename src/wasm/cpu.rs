//! What is different where models run on the CPU: there is no device to ask for, and pictures come as their pixels.

use std::ops::Range;

use js_sys::Reflect;
use serde_json::{Value, json};
use wasm_bindgen::prelude::*;

use super::{image_data::ImageData, js_error};
use crate::{
    Error, Result, Session, autotune,
    backend::Cpu,
    gpu::{Tier, Tuning},
    session::{Source, Strip},
};

/// What plans run on.
pub type Backend = Cpu;

/// This machine's CPU.
#[wasm_bindgen]
#[derive(Default)]
pub struct Device;

impl Device {
    /// The CPU, for a model; it has no tiers.
    pub fn take(&mut self) -> (Cpu, Tuning) {
        (Cpu, Tuning::all(Tier::Plain))
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
        autotune::cpu_rate().map_err(|e| js_error(&e))
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
    size: (usize, usize),
    pixels: ImageData,
}

impl Picture {
    pub fn new(image: JsValue, _: &Texture) -> Result<Self> {
        let side = |key: &str| Reflect::get(&image, &key.into()).ok().and_then(|side| side.as_f64()).unwrap_or(0.0);
        let size = (side("width") as usize, side("height") as usize);
        let pixels = ImageData::of(&image, size)?;
        let none = || Error::BadImage("expected an ImageData, found another kind of picture".into());
        Ok(Self { size, pixels: pixels.ok_or_else(none)? })
    }
}

impl Source<Cpu> for Picture {
    fn size(&self) -> (usize, usize) {
        self.size
    }
    fn upload(&self, rows: Range<usize>, strip: &Strip<Cpu>) -> Result<()> {
        self.pixels.fill(rows, strip);
        Ok(())
    }
}
