//! A loaded model, on the GPU or on the CPU.

use js_sys::{Float32Array, Uint8ClampedArray};
use serde_json::Value;
use wasm_bindgen::prelude::*;
use web_sys::ImageData;

#[cfg(feature = "wasm-cpu")]
pub use super::cpu::{Backend, Device, Picture};
#[cfg(feature = "wasm-cpu")]
use super::cpu::{Texture, facts};
#[cfg(feature = "wasm-gpu")]
pub use super::gpu::{Backend, Device, Picture};
#[cfg(feature = "wasm-gpu")]
use super::gpu::{Texture, facts};
use super::js_error;
use crate::{Checkpoint, Error, Result, Session, config::ScoreRule, session};

/// A loaded model, as the package sees it.
#[wasm_bindgen]
pub struct Engine {
    /// Where pictures are put; before the session, so that it goes first.
    pub(super) texture: Texture,
    pub(super) session: Session<Backend>,
    checkpoint: Checkpoint,
}

/// Numbers that the GPU is at work on. To be read, or freed.
#[wasm_bindgen]
pub struct Pending(session::Pending<Backend>);

/// Labels whose embeddings stay on the GPU.
#[wasm_bindgen]
pub struct Labels(session::LabelSet<Backend>);

impl Engine {
    /// A model whose weights are here.
    pub fn new(session: Session<Backend>, checkpoint: Checkpoint) -> Self {
        Self { texture: Texture::default(), session, checkpoint }
    }

    /// Embeddings that come one after the other.
    pub(super) fn rows(&self, embeddings: &[f32]) -> Vec<Vec<f32>> {
        embeddings.chunks_exact(self.session.config.embedding).map(<[f32]>::to_vec).collect()
    }
}

#[wasm_bindgen]
impl Engine {
    /// What is loaded, as JSON.
    pub fn info(&self) -> String {
        let s = &self.session;
        let mut info = serde_json::json!({
            "family": s.config.family.name(),
            "tasks": s.config.tasks(),
            "towers": s.towers().name(),
            "format": s.format.name(),
            "modelHash": s.model_hash,
            "logitScale": s.logit_scale,
            "logitBias": s.logit_bias,
            "imageSize": if s.config.towers.vision() { s.config.vision.image_size } else { 0 },
            "maxNumPatches": s.config.preprocessor.max_patches(),
            "embeddingDim": s.config.embedding,
            "parameters": s.parameters,
            "tierCost": s.tier().cost(),
            "dispatchesPerImage": s.dispatches_per_image(),
            "dispatchesPerText": s.dispatches_per_text(),
            "note": s.note,
            "defaultScore": match s.config.score {
                ScoreRule::Softmax => "softmax",
                ScoreRule::Sigmoid => "sigmoid",
            },
        });
        if let (Value::Object(info), Value::Object(facts)) = (&mut info, facts(s)) {
            info.extend(facts);
        }
        info.to_string()
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

    /// Lets go of the buffers and the texture that are kept for the next picture: after an error of the GPU they may be none at all.
    #[wasm_bindgen(js_name = forgetPictures)]
    pub fn forget_pictures(&self) {
        self.texture.forget();
        self.session.forget_pictures();
    }

    /// Submits the first `items` pictures, at least one and at most a batch.
    #[wasm_bindgen(js_name = runImages)]
    pub fn run_images(&self, items: usize) -> std::result::Result<Pending, JsValue> {
        self.session.run_images(items).map(Pending).map_err(|e| js_error(&e))
    }

    /// Submits a picture, up to its cosines to labels.
    pub fn classify(&self, labels: &Labels, image: JsValue) -> std::result::Result<Pending, JsValue> {
        let run = |picture: Picture| self.session.classify(&labels.0, &picture);
        Picture::new(image, &self.texture).and_then(run).map(Pending).map_err(|e| js_error(&e))
    }

    /// Waits for embeddings, one after the other, or for cosines.
    pub async fn read(&self, pending: Pending) -> std::result::Result<Float32Array, JsValue> {
        flat(self.session.read(pending.0).await)
    }

    /// Embeddings of texts, one after the other, by their token ids, likewise.
    #[wasm_bindgen(js_name = embedTokens)]
    pub async fn embed_tokens(&self, ids: Vec<u32>) -> std::result::Result<Float32Array, JsValue> {
        let texts: Vec<Vec<u32>> = ids.chunks(self.session.config.text.tokens).map(<[u32]>::to_vec).collect();
        flat(self.session.embed_tokens(&texts).await)
    }

    /// The rows of the token table that these token ids need and that are not here: row, file, first byte and the byte after
    /// the last, again and again; of a quantised row the scales are on their own.
    #[wasm_bindgen(js_name = missingRows)]
    pub fn missing_rows(&self, ids: &[u32]) -> std::result::Result<Vec<f64>, JsValue> {
        let rows = || {
            let mut all = Vec::new();
            for id in self.session.missing_rows(ids)? {
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

    /// Labels by their texts' embeddings, one after the other.
    pub fn labels(&self, texts: &[f32]) -> std::result::Result<Labels, JsValue> {
        self.session.labels(&self.rows(texts)).map(Labels).map_err(|e| js_error(&e))
    }

    /// The file in a model folder that `verify` compares with, if there is one.
    #[wasm_bindgen(js_name = goldensFile)]
    pub fn goldens_file() -> String {
        crate::verify::GOLDENS.into()
    }

    /// The text of which `verify` wants the token ids.
    #[wasm_bindgen(js_name = goldensText)]
    pub fn goldens_text() -> String {
        crate::verify::TEXT.into()
    }

    /// Whether this device computes rightly, as JSON. `tokens` are the ids of the goldens' text, if its tower is here.
    pub async fn verify(
        &self,
        goldens: Option<Vec<u8>>,
        tokens: Option<Vec<u32>>,
    ) -> std::result::Result<String, JsValue> {
        let report = self.session.verify(goldens.as_deref(), tokens).await.map_err(|e| js_error(&e))?;
        Ok(serde_json::to_string(&report).expect("a report is plain data"))
    }

    /// What the picture tower sees.
    pub async fn preprocess(&self, image: JsValue) -> std::result::Result<ImageData, JsValue> {
        let run = async { self.session.preprocess(&Picture::new(image, &self.texture)?).await };
        let (pixels, width) = run.await.map_err(|e| js_error(&e))?;
        let height = pixels.len() / width;
        // A copy: an ImageData keeps what it is given, and this is memory of the engine's.
        let bytes = Uint8ClampedArray::from(bytemuck::cast_slice::<u32, u8>(&pixels));
        ImageData::new_with_js_u8_clamped_array_and_sh(&bytes, width as u32, height as u32)
    }
}

#[cfg(feature = "wasm-cpu")]
#[wasm_bindgen]
impl Engine {
    /// Takes what the workers' parts came to, in the order in which they were asked, and goes on.
    pub fn answered(&self, parts: Vec<Float32Array>) {
        self.session.device().answered(parts.iter().map(Float32Array::to_vec).collect());
    }

    /// A worker will not answer any more: what waits ends with an error.
    pub fn forsaken(&self) {
        self.session.device().forsaken();
    }
}

fn flat(embeddings: Result<Vec<Vec<f32>>>) -> std::result::Result<Float32Array, JsValue> {
    embeddings.map(|e| e.concat().as_slice().into()).map_err(|e| js_error(&e))
}
