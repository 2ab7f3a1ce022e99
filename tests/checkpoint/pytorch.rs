//! PyTorch's own files: the weights are those of the same tensors as safetensors, bit for bit, and a pickle that is more than
//! tensors and containers is an error that says what it is. The files are torch's own (`tools/make_pytorch_fixtures.py`).

use std::collections::BTreeMap;

use ocelli::{
    checkpoint::{PYTORCH_INDEX, shards},
    quant::{Format, Matrix},
};

use super::*;

const NAME: &str = "pytorch_model.bin";

fn torch(file: &str) -> Vec<u8> {
    fs::read(fixture("pytorch").join(file)).expect("a fixture")
}

/// The small files of a fixture, with these tensor files.
fn folder(model: &str, tensors: impl IntoIterator<Item = (String, Vec<u8>)>) -> Result<Checkpoint, Error> {
    let small = ["config.json", "preprocessor_config.json", "open_clip_config.json", "tokenizer_config.json", "tokenizer.json"];
    let there = |name: &str| Some((name.to_string(), fs::read(fixture(model).join(name)).ok()?));
    Checkpoint::from_files(small.into_iter().filter_map(there).chain(tensors))
}

fn one(model: &str, name: &str, bytes: Vec<u8>) -> Result<Checkpoint, Error> {
    folder(model, [(name.to_string(), bytes)])
}

/// Every weight as it is kept.
fn weights(checkpoint: &Checkpoint, format: Option<Format>) -> Result<Vec<Vec<u8>>, Error> {
    let InMemory { weights, host, .. } = InMemory::load(checkpoint, format)?;
    let bytes = |matrix: Matrix| [matrix.packed.values, matrix.packed.scales].concat();
    Ok(weights.into_iter().chain(host).map(bytes).collect())
}

#[test]
fn weights_are_those_of_safetensors() {
    for (model, safetensors, name, file) in [
        ("clip-eos", "model.safetensors", NAME, "clip-eos.bin"),
        ("clip-eos", "model.safetensors", NAME, "clip-eos-legacy.bin"),
        ("clip-eos", "model.safetensors", NAME, "clip-eos-training.bin"),
        ("siglip-bf16", "model.safetensors", NAME, "siglip-bf16-5.bin"),
        ("open-clip", "open_clip_model.safetensors", "open_clip_pytorch_model.bin", "open-clip.bin"),
    ] {
        let reference = one(model, safetensors, fs::read(fixture(model).join(safetensors)).expect("a fixture"));
        let reference = reference.expect("a sound fixture");
        let checkpoint = one(model, name, torch(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
        for format in [None, Some(Format::Q8)] {
            let expected = weights(&reference, format).expect("a sound fixture");
            let found = weights(&checkpoint, format).unwrap_or_else(|e| panic!("{file}: {e}"));
            assert!(found == expected, "{file}: expected the same weights in {format:?}");
        }
        checkpoint.no_surplus().unwrap_or_else(|e| panic!("{file}: {e}"));
    }
}
