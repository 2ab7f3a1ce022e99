//! Folders as the tools of today write them, and as people pass them on: which files are asked for, and that the numbers are the
//! reference's. `tests/fixtures/layouts` is made by `tools/make_layout_fixtures.py`; other folders are made here of the usual ones.

use std::{collections::BTreeMap, fs};

use half::f16;
use ocelli::{
    Checkpoint, Error, Session,
    backend::Cpu,
    checkpoint::{Answer, Folder, Want},
    config::Towers,
    model,
    pictures::Picture,
    session::{LoadOptions, Source},
};
use safetensors::{Dtype, SafeTensors, serialize, tensor::TensorView};
use serde_json::{Value, json};

use crate::common::{distance, fixtures};

/// f32 sums in another order.
const BOUND: f64 = 2e-5;

/// A folder in memory.
type Files = BTreeMap<String, Vec<u8>>;

fn read(folder: &str) -> Files {
    let entries =
        fs::read_dir(fixtures().join(folder)).expect("a fixture").map(|entry| entry.expect("an entry").path());
    let files = entries.filter(|path| path.is_file());
    files
        .map(|path| (path.file_name().expect("a file").to_string_lossy().into(), fs::read(&path).expect("a fixture")))
        .collect()
}

/// A folder of `layouts`, with its tokenizer beside it, and what the reference made of it.
fn layout(name: &str) -> (Files, Value) {
    let mut files = read(&format!("layouts/{name}"));
    let expected: Value = serde_json::from_slice(&files.remove("expected.json").expect("a fixture")).expect("JSON");
    if !expected["texts"].is_null() {
        let tokenizer = read(expected["tokenizer"].as_str().expect("a name"));
        for (file, bytes) in tokenizer {
            if ["tokenizer.json", "tokenizer_config.json", "spiece.model"].contains(&file.as_str()) {
                files.entry(file).or_insert(bytes);
            }
        }
        // transformers saves one of the two.
        if files.contains_key("spiece.model") {
            files.remove("tokenizer.json");
        }
    }
    (files, expected)
}

/// What the reference made of one of the usual fixtures.
fn golden(name: &str) -> (Files, Value) {
    let mut files = read(name);
    let golden: Value = serde_json::from_slice(&files.remove("golden.json").expect("a fixture")).expect("JSON");
    let images = golden["images"].as_object().expect("pictures").iter();
    let images: serde_json::Map<String, Value> = images
        .filter(|(name, _)| !name.ends_with(".jpg"))
        .map(|(name, image)| (name.clone(), image["embedding"].clone()))
        .collect();
    (files, json!({ "images": images, "texts": golden["texts"] }))
}

/// Opens a folder, and says what was asked for and was not there.
fn open(files: &Files, towers: Towers) -> (Result<Checkpoint, Error>, Vec<String>) {
    let mut in_vain = Vec::new();
    let opened = Folder::new("", towers).ask(|want| {
        Ok(match (want, files.get(want.name()).cloned()) {
            (_, None) => {
                in_vain.push(want.name().to_string());
                Answer::Missing("none".into())
            }
            (Want::Whole(_), Some(bytes)) => Answer::Whole(bytes),
            (Want::Tensors(_), Some(bytes)) => Answer::Tensors(Box::new(bytes)),
        })
    });
    (opened, in_vain)
}

fn opened(files: &Files, towers: Towers) -> Checkpoint {
    open(files, towers).0.unwrap_or_else(|e| panic!("{e}"))
}

fn refused(files: &Files, towers: Towers) -> (String, String) {
    let Err(error) = open(files, towers).0 else { panic!("expected this to be refused") };
    (error.code().into(), error.to_string())
}

fn session(checkpoint: &Checkpoint) -> Session<Cpu> {
    Session::load(Cpu::default(), checkpoint, LoadOptions::default()).unwrap_or_else(|e| panic!("{e}"))
}

fn vector(value: &Value) -> Vec<f32> {
    serde_json::from_value(value.clone()).expect("numbers")
}

/// How far the embeddings are from the reference's at most; token ids must be equal.
fn apart(session: &Session<Cpu>, expected: &Value) -> f64 {
    let mut worst = 0.0f64;
    for (name, embedding) in expected["images"].as_object().into_iter().flatten() {
        let picture = Picture::open(&fixtures().join("images").join(name)).expect("a fixture");
        let found = pollster::block_on(session.embed_images(&[&picture as &dyn Source<Cpu>])).expect("a sound picture");
        worst = worst.max(distance(&found[0], &vector(embedding)));
    }
    for text in expected["texts"].as_array().into_iter().flatten() {
        let words = text["text"].as_str().expect("a text");
        assert_eq!(json!(session.tokenize(words).expect("a tokenizer")), text["ids"], "{words}");
        let found = pollster::block_on(session.embed_texts(&[words])).expect("a sound text");
        worst = worst.max(distance(&found[0], &vector(&text["embedding"])));
    }
    worst
}

/// The folder gives the reference's numbers.
fn right(what: &str, files: &Files, expected: &Value) {
    let apart = apart(&session(&opened(files, Towers::Both)), expected);
    assert!(apart < BOUND, "{what}: {apart:.1e} from the reference");
}

fn edit(files: &mut Files, name: &str, change: impl FnOnce(&mut Value)) {
    let file = files.get_mut(name).expect("a file of the folder");
    let mut value: Value = serde_json::from_slice(file).expect("JSON");
    change(&mut value);
    *file = value.to_string().into_bytes();
}

/// Writes the tensors again: other names, types or bytes, none, or more.
fn rewrite(files: &mut Files, change: impl Fn(&str, Dtype, &[u8]) -> Vec<(String, Dtype, Vec<u8>)>) {
    let old = files.remove("model.safetensors").expect("tensors");
    let old = SafeTensors::deserialize(&old).expect("sound");
    let new: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = old
        .tensors()
        .into_iter()
        .flat_map(|(name, view)| {
            let shape = view.shape().to_vec();
            change(&name, view.dtype(), view.data())
                .into_iter()
                .map(move |(name, dtype, data)| (name, dtype, shape.clone(), data))
        })
        .collect();
    let views = new
        .iter()
        .map(|(name, dtype, shape, data)| (name, TensorView::new(*dtype, shape.clone(), data).expect("fits")));
    files.insert("model.safetensors".into(), serialize(views, None).expect("a file"));
}

fn rename(files: &mut Files, name: impl Fn(&str) -> String) {
    rewrite(files, |old, dtype, data| vec![(name(old), dtype, data.to_vec())]);
}

fn floats(data: &[u8]) -> impl Iterator<Item = f32> {
    data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().expect("four bytes")))
}

#[test]
fn folders_that_transformers_5_saves() {
    for name in ["clip-v5", "siglip-v5"] {
        let (mut files, expected) = layout(name);
        right(name, &files, &expected);
        // Both files: the newer one counts. The older one alone, or beside one of transformers 4, is another picture.
        let size = json!({ "size": { "height": 24, "width": 24 }, "crop_size": 24, "resample": 2 });
        files.insert("preprocessor_config.json".into(), size.to_string().into_bytes());
        right(name, &files, &expected);
        files.insert("processor_config.json".into(), br#"{"processor_class": "CLIPProcessor"}"#.to_vec());
        assert!(apart(&session(&opened(&files, Towers::Both)), &expected) > 100.0 * BOUND, "the other file's pictures");
        files.remove("preprocessor_config.json");
        let (code, message) = refused(&files, Towers::Both);
        assert_eq!(code, "not-found");
        assert!(message.contains("preprocessor_config.json or processor_config.json"), "{message}");
        // Texts need neither.
        opened(&files, Towers::Text);
        files.remove("processor_config.json");
        opened(&files, Towers::Text);
    }
    // What is wrong in it is named with its place.
    let (mut files, _) = layout("clip-v5");
    edit(&mut files, "processor_config.json", |file| file["image_processor"]["resample"] = 4.into());
    let (_, message) = refused(&files, Towers::Both);
    assert!(message.starts_with("processor_config.json: image_processor.resample: expected"), "{message}");
}

#[test]
fn single_towers() {
    for (name, towers, prefix) in [
        ("clip-vision-projection", Towers::Vision, "vision_model."),
        ("clip-vision", Towers::Vision, "vision_model."),
        ("clip-text-projection", Towers::Text, "text_model."),
        ("clip-text", Towers::Text, "text_model."),
        ("siglip-vision", Towers::Vision, "vision_model."),
        ("siglip-text", Towers::Text, "text_model."),
        ("naflex-vision", Towers::Vision, "vision_model."),
        ("naflex-text", Towers::Text, "text_model."),
    ] {
        let (files, expected) = layout(name);
        let checkpoint = opened(&files, Towers::Both);
        assert_eq!(checkpoint.towers, towers, "{name}");
        let session = session(&checkpoint);
        assert_eq!(
            (session.towers(), session.note.is_some()),
            (towers, ["clip-vision", "clip-text"].contains(&name)),
            "{name}"
        );
        assert!(apart(&session, &expected) < BOUND, "{name}");
        // With the tower's name before the tensors' and without it: transformers reads and has written both.
        for names in [true, false] {
            let mut files = files.clone();
            rename(&mut files, |old| match old.strip_prefix(prefix) {
                bare if names && bare.is_none() && !old.ends_with("_projection.weight") => format!("{prefix}{old}"),
                Some(bare) if !names => bare.into(),
                _ => old.into(),
            });
            right(name, &files, &expected);
        }
        // What needs the other tower says what there is.
        let wrong = if towers == Towers::Vision {
            session.tokenize("a cat").map(drop)
        } else {
            session.image_batch().map(drop)
        };
        let message = wrong.expect_err("the other tower").to_string();
        assert!(message.contains(&format!("this checkpoint has the {} tower alone", towers.name())), "{message}");
        let other = if towers == Towers::Vision { Towers::Text } else { Towers::Vision };
        let (code, message) = refused(&files, other);
        assert_eq!(code, "wrong-model");
        assert!(message.contains(&format!("load it with towers \"{}\"", towers.name())), "{message}");
    }
}

/// Where a projection must be, its absence is an error; where there is none, one that is there is left out, as in the reference.
#[test]
fn the_class_says_whether_there_is_a_projection() {
    let (mut files, expected) = layout("clip-vision-projection");
    edit(&mut files, "config.json", |config| config["architectures"] = json!(["CLIPVisionModel"]));
    let session = session(&opened(&files, Towers::Both));
    assert!(session.note.as_ref().is_some_and(|note| note.contains("visual_projection.weight")), "{:?}", session.note);
    assert_eq!(session.config.embedding, 16);
    rewrite(&mut files, |name, dtype, data| {
        (!name.contains("projection")).then(|| (name.into(), dtype, data.to_vec())).into_iter().collect()
    });
    edit(&mut files, "config.json", |config| config["architectures"] = json!(["CLIPVisionModelWithProjection"]));
    let error = model::entries(&opened(&files, Towers::Both)).expect_err("no projection").to_string();
    assert!(error.contains("visual_projection.weight: expected a tensor of shape [12, 16], found none"), "{error}");
    assert!(vector(&expected["images"]["rgb-61x37.png"]).len() == 12);
}

#[test]
fn a_model_inside_of_another() {
    for name in ["clip", "siglip"] {
        let (files, expected) = golden(name);
        let mut inside = files.clone();
        rename(&mut inside, |old| format!("{name}.{old}"));
        right(name, &inside, &expected);
        // A head beside it, and a tensor that only the outer model has under that name.
        rewrite(&mut inside, |old, dtype, data| {
            let mut all = vec![(old.to_string(), dtype, data.to_vec())];
            if old.ends_with("logit_scale") {
                all.push(("classifier.weight".into(), dtype, data.to_vec()));
            }
            all
        });
        for towers in [Towers::Both, Towers::Vision, Towers::Text] {
            let note = model::note(&opened(&inside, towers)).expect("a note");
            assert!(
                note.contains("classifier.weight") && note.contains("and 0 more were left out"),
                "{towers:?}: {note}"
            );
        }
        assert_eq!(model::note(&opened(&files, Towers::Vision)), None);
        // Others stay: transformers would go on with random numbers.
        for prefix in ["module.", "model."] {
            let mut files = files.clone();
            rename(&mut files, |old| format!("{prefix}{old}"));
            let error = model::entries(&opened(&files, Towers::Both)).expect_err("refused").to_string();
            assert!(error.contains("found none, but ") && error.contains(&format!("take {prefix:?} off")), "{error}");
        }
    }
}

#[test]
fn without_tokenizer_config() {
    for (name, spiece, texts) in
        [("clip", false, true), ("siglip", true, true), ("siglip", false, false), ("siglip2", false, false)]
    {
        let (mut files, expected) = golden(name);
        files.remove("tokenizer_config.json");
        if !spiece {
            files.remove("spiece.model");
        }
        opened(&files, Towers::Vision);
        match texts {
            true => right(name, &files, &expected),
            false => {
                assert!(refused(&files, Towers::Text).1.starts_with("tokenizer_config.json: expected a file"), "{name}")
            }
        }
    }
    // No NaFlex model has SigLIP's model of pieces.
    let mut files = read("naflex");
    files.remove("tokenizer_config.json");
    assert_eq!(open(&files, Towers::Text).1, ["tokenizer_config.json"]);
    assert!(refused(&files, Towers::Text).1.starts_with("tokenizer_config.json: expected a file"));
}

#[test]
fn old_sizes_are_numbers_and_lists() {
    for (name, size) in [("clip", json!(42)), ("siglip", json!([48, 48]))] {
        let (mut files, expected) = golden(name);
        edit(&mut files, "preprocessor_config.json", |file| {
            file["size"] = size;
            file["crop_size"] = json!([42, 42]);
            file["feature_extractor_type"] = "CLIPFeatureExtractor".into();
        });
        right(name, &files, &expected);
    }
}

#[test]
fn the_root_of_a_folder_of_sentence_transformers() {
    let (model, expected) = golden("clip");
    let inside = |folder: &str| -> Files {
        model.iter().map(|(name, bytes)| (format!("{folder}/{name}"), bytes.clone())).collect()
    };
    let list = |path: &str, more: &[&str]| -> Vec<u8> {
        let part = |kind: &str, path: &str| json!({ "name": "0", "path": path, "type": format!("sentence_transformers.models.{kind}") });
        let parts: Vec<Value> =
            [part("CLIPModel", path)].into_iter().chain(more.iter().map(|kind| part(kind, "1"))).collect();
        json!(parts).to_string().into_bytes()
    };
    for (path, more) in [("0_CLIPModel", &[][..]), ("parts/model", &["Normalize"])] {
        let mut files = inside(path);
        files.insert("modules.json".into(), list(path, more));
        right(path, &files, &expected);
    }
    let mut files = inside("0_CLIPModel");
    for (path, more, words) in [
        ("../0_CLIPModel", &[][..], "path: expected a folder in this one"),
        ("", &[], "path: expected a folder in this one"),
        ("0_CLIPModel", &["Dense"], "expected one CLIPModel, found [\"CLIPModel\", \"Dense\"]"),
    ] {
        files.insert("modules.json".into(), list(path, more));
        assert!(refused(&files, Towers::Both).1.contains(words), "{path:?}");
    }
    // What is missing in it is named with its place.
    files.insert("modules.json".into(), list("0_CLIPModel", &[]));
    files.remove("0_CLIPModel/preprocessor_config.json");
    assert!(refused(&files, Towers::Both).1.starts_with("0_CLIPModel/preprocessor_config.json: expected a file"));
}

#[test]
fn what_is_no_model_is_named() {
    let adapter = br#"{"base_model_name_or_path": "openai/clip-vit-base-patch32", "peft_type": "LORA"}"#.to_vec();
    let (model, _) = golden("clip");
    let beside: Files = model.into_iter().filter(|(name, _)| name != "model.safetensors").collect();
    for mut files in [Files::new(), beside] {
        files.insert("adapter_config.json".into(), adapter.clone());
        files.insert("adapter_model.safetensors".into(), Vec::new());
        let (code, message) = refused(&files, Towers::Both);
        assert_eq!(code, "wrong-model");
        assert!(message.contains("an adapter (LORA) for openai/clip-vit-base-patch32: merge it"), "{message}");
    }
    // The family comes before what is missing.
    for family in ["chinese_clip", "blip", "bert"] {
        let files = Files::from([("config.json".into(), json!({ "model_type": family }).to_string().into_bytes())]);
        let (code, message) = refused(&files, Towers::Both);
        assert_eq!(code, "wrong-model");
        assert!(message.contains(&format!("found \"{family}\"")), "{message}");
    }
}

/// A folder of the usual kind costs no request in vain.
#[test]
fn usual_folders_are_asked_for_what_they_have() {
    for name in ["clip", "clip-eos", "siglip", "siglip-bf16", "siglip2", "owlvit", "owlv2", "clipseg"] {
        for towers in [Towers::Both, Towers::Vision, Towers::Text] {
            let (opened, in_vain) = open(&golden(name).0, towers);
            opened.expect("a sound fixture");
            assert_eq!(in_vain, [""; 0], "{name}, {towers:?}");
        }
    }
    for name in ["open-clip", "open-clip-siglip"] {
        assert_eq!(open(&read(name), Towers::Both).1, ["config.json"], "{name}");
    }
    for name in ["clip-vision", "siglip-text", "clip-text-projection"] {
        // transformers saves SigLIP's tokenizer as spiece.model alone.
        let others: &[&str] = &["tokenizer.json", "vocab.json", "merges.txt", "tokenizer.model"];
        let expected = if name == "siglip-text" { others } else { &[] };
        assert_eq!(open(&layout(name).0, Towers::Both).1, expected, "{name}");
    }
}

#[test]
fn numbers_of_64_bits_and_of_several_types() {
    let wide = |data: &[u8]| floats(data).flat_map(|x| f64::from(x).to_le_bytes()).collect::<Vec<_>>();
    let (files, expected) = golden("clip");
    let mut doubles = files.clone();
    rewrite(&mut doubles, |name, _, data| vec![(name.into(), Dtype::F64, wide(data))]);
    right("F64", &doubles, &expected);
    // Queries, keys and values are one matrix on the device.
    let half = |data: &[u8]| floats(data).flat_map(|x| f16::from_f32(x).to_le_bytes()).collect::<Vec<_>>();
    let mut mixed = files.clone();
    rewrite(&mut mixed, |name, dtype, data| match name {
        _ if name.contains("k_proj") => vec![(name.into(), Dtype::F64, wide(data))],
        _ if name.contains("v_proj") => vec![(name.into(), Dtype::F16, half(data))],
        _ => vec![(name.into(), dtype, data.to_vec())],
    });
    let apart = apart(&session(&opened(&mixed, Towers::Both)), &expected);
    assert!(apart > 0.0 && apart < 0.003, "11 bits of some weights: {apart:.1e}");
    // Beyond f32, and types of which the file says too little.
    let mut far = files.clone();
    rewrite(&mut far, |name, dtype, data| match name {
        "visual_projection.weight" => {
            let numbers = floats(data).map(|x| if x > 0.5 { 1e39 } else { f64::from(x) });
            vec![(name.into(), Dtype::F64, numbers.flat_map(f64::to_le_bytes).collect())]
        }
        _ => vec![(name.into(), dtype, data.to_vec())],
    });
    let error = Session::load(Cpu::default(), &opened(&far, Towers::Both), LoadOptions::default())
        .err()
        .expect("too large")
        .to_string();
    assert!(
        error.contains("visual_projection.weight: expected finite numbers within the range of f32, found inf"),
        "{error}"
    );
    let mut eight = files;
    rewrite(&mut eight, |name, dtype, data| match name {
        "visual_projection.weight" => vec![(name.into(), Dtype::F8_E4M3, data.iter().step_by(4).copied().collect())],
        _ => vec![(name.into(), dtype, data.to_vec())],
    });
    let error = model::entries(&opened(&eight, Towers::Both)).expect_err("refused").to_string();
    assert!(error.contains("visual_projection.weight: expected F64, F32, F16 or BF16, found F8_E4M3"), "{error}");
}

/// What `quantize` writes of such folders is a usual one: named as transformers names things, and complete.
#[test]
fn quantized_they_are_usual_folders() {
    let (mut inside, expected) = golden("clip");
    rename(&mut inside, |old| format!("clip.{old}"));
    let (clip, bare) = (layout("clip-v5"), layout("siglip-vision"));
    let pooler = layout("clip-vision");
    for (what, (files, expected)) in
        [("a prefix", (inside, expected)), ("transformers 5", clip), ("bare names", bare), ("no projection", pooler)]
    {
        let (from, to) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        files.iter().for_each(|(name, bytes)| fs::write(from.path().join(name), bytes).expect("a file"));
        ocelli::quantize::quantize(from.path(), to.path(), ocelli::quant::Format::F16, true, &|_, _| ())
            .expect("sound");
        let checkpoint = Checkpoint::open(to.path()).expect("written");
        let apart = apart(&session(&checkpoint), &expected);
        assert!(apart > 0.0 && apart < 0.005, "{what}: 11 bits of each weight: {apart:.1e}");
        let names: Vec<String> =
            model::entries(&checkpoint).expect("sound").into_iter().map(|entry| entry.name).collect();
        assert!(names.iter().all(|name| !name.starts_with("clip.") && !name.starts_with("embeddings")), "{what}");
        // The self-test's numbers are of a picture and a text.
        assert_eq!(to.path().join("goldens.json").exists(), checkpoint.towers == Towers::Both, "{what}");
    }
}
