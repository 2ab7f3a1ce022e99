//! What the reference computed (`tools/make_find_fixtures.py`), and a session on the same checkpoint.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
};

use ocelli::{
    Checkpoint, Session,
    backend::{Backend, Cpu},
    config::Config,
    pictures::Picture,
    session::{LoadOptions, Scene},
};
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, de::DeserializeOwned};

use crate::common::{self, files, fixtures};

/// The picture of the taps.
pub const TAP_IMAGE: &str = "rgb-61x37.png";

#[derive(Deserialize)]
pub struct Golden<I> {
    pub images: BTreeMap<String, I>,
    pub texts: Vec<Text>,
    /// Mean distances between what has nothing to do with each other: the units of the bounds.
    pub unrelated_distance: HashMap<String, f64>,
    /// Of usual mistakes: by kind of number and by mistake, its distance in these units.
    pub wrong: BTreeMap<String, BTreeMap<String, f64>>,
    #[serde(flatten)]
    pub more: BTreeMap<String, serde_json::Value>,
}

#[derive(Deserialize)]
pub struct Text {
    pub text: String,
    pub projection: Vec<f32>,
    pub embedding: Vec<f32>,
}

impl<I: DeserializeOwned> Golden<I> {
    pub fn of(model: &str) -> Self {
        let text = std::fs::read(folder(model).join("golden.json")).expect("a fixture");
        serde_json::from_slice(&text).expect("a sound fixture")
    }

    /// A part that some models have.
    pub fn part<T: DeserializeOwned>(&self, name: &str) -> T {
        serde_json::from_value(self.more[name].clone()).expect("a sound fixture")
    }
}

pub fn folder(model: &str) -> PathBuf {
    fixtures().join(model)
}

/// Tensors of a fixture, as f32.
pub fn tensors(model: &str, file: &str) -> HashMap<String, Vec<f32>> {
    common::tensors(&folder(model).join(file))
}

pub fn open(name: &str) -> Picture {
    Picture::open(&fixtures().join("images").join(name)).expect("a sound fixture")
}

pub fn session<B: Backend>(device: B, model: &str) -> Session<B> {
    let checkpoint = Checkpoint::open(&folder(model)).expect("a sound fixture");
    Session::load(device, &checkpoint, LoadOptions::default()).expect("a sound fixture")
}

/// A session on the CPU whose config was changed after it was read.
pub fn changed(model: &str, change: impl FnOnce(&mut Config)) -> Session<Cpu> {
    let mut checkpoint = Checkpoint::open(&folder(model)).expect("a sound fixture");
    change(&mut checkpoint.config);
    Session::load(Cpu::default(), &checkpoint, LoadOptions::default()).expect("a sound fixture")
}

/// The files of a checkpoint with other numbers in some tensors, which are repeated as far as needed.
pub fn filled(model: &str, tensors: &[(&str, &[f32])]) -> BTreeMap<String, Vec<u8>> {
    let mut files = files(model);
    let weights = files.get_mut("model.safetensors").expect("a fixture");
    for (name, numbers) in tensors {
        let place = {
            let all = SafeTensors::deserialize(weights).expect("a sound fixture");
            let tensor = all.tensor(name).expect("a tensor");
            assert_eq!(tensor.dtype(), Dtype::F16, "{name}");
            let at = tensor.data().as_ptr() as usize - weights.as_ptr() as usize;
            at..at + tensor.data().len()
        };
        for (into, x) in weights[place].chunks_exact_mut(2).zip(numbers.iter().cycle()) {
            into.copy_from_slice(&half::f16::from_f32(*x).to_le_bytes());
        }
    }
    files
}

pub fn look<B: Backend>(session: &Session<B>, name: &str) -> Scene {
    pollster::block_on(session.look(&open(name))).expect("a sound picture")
}

pub fn embed<B: Backend, I>(session: &Session<B>, golden: &Golden<I>) -> Vec<Vec<f32>> {
    let texts: Vec<&str> = golden.texts.iter().map(|text| text.text.as_str()).collect();
    pollster::block_on(session.embed_texts(&texts)).expect("sound texts")
}

/// Euclidean length.
pub fn length(vector: &[f32]) -> f32 {
    vector.iter().map(|x| x * x).sum::<f32>().sqrt()
}

/// The same vector of unit length.
pub fn unit(vector: &[f32]) -> Vec<f32> {
    let length = length(vector);
    vector.iter().map(|x| x / length).collect()
}
