//! What is different where models run on the GPU: the device, and pictures that go there without a copy in memory.

use serde_json::{Value, json};
use wasm_bindgen::prelude::*;

use super::js_error;
pub use super::picture::{Picture, Texture};
use crate::{
    Gpu, Power, Session, autotune,
    gpu::{Tier, Tuning},
};

/// What plans run on.
pub type Backend = Gpu;

/// A GPU, asked for before a model is loaded onto it, so that the package can listen for its errors from the start.
#[wasm_bindgen]
pub struct Device {
    /// None once a model has it.
    gpu: Option<Gpu>,
    tuning: Tuning,
}

impl Device {
    /// The GPU, for a model, and the tiers to compute in.
    pub fn take(&mut self) -> (Gpu, Tuning) {
        (self.gpu.take().expect("the package uses a device once"), self.tuning)
    }
}

#[wasm_bindgen]
impl Device {
    /// `power` is low-power, high-performance or anything else.
    pub async fn request(power: String) -> std::result::Result<Device, JsValue> {
        console_error_panic_hook::set_once();
        let power = match power.as_str() {
            "low-power" => Power::Low,
            "high-performance" => Power::High,
            _ => Power::Any,
        };
        Gpu::new(power)
            .await
            .map(|gpu| Self { gpu: Some(gpu), tuning: Tuning::all(Tier::Plain) })
            .map_err(|e| js_error(&e))
    }

    /// The package's version: what won a race may be another in the next.
    pub fn version() -> String {
        env!("CARGO_PKG_VERSION").into()
    }

    /// Names of the tiers that this device can run.
    pub fn tiers(&self) -> Vec<String> {
        self.gpu.iter().flat_map(Gpu::tiers).map(|tier| tier.name().into()).collect()
    }

    /// The tiers in which a model is compiled next, as text to keep.
    #[wasm_bindgen(getter)]
    pub fn tier(&self) -> String {
        self.tuning.name()
    }

    /// Compiles models in this tier, or in these, as `tier` gave them.
    #[wasm_bindgen(js_name = setTier)]
    pub fn set_tier(&mut self, name: &str) -> std::result::Result<(), JsValue> {
        let tuning = Tuning::parse(name).map_err(|e| js_error(&e))?;
        self.gpu.as_ref().map_or(Ok(()), |gpu| gpu.check_tuning(&tuning)).map_err(|e| js_error(&e))?;
        self.tuning = tuning;
        Ok(())
    }

    /// Races the tiers, and compiles models in those that were best; returns billions of operations a second.
    pub async fn race(&mut self) -> std::result::Result<f64, JsValue> {
        let Some(gpu) = &self.gpu else { return Ok(0.0) };
        let tuned = autotune::autotune(gpu).await.map_err(|e| js_error(&e))?;
        self.tuning = tuned.tuning;
        Ok(tuned.rate)
    }

    /// Takes the rate of an earlier race: long steps are cut by it.
    pub fn expect(&self, rate: f64) {
        if let Some(gpu) = &self.gpu {
            gpu.expect(rate);
        }
    }

    /// Whether the device computes rightly in its tiers, by a little work.
    pub async fn sound(&self) -> std::result::Result<bool, JsValue> {
        match &self.gpu {
            Some(gpu) => autotune::self_test(gpu, &self.tuning).await.map_err(|e| js_error(&e)),
            None => Ok(false),
        }
    }

    /// The `GPUDevice`.
    #[wasm_bindgen(getter)]
    pub fn handle(&self) -> JsValue {
        self.gpu.as_ref().and_then(Gpu::js_device).map_or(JsValue::NULL, JsValue::from)
    }
}

/// What there is to say of the device under a model.
pub fn facts(session: &Session) -> Value {
    let gpu = session.device();
    json!({
        "tier": session.tier().name(),
        "tiers": gpu.tiers().map(Tier::name).collect::<Vec<_>>(),
        "gpuBytes": gpu.bytes(),
        "kernels": gpu.pipelines(),
    })
}
