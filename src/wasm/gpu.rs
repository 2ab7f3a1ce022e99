//! What is different where models run on the GPU: the device, and pictures that go there without a copy in memory.

use serde_json::{Value, json};
use wasm_bindgen::prelude::*;

use super::js_error;
pub use super::picture::{Picture, Texture};
use crate::{Gpu, Power, Session, gpu::Tier, trial};

/// What plans run on.
pub type Backend = Gpu;

/// A GPU, asked for before a model is loaded onto it, so that the package can listen for its errors from the start.
#[wasm_bindgen]
pub struct Device {
    /// None once a model has it.
    gpu: Option<Gpu>,
}

impl Device {
    /// The GPU, for a model.
    pub fn take(&mut self) -> Gpu {
        self.gpu.take().expect("the package uses a device once")
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
        Gpu::new(power).await.map(|gpu| Self { gpu: Some(gpu) }).map_err(|e| js_error(&e))
    }

    /// The package's version: what won a race may be another in the next.
    pub fn version() -> String {
        env!("CARGO_PKG_VERSION").into()
    }

    /// Names of the tiers that this device can run.
    pub fn tiers(&self) -> Vec<String> {
        self.gpu.iter().flat_map(Gpu::tiers).map(|tier| tier.name().into()).collect()
    }

    /// The tier in which a model is compiled next.
    #[wasm_bindgen(getter)]
    pub fn tier(&self) -> Option<String> {
        self.gpu.as_ref().map(|gpu| gpu.tier().name().into())
    }

    /// Compiles models in this tier.
    #[wasm_bindgen(js_name = setTier)]
    pub fn set_tier(&self, name: &str) -> std::result::Result<(), JsValue> {
        let tier = Tier::parse(name).map_err(|e| js_error(&e))?;
        self.gpu.as_ref().map_or(Ok(()), |gpu| gpu.set_tier(tier)).map_err(|e| js_error(&e))
    }

    /// Races the tiers, and compiles models in the one that won; returns billions of operations a second in it.
    pub async fn race(&self) -> std::result::Result<f64, JsValue> {
        match &self.gpu {
            Some(gpu) => trial::settle(gpu).await.map(|race| race.rate()).map_err(|e| js_error(&e)),
            None => Ok(0.0),
        }
    }

    /// Whether the device computes rightly in its tier, by a little work.
    pub async fn sound(&self) -> std::result::Result<bool, JsValue> {
        match &self.gpu {
            Some(gpu) => trial::sound(gpu).await.map_err(|e| js_error(&e)),
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
        "tier": gpu.tier().name(),
        "tiers": gpu.tiers().map(Tier::name).collect::<Vec<_>>(),
        "gpuBytes": gpu.bytes(),
        "kernels": gpu.pipelines(),
    })
}
