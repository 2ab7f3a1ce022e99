//! `ocelli detect` and `segment` with a model that writes where things are: a tiny PaliGemma, whose random weights write no sound box, and
//! one that always writes the same two.

use std::{fs, path::Path};

use half::f16;
use ocelli::found::MaskDecoder;
use safetensors::{Dtype, serialize, tensor::TensorView};
use serde_json::{Value, json};

use crate::program::{fixture, json, list, number, ocelli, refused};

const PICTURE: &str = "images/rgb-61x37.png";

fn ask(command: &str, more: &[&str]) -> Vec<String> {
    let (model, picture) = (fixture("decoders/paligemma"), fixture(PICTURE));
    let fixed = [command, "--model", &model, "--labels", "cat,dog", &picture];
    fixed.iter().chain(more).map(|part| part.to_string()).collect()
}

/// What is printed as JSON, and the notes beside it.
fn answer(command: &str) -> (Value, String) {
    let output = ocelli(&words(&ask(command, &["--json"])));
    let notes = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{notes}");
    (serde_json::from_slice(&output.stdout).expect("JSON"), notes)
}

fn words(list: &[String]) -> Vec<&str> {
    list.iter().map(String::as_str).collect()
}

#[test]
fn what_is_no_box_is_said_and_left_out() {
    let (rows, notes) = answer("detect");
    let row = &list(&rows)[0];
    assert_eq!(row["image"], fixture(PICTURE));
    for one in list(&row["detections"]) {
        assert_eq!((&one["score"], &one["token"]), (&Value::Null, &Value::Null));
        assert!(["cat", "dog"].contains(&one["label"].as_str().expect("a label")));
    }
    assert!(notes.contains("is left out"), "{notes}");
}

/// The files of a folder.
fn copy(from: &str, to: &Path) {
    for file in fs::read_dir(from).expect("a folder").map(|file| file.expect("a file").path()) {
        if file.is_file() {
            fs::copy(&file, to.join(file.file_name().expect("a name"))).expect("a copy");
        }
    }
}

#[test]
fn masks_need_their_decoder() {
    let (rows, notes) = answer("segment");
    assert_eq!(list(&rows).len(), 1);
    assert!(notes.contains("masks.safetensors: no such file, so that there are boxes and no masks"), "{notes}");
    // A file that is none is refused.
    let folder = tempfile::tempdir().expect("a folder");
    copy(&fixture("decoders/paligemma"), folder.path());
    fs::write(folder.path().join("masks.safetensors"), "<!doctype html>").expect("a file");
    let model = folder.path().display().to_string();
    let error = refused(&["segment", "--model", &model, "--labels", "cat", &fixture(PICTURE)]);
    assert!(error.contains("masks.safetensors: expected a safetensors header, found a web page"), "{error}");
}

#[test]
fn what_cannot_be_asked_is_refused() {
    let model = fixture("decoders/paligemma");
    let error = refused(&["detect", "--model", &model, "--labels", "cat; dog", &fixture(PICTURE)]);
    assert!(error.contains("expected words without ;"), "{error}");
    let error = refused(&words(&ask("segment", &["--logits", "/tmp/none.npy"])));
    assert!(error.contains("--logits: expected a model with a head for masks"), "{error}");
    let error = refused(&["detect", "--model", &fixture("decoders/llava"), "--labels", "cat", &fixture(PICTURE)]);
    assert!(error.contains("llava: expected a model that can detect, found one that can generate"), "{error}");
    // It has no heads, whatever it writes.
    assert_eq!(json(&["info", "--model", &model])["model"]["tasks"], json!(["generate"]));
}

/// A model that writes one answer whatever it is asked (`paligemma-written`): a cat's box with its mask, and a dog's box.
#[test]
fn boxes_and_masks_of_an_answer() {
    let model = fixture("decoders/paligemma-written");
    let places = |edges: [f64; 4]| {
        let [top, left, bottom, right] = edges.map(|edge| edge / 1023.0);
        (left * 61.0, top * 37.0, right * 61.0, bottom * 37.0)
    };
    let expected = [("cat", 0, places([100.0, 200.0, 900.0, 700.0])), ("dog", 1, places([0.0, 512.0, 301.0, 1023.0]))];
    for format in ["none", "q8"] {
        let rows = json(&["detect", "--model", &model, "--labels", "cat,dog", "--format", format, &fixture(PICTURE)]);
        let found = list(&list(&rows)[0]["detections"]).to_vec();
        assert_eq!(found.len(), 2, "{rows}");
        for (one, (label, index, (left, top, right, bottom))) in found.iter().zip(expected) {
            assert_eq!((one["label"].as_str(), one["index"].as_u64()), (Some(label), Some(index)));
            let at = |name: &str| number(&one["box"][name]);
            let edges = [at("x"), at("y"), at("x") + at("width"), at("y") + at("height")];
            let near = edges.iter().zip([left, top, right, bottom]).all(|(a, b)| (a - b).abs() < 1e-4);
            assert!(near, "{one}");
            // Shares of 1024, as many read them, would be elsewhere.
            assert!((edges[2] - right * 1023.0 / 1024.0).abs() > 1e-2);
        }
    }
    // Whatever was not asked for is left out.
    let output = ocelli(&["--json", "detect", "--model", &model, "--labels", "dog,cow", &fixture(PICTURE)]);
    let rows: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(String::from_utf8_lossy(&output.stderr).contains("\"cat\": this was not asked for"));
    let labels: Vec<_> = list(&list(&rows)[0]["detections"]).iter().map(|one| one["label"].as_str()).collect();
    assert_eq!(labels, [Some("dog")]);

    // With a decoder whose only weight is its last bias, a mask is all of its box; a box alone has none.
    let folder = tempfile::tempdir().expect("a folder");
    copy(&model, folder.path());
    fs::write(folder.path().join("masks.safetensors"), masks()).expect("a file");
    let model = folder.path().display().to_string();
    let rows = json(&["segment", "--model", &model, "--labels", "cat", &fixture(PICTURE)]);
    let found = list(&list(&rows)[0]["masks"]).to_vec();
    // 100 / 1023 · 37 = 3.6 to 900 / 1023 · 37 = 32.6, 200 / 1023 · 61 = 11.9 to 700 / 1023 · 61 = 41.7: towards zero.
    assert_eq!(found[0]["area"].as_u64(), Some((32 - 3) * (41 - 11)), "{rows}");
    assert_eq!((found.len(), &found[1]["area"]), (2, &Value::Null));
}

/// A decoder of masks that finds all of a box.
fn masks() -> Vec<u8> {
    let mut tensors: Vec<(String, Vec<usize>)> = Vec::new();
    MaskDecoder::load(|name, shape| {
        tensors.push((name.into(), shape.to_vec()));
        Ok(vec![0.0; shape.iter().product()])
    })
    .expect("zeros");
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(name, shape)| {
            let value = f16::from_f32(if name == "decoder.12.bias" { 1.0 } else { 0.0 });
            value.to_le_bytes().repeat(shape.iter().product())
        })
        .collect();
    let views = tensors
        .iter()
        .zip(&bytes)
        .map(|((name, shape), bytes)| (name, TensorView::new(Dtype::F16, shape.clone(), bytes).expect("fits")));
    serialize(views, None).expect("a file")
}
