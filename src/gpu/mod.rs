//! The only module that knows `wgpu`: a device, its buffers and pipelines, and the one await, which is reading back.

#[cfg(not(target_arch = "wasm32"))]
mod adapter;
mod buffer;
mod clock;
mod device;
mod pipeline;
mod tier;
mod tuning;
mod wgsl;

#[cfg(not(target_arch = "wasm32"))]
pub use adapter::Adapter;
pub use buffer::{Buffer, Readback};
pub use clock::milliseconds;
pub use device::{Gpu, Power};
pub use pipeline::{Bind, Bound, Pipeline, Shader};
pub use tier::Tier;
pub use tuning::{Size, Tuning};
pub use wgsl::strip;
pub(crate) use wgsl::wgsl;
