//! What the reference computed (`tools/make_decoder_fixtures.py`), and sessions on the same checkpoints.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
};

use image::ImageReader;
use ocelli::{
    Checkpoint, Session,
    backend::{Backend, Cpu},
    config::Config,
    kernels::PICTURE,
    session::LoadOptions,
};
use safetensors::SafeTensors;
use serde::Deserialize;

use crate::common::fixtures;

/// Decoders by themselves, and with pictures.
pub const TEXTS: [&str; 6] = ["llama", "qwen2", "qwen3", "gemma", "gemma2", "gemma3"];
pub const PICTURES: [&str; 3] = ["smolvlm", "paligemma", "llava"];

#[derive(Deserialize)]
pub struct Golden {
    /// Of the prompt, a picture's tokens among them.
    pub ids: Vec<u32>,
    /// Greedy ones that follow.
    pub tokens: Vec<u32>,
    #[serde(default)]
    pub images: Vec<String>,
    /// Other pictures in the prompt.
    #[serde(default)]
    pub others: Vec<Other>,
    /// Of usual mistakes: how far the last logits are from the right ones.
    pub wrong: BTreeMap<String, f64>,
    #[serde(skip)]
    pub taps: HashMap<String, Vec<f32>>,
}

#[derive(Deserialize)]
pub struct Other {
    pub images: Vec<String>,
    pub ids: Vec<u32>,
}

impl Golden {
    pub fn of(model: &str) -> Self {
        let read = |name: &str| std::fs::read(folder(model).join(name)).expect("a fixture");
        let mut golden: Self = serde_json::from_slice(&read("golden.json")).expect("a sound fixture");
        let bytes = read("golden.safetensors");
        let file = SafeTensors::deserialize(&bytes).expect("a sound fixture");
        golden.taps =
            file.tensors().into_iter().map(|(name, t)| (name, bytemuck::pod_collect_to_vec(t.data()))).collect();
        golden
    }

    /// The logits from which the greedy token of a step was taken.
    pub fn step(&self, at: usize) -> &[f32] {
        let steps = &self.taps["steps"];
        let vocab = steps.len() / self.tokens.len();
        &steps[at * vocab..][..vocab]
    }
}

pub fn folder(model: &str) -> PathBuf {
    fixtures().join("decoders").join(model)
}

pub fn session<B: Backend>(device: B, model: &str) -> Session<B> {
    changed(device, model, |_| ())
}

/// A session whose config was changed after it was read.
pub fn changed<B: Backend>(device: B, model: &str, change: impl FnOnce(&mut Config)) -> Session<B> {
    let mut checkpoint = Checkpoint::open(&folder(model)).expect("a sound fixture");
    change(&mut checkpoint.config);
    Session::load(device, &checkpoint, LoadOptions::default()).expect("a sound fixture")
}

pub fn on_cpu(model: &str, change: impl FnOnce(&mut Config)) -> Session<Cpu> {
    changed(Cpu::default(), model, change)
}

/// Hands a session the squares that the reference's tower saw of these pictures; the ids with rows of pictures in the place of the
/// token that stands for them.
pub fn prompt<B: Backend>(session: &Session<B>, model: &str, ids: &[u32], images: &[String]) -> Vec<u32> {
    let stem = |name: &String| name.strip_suffix(".png").expect("lossless").to_string();
    let generator = session.config.generator().expect("a model that writes");
    let Some(pictures) = &generator.pictures else { return ids.to_vec() };
    let name = images.iter().map(stem).collect::<Vec<_>>().join("+");
    let path = folder(model).join("pixels").join(format!("{name}.png"));
    let tiles = ImageReader::open(path).expect("a fixture").decode().expect("a sound fixture").into_rgba8();
    let words: Vec<u32> = bytemuck::pod_collect_to_vec(tiles.as_raw());
    let side = session.config.vision.image_size;
    for (at, tile) in words.chunks_exact(side * side).enumerate() {
        session.put_tile(tile, at).expect("a tile");
    }
    let mut rows = PICTURE..;
    ids.iter().map(|&id| if id == pictures.token { rows.next().expect("endless") } else { id }).collect()
}

/// ‖found - expected‖ as a share of the expected numbers' spread.
pub fn distance(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len(), "as many numbers");
    let mean = expected.iter().map(|&x| f64::from(x)).sum::<f64>() / expected.len() as f64;
    let norm = |numbers: &mut dyn Iterator<Item = f64>| numbers.map(|x| x * x).sum::<f64>().sqrt();
    let off = norm(&mut found.iter().zip(expected).map(|(a, b)| f64::from(a - b)));
    off / norm(&mut expected.iter().map(|&x| f64::from(x) - mean))
}
