//! Token ids against the tokenizers crate, on random texts, and Unicode's tables against the crates that it takes them from.

use std::{fs, path::Path};

use ocelli::{
    config::{Cleaning, Config, OpenClipCleaning, Padding, TokenizerFiles},
    random::Random,
    text::{TextEncoder, cleaned},
};
use serde_json::{Value, json};
use tokenizers::{NormalizedString, Tokenizer};

#[path = "common/mod.rs"]
mod common;

/// Texts for each tokenizer.
const TEXTS: usize = 1500;
/// More ids than any of the texts has.
const LONGEST: usize = 1 << 15;

/// What texts are put together of, beside words and any characters: what one of the steps sees as something special.
const PARTS: [&str; 48] = [
    " ",
    "  ",
    "\t",
    "\n",
    "\r\n",
    "\u{a0}",
    "\u{3000}",
    "\u{2028}",
    "\u{85}",
    "'s",
    "'LL",
    "'re",
    "'",
    "!?",
    "...",
    "▁",
    "▁▁",
    "<|startoftext|>",
    "<|endoftext|>",
    "</s>",
    "<unk>",
    "<mask>",
    "<eos>",
    "<0x41>",
    "\u{0}",
    "e\u{301}",
    "\u{301}",
    "İ",
    "ΑΣ",
    "ß",
    "ﬁ",
    "½",
    "٣",
    "Ⅷ",
    "ｶﾞ",
    "한글",
    "\u{1112}\u{1161}\u{11ab}",
    "漢字",
    "👩\u{200d}👩\u{200d}👧",
    "🇪🇺",
    "🐱",
    "\u{fe0f}",
    "\u{feff}",
    "नमस्ते",
    "สวัสดี",
    "\u{1d165}",
    "ǅ",
    "\u{10ffff}",
];

const WORDS: [&str; 12] =
    ["a", "photo", "of", "cat", "dogs", "the", "street", "Café", "NAÏVE", "2024", "abcabc", "extraordinarily"];

fn text(random: &mut Random) -> String {
    let parts = if random.below(100) == 0 { 800 } else { random.below(20) };
    let mut text = String::new();
    for _ in 0..parts {
        match random.below(8) {
            0..=2 => text += WORDS[random.below(WORDS.len())],
            3 | 4 => text += PARTS[random.below(PARTS.len())],
            5 => text.push(' '),
            6 => text.extend(char::from_u32(random.below(0x3000) as u32)),
            _ => text.extend(char::from_u32(random.below(0x11_0000) as u32)),
        }
    }
    text
}

fn tokenizer_json(model: &str) -> Value {
    serde_json::from_slice(&common::files(model)["tokenizer.json"]).expect("a sound fixture")
}

/// The fixture's tokenizer with a change, named for messages.
type Case = (String, Value);

fn change(name: &str, model: &str, change: impl FnOnce(&mut Value)) -> Case {
    let mut json = tokenizer_json(model);
    change(&mut json);
    (format!("{model}, {name}"), json)
}

/// All that `src/text/read.rs` knows, in the fixtures or changed from them.
fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = ["clip", "clip-eos", "siglip", "siglip2"].map(|m| (m.into(), tokenizer_json(m))).into();
    let add = |json: &mut Value, content: &str, lstrip: bool, rstrip: bool, normalized: bool| {
        let token = json!({ "id": 0, "content": content, "single_word": false, "lstrip": lstrip, "rstrip": rstrip,
            "normalized": normalized, "special": false });
        json["added_tokens"].as_array_mut().expect("tokens").push(token);
    };
    let own = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("www/models/ocelli-tiny/tokenizer.json"));
    cases.push(("the default model".into(), serde_json::from_slice(&own.expect("a file")).expect("JSON")));
    cases.push(change("tokens in the pattern, none added", "clip", |json| {
        let pattern = &mut json["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"];
        *pattern = format!(r"<\|startoftext\|>|<\|endoftext\|>|{}", pattern.as_str().expect("a pattern")).into();
        json["added_tokens"] = json!([]);
    }));
    cases.push(change("more tokens", "clip", |json| {
        add(json, "Photo", true, false, true);
        add(json, "photo of", false, true, false);
        add(json, "  ", true, true, false);
        add(json, "cat", true, true, false);
    }));
    cases.push(change("T5's steps", "siglip", |json| {
        let normalizers = json["normalizer"]["normalizers"].as_array_mut().expect("a sequence");
        normalizers[1]["content"] = "▁".into();
        normalizers.insert(1, json!({ "type": "Strip", "strip_left": false, "strip_right": true }));
        json["pre_tokenizer"] =
            json!({ "type": "Sequence", "pretokenizers": [{ "type": "WhitespaceSplit" }, json["pre_tokenizer"]] });
        json["model"]["byte_fallback"] = true.into();
    }));
    cases.push(change("no space before it", "siglip", |json| {
        json["pre_tokenizer"] =
            json!({ "type": "Metaspace", "replacement": "▁", "prepend_scheme": "never", "split": false });
        json["post_processor"] = Value::Null;
    }));
    cases.push(change("spaces stay", "siglip2", |json| json["normalizer"] = Value::Null));
    cases.push(change("a space before it, and no bytes", "siglip2", |json| {
        let normalizers = [json!({ "type": "Prepend", "prepend": "▁" }), json["normalizer"].clone()];
        json["normalizer"] = json!({ "type": "Sequence", "normalizers": normalizers });
        json["model"]["byte_fallback"] = false.into();
        add(json, "photo", false, false, true);
    }));
    cases.push(change("each unknown by itself", "siglip2", |json| {
        let vocab = json["model"]["vocab"].as_object_mut().expect("a vocabulary");
        vocab.insert("<0xZZ>".into(), vocab["<0x80>"].clone());
        vocab.remove("<0x80>");
        json["model"]["fuse_unk"] = false.into();
    }));
    cases
}

/// Ours, which neither cleans texts nor cuts them, and fills up with an id that nothing else has.
fn ours(json: &Value) -> TextEncoder {
    let mut config = Config::parse(br#"{"model_type": "clip"}"#, b"{}", b"{}").expect("all defaults");
    (config.text.tokens, config.text.vocab) = (LONGEST, usize::MAX);
    config.text_rule.cleaning = Cleaning::AsIs;
    config.text_rule.padding = Padding::Id(u32::MAX);
    TextEncoder::new(&TokenizerFiles::Json(json.to_string().into_bytes()), &config).expect("a tokenizer that is known")
}

fn reference(json: &Value) -> Tokenizer {
    let mut json = json.clone();
    for field in ["truncation", "padding", "decoder"] {
        json[field] = Value::Null;
    }
    serde_json::from_value(json).expect("a tokenizer")
}

/// How many of the texts have other ids, and the first of them.
fn differences(ours: &TextEncoder, reference: &Tokenizer, texts: &[String]) -> (usize, Option<String>) {
    let mut first = None;
    let mut count = 0;
    for text in texts {
        let mut found = ours.encode(text).expect("ids");
        found.truncate(found.iter().position(|&id| id == u32::MAX).expect("shorter than the longest"));
        let expected = reference.encode(text.as_str(), true).expect("ids").get_ids().to_vec();
        if found != expected {
            count += 1;
            first.get_or_insert_with(|| format!("{text:?}: expected {expected:?}, found {found:?}"));
        }
    }
    (count, first)
}

fn texts(seed: u64) -> Vec<String> {
    let mut random = Random::new(seed);
    (0..TEXTS).map(|_| text(&mut random)).collect()
}

#[test]
fn random_texts_have_the_references_ids() {
    for (seed, (name, json)) in (1..).zip(cases()) {
        let (count, first) = differences(&ours(&json), &reference(&json), &texts(seed));
        assert_eq!(count, 0, "{name}: {}", first.unwrap_or_default());
    }
}

#[test]
fn another_tokenizer_is_noticed() {
    let json = tokenizer_json("clip");
    for (at, change) in [
        |json: &mut Value| drop(json["model"]["merges"].as_array_mut().expect("merges").remove(0)),
        |json: &mut Value| drop(json["normalizer"]["normalizers"].as_array_mut().expect("steps").remove(0)),
        |json: &mut Value| drop(json["added_tokens"].as_array_mut().expect("tokens").remove(0)),
        |json: &mut Value| json["post_processor"] = Value::Null,
    ]
    .into_iter()
    .enumerate()
    {
        let mut other = json.clone();
        change(&mut other);
        assert!(differences(&ours(&other), &reference(&json), &texts(1)).0 > 0, "change {at}");
    }
}

#[test]
fn random_texts_have_the_published_tokenizers_ids() {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let data = std::env::var_os("OCELLI_DATA").map_or(beside, Into::into).join("tokenizers");
    if !data.join("golden-ids.json").exists() {
        return println!("SKIPPED: no published tokenizers in {}", data.display());
    }
    let read = |name: &str| -> Value {
        serde_json::from_slice(&fs::read(data.join(name)).expect("a published file")).expect("JSON")
    };
    let golden = read("golden-ids.json");
    let mut all = texts(100);
    all.extend(golden.as_array().expect("texts").iter().map(|g| g["text"].as_str().expect("a text").to_string()));
    for model in ["clip", "siglip", "siglip2"] {
        let json = read(&format!("{model}/tokenizer.json"));
        let (count, first) = differences(&ours(&json), &reference(&json), &all);
        assert_eq!(count, 0, "{model}: {}", first.unwrap_or_default());
    }
}

#[test]
fn unknown_parts_are_refused() {
    let refused = |change: fn(&mut Value), message: &str| {
        let mut json = tokenizer_json("clip");
        change(&mut json);
        let config = Config::parse(br#"{"model_type": "clip"}"#, b"{}", b"{}").expect("all defaults");
        let Err(error) = TextEncoder::new(&TokenizerFiles::Json(json.to_string().into_bytes()), &config) else {
            panic!("{message}: expected an error")
        };
        let start = format!("tokenizer.json: {message}");
        assert!(error.code() == "bad-checkpoint" && error.to_string().starts_with(&start), "{start}: {error}");
    };
    refused(|j| j["normalizer"] = json!({ "type": "BertNormalizer" }), "normalizer: expected NFC, NFKC, Lowercase");
    refused(
        |j| j["normalizer"]["normalizers"][1]["pattern"] = json!({ "Regex": "x*" }),
        "normalizer: pattern: expected",
    );
    refused(
        |j| j["normalizer"]["normalizers"][1]["pattern"] = json!({ "String": "" }),
        "normalizer: pattern: expected",
    );
    refused(|j| j["normalizer"]["normalizers"] = 1.into(), "normalizers: expected a list, found 1");
    refused(|j| j["pre_tokenizer"] = json!({ "type": "BertPreTokenizer" }), "pre_tokenizer: expected Split");
    refused(|j| j["pre_tokenizer"] = json!({ "type": "ByteLevel" }), "pre_tokenizer: expected Split");
    refused(
        |j| j["pre_tokenizer"]["pretokenizers"][0]["behavior"] = "Isolated".into(),
        "pre_tokenizer: expected Split",
    );
    refused(
        |j| j["pre_tokenizer"]["pretokenizers"][1]["use_regex"] = false.into(),
        "use_regex: expected true, found false",
    );
    refused(
        |j| j["post_processor"] = json!({ "type": "BertProcessing" }),
        "post_processor: expected TemplateProcessing",
    );
    refused(|j| j["post_processor"]["sep"] = json!(["</s>"]), "sep: expected an id, found null");
    refused(|j| j["added_tokens"][0]["single_word"] = true.into(), "single_word: expected false, found true");
    refused(|j| j["added_tokens"][0]["content"] = 1.into(), "added_tokens: content: expected a string, found 1");
    refused(|j| j["model"]["type"] = "WordPiece".into(), "model: type: expected BPE");
    refused(|j| j["model"]["dropout"] = 0.1.into(), "dropout: expected none, found 0.1");
    refused(|j| j["model"]["continuing_subword_prefix"] = "##".into(), "continuing_subword_prefix: expected none");
    refused(|j| j["model"]["unk_token"] = "none".into(), "model: unk_token: expected \"none\" in the vocabulary");
    refused(|j| j["model"]["merges"][0] = "abc".into(), "model: merges: expected two parts of a token, found \"abc\"");
    refused(|j| j["model"]["merges"][0] = "qqq a".into(), "model: merges: expected \"qqq\" in the vocabulary");
    refused(|j| j["version"] = "2.0".into(), "version: expected \"1.0\", found \"2.0\"");
    refused(|j| *j = json!([]), "expected an object, found something else");
}

/// `src/text/classes.rs` is what this makes of the regex crate's tables; OCELLI_WRITE_CLASSES=1 writes it.
#[test]
fn letters_and_numbers_are_the_regex_crates() {
    let table = |name: &str, what: &str, class: &str| {
        let hir = regex_syntax::parse(class).expect("a class");
        let regex_syntax::hir::HirKind::Class(regex_syntax::hir::Class::Unicode(class)) = hir.kind() else {
            panic!("a class")
        };
        let mut rows = vec![String::from("   ")];
        for range in class.ranges() {
            let range = format!(" ({:#x}, {:#x}),", u32::from(range.start()), u32::from(range.end()));
            if rows[rows.len() - 1].len() + range.len() > 120 {
                rows.push("   ".into());
            }
            rows.last_mut().expect("a row").push_str(&range);
        }
        let count = class.ranges().len();
        format!(
            "\n/// {what}: first and last of each range.\n#[rustfmt::skip]\npub const {name}: [(u32, u32); {count}] = [\n{}\n];\n",
            rows.join("\n")
        )
    };
    let expected =
        "//! Unicode's letters and numbers, as the regex crate has them; made by `tests/text_reference.rs`.\n"
            .to_string()
            + &table("LETTERS", r"`\p{L}`", r"\p{L}")
            + &table("NUMBERS", r"`\p{N}`", r"\p{N}");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/text/classes.rs");
    if std::env::var_os("OCELLI_WRITE_CLASSES").is_some() {
        fs::write(&file, &expected).expect("a file");
    }
    assert_eq!(fs::read_to_string(file).expect("a file"), expected, "OCELLI_WRITE_CLASSES=1 writes it anew");
}

#[test]
fn halfwidth_and_fullwidth_forms_are_the_references() {
    for c in '\u{ff01}'..='\u{ffef}' {
        let expected = NormalizedString::from(c.to_string()).nfkc().get().trim().to_string();
        assert_eq!(cleaned(&c.to_string(), Cleaning::OpenClip(OpenClipCleaning::Whitespace)), expected, "{c:?}");
    }
}
