//! The browser's side: types converted, nothing decided. `pkg/src` wraps this in the API that people use.

mod loading;
mod picture;

use js_sys::{Float32Array, Object, Reflect, Uint8Array, Uint32Array};
use picture::{Picture, Texture};
use wasm_bindgen::prelude::*;

use crate::{Checkpoint, Error, Gpu, Power, Result, Score, Session, gpu::Tier, scores::fill, session, trial};

/// An error as a JavaScript `Error` with a `code`.
fn js_error(error: &Error) -> JsValue {
    let object = js_sys::Error::new(&error.to_string());
    set(&object, "code", &error.code().into());
    object.into()
}

fn set(object: &Object, key: &str, value: &JsValue) {
    Reflect::set(object, &key.into(), value).expect("a plain object takes any property");
}

fn object<const N: usize>(fields: [(&str, JsValue); N]) -> Object {
    let object = Object::new();
    fields.iter().for_each(|(key, value)| set(&object, key, value));
    object
}

/// A GPU, asked for before a model is loaded onto it, so that the package can listen for its errors from the start.
#[wasm_bindgen]
pub struct Device {
    /// None once a model has it.
    gpu: Option<Gpu>,
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

    /// Races the tiers, and compiles models in the one that won.
    pub async fn race(&self) -> std::result::Result<(), JsValue> {
        match &self.gpu {
            Some(gpu) => trial::settle(gpu).await.map(drop).map_err(|e| js_error(&e)),
            None => Ok(()),
        }
    }

    /// The `GPUDevice`.
    #[wasm_bindgen(getter)]
    pub fn handle(&self) -> JsValue {
        self.gpu.as_ref().and_then(Gpu::js_device).map_or(JsValue::NULL, JsValue::from)
    }
}

/// A loaded model, as the package sees it.
#[wasm_bindgen]
pub struct Engine {
    /// Where pictures are put; before the session, so that it goes first.
    texture: Texture,
    session: Session,
    checkpoint: Checkpoint,
}

/// Numbers that the GPU is at work on. To be read, or freed.
#[wasm_bindgen]
pub struct Pending(session::Pending);

/// Labels whose embeddings stay on the GPU.
#[wasm_bindgen]
pub struct Labels(session::LabelSet);

#[wasm_bindgen]
impl Engine {
    /// What is loaded, as JSON.
    pub fn info(&self) -> String {
        let s = &self.session;
        serde_json::json!({
            "family": s.config.family.name(),
            "towers": s.towers().name(),
            "format": s.format.name(),
            "modelHash": s.model_hash,
            "logitScale": s.logit_scale,
            "logitBias": s.logit_bias,
            "tier": s.gpu().tier().name(),
            "tiers": s.gpu().tiers().map(Tier::name).collect::<Vec<_>>(),
            "imageSize": s.config.vision.image_size,
            "embeddingDim": s.config.embedding,
            "parameters": s.parameters,
            "gpuBytes": s.gpu().bytes(),
            "kernels": s.gpu().pipelines(),
            "dispatchesPerImage": s.dispatches_per_image(),
            "dispatchesPerText": s.dispatches_per_text(),
            "defaultScore": match s.config.score {
                crate::config::ScoreRule::Softmax => "softmax",
                crate::config::ScoreRule::Sigmoid => "sigmoid",
            },
        })
        .to_string()
    }

    /// Most pictures in one run.
    #[wasm_bindgen(js_name = imageBatch)]
    pub fn image_batch(&self) -> std::result::Result<usize, JsValue> {
        self.session.image_batch().map_err(|e| js_error(&e))
    }

    /// Makes a picture item `item` of the next run; the picture may go afterwards.
    #[wasm_bindgen(js_name = putImage)]
    pub fn put_image(&self, image: JsValue, item: u32) -> std::result::Result<(), JsValue> {
        let put = |picture: Picture| self.session.put_image(&picture, item);
        Picture::new(image, &self.texture).and_then(put).map_err(|e| js_error(&e))
    }

    /// Submits the first `items` pictures, at least one and at most a batch.
    #[wasm_bindgen(js_name = runImages)]
    pub fn run_images(&self, items: usize) -> std::result::Result<Pending, JsValue> {
        self.session.run_images(items).map(Pending).map_err(|e| js_error(&e))
    }

    /// Submits a picture, up to its scores against labels.
    pub fn classify(&self, labels: &Labels, image: JsValue) -> std::result::Result<Pending, JsValue> {
        let run = |picture: Picture| self.session.classify(&labels.0, &picture);
        Picture::new(image, &self.texture).and_then(run).map(Pending).map_err(|e| js_error(&e))
    }

    /// Waits for embeddings, one after the other, or for scores.
    pub async fn read(&self, pending: Pending) -> std::result::Result<Float32Array, JsValue> {
        flat(self.session.read(pending.0).await)
    }

    /// Embeddings of texts, one after the other.
    #[wasm_bindgen(js_name = embedTexts)]
    pub async fn embed_texts(&self, texts: Vec<String>) -> std::result::Result<Float32Array, JsValue> {
        flat(self.session.embed_texts(&texts).await)
    }

    /// The rows of the token table that these texts need and that are not here: row, file, first byte and the byte after the
    /// last, again and again; of a quantised row the scales are on their own.
    #[wasm_bindgen(js_name = missingRows)]
    pub fn missing_rows(&self, texts: Vec<String>) -> std::result::Result<Vec<f64>, JsValue> {
        let rows = || {
            let mut all = Vec::new();
            for id in self.session.missing_rows(&texts)? {
                for (file, range) in self.session.row_places(id)? {
                    all.extend([f64::from(id), file as f64, range.start as f64, range.end as f64]);
                }
            }
            Ok(all)
        };
        rows().map_err(|e: Error| js_error(&e))
    }

    /// Takes a row: all its bytes.
    #[wasm_bindgen(js_name = putRow)]
    pub fn put_row(&self, row: u32, bytes: &[u8]) -> std::result::Result<(), JsValue> {
        self.session.put_row(&self.checkpoint, row, bytes).map_err(|e| js_error(&e))
    }

    /// The tensor files by name.
    pub fn files(&self) -> Vec<String> {
        self.checkpoint.files().map(|(name, _)| name.into()).collect()
    }

    /// Labels put into a template.
    pub fn prompts(labels: Vec<String>, template: Option<String>) -> std::result::Result<Vec<String>, JsValue> {
        let filled = labels.iter().map(|l| fill(template.as_deref(), l)).collect::<Result<_>>();
        filled.map_err(|e| js_error(&e))
    }

    /// Labels by their texts' embeddings, one after the other.
    pub fn labels(&self, texts: &[f32], score: &str) -> std::result::Result<Labels, JsValue> {
        let make = || {
            let score = Score::parse(score, self.session.config.score)?;
            let texts: Vec<Vec<f32>> = texts.chunks_exact(self.session.config.embedding).map(<[f32]>::to_vec).collect();
            self.session.labels(&texts, score)
        };
        make().map(Labels).map_err(|e: Error| js_error(&e))
    }

    /// The ids that the text tower is fed.
    pub fn tokenize(&self, text: &str) -> std::result::Result<Uint32Array, JsValue> {
        self.session.tokenize(text).map(|ids| ids.as_slice().into()).map_err(|e| js_error(&e))
    }

    /// The file in a model folder that `verify` compares with, if there is one.
    #[wasm_bindgen(js_name = goldensFile)]
    pub fn goldens_file() -> String {
        crate::verify::GOLDENS.into()
    }

    /// Whether this device computes rightly, as JSON.
    pub async fn verify(&self, goldens: Option<Vec<u8>>) -> std::result::Result<String, JsValue> {
        let report = self.session.verify(goldens.as_deref()).await.map_err(|e| js_error(&e))?;
        Ok(serde_json::to_string(&report).expect("a report is plain data"))
    }

    /// The RGBA bytes of the square that the picture tower sees.
    pub async fn preprocess(&self, image: JsValue) -> std::result::Result<Uint8Array, JsValue> {
        let run = async { self.session.preprocess(&Picture::new(image, &self.texture)?).await };
        let pixels = run.await.map_err(|e| js_error(&e))?;
        Ok(bytemuck::cast_slice(&pixels).into())
    }
}

fn flat(embeddings: Result<Vec<Vec<f32>>>) -> std::result::Result<Float32Array, JsValue> {
    embeddings.map(|e| e.concat().as_slice().into()).map_err(|e| js_error(&e))
}
