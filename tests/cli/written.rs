//! `ocelli generate`, `caption` and `ask` as users meet them, on tiny models whose answers the reference has given.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::program::{fixture, json, list, ocelli, refused, write};

const WITH_PICTURES: [&str; 5] = ["smolvlm", "paligemma", "llava", "llava-onevision", "llava-onevision-shrunk"];

fn golden(model: &str) -> Value {
    let text = fs::read_to_string(fixture(&format!("decoders/{model}/golden.json"))).expect("a fixture");
    serde_json::from_str(&text).expect("JSON")
}

fn folder(model: &str) -> String {
    fixture(&format!("decoders/{model}"))
}

/// What `generate --json` prints for the golden prompt, with more arguments.
fn generate(model: &str, more: &[&str]) -> Value {
    let (golden, folder) = (golden(model), folder(model));
    let images: Vec<String> = golden["images"].as_array().into_iter().flatten().map(image).collect();
    let pictures = images.iter().flat_map(|image| ["--image", image]);
    let usual = [["--detail", "high"], ["--max-tokens", "32"]];
    let usual = usual.into_iter().filter(|[option, _]| !more.contains(option)).flatten();
    let common = ["generate", "--model", &folder, "--ignore-eos"];
    json(&[common.to_vec(), pictures.collect(), usual.collect(), more.to_vec()].concat())
}

fn image(name: &Value) -> String {
    fixture(&format!("images/{}", name.as_str().expect("a name")))
}

/// The reference's tokens, from a raw prompt; counts, and why it ended.
#[test]
fn tokens_are_the_references() {
    for model in ["llama", "gemma3"].into_iter().chain(WITH_PICTURES) {
        let golden = golden(model);
        let written = generate(model, &["--raw", golden["raw"].as_str().expect("a prompt")]);
        assert_eq!(written["tokens"], golden["tokens"], "{model}");
        assert_eq!(written["finish"], "length");
        assert_eq!(written["prompt_tokens"].as_u64(), Some(list(&golden["ids"]).len() as u64), "{model}");
        assert_eq!(written["image_tokens"], golden.get("image_tokens").cloned().unwrap_or(json!(0)), "{model}");
        assert!(written["first_token_ms"].as_f64() > Some(0.0) && written["tokens_per_second"].as_f64() > Some(0.0));
    }
}

/// A question and a conversation go through the model's own template: the same ids, the same answer.
#[test]
fn questions_and_conversations_are_the_templates() {
    let scratch = tempfile::tempdir().expect("a folder");
    for model in ["smolvlm", "llava", "llava-onevision"] {
        let golden = golden(model);
        let question = &golden["messages"][0]["content"][1]["text"];
        let written = generate(model, &["--prompt", question.as_str().expect("a question")]);
        assert_eq!(written["tokens"], golden["tokens"], "{model}");
        let file = write(scratch.path(), "messages.json", &golden["messages"].to_string());
        assert_eq!(generate(model, &["--messages", &file])["tokens"], golden["tokens"], "{model}");
        // Another question is another answer.
        assert_ne!(generate(model, &["--prompt", "Why?"])["tokens"], golden["tokens"], "{model}");
    }
    // What somebody writes stays text: no second picture.
    let [plain, spelled] = ["a", "<image> a"].map(|prompt| generate("smolvlm", &["--prompt", prompt]));
    assert_eq!(plain["image_tokens"], spelled["image_tokens"]);
    assert!(spelled["prompt_tokens"].as_u64() > plain["prompt_tokens"].as_u64());
}

/// One square in place of tiles: fewer tokens, and 8 bits that answer nearly the same.
#[test]
fn detail_and_formats() {
    for (model, once) in [("smolvlm", 4), ("llava-onevision", 10), ("llava-onevision-shrunk", 26)] {
        let golden = golden(model);
        let raw = golden["raw"].as_str().expect("a prompt");
        let low = generate(model, &["--raw", raw, "--detail", "low"]);
        assert_eq!(low["image_tokens"], json!(once), "{model}");
        assert!(low["tokens"] != golden["tokens"] && golden["image_tokens"] != once, "{model}");
        let scratch = tempfile::tempdir().expect("a folder");
        let smaller = scratch.path().join("q8").display().to_string();
        ocelli(&["quantize", &folder(model), &smaller, "--format", "q8"]);
        let image = image(&golden["images"][0]);
        let common = ["--detail", "high", "--image", &image, "--raw", raw, "--max-tokens", "8", "--ignore-eos"];
        let stored = json(&[&["generate", "--model", &smaller], &common[..]].concat());
        let asked = json(&[&["generate", "--model", &folder(model), "--format", "q8"], &common[..]].concat());
        assert_eq!(stored["tokens"], asked["tokens"], "{model}");
        assert_eq!(stored["tokens"][0], golden["tokens"][0], "{model}");
    }
}

/// LLaVA-OneVision sees one picture in tiles, and each of several once.
#[test]
fn several_pictures_are_seen_once() {
    let [one, other] = ["rgb-61x37.png", "tall-23x97.png"].map(|name| fixture(&format!("images/{name}")));
    let folder = folder("llava-onevision");
    let common =
        ["generate", "--model", &folder, "--max-tokens", "4", "--ignore-eos", "--prompt", "Which?", "--image", &one];
    let of = |more: &[&str]| json(&[&common[..], more].concat());
    let single = of(&["--detail", "high"]);
    assert_eq!(single["image_tokens"], golden("llava-onevision")["image_tokens"]);
    let [low, high] = ["low", "high"].map(|detail| of(&["--image", &other, "--detail", detail]));
    assert_eq!((&low["image_tokens"], &low["tokens"]), (&json!(20), &high["tokens"]));
    assert_ne!(high["tokens"], single["tokens"]);
    // It is not shown videos.
    let raw = refused(&["generate", "--model", &folder, "--raw", "<video>What?"]);
    assert!(raw.contains("expected <image> alone, found <video>"), "{raw}");
}

/// Chance by a seed, and logits as a file.
#[test]
fn seeds_and_logits() {
    let golden = golden("llama");
    let raw = golden["raw"].as_str().expect("a prompt");
    let warm = |seed: &str| generate("llama", &["--raw", raw, "--temperature", "1", "--seed", seed])["tokens"].clone();
    assert_eq!(warm("1"), warm("1"));
    assert!(warm("1") != warm("2") && warm("1") != golden["tokens"]);
    let scratch = tempfile::tempdir().expect("a folder");
    let file = scratch.path().join("logits.npy");
    generate("llama", &["--raw", raw, "--logits", &file.display().to_string(), "--max-tokens", "3"]);
    let bytes = fs::read(&file).expect("a file");
    let header = String::from_utf8_lossy(&bytes[..128]).into_owned();
    let vocab = (bytes.len() - 128) / 12;
    assert!(header.contains("'<f4'") && header.contains(&format!("(3, {vocab})")), "{header}");
    let logits: Vec<f32> = bytemuck::pod_collect_to_vec(&bytes[128..]);
    for (token, logits) in list(&golden["tokens"]).iter().zip(logits.chunks_exact(vocab)) {
        let best = (0..vocab).reduce(|a, b| if logits[b] > logits[a] { b } else { a });
        assert_eq!(best.map(|best| best as u64), token.as_u64());
    }
}

/// One of several answers, as `tools/make_choices.py` weighs them: behind a raw prompt, in a conversation, of many pictures.
#[test]
fn one_of_several_answers() {
    let all: Value =
        serde_json::from_str(&fs::read_to_string(fixture("decoders/choices.json")).expect("a fixture")).expect("JSON");
    let near = |row: &Value, expected: &Value| {
        let found: Vec<&str> = list(&row["choices"]).iter().filter_map(|choice| choice["text"].as_str()).collect();
        assert_eq!(found, list(&expected["choices"]).iter().filter_map(Value::as_str).collect::<Vec<_>>());
        for (kind, kinds) in [("probability", "probabilities"), ("log_probability", "log_probabilities")] {
            for (choice, expected) in list(&row["choices"]).iter().zip(list(&expected[kinds])) {
                let off = choice[kind].as_f64().expect("a number") - expected.as_f64().expect("a number");
                assert!(off.abs() < 1e-4, "{choice}: {kind} off by {off}");
            }
        }
        let best = expected["best"].as_u64().expect("a place") as usize;
        assert_eq!((&row["text"], &row["tokens"]), (&expected["choices"][best], &expected["tokens"][best]));
        assert_eq!((&row["finish"], &row["tokens_per_second"]), (&json!("stop"), &Value::Null));
    };
    let choices = |model: &str| -> Vec<String> {
        let choices = list(&all[model]["choices"]).iter().map(|choice| choice.as_str().expect("a text"));
        choices.flat_map(|choice| ["--choice".into(), choice.into()]).collect()
    };
    let written = |model: &str, script: &[&str]| {
        let (folder, choices) = (folder(model), choices(model));
        let image = image(&golden(model)["images"].get(0).cloned().unwrap_or(json!("rgb-61x37.png")));
        let pictures: &[&str] = if model == "llama" { &[] } else { &["--image", &image, "--detail", "high"] };
        let choices: Vec<&str> = choices.iter().map(String::as_str).collect();
        json(&[&["generate", "--model", &folder][..], pictures, script, &choices].concat())
    };
    for model in ["llama", "paligemma"] {
        near(&written(model, &["--raw", golden(model)["raw"].as_str().expect("a prompt")]), &all[model]);
    }
    let question = golden("smolvlm")["messages"][0]["content"][1]["text"].as_str().expect("a question").to_string();
    let chosen = written("smolvlm", &["--prompt", &question]);
    near(&chosen, &all["smolvlm"]);
    assert_ne!(written("smolvlm", &["--prompt", "Why?"])["choices"], chosen["choices"]);
    // The same of many pictures, and as a list; a draw is by these probabilities.
    let image = image(&json!("rgb-61x37.png"));
    let common = ["ask", "--model", &folder("smolvlm"), "--question", &question, "--detail", "high", &image];
    let asked = json(&[&common[..], &["--choices", "no, on,in"]].concat());
    assert_eq!(asked[0]["text"], "on");
    let alone = list(&asked[0]["choices"]).iter().map(|choice| choice["probability"].as_f64().expect("a number"));
    assert!((alone.sum::<f64>() - 1.0).abs() < 1e-12 && list(&asked[0]["choices"])[2]["text"] == "in");
    let drawn = |seed: &str| {
        let warm = ["--choices", "in,in it", "--temperature", "50", "--seed", seed];
        json(&[&common[..], &warm].concat())[0]["text"].clone()
    };
    let draws: Vec<Value> = ["1", "2", "3", "4", "5", "6"].map(drawn).to_vec();
    assert!(draws.contains(&json!("in")) && draws.contains(&json!("in it")), "{draws:?}");
}

/// A pattern that the whole answer matches, with the template's blank and without; and a text that is cut.
#[test]
fn a_pattern() {
    let golden = golden("llama");
    let raw = golden["raw"].as_str().expect("a prompt");
    let llama = folder("llama");
    let common = ["generate", "--model", &llama, "--raw", raw, "--pattern", "[1-9][0-9]{2}(?: dogs| cats?)"];
    let written = json(&common);
    let (number, what) = written["text"].as_str().and_then(|text| text.split_once(' ')).expect("two words");
    assert!((100..1000).contains(&number.parse::<u32>().expect("a number")), "{written}");
    assert!(["dogs", "cat", "cats"].contains(&what) && written["finish"] == "stop", "{written}");
    let free = json(&common[..5]);
    assert_ne!(free["tokens"], written["tokens"]);
    let cut = json(&[&common[..], &["--max-tokens", "2"]].concat());
    assert_eq!((&cut["finish"], list(&cut["tokens"]).len()), (&json!("length"), 2));
    assert!(written["text"].as_str().is_some_and(|text| text.starts_with(cut["text"].as_str().expect("a text"))));
    let image = image(&json!("rgb-61x37.png"));
    let asked = ["ask", "--model", &folder("smolvlm"), "--question", "How many?", "--pattern", r"\d{2}", &image];
    let row = &json(&asked)[0];
    let text = row["text"].as_str().expect("a text");
    assert!(text.len() == 2 && text.chars().all(|digit| digit.is_ascii_digit()), "{row}");
    assert!(list(&row["tokens"]).len() > 1, "{row}");
}

/// Many pictures: one that cannot be read is reported and passed over.
#[test]
fn captions_and_answers() {
    let scratch = tempfile::tempdir().expect("a folder");
    let broken = write(scratch.path(), "broken.png", "no picture");
    let (good, model) = (fixture("images/rgb-61x37.png"), folder("paligemma"));
    let common = ["--json", "--model", &model, "--max-tokens", "4", &good, &broken];
    for command in [&["caption"][..], &["ask", "--question", "what is it?"]] {
        let output = ocelli(&[command, &common[..]].concat());
        assert_eq!(output.status.code(), Some(3));
        let rows: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert!(
            rows[0]["tokens"].is_array() && rows[1]["error"].as_str().is_some_and(|why| why.contains("broken.png"))
        );
    }
}

#[test]
fn what_cannot_be_is_one_clear_error() {
    let good = fixture("images/rgb-61x37.png");
    let (llama, smolvlm, clip) = (folder("llama"), folder("smolvlm"), fixture("clip"));
    assert!(Path::new(&good).is_file());
    for (arguments, what) in [
        (vec!["generate", "--model", &llama, "--image", &good, "--prompt", "x"], "reads words alone"),
        (vec!["generate", "--model", &clip, "--prompt", "x"], "can generate"),
        (vec!["classify", "--model", &smolvlm, "--labels", "a,b", &good], "can generate: load clip"),
        (vec!["generate", "--model", &smolvlm, "--raw", "<image> <image>", "--image", &good], "found it 2 times"),
        (vec!["generate", "--model", &smolvlm, "--prompt", "x", "--context", "1"], "context: expected 2 to"),
        (
            vec![
                "generate",
                "--model",
                &smolvlm,
                "--prompt",
                "x",
                "--context",
                "20",
                "--image",
                &good,
                "--detail",
                "high",
            ],
            "tokens",
        ),
        (vec!["generate", "--model", &llama, "--prompt", "x", "--temperature=-1"], "temperature: expected 0"),
        (vec!["generate", "--model", &llama, "--prompt", "x", "--choices", "a,b,a"], "choices[2]: expected one that"),
        (vec!["generate", "--model", &llama, "--prompt", "x", "--choices", ""], "found an empty one"),
        (vec!["generate", "--model", &llama, "--prompt", "x: ", "--choices", "a,b"], "choices[0]: expected a word"),
        (vec!["generate", "--model", &llama, "--prompt", "x", "--pattern", "a(?=b)"], "pattern, character 2: expected"),
    ] {
        let message = refused(&arguments);
        assert!(message.contains(what), "{arguments:?}: {message}");
    }
}
