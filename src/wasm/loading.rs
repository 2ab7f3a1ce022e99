//! A model folder on its way: which files are wanted, and what becomes of them.

use js_sys::{Array, Uint32Array};
use wasm_bindgen::prelude::*;

use super::{Device, Engine, js_error, object, picture::Texture};
use crate::{
    Checkpoint, Error,
    checkpoint::{Answer, Folder, Head, Want, header_length},
    config::{TokenizerFiles, Towers},
    quant::Format,
    session::{Loading, TableIn},
    text::TextEncoder,
};

/// Asks for the files of a model folder until nothing more is wanted.
#[wasm_bindgen]
pub struct ModelFolder {
    folder: Folder,
    towers: Towers,
}

#[wasm_bindgen]
impl ModelFolder {
    /// `label` stands before file names in messages; `towers` is both, vision or text.
    #[wasm_bindgen(constructor)]
    pub fn new(label: &str, towers: &str) -> std::result::Result<ModelFolder, JsValue> {
        let towers = Towers::parse(towers).map_err(|e| js_error(&e))?;
        Ok(Self { folder: Folder::new(label, towers), towers })
    }

    /// `{ name, tensors }` of the files to fetch next; of a tensor file the header is wanted, and the rest later.
    pub fn wanted(&self) -> std::result::Result<Array, JsValue> {
        let want =
            |want: &Want| object([("name", want.name().into()), ("tensors", matches!(want, Want::Tensors(_)).into())]);
        self.folder.wanted().map(|wanted| wanted.iter().map(want).collect()).map_err(|e| js_error(&e))
    }

    /// A file that was wanted as a whole.
    pub fn put(&mut self, name: &str, bytes: Vec<u8>) -> std::result::Result<(), JsValue> {
        self.folder.put(name, Answer::Whole(bytes)).map_err(|e| js_error(&e))
    }

    /// How many bytes of a tensor file its header takes, by the first eight.
    #[wasm_bindgen(js_name = headerLength)]
    pub fn header_length(name: &str, start: &[u8], size: Option<f64>) -> std::result::Result<f64, JsValue> {
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

/// A model whose weights are on their way.
#[wasm_bindgen]
pub struct ModelLoading {
    /// Both are none once it is finished.
    checkpoint: Option<Checkpoint>,
    loading: Option<Loading>,
}

#[wasm_bindgen]
impl ModelLoading {
    /// Takes what the folder and the device hold. `format` is none, f16, q8 or q4; `table` says whether the token table comes
    /// into memory.
    #[wasm_bindgen(constructor)]
    pub fn new(
        device: &mut Device,
        folder: &mut ModelFolder,
        format: &str,
        table: bool,
    ) -> std::result::Result<ModelLoading, JsValue> {
        let mut start = || {
            let format =
                match format {
                    "none" => None,
                    name => Some(Format::from_name(name).filter(|f| *f != Format::F32).ok_or_else(|| {
                        Error::BadInput(format!("format: expected none, f16, q8 or q4, found {name:?}"))
                    })?),
                };
            let towers = folder.towers;
            let mut checkpoint = std::mem::replace(&mut folder.folder, Folder::new("", towers)).open()?;
            let gpu = device.gpu.take().expect("the package uses a device once");
            let table = if table { TableIn::Memory } else { TableIn::File };
            let loading = Some(Loading::new(gpu, &checkpoint, towers, format, table)?);
            // The tokenizer is made, and its files may be large.
            checkpoint.tokenizer = TokenizerFiles::None;
            Ok(Self { checkpoint: Some(checkpoint), loading })
        };
        start().map_err(|e: Error| js_error(&e))
    }

    fn loading(&self) -> &Loading {
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

    /// Takes the bytes of a piece by its place among the pieces, in any order.
    pub fn put(&mut self, index: usize, bytes: &[u8]) -> std::result::Result<(), JsValue> {
        let checkpoint = self.checkpoint.as_ref().expect("the package finishes last");
        let loading = self.loading.as_mut().expect("the package finishes last");
        loading.put(checkpoint, index, bytes).map_err(|e| js_error(&e))
    }

    /// The model, once every piece was put.
    pub fn finish(&mut self) -> std::result::Result<Engine, JsValue> {
        let checkpoint = self.checkpoint.take().expect("the package finishes once");
        let loading = self.loading.take().expect("the package finishes once");
        let session = loading.finish(&checkpoint).map_err(|e| js_error(&e))?;
        Ok(Engine { texture: Texture::default(), session, checkpoint })
    }
}
