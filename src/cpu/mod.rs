//! Matrix products and attention on the CPU, fast: what [`crate::reference`] computes naively. They know shapes and numbers, and
//! no plan.

mod attention;
mod math;
mod product;
mod threads;
mod tile;

pub use attention::attention;
pub use product::Product;
