//! From a model's numbers and words to boxes, masks and places in a picture.

mod boxes;
#[path = "../common/mod.rs"]
mod common;
mod locations;
mod regions;
