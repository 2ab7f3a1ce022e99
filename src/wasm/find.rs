//! Detectors and segmenters: scenes, boxes and masks, as the package sees them.

use js_sys::{Array, Float32Array, Float64Array, Uint8Array, Uint32Array};
use wasm_bindgen::prelude::*;

use super::{
    engine::{Backend, Engine, Picture},
    js_error,
};
use crate::{
    Error,
    found::{DetectOptions, Detection, Mask},
    session::{QuerySet, Scene},
};

/// Queries that stay on the device.
#[wasm_bindgen]
pub struct Queries(QuerySet<Backend>);

#[wasm_bindgen]
extern "C" {
    /// Which detections are wanted: the fields of [`DetectOptions`].
    pub type Wanted;
    #[wasm_bindgen(method, getter)]
    fn threshold(this: &Wanted) -> f64;
    /// NaN where a label has none of its own.
    #[wasm_bindgen(method, getter)]
    fn thresholds(this: &Wanted) -> Vec<f64>;
    /// The label of each query; negative for what is not meant.
    #[wasm_bindgen(method, getter)]
    fn owners(this: &Wanted) -> Vec<i32>;
    #[wasm_bindgen(method, getter)]
    fn nms(this: &Wanted) -> Option<f64>;
    #[wasm_bindgen(method, getter, js_name = topK)]
    fn top_k(this: &Wanted) -> Option<u32>;
    #[wasm_bindgen(method, getter)]
    fn clip(this: &Wanted) -> bool;
    #[wasm_bindgen(method, getter)]
    fn normalized(this: &Wanted) -> bool;
    #[wasm_bindgen(method, getter, js_name = multiLabel)]
    fn multi_label(this: &Wanted) -> bool;

    /// A [`Scene`] as plain data.
    pub type PlainScene;
    #[wasm_bindgen(method, getter)]
    fn width(this: &PlainScene) -> u32;
    #[wasm_bindgen(method, getter)]
    fn height(this: &PlainScene) -> u32;
    #[wasm_bindgen(method, getter)]
    fn features(this: &PlainScene) -> Vec<Float32Array>;
}

#[wasm_bindgen]
impl Engine {
    /// Runs the picture tower once: the upright picture's width and height in pixels, then its features.
    pub async fn look(&self, image: JsValue) -> std::result::Result<Array, JsValue> {
        let run = async { self.session.look(&Picture::new(image, &self.texture)?).await };
        let Scene { size: (width, height), features, .. } = run.await.map_err(|e| js_error(&e))?;
        let all = Array::of2(&width.into(), &height.into());
        features.iter().for_each(|part| _ = all.push(&Float32Array::from(part.as_slice())));
        Ok(all)
    }

    /// Queries by their vectors, one after the other.
    pub fn queries(&self, vectors: &[f32]) -> std::result::Result<Queries, JsValue> {
        self.session.queries(&self.rows(vectors)).map(Queries).map_err(|e| js_error(&e))
    }

    /// What is found of the queries in a scene, best first: label, score, logit, token, and the box's x, y, width and height, again and
    /// again.
    pub async fn detect(
        &self,
        queries: &Queries,
        scene: PlainScene,
        wanted: Wanted,
    ) -> std::result::Result<Float64Array, JsValue> {
        let (scene, options) = (scene.scene(), wanted.options());
        let found = self.session.find(&scene, &queries.0, &options).await.map_err(|e| js_error(&e))?;
        Ok(plain_detections(&found))
    }

    /// What is there whatever it is, by the model's objectness, likewise; the label is 0.
    pub fn objects(&self, scene: &PlainScene, wanted: &Wanted) -> std::result::Result<Float64Array, JsValue> {
        let found = self.session.objects(&scene.scene(), &wanted.options()).map_err(|e| js_error(&e))?;
        Ok(plain_detections(&found))
    }

    /// What a scene shows as a query; with a region (left, top, right and bottom in pixels) what is there.
    pub fn example(&self, scene: &PlainScene, region: Option<Vec<f64>>) -> std::result::Result<Float32Array, JsValue> {
        let region = region.map(|edges| std::array::from_fn(|at| edges.get(at).copied().unwrap_or(f64::NAN)));
        let example = self.session.example(&scene.scene(), region).map_err(|e| js_error(&e))?;
        Ok(example.query.as_slice().into())
    }

    /// A picture as a prompt of a segmenter.
    #[wasm_bindgen(js_name = picturePrompt)]
    pub async fn picture_prompt(&self, image: JsValue) -> std::result::Result<Float32Array, JsValue> {
        let run = async { self.session.picture_prompt(&Picture::new(image, &self.texture)?).await };
        Ok(run.await.map_err(|e| js_error(&e))?.as_slice().into())
    }

    /// A mask of a scene for each prompt, of the picture's size or of the model's: width, height, bits row by row, lengths of runs column
    /// by column, area, the box's edges (left, top, right, bottom; none if the mask is empty), and logits in the model's own resolution.
    pub async fn segment(
        &self,
        scene: PlainScene,
        prompts: Vec<f32>,
        threshold: f64,
        picture: bool,
    ) -> std::result::Result<Vec<Array>, JsValue> {
        let scene = scene.scene();
        let run = async { Ok((self.session.segment(&scene, &self.rows(&prompts)).await?, self.session.mask_side()?)) };
        let (logits, side) = run.await.map_err(|e: Error| js_error(&e))?;
        let (width, height) = if picture { (scene.size.0 as usize, scene.size.1 as usize) } else { (side, side) };
        let mask = |logits: &Vec<f32>| plain_mask(&Mask::from_logits(logits, side, width, height, threshold), logits);
        Ok(logits.iter().map(mask).collect())
    }
}

impl PlainScene {
    fn scene(&self) -> Scene {
        Scene::new((self.width(), self.height()), self.features().iter().map(Float32Array::to_vec).collect())
    }
}

impl Wanted {
    fn options(&self) -> DetectOptions {
        DetectOptions {
            threshold: self.threshold(),
            thresholds: self.thresholds().into_iter().map(|own| Some(own).filter(|own| !own.is_nan())).collect(),
            owners: self.owners().into_iter().map(|label| u32::try_from(label).ok()).collect(),
            nms: self.nms(),
            top_k: self.top_k().map(|most| most as usize),
            clip: self.clip(),
            normalized: self.normalized(),
            multi_label: self.multi_label(),
        }
    }
}

/// Label, score, logit, token, and the box's x, y, width and height, again and again.
fn plain_detections(found: &[Detection]) -> Float64Array {
    let numbers = |one: &Detection| {
        let (label, token, bounds) = (one.label as f64, f64::from(one.token), one.bounds);
        let [score, logit] = [one.score, one.logit].map(f64::from);
        [label, score, logit, token, bounds.x, bounds.y, bounds.width, bounds.height]
    };
    found.iter().flat_map(numbers).collect::<Vec<f64>>().as_slice().into()
}

/// Width, height, bits, lengths of runs, area, the box's edges, logits: see [`Engine::segment`].
pub(super) fn plain_mask(mask: &Mask, logits: &[f32]) -> Array {
    let bits: Vec<u8> = mask.bits.iter().map(|&bit| bit.into()).collect();
    let edges = mask.bounds().map_or(Vec::new(), |b| vec![b.x, b.y, b.x + b.width, b.y + b.height]);
    let parts: [JsValue; 7] = [
        (mask.width as f64).into(),
        (mask.height as f64).into(),
        Uint8Array::from(bits.as_slice()).into(),
        Uint32Array::from(mask.rle().counts.as_slice()).into(),
        (mask.area() as f64).into(),
        Float64Array::from(edges.as_slice()).into(),
        Float32Array::from(logits).into(),
    ];
    parts.iter().collect()
}
