//! Pictures on their way to a model: files, sizes, tiles.

#[path = "../common/mod.rs"]
mod common;
mod files;
mod sizes;
mod smooth;
mod tiles;
