//! A model folder on its way: which files are wanted, and what becomes of them.

use js_sys::{Array, Object};
use wasm_bindgen::prelude::*;

use super::js_error;
use crate::{
    checkpoint::{Answer, Folder, Head, Want, header_length},
    config::Towers,
};

#[wasm_bindgen]
extern "C" {
    /// `{ name, tensors }`
    #[wasm_bindgen(extends = Object)]
    type Wanted;
    #[wasm_bindgen(method, setter)]
    fn set_name(this: &Wanted, name: &str);
    #[wasm_bindgen(method, setter)]
    fn set_tensors(this: &Wanted, tensors: bool);
}

impl From<&Want> for Wanted {
    fn from(want: &Want) -> Self {
        let wanted: Self = Object::new().unchecked_into();
        wanted.set_name(want.name());
        wanted.set_tensors(matches!(want, Want::Tensors(_)));
        wanted
    }
}

/// Asks for the files of a model folder until nothing more is wanted.
#[wasm_bindgen]
pub struct ModelFolder {
    pub(super) folder: Folder,
}

#[wasm_bindgen]
impl ModelFolder {
    /// `label` stands before file names in messages; `towers` is both, vision or text.
    #[wasm_bindgen(constructor)]
    pub fn new(label: &str, towers: &str) -> std::result::Result<ModelFolder, JsValue> {
        let towers = Towers::parse(towers).map_err(|e| js_error(&e))?;
        let folder = Folder::new(label, towers);
        // Only one of the three files encodes texts.
        let folder = if cfg!(feature = "wasm-tokenizer") { folder } else { folder.without_tokenizer() };
        Ok(Self { folder })
    }

    /// `{ name, tensors }` of the files to fetch next; of a tensor file the header is wanted, and the rest later.
    pub fn wanted(&self) -> std::result::Result<Array, JsValue> {
        self.folder.wanted().map(|all| all.iter().map(Wanted::from).collect()).map_err(|e| js_error(&e))
    }

    /// The towers that are loaded, once nothing more is wanted.
    pub fn towers(&self) -> String {
        self.folder.towers().name().into()
    }

    /// The folder in this one that holds the model, with its slash; empty for this one itself.
    pub fn inner(&self) -> String {
        self.folder.inner().into()
    }

    /// A file that was wanted as a whole.
    pub fn put(&mut self, name: &str, bytes: Vec<u8>) -> std::result::Result<(), JsValue> {
        self.folder.put(name, Answer::Whole(bytes)).map_err(|e| js_error(&e))
    }

    /// How many bytes of a tensor file its header takes, by the first eight.
    #[wasm_bindgen(js_name = headerLength)]
    pub fn header_length(&self, name: &str, start: &[u8], size: Option<f64>) -> std::result::Result<f64, JsValue> {
        header_length(name, start, size.map(|s| s as u64)).map(|length| length as f64).map_err(|e| js_error(&e))
    }

    /// The header of a tensor file; `size` is the length of the whole file, if the server said.
    #[wasm_bindgen(js_name = putHeader)]
    pub fn put_header(&mut self, name: &str, bytes: Vec<u8>, size: Option<f64>) {
        let head = Head { bytes, size: size.map(|s| s as u64) };
        self.folder.put(name, Answer::Tensors(Box::new(head))).expect("only whole files are judged here");
    }

    /// A file that is not there, and how that showed.
    #[wasm_bindgen(js_name = putMissing)]
    pub fn put_missing(&mut self, name: &str, why: &str) {
        self.folder.put(name, Answer::Missing(why.into())).expect("only whole files are judged here");
    }
}
