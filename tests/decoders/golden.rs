//! What the reference computed (`tools/make_decoder_fixtures.py`), and sessions on the same checkpoints.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
};

use image::ImageReader;
use ocelli::{
    Checkpoint, Session,
    backend::{Backend, Cpu},
    config::Config,
    kernels::PICTURE,
    session::{Cut, LoadOptions, View},
};
use serde::Deserialize;

use crate::common::{fixtures, tensors};

/// Decoders by themselves, and with pictures.
pub const TEXTS: [&str; 6] = ["llama", "qwen2", "qwen3", "gemma", "gemma2", "gemma3"];
pub const PICTURES: [&str; 5] = ["smolvlm", "paligemma", "llava", "llava-onevision", "llava-onevision-shrunk"];

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
    /// The picture is seen once, and no tiles of it.
    #[serde(default)]
    pub low: bool,
    pub ids: Vec<u32>,
}

impl Other {
    /// What the reference's numbers of it are called.
    pub fn name(&self) -> String {
        stem(&self.images, self.low)
    }
}

fn stem(images: &[String], low: bool) -> String {
    let names: Vec<&str> = images.iter().map(|name| name.strip_suffix(".png").expect("lossless")).collect();
    names.join("+") + if low { ".low" } else { "" }
}

impl Golden {
    pub fn of(model: &str) -> Self {
        let read = |name: &str| std::fs::read(folder(model).join(name)).expect("a fixture");
        let mut golden: Self = serde_json::from_slice(&read("golden.json")).expect("a sound fixture");
        golden.taps = tensors(&folder(model).join("golden.safetensors"));
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

/// RGBA words, width and height.
fn picture(path: &Path) -> (Vec<u32>, (usize, usize)) {
    let image = ImageReader::open(path).expect("a fixture").decode().expect("a sound fixture").into_rgba8();
    (bytemuck::pod_collect_to_vec(image.as_raw()), (image.width() as usize, image.height() as usize))
}

/// Shows a session these pictures, whose squares must be those that the reference's tower saw; the ids with rows of pictures in the place
/// of the token that stands for them.
pub fn prompt<B: Backend>(session: &Session<B>, model: &str, ids: &[u32], images: &[String]) -> Vec<u32> {
    show(session, model, ids, images, false)
}

/// The same, where a picture may be seen once.
pub fn show<B: Backend>(session: &Session<B>, model: &str, ids: &[u32], images: &[String], low: bool) -> Vec<u32> {
    let generator = session.config.generator().expect("a model that writes");
    let Some(pictures) = &generator.pictures else { return ids.to_vec() };
    let view = View { low, several: images.len() > 1 };
    let cut = |name: &String| {
        let (words, size) = picture(&fixtures().join("images").join(name));
        session.cut(&words, size, view).expect("a picture")
    };
    let mut cuts: Vec<Cut> = images.iter().map(cut).collect();
    let (seen, _) = picture(&folder(model).join("pixels").join(stem(images, low) + ".png"));
    assert!(cuts.iter().flat_map(Cut::squares).flatten().eq(&seen), "{model}: {images:?}: other squares");
    let mut row = 0;
    for cut in &mut cuts {
        row = pollster::block_on(session.show(cut, row)).expect("room");
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
