//! Texts become token ids and ids become text, in a file of its own: it is larger than all else together.

use js_sys::Uint32Array;
use wasm_bindgen::prelude::*;

use super::{folder::ModelFolder, js_error};
use crate::text::{TextEncoder, TextStream};

type Result<T> = std::result::Result<T, JsValue>;

/// A model's tokenizer by itself.
#[wasm_bindgen]
pub struct TokenizerEngine(TextEncoder);

#[wasm_bindgen]
impl TokenizerEngine {
    /// From a folder of which no more than tensor files are wanted.
    #[wasm_bindgen(constructor)]
    pub fn new(folder: &mut ModelFolder) -> Result<TokenizerEngine> {
        let encoder = folder.folder.described().and_then(|(config, files)| TextEncoder::new(&files, &config));
        encoder.map(Self).map_err(|e| js_error(&e))
    }

    /// The ids that the text tower is fed.
    pub fn encode(&self, text: &str) -> Result<Uint32Array> {
        self.0.encode(text).map(|ids| ids.as_slice().into()).map_err(|e| js_error(&e))
    }

    /// Whether a text is longer than the text tower takes, so that its end is not among [`Self::encode`]'s ids.
    pub fn cuts(&self, text: &str) -> Result<bool> {
        self.0.encoded(text).map(|encoded| encoded.cut).map_err(|e| js_error(&e))
    }

    /// The ids of a part of a prompt, of any length: none of them is a special token's, whatever the text says.
    #[wasm_bindgen(js_name = encodePlain)]
    pub fn encode_plain(&self, text: &str) -> Result<Uint32Array> {
        self.0.tokenizer().encode_plain(text).map(|ids| ids.as_slice().into()).map_err(|e| js_error(&e))
    }

    /// The text of token ids; `skip_special` leaves out special tokens.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String> {
        self.0.tokenizer().decode(ids, skip_special).map_err(|e| js_error(&e))
    }

    /// The same, as token ids come one by one.
    pub fn stream(&self, skip_special: bool) -> Result<TokenStream> {
        self.0.tokenizer().stream(skip_special).map(TokenStream).map_err(|e| js_error(&e))
    }
}

/// A text that comes token by token, in whole characters.
#[wasm_bindgen]
pub struct TokenStream(TextStream);

#[wasm_bindgen]
impl TokenStream {
    /// The characters that this token completes.
    pub fn push(&mut self, id: u32) -> String {
        self.0.push(id)
    }

    /// What is left at the end.
    pub fn finish(&mut self) -> String {
        self.0.finish()
    }
}
