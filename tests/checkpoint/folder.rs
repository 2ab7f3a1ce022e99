//! The folder that `ocelli quantize` writes: which file holds what, and a manifest that sees any change.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use ocelli::{
    Checkpoint, Error,
    checkpoint::{
        FILES, INDEX,
        manifest::{MANIFEST, Manifest, named_by},
        shards, verify,
    },
    model,
    quant::Format,
    quantize::{losses, quantize, quantize_into, tensor_bytes},
};
use proptest::prelude::*;
use safetensors::SafeTensors;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{configuration, fixture};

fn written(name: &str, format: Format, file_bytes: usize) -> TempDir {
    let to = tempfile::tempdir().expect("a folder");
    quantize_into(&fixture(name), to.path(), format, file_bytes, &|_, _| ()).expect("a sound fixture");
    to
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).expect("a folder").map(|e| e.expect("an entry").file_name());
    entries.map(|name| name.into_string().expect("a plain name")).collect()
}

fn read(folder: &Path, name: &str) -> Vec<u8> {
    fs::read(folder.join(name)).expect("a file")
}

fn change(folder: &Path, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = read(folder, name);
    change(&mut bytes);
    fs::write(folder.join(name), bytes).expect("a file");
}

fn refused(folder: &Path) -> (String, String) {
    let Err(error) = Checkpoint::open(folder) else { panic!("expected this to be refused") };
    (error.code().into(), error.to_string())
}

/// Which tower a file is of: every tensor says the same.
fn tower(tensors: &SafeTensors) -> Result<&'static str, String> {
    let of = |name: &str| match name.split(['_', '.']).next() {
        Some("text") => "text",
        Some("vision" | "visual") => "vision",
        _ => "shared",
    };
    let all: BTreeSet<&str> = tensors.names().into_iter().map(of).collect();
    let mut all = all.into_iter();
    match (all.next(), all.next()) {
        (Some(one), None) => Ok(one),
        found => Err(format!("expected one tower, found {found:?}")),
    }
}

#[test]
fn files_hold_one_tower_and_are_small() {
    let limit = 20_000;
    for (name, format) in [("siglip", Format::Q8), ("clip", Format::F16), ("siglip2", Format::Q4)] {
        let to = written(name, format, limit);
        let index: Value = serde_json::from_slice(&read(to.path(), INDEX)).expect("JSON");
        let files = shards(&read(to.path(), INDEX)).expect("an index");
        assert!(files.len() > 5, "{name}: {files:?}");
        let (mut places, mut total, mut towers) = (BTreeMap::new(), 0, Vec::new());
        for (at, file) in files.iter().enumerate() {
            assert_eq!(*file, format!("model-{:05}-of-{:05}.safetensors", at + 1, files.len()));
            let bytes = read(to.path(), file);
            let tensors = SafeTensors::deserialize(&bytes).expect("a sound file");
            let (_, header) = SafeTensors::read_metadata(&bytes).expect("a sound file");
            assert_eq!(header.metadata().as_ref().expect("metadata")["ocelli.format"], format.name());
            let data: usize = tensors.iter().map(|(_, t)| t.data().len()).sum();
            // A matrix and its scales stay together, so one that is larger than a file has it for itself.
            let matrices = tensors.names().iter().filter(|n| !n.ends_with(".scales")).count();
            assert!(data <= limit || matrices == 1, "{file}: {data} bytes in {matrices} tensors");
            for tensor in tensors.names() {
                let beside = tensor.strip_suffix(".scales").unwrap_or(tensor);
                assert!(tensors.tensor(beside).is_ok(), "{file}: {tensor} without its matrix");
                places.insert(tensor.to_string(), file.clone());
            }
            towers.push(tower(&tensors).expect("one tower"));
            total += data;
        }
        towers.dedup();
        assert_eq!(towers, ["vision", "text", "shared"], "in the order in which the model asks");
        assert_eq!(index["weight_map"], json!(places));
        assert_eq!(index["metadata"]["total_size"], total);
        let source = Checkpoint::open(&fixture(name)).expect("sound");
        assert_eq!(tensor_bytes(&source, format).expect("sound"), total as u64);
        model::entries(&Checkpoint::open(to.path()).expect("sound")).expect("every tensor, and no more");
    }
    // The check has met a file of two towers.
    let whole = fs::read(fixture("clip").join(FILES[4])).expect("a fixture");
    assert!(tower(&SafeTensors::deserialize(&whole).expect("sound")).is_err());
}

#[test]
fn small_models_are_laid_out_alike() {
    let to = tempfile::tempdir().expect("a folder");
    quantize(&fixture("clip"), to.path(), Format::Q8, &|_, _| ()).expect("sound");
    let tensors = (1..=3).map(|at| format!("model-{at:05}-of-00003.safetensors"));
    let others = FILES[..4].iter().chain(&[INDEX, MANIFEST]).map(|name| name.to_string());
    assert_eq!(names(to.path()), tensors.chain(others).collect());
}

#[test]
fn the_manifest_lists_every_other_file() {
    let to = written("siglip", Format::Q4, 20_000);
    let config = read(to.path(), FILES[0]);
    assert_eq!(named_by(&config).expect("JSON").as_deref(), Some(MANIFEST));
    let manifest = Manifest::parse(MANIFEST, &read(to.path(), MANIFEST)).expect("a manifest");
    assert_eq!((manifest.version, manifest.format.as_str()), (1, "q4"));
    let listed: BTreeSet<String> = manifest.files.keys().cloned().chain([MANIFEST.into()]).collect();
    assert_eq!(listed, names(to.path()));
    for (name, facts) in &manifest.files {
        assert_eq!(*facts, verify::of(&to.path().join(name)).expect("a file"), "{name}");
    }
    // But for what it says of the manifest, the config is the source's.
    let mut expected: Value =
        serde_json::from_slice(&fs::read(fixture("siglip").join(FILES[0])).expect("a fixture")).expect("JSON");
    expected["ocelli"] = json!({ "manifest": MANIFEST });
    assert_eq!(serde_json::from_slice::<Value>(&config).expect("JSON"), expected);
    for name in &FILES[1..4] {
        assert_eq!(read(to.path(), name), fs::read(fixture("siglip").join(name)).expect("a fixture"), "{name}");
    }
}

/// The hash of `abc` in FIPS 180-2, B.1.
#[test]
fn the_hash_is_sha_256() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("abc"), "abc").expect("a file");
    let facts = verify::of(&folder.path().join("abc")).expect("a file");
    assert_eq!(
        (facts.size, facts.sha256.as_str()),
        (3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    );
}

#[test]
fn any_changed_file_is_named() {
    let sound = written("clip", Format::Q8, usize::MAX);
    let again = tempfile::tempdir().expect("a folder");
    let copy = || {
        for name in names(sound.path()) {
            fs::copy(sound.path().join(&name), again.path().join(&name)).expect("a file");
        }
    };
    for name in names(sound.path()).iter().filter(|name| *name != MANIFEST) {
        copy();
        Checkpoint::open(again.path()).expect("sound");
        // A bit that keeps every file what it is: the last space or the last weight.
        change(again.path(), name, |bytes| {
            let at = if name.ends_with(".json") { bytes.len() - 1 } else { bytes.len() - 3 };
            bytes[at] = if bytes[at] == b'\n' { b' ' } else { bytes[at] ^ 1 };
        });
        let (code, message) = refused(again.path());
        assert_eq!(code, "bad-checkpoint", "{message}");
        assert!(message.starts_with(&format!("{name}: expected the SHA-256 ")), "{message}");
        assert!(message.ends_with("the file is broken or was changed: fetch it again"), "{message}");
        change(again.path(), name, |bytes| bytes.push(b' '));
        let size = read(sound.path(), name).len();
        let message = refused(again.path()).1;
        assert!(message.starts_with(&format!("{name}: expected {size} bytes, found {}", size + 1)), "{message}");
        if name != "config.json" {
            fs::remove_file(again.path().join(name)).expect("a file");
            let (code, message) = refused(again.path());
            assert!(code == "not-found" && message.contains(name.as_str()), "{code}: {message}");
        }
    }
    // Without the manifest that it speaks of, a folder is not taken for one from elsewhere.
    copy();
    fs::remove_file(again.path().join(MANIFEST)).expect("a file");
    let (code, message) = refused(again.path());
    assert!(code == "not-found" && message.contains(MANIFEST) && message.contains("config.json names it"), "{message}");
    // A file that wins over those that are listed.
    copy();
    fs::copy(fixture("clip").join(FILES[4]), again.path().join(FILES[4])).expect("a file");
    let (code, message) = refused(again.path());
    assert!(code == "bad-checkpoint" && message.starts_with("model.safetensors: expected a file that"), "{message}");
}

#[test]
fn broken_manifests_say_so() {
    let sound = json!({ "version": 1, "format": "q8", "files": { "a.json": { "size": 3, "sha256": "0".repeat(64) } } });
    let parse = |change: &dyn Fn(&mut Value)| {
        let mut value = sound.clone();
        change(&mut value);
        Manifest::parse(MANIFEST, value.to_string().as_bytes())
    };
    parse(&|_| ()).expect("sound");
    // What a later Ocelli may add.
    parse(&|m| {
        m["goldens"] = json!({ "image": [0.5, [1]] });
        m["files"]["a.json"]["mirror"] = json!(null);
    })
    .expect("unknown fields are passed over");
    type Change<'a> = &'a dyn Fn(&mut Value);
    let cases: [(&str, Change); 7] = [
        ("expected a manifest", &|m| *m = json!([])),
        ("expected version 1, found 2", &|m| *m = json!({ "version": 2, "archive": 1 })),
        ("missing field `files`", &|m| *m = json!({ "version": 1, "format": "q8" })),
        ("invalid value", &|m| m["files"]["a.json"]["size"] = json!(-1)),
        ("a.json: expected a SHA-256 of 64 digits", &|m| m["files"]["a.json"]["sha256"] = json!("é".repeat(32))),
        ("a.json: expected a SHA-256 of 64 digits", &|m| m["files"]["a.json"]["sha256"] = json!("A".repeat(64))),
        ("expected plain names, found \"../a\"", &|m| m["files"]["../a"] = m["files"]["a.json"].clone()),
    ];
    for (expected, change) in cases {
        let error = parse(change).expect_err(expected);
        assert_eq!(error.code(), "bad-checkpoint");
        assert!(error.to_string().starts_with("manifest.json: ") && error.to_string().contains(expected), "{error}");
    }
    for name in ["../manifest.json", ".json", "", "manifest.txt", "a/b.json"] {
        let error = named_by(json!({ "ocelli": { "manifest": name } }).to_string().as_bytes()).expect_err(name);
        assert!(error.to_string().contains("expected a plain name that ends in .json"), "{error}");
    }
    for without in [json!({}), json!({ "ocelli": {} }), json!({ "ocelli": null, "model_type": "clip" })] {
        assert_eq!(named_by(without.to_string().as_bytes()).expect("JSON"), None);
    }
}

/// What was there before: tensors of another layout must not win over the new ones, and foreign files stay.
#[test]
fn a_second_run_takes_the_place_of_the_first() {
    let to = written("clip", Format::F16, 20_000);
    let many = names(to.path()).len();
    fs::copy(fixture("clip").join(FILES[4]), to.path().join(FILES[4])).expect("a file");
    for name in ["README.md", "model.bin"] {
        fs::write(to.path().join(name), "somebody's").expect("a file");
    }
    quantize(&fixture("siglip"), to.path(), Format::Q8, &|_, _| ()).expect("sound");
    let found = names(to.path());
    assert!(found.len() == 9 + 2 && found.len() < many, "{found:?}");
    assert!(found.contains("README.md") && found.contains("model.bin") && !found.contains(FILES[4]), "{found:?}");
    let checkpoint = Checkpoint::open(to.path()).expect("sound");
    model::entries(&checkpoint).expect("siglip's tensors");
    assert_eq!(checkpoint.quantized.as_deref(), Some("q8"));
}

#[test]
fn a_failed_run_leaves_no_manifest() {
    let fails = |to: &Path| -> Error { quantize(&fixture("siglip"), to, Format::Q8, &|_, _| ()).expect_err("no room") };
    // A folder in the way of a tensor file, as a full disk would be: nothing is left of the new files.
    let to = tempfile::tempdir().expect("a folder");
    let way = "model-00003-of-00003.safetensors.partial";
    fs::create_dir(to.path().join(way)).expect("a folder");
    assert!(fails(to.path()).to_string().contains(way));
    assert_eq!(names(to.path()), BTreeSet::from([way.to_string()]));
    // In a folder that was sound before, it still is, and the same.
    let to = written("clip", Format::Q4, usize::MAX);
    let manifest = read(to.path(), MANIFEST);
    fs::create_dir(to.path().join(way)).expect("a folder");
    fails(to.path());
    assert_eq!(read(to.path(), MANIFEST), manifest);
    Checkpoint::open(to.path()).expect("as it was");
    // Where it is too late for that, there is no manifest, and the folder is refused.
    fs::remove_dir(to.path().join(way)).expect("a folder");
    fs::remove_file(to.path().join("tokenizer.json")).expect("a file");
    fs::create_dir_all(to.path().join("tokenizer.json/in the way")).expect("a folder");
    fails(to.path());
    assert!(
        names(to.path()).iter().all(|name| name != MANIFEST && !name.ends_with(".partial")),
        "{:?}",
        names(to.path())
    );
    assert_eq!(refused(to.path()).0, "not-found");
}

#[test]
fn losses_are_those_of_what_is_written() {
    let source = Checkpoint::open(&fixture("siglip")).expect("sound");
    let matrices = model::entries(&source).expect("sound").into_iter().filter(|e| e.matrix);
    let names: Vec<String> = matrices.map(|e| e.name).collect();
    let rms = |format| {
        let losses = losses(&source, format).expect("sound");
        assert_eq!(losses.iter().map(|(name, _)| name).collect::<Vec<_>>(), names.iter().collect::<Vec<_>>());
        losses.into_iter().map(|(_, loss)| loss.relative_rms()).collect::<Vec<_>>()
    };
    assert!(rms(Format::F32).iter().all(|&rms| rms == 0.0));
    let (f16, q8, q4) = (rms(Format::F16), rms(Format::Q8), rms(Format::Q4));
    for at in 0..names.len() {
        assert!(f16[at] > 0.0 && f16[at] < 5e-4 && q8[at] > 5.0 * f16[at], "{}: {} {}", names[at], f16[at], q8[at]);
        let four_bits = Format::Q4.of_matrix(&names[at]) == Format::Q4;
        assert_eq!(q4[at] > q8[at], four_bits, "{}: {} {}", names[at], q4[at], q8[at]);
    }
}

proptest! {
    #![proptest_config(configuration())]

    /// Any bytes in a manifest: an error or a manifest, never a panic, and never a name outside the folder.
    #[test]
    fn damaged_manifests_never_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = json!({ "version": 1, "format": "q8", "files": { "a.json": { "size": 3, "sha256": "0".repeat(64) } } })
            .to_string()
            .into_bytes();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(manifest) = Manifest::parse(MANIFEST, &bytes) {
            prop_assert!(manifest.files.keys().all(|name| PathBuf::from(name).components().count() == 1));
        }
        let _ = named_by(&bytes);
    }
}
