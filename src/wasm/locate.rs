//! Boxes, masks and regions that a model has written, as the package sees them.

use js_sys::{Array, Float64Array};
use wasm_bindgen::prelude::*;

use super::{find::plain_mask, js_error};
use crate::{
    checkpoint::TensorFile,
    config::VisionTask,
    found::{self, Located, Locations},
};

/// What an answer says of the things that were asked for, each with the place of its label: the rest of it is left out.
fn found(text: &str, asked: &[String]) -> Vec<(usize, Located)> {
    let found = Locations::parse(text).found.into_iter();
    found.filter_map(|one| Some((one.index(asked)?, one))).collect()
}

/// Of each thing in an answer, whose special tokens are written out: the place of its label, and the box's x, y, width and height in
/// pixels of a picture of this size.
#[wasm_bindgen]
pub fn located(text: &str, asked: Vec<String>, width: u32, height: u32) -> Float64Array {
    let numbers = |(index, one): (usize, Located)| {
        let bounds = one.bounds((width, height));
        [index as f64, bounds.x, bounds.y, bounds.width, bounds.height]
    };
    found(text, &asked).into_iter().flat_map(numbers).collect::<Vec<f64>>().as_slice().into()
}

/// What an answer to a task says, as JSON: a [`found::Answer`] about a picture of this size. Special tokens are written out in it but where
/// words are asked for.
#[wasm_bindgen]
pub fn answered(task: &str, text: &str, width: u32, height: u32) -> Result<String, JsValue> {
    let answer = VisionTask::parse(task).map(|task| found::parse(task.answer(), text, (width, height)));
    let json = |answer| serde_json::to_string(&answer).expect("plain data");
    answer.map(json).map_err(|e| js_error(&e))
}

/// What makes masks of an answer.
#[wasm_bindgen]
pub struct MaskDecoder(found::MaskDecoder);

#[wasm_bindgen]
impl MaskDecoder {
    /// Of the file beside the model's own; `name` is for messages.
    #[wasm_bindgen(constructor)]
    pub fn new(name: &str, bytes: Vec<u8>) -> Result<MaskDecoder, JsValue> {
        let decoder = TensorFile::parse(name, bytes)
            .and_then(|file| found::MaskDecoder::load(|name, shape| file.floats(name, shape)));
        decoder.map(Self).map_err(|e| js_error(&e))
    }

    /// What the file is called.
    pub fn file() -> String {
        found::MaskDecoder::FILE.into()
    }

    /// The mask of each thing that [`located`] gives, as the engine's masks are; undefined where there is none. Their logits are those of
    /// the box.
    pub fn masks(&self, text: &str, asked: Vec<String>, width: u32, height: u32) -> Array {
        let mask = |(_, one): &(usize, Located)| {
            let square = one.square(&self.0)?;
            Some(plain_mask(&one.mask(&square, (width, height))?, &square.scores))
        };
        found(text, &asked).iter().map(|one| mask(one).map_or(JsValue::UNDEFINED, Into::into)).collect()
    }
}
