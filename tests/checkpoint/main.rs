//! Broken, missing and foreign checkpoints: one clear error each. Random damage is in `tests/fuzz`.

#[path = "../common/mod.rs"]
mod common;
mod head_files;
mod heads;
mod layouts;
mod lies;
mod manifest;
mod onevision;
mod open_clip;
mod packed;
mod pytorch;
mod quantized;
mod shards;
#[path = "../common/written.rs"]
mod written;

use std::{fs, path::Path};

use ocelli::{
    Checkpoint, Error,
    checkpoint::FILES,
    config::*,
    model::{self, InMemory},
};
use serde_json::{Value, json};

fn fixture(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn files(name: &str) -> ([Vec<u8>; 4], Vec<u8>) {
    let mut all = FILES.map(|file| fs::read(fixture(name).join(file)).expect("a fixture")).to_vec();
    let weights = all.pop().expect("five files");
    (all.try_into().expect("four files"), weights)
}

fn header(weights: &[u8]) -> (Value, Vec<u8>) {
    let length = u64::from_le_bytes(weights[..8].try_into().expect("eight bytes")) as usize;
    (serde_json::from_slice(&weights[8..8 + length]).expect("a header"), weights[8 + length..].to_vec())
}

fn join(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), data].concat()
}

fn checkpoint(json: [Vec<u8>; 4], weights: Vec<u8>) -> Result<Checkpoint, Error> {
    Checkpoint::from_files(FILES.map(String::from).into_iter().zip(json.into_iter().chain([weights])))
}

/// Opens a changed checkpoint and checks every tensor's shape.
fn open(json: [Vec<u8>; 4], weights: Vec<u8>) -> Result<(), Error> {
    model::entries(&checkpoint(json, weights)?).map(|_| ())
}

fn refused(name: &str, change: impl FnOnce(&mut [Vec<u8>; 4], &mut Vec<u8>)) -> (String, String) {
    let (mut json, mut weights) = files(name);
    change(&mut json, &mut weights);
    let error = open(json, weights).expect_err("expected this to be refused");
    (error.code().into(), error.to_string())
}

fn with_header(weights: &mut Vec<u8>, change: impl FnOnce(&mut serde_json::Map<String, Value>)) {
    let (mut h, data) = header(weights);
    change(h.as_object_mut().expect("an object"));
    *weights = join(&h.to_string(), &data);
}

fn edit(json: &mut Vec<u8>, change: impl FnOnce(&mut Value)) {
    let mut value: Value = serde_json::from_slice(json).expect("JSON");
    change(&mut value);
    *json = value.to_string().into_bytes();
}

#[test]
fn sound_checkpoints_open() {
    for name in ["clip", "clip-eos", "siglip", "siglip-bf16", "siglip2"] {
        let (json, weights) = files(name);
        open(json, weights).expect("a sound fixture");
    }
}

#[test]
fn wrong_shapes_name_both() {
    let (code, message) =
        refused("clip", |json, _| edit(&mut json[0], |c| c["vision_config"]["hidden_size"] = 52.into()));
    assert_eq!(code, "bad-checkpoint");
    assert!(message.contains("[52") && message.contains("[48"), "{message}");
}

#[test]
fn missing_tensors_are_named_and_surplus_ones_are_noted() {
    let name = "text_model.final_layer_norm.bias";
    let (code, message) = refused("siglip", |_, weights| {
        with_header(weights, |h| {
            let info = h.remove(name).expect("a tensor");
            h.insert("somebody.else".into(), info);
        })
    });
    assert_eq!(code, "bad-checkpoint");
    assert!(message.contains(name) && message.contains("found none"), "{message}");
    // As in transformers, which warns: a head of somebody's own, or a config of another model.
    let (mut json, weights) = files("clip");
    assert_eq!(model::note(&checkpoint(json.clone(), weights.clone()).expect("sound")), None);
    edit(&mut json[0], |c| c["vision_config"]["num_hidden_layers"] = 2.into());
    let note = model::note(&checkpoint(json, weights).expect("a shorter model")).expect("a note");
    assert!(note.contains("vision_model.encoder.layers.2") && note.contains("were left out"), "{note}");
}

#[test]
fn old_position_ids_are_no_surplus() {
    let (json, mut weights) = files("clip");
    let (_, data) = header(&weights);
    with_header(&mut weights, |h| {
        let at = data.len();
        let info = json!({"dtype": "I64", "shape": [1, 2], "data_offsets": [at, at + 16]});
        h.insert("text_model.embeddings.position_ids".into(), info);
    });
    weights.extend([0; 16]);
    open(json, weights).expect("a buffer that old files have");
}

#[test]
fn broken_files_say_so() {
    type Damage = fn(&mut Vec<u8>);
    let cases: [(&str, Damage); 6] = [
        ("empty", |w| w.clear()),
        ("cut off", |w| w.truncate(w.len() - 1)),
        ("too long", |w| w.push(0)),
        ("header cut off", |w| w.truncate(100)),
        ("length beyond the file", |w| w[..8].copy_from_slice(&u64::MAX.to_le_bytes())),
        ("header is not JSON", |w| w[8] = b'x'),
    ];
    for (what, change) in cases {
        let (code, message) = refused("clip", |_, w| change(w));
        assert_eq!(code, "bad-checkpoint", "{what}");
        assert!(message.starts_with("model.safetensors: "), "{what}: {message}");
    }
}

#[test]
fn a_tensor_twice_is_refused() {
    let (_, message) = refused("clip", |_, weights| {
        let (h, data) = header(weights);
        let text = h.to_string();
        let scale = h["logit_scale"].to_string();
        *weights = join(&format!("{{\"logit_scale\":{scale},{}", &text[1..]), &data);
    });
    assert!(message.contains("logit_scale twice"), "{message}");
}

#[test]
fn numbers_must_be_finite_and_floats() {
    let (json, mut weights) = files("clip");
    let end = weights.len();
    weights[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    let checkpoint = checkpoint(json, weights).expect("shapes are sound");
    let Err(error) = InMemory::load(&checkpoint, None) else { panic!("a NaN") };
    assert!(error.to_string().contains("finite") && error.to_string().contains("NaN"), "{error}");

    let (code, message) = refused("clip", |_, weights| {
        with_header(weights, |h| {
            h["logit_scale"]["dtype"] = "I32".into();
        })
    });
    assert_eq!(code, "bad-checkpoint");
    assert!(message.contains("I32"), "{message}");
}

#[test]
fn other_models_are_named() {
    let (code, message) = refused("clip", |json, _| edit(&mut json[0], |c| c["model_type"] = "blip".into()));
    assert_eq!(code, "wrong-model");
    assert!(message.contains("blip"), "{message}");
    let (code, _) = refused("clip", |json, _| edit(&mut json[0], |c| c["text_config"]["hidden_act"] = "relu".into()));
    assert_eq!(code, "wrong-model");
    // NaFlex's tensors are others: a square model that says so is found out by its files.
    let (code, message) = refused("siglip2", |json, _| edit(&mut json[0], |c| c["model_type"] = "siglip2".into()));
    assert_eq!((code.as_str(), message.contains("patch_size")), ("bad-checkpoint", true), "{message}");
}

#[test]
fn files_that_contradict_each_other_are_refused() {
    let (_, message) =
        refused("siglip", |json, _| edit(&mut json[1], |c| c["size"] = json!({"height": 32, "width": 32})));
    assert!(message.contains("48 × 48") && message.contains("32 × 32"), "{message}");
    let (_, message) =
        refused("clip", |json, _| edit(&mut json[0], |c| c["vision_config"]["num_attention_heads"] = 7.into()));
    assert!(message.contains("multiple"), "{message}");
    let (_, message) = refused("clip", |json, _| json[1] = b"[]".to_vec());
    assert!(message.starts_with("preprocessor_config.json"), "{message}");
}

/// What the tokenizers crate itself would panic on.
#[test]
fn broken_tokenizers_say_so() {
    let cases: [fn(&mut Value); 6] = [
        |t| *t = json!([]),
        |t| *t = json!(3),
        |t| t["normalizer"] = json!({"type": "Precompiled", "precompiled_charsmap": "&&&"}),
        |t| t["normalizer"] = json!({"type": "Sequence", "normalizers": [{"type": "Precompiled"}]}),
        |t| t["model"] = json!({"type": "NoSuchModel"}),
        |t| t["model"]["vocab"] = json!([]),
    ];
    for change in cases {
        let (mut json, weights) = files("siglip");
        edit(&mut json[3], change);
        let checkpoint = checkpoint(json, weights).expect("not looked at yet");
        let Err(error) = ocelli::text::TextEncoder::new(&checkpoint.tokenizer, &checkpoint.config) else {
            panic!("expected an error")
        };
        assert!(error.to_string().starts_with("tokenizer.json: "), "{error}");
    }
    // A decoder is of no use here, so its kind does not matter.
    let (mut json, weights) = files("siglip");
    edit(&mut json[3], |t| t["decoder"] = json!({"type": "NoSuchDecoder"}));
    let checkpoint = checkpoint(json, weights).expect("sound");
    ocelli::text::TextEncoder::new(&checkpoint.tokenizer, &checkpoint.config).expect("a tokenizer");
}

#[test]
fn a_missing_file_is_named() {
    let Err(error) = Checkpoint::open(Path::new("no/such/folder")) else { panic!("expected an error") };
    assert_eq!(error.code(), "not-found");
    assert!(error.to_string().contains("config.json"), "{error}");
}

/// Published configs are nearly empty: what they leave out has the reference's defaults.
#[test]
fn defaults_are_the_references() {
    let clip = Config::parse(br#"{"model_type": "clip"}"#, b"{}", b"{}").expect("all defaults");
    assert_eq!((clip.vision.encoder.hidden, clip.vision.tokens(), clip.embedding), (768, 50, 512));
    assert_eq!((clip.text.encoder.hidden, clip.text.encoder.heads, clip.text.tokens), (512, 8, 77));
    assert_eq!((clip.text.pooling, clip.text.mask), (TextPooling::FirstOf(49407), Mask::Causal));
    assert_eq!(clip.vision.encoder.activation, Activation::QuickGelu);
    assert_eq!((clip.preprocessor.resize, clip.preprocessor.crop), (Resize::ShortestEdge(224), Some((224, 224))));
    let siglip = Config::parse(br#"{"model_type": "siglip"}"#, b"{}", b"{}").expect("all defaults");
    assert_eq!((siglip.vision.tokens(), siglip.embedding, siglip.text.tokens), (196, 768, 64));
    assert_eq!((siglip.vision.encoder.eps, siglip.preprocessor.filter), (1e-6, Filter::Bicubic));
    assert_eq!(siglip.preprocessor.resize, Resize::Squash { width: 224, height: 224 });
    // The older sections win as a whole.
    let dict = br#"{"model_type": "clip", "text_config": {"hidden_size": 40}, "text_config_dict": {"vocab_size": 9}}"#;
    let dict = Config::parse(dict, b"{}", b"{}").expect("an old config");
    assert_eq!((dict.text.encoder.hidden, dict.text.vocab), (512, 9));
}
