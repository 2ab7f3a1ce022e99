//! What `quantize` writes, with its tensors in one file: for tests that damage it, which the manifest would see first.

use std::{
    collections::{BTreeSet, HashMap},
    fs,
    path::Path,
};

use ocelli::{checkpoint::INDEX, quant::Format, quantize::quantize};
use safetensors::{SafeTensors, serialize};
use serde_json::Value;

/// The tensors of a folder that is quantised first.
pub fn one_file(from: &Path, format: Format) -> Vec<u8> {
    let to = tempfile::tempdir().expect("a folder");
    quantize(from, to.path(), format, false, &|_, _| ()).expect("a sound fixture");
    let index: Value = serde_json::from_slice(&fs::read(to.path().join(INDEX)).expect("written")).expect("an index");
    let map = index["weight_map"].as_object().expect("a map");
    let names: BTreeSet<&str> = map.values().map(|name| name.as_str().expect("a name")).collect();
    let files: Vec<Vec<u8>> = names.iter().map(|name| fs::read(to.path().join(name)).expect("written")).collect();
    let tensors: Vec<_> = files.iter().flat_map(|f| SafeTensors::deserialize(f).expect("sound").tensors()).collect();
    assert_eq!(tensors.len(), map.len());
    let metadata = HashMap::from([("ocelli.format".to_string(), format.name().to_string())]);
    serialize(tensors, Some(metadata)).expect("a file")
}
