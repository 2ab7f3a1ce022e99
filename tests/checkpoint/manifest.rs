//! Folders that `ocelli quantize` wrote: what they consist of, and that nothing in them can be changed unnoticed.

use std::collections::BTreeMap;

use ocelli::{
    checkpoint::{
        Answer, Folder, INDEX, Want,
        manifest::{Hash, MANIFEST, Manifest},
    },
    quant::Format,
    quantize::quantize,
};
use safetensors::SafeTensors;
use tempfile::TempDir;

use super::*;

fn written(name: &str) -> TempDir {
    let to = tempfile::tempdir().expect("a folder");
    quantize(&fixture(name), to.path(), Format::Q8, true, &|_, _| ()).expect("a sound fixture");
    to
}

fn all_files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).expect("a folder").map(|e| e.expect("an entry"));
    entries.map(|e| (e.file_name().into_string().expect("a name"), fs::read(e.path()).expect("a file"))).collect()
}

fn manifest(folder: &Path) -> Manifest {
    Manifest::parse(&fs::read(folder.join(MANIFEST)).expect("written")).expect("a manifest")
}

/// Opens and reads everything, as a session does.
fn load(folder: &Path) -> Result<(), Error> {
    let checkpoint = Checkpoint::open(folder)?;
    let mut hashes = checkpoint.hashes()?;
    for (at, (_, size)) in checkpoint.files().enumerate() {
        let hash = hashes[at].as_mut().expect("listed");
        hash.update(&checkpoint.read(at, hash.length..size)?);
    }
    checkpoint.check_hashes(&hashes)
}

#[test]
fn hashes_are_sha_256() {
    let mut hash = Hash::default();
    hash.update(b"a");
    hash.update(b"bc");
    // FIPS 180-4's example
    assert_eq!(hash.hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_eq!(hash.length, 3);
}

#[test]
fn every_file_is_listed_and_no_file_mixes_towers() {
    for name in ["clip", "siglip2", "open-clip-siglip"] {
        let folder = written(name);
        let (files, manifest) = (all_files(folder.path()), manifest(folder.path()));
        let listed: Vec<&str> = manifest.files.keys().map(String::as_str).collect();
        let there: Vec<&str> = files.keys().map(String::as_str).filter(|&name| name != MANIFEST).collect();
        assert_eq!(listed, there);
        let index: Value = serde_json::from_slice(&files[INDEX]).expect("an index");
        let mut tensors = 0;
        for (file, bytes) in files.iter().filter(|(file, _)| file.ends_with(".safetensors")) {
            let all = SafeTensors::deserialize(bytes).expect("the crate reads it");
            for tensor in all.names() {
                assert_eq!(index["weight_map"][tensor], json!(file), "{tensor}");
                let tower = match manifest.files[file].tower {
                    Towers::Text => tensor.starts_with("text_"),
                    Towers::Vision => tensor.starts_with("vis"),
                    Towers::Both => tensor.starts_with("logit_"),
                };
                assert!(tower, "{file}: {tensor}");
                tensors += 1;
            }
        }
        assert_eq!(index["weight_map"].as_object().expect("a map").len(), tensors);
        load(folder.path()).expect("as it was written");
    }
}

#[test]
fn whatever_is_changed_is_named() {
    let folder = written("siglip");
    for (name, bytes) in all_files(folder.path()) {
        // goldens.json is asked for by `verify` alone, the index by others.
        if [MANIFEST, "goldens.json", INDEX].contains(&name.as_str()) {
            continue;
        }
        let path = folder.path().join(&name);
        let mut flipped = bytes.clone();
        let last = flipped.len() - 1;
        // In a JSON file the last byte is a line's end: another one is no error of syntax.
        flipped[last] = if flipped[last] == b'\n' { b' ' } else { flipped[last] ^ 1 };
        for changed in [flipped, bytes[..last].to_vec(), [&bytes[..], b" "].concat()] {
            fs::write(&path, changed).expect("a file");
            let error = load(folder.path()).expect_err("expected this to be refused");
            assert_eq!(error.code(), "bad-checkpoint", "{error}");
            assert!(error.to_string().starts_with(&name), "{name}: {error}");
        }
        fs::remove_file(&path).expect("removed");
        let error = load(folder.path()).expect_err("expected this to be refused");
        assert_eq!((error.code(), error.to_string().contains(&name)), ("not-found", true), "{error}");
        fs::write(&path, bytes).expect("a file");
        load(folder.path()).expect("as it was written");
    }
    fs::remove_file(folder.path().join(MANIFEST)).expect("removed");
    let error = load(folder.path()).expect_err("expected this to be refused");
    assert_eq!((error.code(), error.to_string().contains(MANIFEST)), ("not-found", true), "{error}");
}

#[test]
fn a_tower_alone_asks_for_nothing_of_the_other() {
    let folder = written("clip");
    let files = all_files(folder.path());
    let manifest = manifest(folder.path());
    for (towers, other) in [(Towers::Text, Towers::Vision), (Towers::Vision, Towers::Text)] {
        let mut asked = Vec::new();
        Folder::new("", towers)
            .ask(|want| {
                asked.push(want.name().to_string());
                let bytes = files[want.name()].clone();
                Ok(if let Want::Tensors(_) = want { Answer::Tensors(Box::new(bytes)) } else { Answer::Whole(bytes) })
            })
            .expect("sound");
        assert!(asked.iter().all(|name| manifest.files.get(name).is_none_or(|file| file.tower != other)), "{asked:?}");
        assert!(
            asked.iter().any(|name| manifest.files.get(name).is_some_and(|file| file.tower == towers)),
            "{asked:?}"
        );
        assert_eq!(asked.contains(&"tokenizer.json".to_string()), towers == Towers::Text, "{asked:?}");
    }
}

#[test]
fn manifests_that_are_none() {
    let good = json!({ "version": 1, "format": "q8", "files": {}, "more": 1 });
    Manifest::parse(good.to_string().as_bytes()).expect("unknown fields are for others");
    let file = json!({ "size": 1, "sha256": "" });
    let with = |name: &str| json!({ "version": 1, "format": "q8", "files": { name: file } });
    let bad = [
        json!([]),
        json!({ "version": 1, "format": "q8" }),
        json!({ "version": 2, "format": "q8", "files": {} }),
        json!({ "version": 1, "format": "q8", "files": { "a": { "size": -1, "sha256": "" } } }),
        json!({ "version": 1, "format": "q8", "files": { "a": { "size": 1, "sha256": "", "tower": "left" } } }),
        with("../config.json"),
        with("https://elsewhere/x"),
        with(""),
    ];
    for bad in bad {
        let error = Manifest::parse(bad.to_string().as_bytes()).expect_err("expected this to be refused");
        assert!(error.to_string().starts_with(MANIFEST), "{bad}: {error}");
    }
}

#[test]
fn writing_again_leaves_nothing_behind() {
    let folder = written("siglip");
    let first = all_files(folder.path());
    fs::write(folder.path().join("README.md"), "mine").expect("a file");
    quantize(&fixture("clip"), folder.path(), Format::F16, false, &|_, _| ()).expect("over its own");
    load(folder.path()).expect("as it was written");
    assert_eq!(fs::read(folder.path().join("README.md")).expect("still there"), b"mine");
    assert!(!folder.path().join("goldens.json").exists());
    fs::remove_file(folder.path().join("README.md")).expect("removed");
    quantize(&fixture("siglip"), folder.path(), Format::Q8, true, &|_, _| ()).expect("over its own");
    assert_eq!(all_files(folder.path()), first, "the same source gives the same bytes");

    // Tensors of another model would win, or be taken for parts of this one.
    fs::write(folder.path().join("model.safetensors"), "another's").expect("a file");
    let error = quantize(&fixture("siglip"), folder.path(), Format::Q8, true, &|_, _| ()).expect_err("refused");
    assert!(error.to_string().contains("model.safetensors: expected a folder without"), "{error}");
    assert_eq!(fs::read(folder.path().join("model.safetensors")).expect("still there"), b"another's");
}
