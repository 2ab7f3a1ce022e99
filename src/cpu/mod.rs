//! Matrix products, attention and the like on the CPU, fast: what [`crate::reference`] computes naively. They know shapes and numbers,
//! and no plan. Each runs in the widest vector instructions of the CPU at hand.

mod attention;
mod attention_row;
mod channels;
mod columns;
mod depthwise;
mod gated;
mod layer_norm;
mod math;
mod normalize;
mod patchify;
mod product;
mod resize;
mod resize_float;
mod rms_norm;
mod tile;

pub use attention::attention;
pub use attention_row::attention_row;
pub use channels::{channel_mix, channel_scores};
pub use depthwise::depthwise;
pub use gated::gated;
pub use layer_norm::layer_norm;
pub use normalize::normalize;
pub use patchify::patchify;
pub use product::Product;
pub use resize::resize;
pub use resize_float::resize_float;
pub use rms_norm::rms_norm;

/// The vector instructions that operations run in here.
#[cfg(not(target_arch = "wasm32"))]
pub fn instructions() -> &'static str {
    match pulp::Arch::new() {
        #[cfg(target_arch = "x86_64")]
        pulp::Arch::V4(_) => "AVX-512",
        #[cfg(target_arch = "x86_64")]
        pulp::Arch::V3(_) => "AVX2",
        #[cfg(target_arch = "aarch64")]
        pulp::Arch::Neon(_) => "NEON",
        _ => "what the compiler was told",
    }
}

/// Runs an operation in the widest vector instructions that this CPU has.
fn dispatch<T: pulp::WithSimd>(operation: T) -> T::Output {
    pulp::Arch::new().dispatch(operation)
}
