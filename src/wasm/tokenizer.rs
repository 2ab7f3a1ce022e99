//! Texts become token ids, in a file of its own: it is larger than all else together.

use js_sys::Uint32Array;
use wasm_bindgen::prelude::*;

use super::{folder::ModelFolder, js_error};
use crate::text::TextEncoder;

/// A model's tokenizer by itself.
#[wasm_bindgen]
pub struct TokenizerEngine(TextEncoder);

#[wasm_bindgen]
impl TokenizerEngine {
    /// From a folder of which no more than tensor files are wanted.
    #[wasm_bindgen(constructor)]
    pub fn new(folder: &mut ModelFolder) -> std::result::Result<TokenizerEngine, JsValue> {
        let encoder = folder.folder.described().and_then(|(config, files)| TextEncoder::new(&files, &config));
        encoder.map(Self).map_err(|e| js_error(&e))
    }

    /// The ids that the text tower is fed.
    pub fn encode(&self, text: &str) -> std::result::Result<Uint32Array, JsValue> {
        self.0.encode(text).map(|ids| ids.as_slice().into()).map_err(|e| js_error(&e))
    }
}
