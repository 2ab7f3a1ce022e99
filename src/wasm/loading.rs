//! A model on its way: pieces of its files become weights.

use wasm_bindgen::prelude::*;

use super::{
    engine::{Backend, Device, Engine},
    folder::ModelFolder,
    js_error,
};
use crate::{
    Checkpoint, Error, Result,
    checkpoint::Folder,
    config::{Alpha, Task},
    quant::Format,
    session::{BATCH, LoadOptions, Loading, TableIn},
};

/// A model whose weights are on their way.
#[wasm_bindgen]
pub struct ModelLoading {
    /// Both are none once it is finished.
    checkpoint: Option<Checkpoint>,
    loading: Option<Loading<Backend>>,
}

#[wasm_bindgen]
extern "C" {
    /// How a model is loaded.
    pub type ModelOptions;
    /// none, f16, q8 or q4.
    #[wasm_bindgen(method, getter)]
    fn format(this: &ModelOptions) -> String;
    /// memory, or server: the token table does not come into memory.
    #[wasm_bindgen(method, getter, js_name = tokenTable)]
    fn token_table(this: &ModelOptions) -> String;
    /// drop or white.
    #[wasm_bindgen(method, getter)]
    fn alpha(this: &ModelOptions) -> String;
    /// Most pictures or texts in one submission.
    #[wasm_bindgen(method, getter)]
    fn batch(this: &ModelOptions) -> Option<u32>;
    /// Most patches of a NaFlex picture.
    #[wasm_bindgen(method, getter, js_name = maxNumPatches)]
    fn max_num_patches(this: &ModelOptions) -> Option<f64>;
    /// Side of the square that the model sees.
    #[wasm_bindgen(method, getter)]
    fn canvas(this: &ModelOptions) -> Option<f64>;
    /// Whether a segmenter takes pictures as prompts.
    #[wasm_bindgen(method, getter, js_name = picturePrompts)]
    fn picture_prompts(this: &ModelOptions) -> bool;
    /// Of a model that writes: room for so many tokens.
    #[wasm_bindgen(method, getter)]
    fn context(this: &ModelOptions) -> Option<f64>;
    /// What the model must be able to do: detect, segment or generate; none for anything.
    #[wasm_bindgen(method, getter)]
    fn task(this: &ModelOptions) -> Option<String>;
}

#[wasm_bindgen]
impl ModelLoading {
    /// Takes what the folder and the device hold.
    #[wasm_bindgen(constructor)]
    pub fn new(
        device: &mut Device,
        folder: &mut ModelFolder,
        given: &ModelOptions,
    ) -> std::result::Result<ModelLoading, JsValue> {
        let mut start = || {
            let towers = folder.folder.towers();
            let checkpoint = std::mem::replace(&mut folder.folder, Folder::new("", towers)).open()?;
            match given.task().as_deref() {
                Some("detect") => checkpoint.config.expect(Task::Detect)?,
                Some("segment") => checkpoint.config.expect(Task::Segment)?,
                Some("generate") => checkpoint.config.expect(Task::Generate)?,
                _ => {}
            }
            let (device, tuning) = device.take();
            let options = LoadOptions { towers, tuning, ..given.options()? };
            let loading = Loading::new(device, &checkpoint, options)?;
            Ok(Self { checkpoint: Some(checkpoint), loading: Some(loading) })
        };
        start().map_err(|e: Error| js_error(&e))
    }

    fn loading(&self) -> &Loading<Backend> {
        self.loading.as_ref().expect("the package finishes last")
    }

    fn checkpoint(&self) -> &Checkpoint {
        self.checkpoint.as_ref().expect("the package finishes last")
    }

    /// The tensor files by name.
    pub fn files(&self) -> Vec<String> {
        self.checkpoint().files().map(|(name, _)| name.into()).collect()
    }

    /// Their lengths in bytes, by their headers.
    pub fn sizes(&self) -> Vec<f64> {
        self.checkpoint().files().map(|(_, size)| size as f64).collect()
    }

    /// What is needed of them, in the order in which it lies there: file, first byte and the byte after the last, again and
    /// again.
    pub fn pieces(&self) -> Vec<f64> {
        self.loading().pieces().flat_map(|(file, range)| [file as f64, range.start as f64, range.end as f64]).collect()
    }

    /// In what form each of them can be kept once it was put: empty for the file's own bytes, else a name, a space and a length
    /// in bytes.
    #[wasm_bindgen(js_name = packedForms)]
    pub fn packed_forms(&self) -> Vec<String> {
        let forms = self.loading().packed_forms();
        forms.map(|form| form.map_or_else(String::new, |form| format!("{} {}", form.name, form.bytes))).collect()
    }

    /// Takes the bytes of a piece by its place among the pieces, in any order. Returns its packed form, if it has one.
    pub fn put(&mut self, index: usize, bytes: &[u8]) -> std::result::Result<Option<Vec<u8>>, JsValue> {
        let checkpoint = self.checkpoint.as_ref().expect("the package finishes last");
        let loading = self.loading.as_mut().expect("the package finishes last");
        let packed = loading.put(checkpoint, index, bytes).map_err(|e| js_error(&e))?;
        Ok(packed.map(|packed| [packed.values, packed.scales].concat()))
    }

    /// Takes a piece in its packed form.
    #[wasm_bindgen(js_name = putPacked)]
    pub fn put_packed(&mut self, index: usize, bytes: &[u8]) {
        self.loading.as_mut().expect("the package finishes last").put_packed(index, bytes);
    }

    /// The model, once every piece was put.
    pub fn finish(&mut self) -> std::result::Result<Engine, JsValue> {
        let checkpoint = self.checkpoint.take().expect("the package finishes once");
        let loading = self.loading.take().expect("the package finishes once");
        let session = loading.finish(&checkpoint).map_err(|e| js_error(&e))?;
        Ok(Engine::new(session, checkpoint))
    }
}

impl ModelOptions {
    fn options(&self) -> Result<LoadOptions<'static>> {
        let format = match self.format().as_str() {
            "none" => None,
            name => Some(
                Format::from_name(name)
                    .filter(|f| *f != Format::F32)
                    .ok_or_else(|| Error::BadInput(format!("format: expected none, f16, q8 or q4, found {name:?}")))?,
            ),
        };
        Ok(LoadOptions {
            format,
            table: if self.token_table() == "server" { TableIn::File } else { TableIn::Memory },
            alpha: Alpha::parse(&self.alpha())?,
            batch: self.batch().unwrap_or(BATCH),
            canvas: self.canvas().map(|side| side as usize),
            context: self.context().map(|tokens| tokens as usize),
            picture_prompts: self.picture_prompts(),
            max_patches: self.max_num_patches().map(|most| most as usize),
            ..LoadOptions::default()
        })
    }
}
