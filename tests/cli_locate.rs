//! `ocelli detect` and `segment` with a model that writes where things are: a tiny PaliGemma, whose random weights write no sound box.

#[path = "common/program.rs"]
mod program;

use std::fs;

use program::{fixture, json, list, ocelli, refused};
use serde_json::{Value, json};

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

#[test]
fn masks_need_their_decoder() {
    let (rows, notes) = answer("segment");
    assert_eq!(list(&rows).len(), 1);
    assert!(notes.contains("masks.safetensors: no such file, so that there are boxes and no masks"), "{notes}");
    // A file that is none is refused.
    let folder = tempfile::tempdir().expect("a folder");
    for file in fs::read_dir(fixture("decoders/paligemma")).expect("a folder").map(|file| file.expect("a file").path())
    {
        if file.is_file() {
            fs::copy(&file, folder.path().join(file.file_name().expect("a name"))).expect("a copy");
        }
    }
    fs::write(folder.path().join("masks.safetensors"), "<!doctype html>").expect("a file");
    let model = folder.path().display().to_string();
    let error = refused(&["segment", "--model", &model, "--labels", "cat", &fixture(PICTURE)]);
    assert!(error.contains("masks.safetensors: expected a safetensors header, found a web page"), "{error}");
}

#[test]
fn what_cannot_be_asked_is_refused() {
    let model = fixture("decoders/paligemma");
    let error = refused(&["detect", "--model", &model, "--labels", "cat; dog", &fixture(PICTURE)]);
    assert!(error.contains("expected a label without ;"), "{error}");
    let error = refused(&words(&ask("segment", &["--logits", "/tmp/none.npy"])));
    assert!(error.contains("--logits: expected a model with a head for masks"), "{error}");
    let error = refused(&["detect", "--model", &fixture("decoders/llava"), "--labels", "cat", &fixture(PICTURE)]);
    assert!(error.contains("llava: expected a model that can detect, found one that can generate"), "{error}");
    // It has no heads, whatever it writes.
    assert_eq!(json(&["info", "--model", &model])["model"]["tasks"], json!(["generate"]));
}
