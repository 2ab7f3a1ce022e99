//! Matrix products, attention and the like on the CPU, fast: what [`crate::reference`] computes naively. They know shapes and numbers,
//! and no plan. Each runs in the widest vector instructions of the CPU at hand.

mod attention;
mod columns;
mod layer_norm;
mod math;
mod product;
mod resize;
mod tile;

pub use attention::attention;
pub use layer_norm::layer_norm;
pub use product::Product;
pub use resize::{Lines, resize_columns, resize_rows};

/// Runs an operation in the widest vector instructions that this CPU has.
fn dispatch<T: pulp::WithSimd>(operation: T) -> T::Output {
    pulp::Arch::new().dispatch(operation)
}
