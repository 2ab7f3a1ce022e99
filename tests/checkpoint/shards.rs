//! Tensors in several files, as large checkpoints have them.

use std::{collections::BTreeMap, fs, path::Path};

use ocelli::{
    Checkpoint, Error,
    checkpoint::{FILES, INDEX, shards},
    model::{self, InMemory},
    quant::Format,
};
use safetensors::{SafeTensors, serialize};
use serde_json::json;

use super::{checkpoint, files, fixture};

const NAMES: [&str; 2] = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];

/// The JSON files, the tensor files, and the index.
type Split = ([Vec<u8>; 4], [Vec<u8>; 2], Vec<u8>);

/// The tensors of a fixture in two files, every other tensor in the second; and the index.
fn split(name: &str) -> Split {
    let (json, weights) = files(name);
    let all = SafeTensors::deserialize(&weights).expect("a sound fixture");
    let mut names = all.names();
    names.sort_unstable();
    let part = |at: usize| {
        let tensors: Vec<_> =
            names.iter().skip(at).step_by(2).map(|n| (n.to_string(), all.tensor(n).expect("its own name"))).collect();
        serialize(tensors, None).expect("a file")
    };
    let map: BTreeMap<&str, &str> = names.iter().enumerate().map(|(at, &n)| (n, NAMES[at % 2])).collect();
    (json, [part(0), part(1)], json!({ "metadata": {}, "weight_map": map }).to_string().into_bytes())
}

fn named((json, parts, index): Split) -> impl Iterator<Item = (String, Vec<u8>)> {
    let all = FILES.into_iter().zip(json).chain(NAMES.into_iter().zip(parts)).chain([(INDEX, index)]);
    all.map(|(name, bytes)| (name.to_string(), bytes))
}

fn open(split: Split) -> Result<Checkpoint, Error> {
    Checkpoint::from_files(named(split))
}

fn weights(checkpoint: &Checkpoint) -> Vec<Vec<u8>> {
    let all = InMemory::load(checkpoint, Some(Format::Q8)).expect("sound, and not quantised");
    all.weights.into_iter().chain(all.host).map(|m| [m.packed.values, m.packed.scales].concat()).collect()
}

fn write(folder: &Path, split: Split) {
    named(split).for_each(|(name, bytes)| fs::write(folder.join(name), bytes).expect("a file"));
}

#[test]
fn shards_are_the_whole() {
    for name in ["clip", "siglip2"] {
        let (json, whole) = files(name);
        let expected = weights(&checkpoint(json, whole).expect("sound"));
        assert_eq!(shards(INDEX, &split(name).2).expect("an index"), NAMES);
        assert_eq!(weights(&open(split(name)).expect("sound")), expected);

        // As a folder; and quantised from it, which gives the same as from the whole, file by file.
        let [from, to, other] = [(); 3].map(|()| tempfile::tempdir().expect("a folder"));
        write(from.path(), split(name));
        assert_eq!(weights(&Checkpoint::open(from.path()).expect("sound")), expected);
        let bytes = |from: &Path, to: &Path| -> BTreeMap<String, Vec<u8>> {
            ocelli::quantize::quantize(from, to, Format::Q4, false, &|_, _| ()).expect("quantised");
            let entries = fs::read_dir(to).expect("a folder").map(|e| e.expect("an entry").path());
            entries
                .map(|path| {
                    (path.display().to_string().replace(&to.display().to_string(), ""), fs::read(path).expect("a file"))
                })
                .collect()
        };
        assert_eq!(bytes(from.path(), to.path()), bytes(&fixture(name), other.path()));
    }
}

#[test]
fn a_tensor_in_two_files_and_a_missing_one_are_named() {
    let (json, [first, second], index) = split("clip");
    let Err(error) = open((json, [first.clone(), first.clone()], index)) else { panic!("expected an error") };
    assert!(NAMES.iter().all(|name| error.to_string().contains(name)), "{error}");

    // The second file is that of another model.
    let (json, _, index) = split("clip");
    let (_, [_, foreign], _) = split("clip-eos");
    let checkpoint = open((json, [first, foreign], index)).expect("headers are sound");
    let error = model::entries(&checkpoint).expect_err("foreign shapes").to_string();
    assert!(error.contains(NAMES[1]) || error.contains(INDEX), "{error}");

    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), split("clip"));
    fs::write(folder.path().join(NAMES[1]), &second[..second.len() / 2]).expect("a file");
    let Err(error) = Checkpoint::open(folder.path()) else { panic!("expected an error") };
    assert!(error.to_string().starts_with(NAMES[1]), "{error}");
    fs::remove_file(folder.path().join(NAMES[1])).expect("removed");
    let Err(error) = Checkpoint::open(folder.path()) else { panic!("expected an error") };
    assert_eq!((error.code(), error.to_string().contains(NAMES[1])), ("not-found", true), "{error}");
}

#[test]
fn an_index_stays_in_its_folder() {
    let cases = [
        json!({}),
        json!([]),
        json!({ "weight_map": {} }),
        json!({ "weight_map": { "a": 1 } }),
        json!({ "weight_map": { "a": "../model.safetensors" } }),
        json!({ "weight_map": { "a": "C:\\model.safetensors" } }),
        json!({ "weight_map": { "a": "https://elsewhere/model.safetensors" } }),
        json!({ "weight_map": { "a": "model.safetensors?x=1" } }),
        json!({ "weight_map": { "a": "model.bin" } }),
    ];
    for case in cases {
        let error = shards(INDEX, case.to_string().as_bytes()).expect_err("expected this to be refused");
        assert!(error.code() == "bad-checkpoint" && error.to_string().starts_with(INDEX), "{case}: {error}");
    }
    let fine = json!({ "weight_map": { "b": "y.safetensors", "a": "x.safetensors", "c": "x.safetensors" } });
    assert_eq!(shards(INDEX, fine.to_string().as_bytes()).expect("an index"), ["x.safetensors", "y.safetensors"]);
}
