//! What is different where models run on the CPU: there is no device to ask for, and pictures come as their pixels.

use std::ops::Range;

use serde_json::{Value, json};
use wasm_bindgen::prelude::*;

use super::{image_data::Pixels, js_error, team::Workers};
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
pub struct Device {
    /// Workers that share the work of the next model.
    team: Option<Workers>,
}

impl Device {
    /// The CPU, for a model; it has no tiers.
    pub fn take(&mut self) -> (Cpu, Tuning) {
        let cpu = self.team.take().map_or_else(Cpu::default, |team| Cpu::with_team(Box::new(team)));
        (cpu, Tuning::all(Tier::Plain))
    }
}

#[wasm_bindgen]
impl Device {
    /// There is one at all times.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        console_error_panic_hook::set_once();
        Self::default()
    }

    /// Shares the work of the next model with workers.
    #[wasm_bindgen(js_name = setTeam)]
    pub fn set_team(&mut self, team: Workers) {
        self.team = Some(team);
    }

    /// The package's version: how fast it is may change with the next.
    pub fn version() -> String {
        env!("CARGO_PKG_VERSION").into()
    }

    /// Whether this file computes rightly in this browser, by a little work.
    pub async fn sound() -> std::result::Result<bool, JsValue> {
        autotune::cpu_self_test().await.map_err(|e| js_error(&e))
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

impl Texture {
    /// There is nothing to let go of.
    pub fn forget(&self) {}
}

/// An `ImageData`.
pub struct Picture(Pixels);

impl Picture {
    pub fn new(image: JsValue, _: &Texture) -> Result<Self> {
        match image.dyn_ref() {
            Some(data) => Pixels::of(data).map(Self),
            None => Err(Error::BadImage("expected an ImageData, found another kind of picture".into())),
        }
    }
}

impl Source<Cpu> for Picture {
    fn size(&self) -> (usize, usize) {
        self.0.size()
    }
    fn upload(&self, rows: Range<usize>, strip: &Strip<Cpu>) -> Result<()> {
        self.0.fill(rows, strip);
        Ok(())
    }
}
