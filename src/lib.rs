//! Ocelli runs CLIP and SigLIP on the user's own GPU: in the browser through WebGPU, natively through Vulkan, Metal or DX12.
//!
//! One direction: checkpoint bytes become weights, weights and config become a [`plan::Plan`], a plan with inputs becomes
//! embeddings, embeddings become scores. `docs/ARCHITECTURE.md` has the picture.
#![cfg_attr(
    not(target_arch = "wasm32"),
    doc = r#"
```no_run
# async fn example() -> ocelli::Result<()> {
use ocelli::{Checkpoint, Gpu, Power, Session, config::Towers, session::LoadOptions};
let checkpoint = Checkpoint::open("www/models/ocelli-tiny".as_ref())?;
let options = LoadOptions { towers: Towers::Text, ..LoadOptions::default() };
let session = Session::load(Gpu::new(Power::Any).await?, &checkpoint, options)?;
let texts = session.embed_texts(&["a dog", "a cat"]).await?;
# Ok(())
# }
```
"#
)]

pub mod autotune;
pub mod backend;
pub mod checkpoint;
pub mod config;
#[cfg(not(feature = "wasm-gpu"))]
mod cpu;
mod error;
pub mod found;
pub mod gpu;
mod json;
pub mod kernels;
pub mod model;
#[cfg(all(feature = "pictures", not(target_arch = "wasm32")))]
pub mod pictures;
pub mod plan;
pub mod preprocess;
pub mod quant;
#[cfg(not(target_arch = "wasm32"))]
pub mod quantize;
pub mod random;
pub mod reference;
pub mod sampling;
pub mod scores;
pub mod session;
#[cfg(not(target_arch = "wasm32"))]
pub mod synthetic;
// In the browser, a wasm file of its own has them.
#[cfg(any(not(target_arch = "wasm32"), feature = "wasm-tokenizer"))]
pub mod text;
pub mod threads;
pub mod tokens;
pub mod verify;
#[cfg(all(target_arch = "wasm32", any(feature = "wasm-gpu", feature = "wasm-cpu", feature = "wasm-tokenizer")))]
mod wasm;
pub mod weights;

pub use checkpoint::Checkpoint;
pub use error::{Error, Result};
pub use gpu::{Gpu, Power};
pub use scores::Score;
pub use session::Session;
