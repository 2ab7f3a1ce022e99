//! The browser's side: types converted, nothing decided. `pkg/src` wraps this in the API that people use.
//!
//! The crate becomes three wasm files, by feature: models on the GPU, models on the CPU, and tokenizers.

#[cfg(feature = "wasm-cpu")]
mod cpu;
#[cfg(any(feature = "wasm-gpu", feature = "wasm-cpu"))]
mod engine;
mod folder;
#[cfg(feature = "wasm-gpu")]
mod gpu;
#[cfg(any(feature = "wasm-gpu", feature = "wasm-cpu"))]
mod image_data;
#[cfg(any(feature = "wasm-gpu", feature = "wasm-cpu"))]
mod loading;
#[cfg(feature = "wasm-gpu")]
mod picture;
#[cfg(feature = "wasm-tokenizer")]
mod tokenizer;

use js_sys::{Object, Reflect};
use wasm_bindgen::prelude::*;

use crate::Error;

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
