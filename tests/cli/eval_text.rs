//! `ocelli eval-vqa` and `eval-caption` as users meet them. What is right is what `ocelli ask` and `ocelli caption` say of the same
//! pictures; the scores themselves have their tests beside them.

use std::fs;

use serde_json::{Value, json};

use crate::program::{fixture, json, list, number, ocelli, refused, write};

const PICTURES: [&str; 3] = ["rgb-61x37.png", "tall-23x97.png", "photo-113x79.jpg"];
const QUESTIONS: [&str; 2] = ["How many dogs are in the snow?", "Is it a café?"];

fn model() -> String {
    fixture("decoders/smolvlm")
}

fn image(name: &str) -> String {
    fixture(&format!("images/{name}"))
}

/// What the model says of all pictures, by `ask` with a question or `caption`.
fn said(command: &[&str], tokens: &str) -> Vec<String> {
    let (model, images) = (model(), PICTURES.map(image));
    let common = [command, &["--model", &model, "--max-tokens", tokens]].concat();
    let rows = json(&[common, images.each_ref().map(String::as_str).to_vec()].concat());
    list(&rows).iter().map(|row| row["text"].as_str().expect("a text").trim().to_string()).collect()
}

fn near(value: &Value, expected: f64) -> bool {
    value.as_f64().is_some_and(|found| (found - expected).abs() < 1e-9)
}

#[test]
fn answers_are_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let [how_many, is_it] = QUESTIONS.map(|question| said(&["ask", "--question", question], "8"));
    let people = |text: &str, agree: usize| [vec![text.to_string(); agree], vec!["other".into(); 10 - agree]].concat();
    let asked = |image: &str, question: &str, answers: Vec<String>, kind: &str| json!({ "image": image, "question": question, "answers": answers, "type": kind });
    // 9/10 right, wholly right, and wrong; two questions are about one picture.
    let questions = json!([
        asked(PICTURES[0], QUESTIONS[0], people(&how_many[0], 3), "number"),
        asked(PICTURES[1], QUESTIONS[0], people(&how_many[1], 10), "number"),
        asked(PICTURES[0], QUESTIONS[1], people("Yes.", 10), "yes/no"),
    ]);
    let eval = |questions: &Value, more: &[&str]| {
        let file = json!({ "images": fixture("images"), "questions": questions }).to_string();
        let manifest = write(folder.path(), "questions.json", &file);
        let model = model();
        json(&[&["eval-vqa", "--model", &model, "--manifest", &manifest, "--max-tokens", "8"], more].concat())
    };
    let found = eval(&questions, &[]);
    assert_eq!((&found["questions"], &found["counted"], &found["pictures"]), (&json!(3), &json!(3), &json!(2)));
    assert!(near(&found["accuracy"], 1.9 / 3.0), "{found}");
    assert_eq!((&found["exact"]["right"], &found["exact"]["of"]), (&json!(2), &json!(3)));
    assert_eq!((&found["yes_no"]["yes"]["right"], &found["yes_no"]["yes"]["of"]), (&json!(0), &json!(1)));
    assert_eq!((&found["yes_no"]["balanced"], &found["yes_no"]["rate_of_yes"]), (&Value::Null, &json!(0.0)));
    let kinds: Vec<_> = list(&found["types"]).iter().map(|row| (&row["type"], number(&row["accuracy"]))).collect();
    assert_eq!(kinds, [(&json!("number"), 0.95), (&json!("yes/no"), 0.0)]);
    // A picture's second question is answered as if it were the only one.
    let answers: Vec<&Value> = list(&found["results"]).iter().map(|row| &row["answer"]).collect();
    assert_eq!(answers, [&json!(how_many[0]), &json!(is_it[0]), &json!(how_many[1])]);

    // One answer is too few for VQA's rule, but not for an exact match.
    let one = eval(&json!([{ "image": PICTURES[0], "question": QUESTIONS[0], "answers": [how_many[0]] }]), &[]);
    assert_eq!((&one["accuracy"], &one["counted"], &one["exact"]["right"]), (&Value::Null, &json!(0), &json!(1)));
    // Another template asks something else; fewer pictures are fewer questions.
    let other = eval(&questions, &["--template", "{} Answer with one word."]);
    assert_ne!(other["results"][0]["answer"], found["results"][0]["answer"]);
    assert_eq!(eval(&questions, &["--limit", "1"])["questions"], 2);
}

#[test]
fn pictures_that_cannot_be_read_are_left_out_of_answers() {
    let folder = tempfile::tempdir().expect("a folder");
    let asked = |image: &str| json!({ "image": image, "question": QUESTIONS[0], "answers": ["yes"] });
    let questions = ["README.md", "images/tiny-7x5.png", "no.png"].map(asked);
    let file = json!({ "images": fixture(""), "questions": questions });
    let manifest = write(folder.path(), "questions.json", &file.to_string());
    let out = folder.path().join("out.json").display().to_string();
    let (model, clip) = (model(), fixture("clip"));
    let eval = ["eval-vqa", "--model", &model, "--manifest", &manifest, "--max-tokens", "4"];
    let output = ocelli(&[&eval[..], &["--json", &out]].concat());
    let [text, left_out] = [&output.stdout, &output.stderr].map(|out| String::from_utf8_lossy(out).into_owned());
    assert_eq!(output.status.code(), Some(3), "{left_out}");
    assert!(text.contains("VQA accuracy") && text.contains("0 of 1"), "{text}");
    assert!(left_out.contains("README.md: expected a PNG") && left_out.contains("left out: 2"), "{left_out}");
    let result: Value = serde_json::from_slice(&fs::read(&out).expect("a result")).expect("JSON");
    assert_eq!((&result["questions"], &result["unreadable"][1]["file"]), (&json!(1), &json!("no.png")));
    // A prompt for which there is no room is a picture's own matter, too; if there is no other it is an error.
    let tiny = json!({ "image": "tiny-7x5.png", "question": "?", "answers": ["yes"] });
    let tiny = json!({ "images": fixture("images"), "questions": [tiny] });
    let tiny = write(folder.path(), "tiny.json", &tiny.to_string());
    let full = refused(&["eval-vqa", "--model", &model, "--manifest", &tiny, "--context", "8"]);
    assert!(full.contains("for which the model has room"), "{full}");

    assert!(refused(&[&eval[..], &["--template", "Briefly:"]].concat()).contains("{}"));
    assert!(refused(&["eval-vqa", "--model", &clip, "--manifest", &manifest]).contains("clip"));
    let none = json!({ "questions": [{ "image": "a.png", "question": "What?", "answers": [] }] }).to_string();
    let none = write(folder.path(), "none.json", &none);
    assert!(refused(&["eval-vqa", "--model", &model, "--manifest", &none]).contains("one answer or more"));
    let images = fixture("images");
    assert!(refused(&["eval-vqa", "--model", &model, "--images", &images]).contains("expected --manifest"));
}

/// VQA's two files, whose pictures have COCO's names, say the same as a manifest.
#[test]
fn questions_in_vqas_layout() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::copy(image(PICTURES[2]), folder.path().join("COCO_val2014_000000000042.jpg")).expect("a copy");
    let answer = said(&["ask", "--question", QUESTIONS[1]], "8").remove(2);
    let questions = json!({ "data_subtype": "val2014", "info": {},
        "questions": [{ "question_id": 42000, "image_id": 42, "question": QUESTIONS[1] }] });
    let people: Vec<Value> =
        (1..=10).map(|id| json!({ "answer_id": id, "answer": if id > 2 { "other" } else { &answer } })).collect();
    let annotations = |id: u64| {
        let annotation = json!({ "question_id": id, "image_id": 42, "answer_type": "other", "answers": people });
        json!({ "annotations": [annotation] })
    };
    let questions = write(folder.path(), "questions.json", &questions.to_string());
    let answers = write(folder.path(), "annotations.json", &annotations(42000).to_string());
    let wrong = write(folder.path(), "wrong.json", &annotations(42001).to_string());
    let model = model();
    let eval = ["eval-vqa", "--model", &model, "--manifest", &questions, "--max-tokens", "8", "--answers"];
    let found = json(&[&eval[..], &[&answers]].concat());
    assert!(near(&found["accuracy"], 0.6), "{found}");
    assert_eq!((&found["results"][0]["answer"], &found["types"][0]["type"]), (&json!(answer), &json!("other")));
    assert!(refused(&[&eval[..], &[&wrong]].concat()).contains("expected answers to question 42000"));
}

#[test]
fn captions_are_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let own = said(&["caption"], "24");
    let model = model();
    let eval = |name: &str, file: &Value, more: &[&str]| {
        let manifest = write(folder.path(), name, &file.to_string());
        let images = fixture("images");
        let common =
            ["eval-caption", "--model", &model, "--manifest", &manifest, "--images", &images, "--max-tokens", "24"];
        json(&[&common[..], more].concat())
    };
    // Of each picture the caption of one so many places further, and one of nobody.
    let captioned = |further: usize| {
        let picture = |at: usize| json!({ "file": PICTURES[at], "captions": ["two dogs", own[(at + further) % 3]] });
        json!({ "pictures": [picture(0), picture(1), picture(2)] })
    };
    let found = eval("own.json", &captioned(0), &[]);
    assert_eq!((&found["captions"], &found["results"][1]["caption"]), (&json!(6), &json!(own[1])));
    assert!(list(&found["bleu"]).iter().all(|share| near(share, 1.0)), "{found}");
    let cider = number(&found["cider_d"]);
    // One of two captions is the same word for word.
    assert!(cider > 1.0 && cider <= 5.0, "{cider}");
    let each: f64 = list(&found["results"]).iter().map(|row| number(&row["cider_d"])).sum();
    assert!((each / 3.0 - cider).abs() < 1e-9);
    let wrong = eval("wrong.json", &captioned(1), &[]);
    assert!(number(&wrong["bleu"][3]) < 0.9 && number(&wrong["cider_d"]) < cider, "{wrong}");

    // COCO's layout; a picture without captions is not asked for.
    let images: Vec<Value> =
        PICTURES.iter().zip([7, 3, 5]).map(|(file, id)| json!({ "id": id, "file_name": file })).collect();
    let images = [images, vec![json!({ "id": 9, "file_name": "no.png" })]].concat();
    let annotation = |(id, caption): (u64, &str)| json!({ "image_id": id, "caption": caption });
    let all =
        [7, 3, 5].into_iter().zip(&own).flat_map(|(id, own)| [(id, "two dogs"), (id, own.as_str())]).map(annotation);
    let coco = json!({ "info": {}, "images": images, "annotations": all.rev().collect::<Vec<_>>() });
    let same = eval("coco.json", &coco, &[]);
    assert!(near(&same["cider_d"], cider) && same["results"][2]["file"] == PICTURES[2], "{same}");

    let other = eval("own.json", &captioned(0), &["--prompt", "What is it?", "--limit", "1"]);
    assert_ne!(other["results"][0]["caption"], found["results"][0]["caption"]);
    assert_eq!((&other["cider_d"], &other["prompt"]), (&Value::Null, &json!("What is it?")));
}
