//! The browser's side: types converted, nothing decided. `pkg/src` wraps this in the API that people use.
//!
//! The crate becomes seven wasm files, by feature: models on the GPU, models on the CPU with and without relaxed SIMD, these three once
//! more with models that write, and tokenizers.

#[cfg(feature = "wasm-cpu")]
mod cpu;
#[cfg(any(feature = "wasm-gpu", feature = "wasm-cpu"))]
mod engine;
#[cfg(any(feature = "wasm-gpu", feature = "wasm-cpu"))]
mod find;
mod folder;
#[cfg(all(feature = "writing", any(feature = "wasm-gpu", feature = "wasm-cpu")))]
mod generate;
#[cfg(feature = "wasm-gpu")]
mod gpu;
#[cfg(any(feature = "wasm-gpu", feature = "wasm-cpu"))]
mod image_data;
#[cfg(any(feature = "wasm-gpu", feature = "wasm-cpu"))]
mod loading;
#[cfg(all(feature = "writing", any(feature = "wasm-gpu", feature = "wasm-cpu")))]
mod locate;
#[cfg(feature = "wasm-gpu")]
mod picture;
#[cfg(feature = "wasm-cpu")]
mod team;
#[cfg(feature = "wasm-tokenizer")]
mod tokenizer;

use wasm_bindgen::prelude::*;

use crate::Error;

#[wasm_bindgen]
extern "C" {
    /// `Error`, with what the package asks it for.
    #[wasm_bindgen(extends = js_sys::Error, js_name = Error)]
    type CodedError;
    #[wasm_bindgen(constructor, js_class = "Error")]
    fn new(message: &str) -> CodedError;
    #[wasm_bindgen(method, setter)]
    fn set_code(this: &CodedError, code: &str);
}

/// An error as a JavaScript `Error` with a `code`.
fn js_error(error: &Error) -> JsValue {
    let coded = CodedError::new(&error.to_string());
    coded.set_code(error.code());
    coded.into()
}
