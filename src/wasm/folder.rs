//! A model folder on its way: which files are wanted, and what becomes of them.

use std::collections::HashMap;

use js_sys::{Array, Object};
use wasm_bindgen::prelude::*;

use super::js_error;
use crate::{
    checkpoint::{Answer, Folder, Head, Want},
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
    /// Tensor files whose headers are on their way, by name.
    heads: HashMap<String, Head>,
}

#[wasm_bindgen]
impl ModelFolder {
    /// `label` stands before file names in messages; `towers` is both, vision or text.
    #[wasm_bindgen(constructor)]
    pub fn new(label: &str, towers: &str) -> std::result::Result<ModelFolder, JsValue> {
        let towers = Towers::parse(towers).map_err(|e| js_error(&e))?;
        let folder = Folder::new(label, towers);
        // Only one of the files encodes texts.
        let folder = if cfg!(feature = "wasm-tokenizer") { folder } else { folder.without_tokenizer() };
        Ok(Self { folder, heads: HashMap::new() })
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

    /// The range of a tensor file that its header takes next, as its first byte and the byte after the last; nothing once all of
    /// it was put, and the file is known. `size` is the length of the whole file, if the server said.
    #[wasm_bindgen(js_name = headerRange)]
    pub fn header_range(&mut self, name: &str, size: Option<f64>) -> std::result::Result<Option<Vec<f64>>, JsValue> {
        if cfg!(feature = "wasm-tokenizer") {
            // It reads no tensors.
            return Ok(None);
        }
        let head = self.heads.entry(name.into()).or_default();
        head.size = size.map(|s| s as u64);
        if let Some(range) = head.wanted(name).map_err(|e| js_error(&e))? {
            return Ok(Some(vec![range.start as f64, range.end as f64]));
        }
        let head = self.heads.remove(name).expect("there is one since above");
        self.folder.put(name, Answer::Tensors(Box::new(head))).expect("only whole files are judged here");
        Ok(None)
    }

    /// A range of a tensor file that its header takes.
    #[wasm_bindgen(js_name = putHeader)]
    pub fn put_header(&mut self, name: &str, start: f64, bytes: Vec<u8>) {
        self.heads.entry(name.into()).or_default().put(start as u64, bytes);
    }

    /// A file that is not there, and how that showed.
    #[wasm_bindgen(js_name = putMissing)]
    pub fn put_missing(&mut self, name: &str, why: &str) {
        self.folder.put(name, Answer::Missing(why.into())).expect("only whole files are judged here");
    }
}
