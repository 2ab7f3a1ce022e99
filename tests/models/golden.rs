//! What the reference computed (`tools/make_fixtures.py`), and a session on the same checkpoint.

use std::{collections::BTreeMap, path::PathBuf};

use ocelli::{
    Checkpoint, Gpu, Power, Session,
    backend::Backend,
    config::Config,
    pictures::Picture,
    quant::Format,
    session::{LoadOptions, Source},
};
use serde::Deserialize;

use crate::common::fixtures;

#[derive(Deserialize)]
pub struct Golden {
    pub images: BTreeMap<String, Image>,
    pub texts: Vec<Text>,
    pub logits_per_image: BTreeMap<String, serde_json::Value>,
    pub scores: BTreeMap<String, Vec<f32>>,
    pub unrelated_distance: Unrelated,
}

#[derive(Deserialize)]
pub struct Image {
    pub embedding: Vec<f32>,
}

#[derive(Deserialize)]
pub struct Text {
    pub text: String,
    pub embedding: Vec<f32>,
}

/// Mean distance between embeddings that have nothing to do with each other: the unit of every bound.
#[derive(Deserialize)]
pub struct Unrelated {
    pub image: f64,
    pub text: f64,
}

pub fn folder(model: &str) -> PathBuf {
    fixtures().join(model)
}

pub fn golden(model: &str) -> Golden {
    let text = std::fs::read_to_string(folder(model).join("golden.json")).expect("a fixture");
    serde_json::from_str(&text).expect("a sound fixture")
}

pub fn session(model: &str, format: Option<Format>) -> Session {
    session_with(model, format, |_| ())
}

/// A session whose config was changed after it was read.
pub fn session_with(model: &str, format: Option<Format>, change: impl FnOnce(&mut Config)) -> Session {
    let mut checkpoint = Checkpoint::open(&folder(model)).expect("a sound fixture");
    change(&mut checkpoint.config);
    let gpu = pollster::block_on(Gpu::new(Power::Any)).expect("an adapter was found before");
    Session::load(gpu, &checkpoint, LoadOptions { format, ..LoadOptions::default() }).expect("a sound fixture")
}

pub fn open(name: &str) -> Picture {
    Picture::open(&fixtures().join("images").join(name)).expect("a sound fixture")
}

/// Lossless pictures: decoders agree on them.
pub fn lossless(golden: &Golden) -> Vec<&String> {
    golden.images.keys().filter(|name| !name.ends_with(".jpg")).collect()
}

pub fn embed_images<B: Backend>(session: &Session<B>, names: &[&String]) -> Vec<Vec<f32>> {
    let pictures: Vec<Picture> = names.iter().map(|name| open(name)).collect();
    let sources: Vec<&dyn Source<B>> = pictures.iter().map(|p| p as &dyn Source<B>).collect();
    pollster::block_on(session.embed_images(&sources)).expect("sound pictures")
}

pub fn embed_texts<B: Backend>(session: &Session<B>, golden: &Golden) -> Vec<Vec<f32>> {
    let texts: Vec<&str> = golden.texts.iter().map(|t| t.text.as_str()).collect();
    pollster::block_on(session.embed_texts(&texts)).expect("sound texts")
}

/// RGBA words, red in the low byte.
pub fn words(picture: &Picture) -> Vec<u32> {
    bytemuck::pod_collect_to_vec(picture.0.as_raw())
}

/// A drawn picture.
pub fn draw(width: u32, height: u32, pixel: impl Fn(u32, u32) -> [u8; 4]) -> Picture {
    Picture(image::RgbaImage::from_fn(width, height, |x, y| image::Rgba(pixel(x, y))))
}
