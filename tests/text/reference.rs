//! Tokenizers as Ocelli reads them, from each kind of file, against the tokenizers crate's own reading of a whole `tokenizer.json`:
//! ids and texts, on random texts of all Unicode. The crate is the reference, which transformers uses too.

use std::sync::Arc;

use ocelli::{
    Error,
    config::TokenizerFiles,
    random::Random,
    text::{Tokenizer, compact},
};
use serde_json::{Value, json};

use crate::{
    common,
    texts::{texts, vocab_merges},
};

/// Texts for each tokenizer.
const TEXTS: usize = 500;

/// A tokenizer, its name for messages, and other files that are to be the same tokenizer.
struct Case {
    name: String,
    json: Value,
    others: Vec<TokenizerFiles>,
}

fn fixture(model: &str) -> Value {
    serde_json::from_slice(&common::files(model)["tokenizer.json"]).expect("a sound fixture")
}

/// A fixture's tokenizer with a change.
fn change(name: &str, model: &str, change: impl FnOnce(&mut Value)) -> Case {
    let mut json = fixture(model);
    change(&mut json);
    Case { name: format!("{model}, {name}"), json, others: Vec::new() }
}

fn byte_level(json: &mut Value, pre_tokenizer: Value) {
    json["normalizer"] = Value::Null;
    json["pre_tokenizer"] = pre_tokenizer;
    json["post_processor"] =
        json!({ "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": false, "use_regex": true });
    json["model"]["end_of_word_suffix"] = "".into();
}

const QWEN: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

fn model_file(name: &str, bytes: Vec<u8>) -> Vec<TokenizerFiles> {
    vec![TokenizerFiles::SentencePiece { name: name.into(), bytes }]
}

/// CLIP's, SigLIP's and SigLIP 2's kinds in each of their files, and the kinds of other models.
fn cases() -> Vec<Case> {
    let clip = change("as it is", "clip", |_| ());
    let others = vec![vocab_merges(&clip.json)];
    let clip = Case { others, ..clip };
    // SentencePiece falls back to bytes if it has all of them, and so does the reference's slow tokenizer.
    let siglip = change("with bytes", "siglip", |json| json["model"]["byte_fallback"] = true.into());
    let spiece = std::fs::read(common::fixtures().join("siglip/spiece.model")).expect("a fixture");
    let siglip = Case { others: model_file("spiece.model", spiece), ..siglip };
    let gemma = change("as it is", "siglip2", |_| ());
    let small = compact(gemma.json.to_string().as_bytes()).expect("its merges follow from its pieces");
    let gemma = Case { others: model_file("tokenizer.model", small), ..gemma };
    let own = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("www/models/ocelli-tiny/tokenizer.json");
    let own = serde_json::from_slice(&std::fs::read(own).expect("a file")).expect("JSON");
    vec![
        clip,
        siglip,
        gemma,
        Case { name: "the default model".into(), json: own, others: Vec::new() },
        change("GPT-2's steps", "clip", |json| {
            byte_level(
                json,
                json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true }),
            );
        }),
        change("SmolLM2's steps", "clip", |json| {
            byte_level(
                json,
                json!({ "type": "Sequence", "pretokenizers": [
                { "type": "Digits", "individual_digits": true },
                { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true },
            ] }),
            );
        }),
        change("Qwen's steps", "clip", |json| {
            byte_level(
                json,
                json!({ "type": "Sequence", "pretokenizers": [
                { "type": "Split", "pattern": { "Regex": QWEN }, "behavior": "Isolated", "invert": false },
                { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false },
            ] }),
            );
            json["normalizer"] = json!({ "type": "NFC" });
            json["model"]["ignore_merges"] = true.into();
        }),
        change("Llama's steps", "siglip2", |json| {
            let steps = [json!({ "type": "Prepend", "prepend": "▁" }), json["normalizer"].clone()];
            json["normalizer"] = json!({ "type": "Sequence", "normalizers": steps });
            json["pre_tokenizer"] = Value::Null;
            let steps = json["decoder"]["decoders"].as_array_mut().expect("steps");
            steps.push(json!({ "type": "Strip", "content": " ", "start": 1, "stop": 0 }));
        }),
        change("T5's steps", "siglip", |json| {
            json["model"]["byte_fallback"] = true.into();
            let normalizers = json["normalizer"]["normalizers"].as_array_mut().expect("a sequence");
            normalizers[1]["content"] = "▁".into();
            normalizers.insert(1, json!({ "type": "Strip", "strip_left": false, "strip_right": true }));
            json["pre_tokenizer"] =
                json!({ "type": "Sequence", "pretokenizers": [{ "type": "WhitespaceSplit" }, json["pre_tokenizer"]] });
        }),
        change("no space before it, none around", "siglip", |json| {
            json["model"]["byte_fallback"] = true.into();
            json["pre_tokenizer"] =
                json!({ "type": "Metaspace", "replacement": "▁", "prepend_scheme": "never", "split": false });
            json["decoder"] = json["pre_tokenizer"].clone();
            json["post_processor"] = Value::Null;
        }),
        change("each unknown by itself", "siglip2", |json| {
            let vocab = json["model"]["vocab"].as_object_mut().expect("a vocabulary");
            vocab.insert("<0xZZ>".into(), vocab["<0x80>"].clone());
            vocab.remove("<0x80>");
            json["model"]["fuse_unk"] = false.into();
        }),
        change("more tokens", "clip", |json| {
            let added = json["added_tokens"].as_array_mut().expect("tokens");
            for (content, lstrip, rstrip, normalized) in [
                ("photo", true, false, true),
                ("photo of", false, true, false),
                ("  ", true, true, false),
                ("cat", true, true, false),
            ] {
                added.push(json!({ "id": 0, "content": content, "single_word": content == "cat", "lstrip": lstrip,
                    "rstrip": rstrip, "normalized": normalized, "special": false }));
            }
        }),
    ]
}

fn files(json: &Value) -> TokenizerFiles {
    TokenizerFiles::Json(json.to_string().into_bytes())
}

fn ours(files: &TokenizerFiles) -> Arc<Tokenizer> {
    Arc::new(Tokenizer::new(files, true).expect("a tokenizer that is known"))
}

fn reference(json: &Value) -> tokenizers::Tokenizer {
    let mut json = json.clone();
    (json["truncation"], json["padding"]) = (Value::Null, Value::Null);
    // The whole file, as text.
    json.to_string().parse().expect("a tokenizer")
}

#[test]
fn ids_are_the_references_whatever_file_they_come_from() {
    for (seed, Case { name, json, others }) in (1..).zip(cases()) {
        let reference = reference(&json);
        let all: Vec<_> = [files(&json)].into_iter().chain(others).map(|files| ours(&files)).collect();
        for text in texts(seed, TEXTS) {
            let expected = reference.encode(text.as_str(), true).expect("ids");
            for tokenizer in &all {
                assert_eq!(tokenizer.encode(&text).expect("ids"), expected.get_ids(), "{name}: {text:?}");
            }
        }
    }
}

/// What the reference makes of ids; for CLIP what transformers does on top (`CLIPTokenizerFast`).
fn decoded(reference: &tokenizers::Tokenizer, json: &Value, ids: &[u32], skip_special: bool) -> String {
    let text = reference.decode(ids, skip_special).expect("a text");
    match json["model"]["end_of_word_suffix"].as_str().unwrap_or_default() {
        "" => text,
        suffix => {
            let text = text.replace(suffix, " ");
            text.strip_suffix(' ').unwrap_or(&text).into()
        }
    }
}

/// Pushes the ids one by one: the pieces of the text.
fn streamed(tokenizer: &Arc<Tokenizer>, ids: &[u32], skip_special: bool) -> Vec<String> {
    let mut stream = tokenizer.stream(skip_special).expect("a decoder");
    let mut pieces: Vec<String> = ids.iter().map(|&id| stream.push(id)).collect();
    pieces.push(stream.finish());
    pieces
}

#[test]
fn texts_are_the_references_at_once_and_token_by_token() {
    for (seed, Case { name, json, others }) in (100..).zip(cases()) {
        let reference = reference(&json);
        let all: Vec<_> = [files(&json)].into_iter().chain(others).map(|files| ours(&files)).collect();
        for text in texts(seed, TEXTS) {
            let ids = all[0].encode(&text).expect("ids");
            for skip_special in [false, true] {
                // A true U+FFFD, or a tokenizer without all bytes, may give one; here every text is sound.
                let mut expected = decoded(&reference, &json, &ids, skip_special);
                if name.starts_with("siglip,") {
                    // Its decoder knows no bytes, although its vocabulary has them.
                    expected = unspelled(&expected);
                }
                for tokenizer in &all {
                    let mut found = tokenizer.decode(&ids, skip_special).expect("a text");
                    assert_eq!(streamed(tokenizer, &ids, skip_special).concat(), found, "{name}: {text:?}");
                    if name == "clip, more tokens" {
                        // Of which one is two spaces, and the reference drops any at the end.
                        found.truncate(found.trim_end().len());
                        expected.truncate(expected.trim_end().len());
                    }
                    assert_eq!(found, expected, "{name}: {text:?}, {ids:?}");
                }
            }
        }
    }
}

/// `<0xF0><0x9F>…` as the characters that these bytes are.
fn unspelled(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let hex = rest.strip_prefix("<0x").and_then(|hex| hex.get(..2)).filter(|_| rest.get(5..6) == Some(">"));
        let byte = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        let len = if byte.is_some() { 6 } else { c.len_utf8() };
        match byte {
            Some(byte) => bytes.push(byte),
            None => bytes.extend(rest[..len].bytes()),
        }
        rest = &rest[len..];
    }
    String::from_utf8(bytes).expect("whole characters")
}

#[test]
fn what_is_encoded_comes_back() {
    let all = cases();
    let case = |name: &str| ours(&files(&all.iter().find(|case| case.name == name).expect("a case").json));
    for (name, back) in [
        ("clip, GPT-2's steps", (|text| text) as fn(String) -> String),
        ("clip, SmolLM2's steps", |text| text),
        ("siglip2, as it is", |text| text.replace('▁', " ")),
        ("siglip2, Llama's steps", |text| text.replace('▁', " ")),
    ] {
        let tokenizer = case(name);
        // Llama puts a space before what follows a token such as `<mask>`.
        for text in texts(7, TEXTS).into_iter().filter(|text| !text.contains('<')) {
            let ids = tokenizer.encode_plain(&text).expect("ids");
            assert_eq!(tokenizer.decode(&ids, false).expect("a text"), back(text), "{name}");
        }
    }
}

#[test]
fn characters_come_whole() {
    for (name, json) in [("clip", cases().remove(4).json), ("siglip2", fixture("siglip2"))] {
        let tokenizer = ours(&files(&json));
        let text = "🐱🐱 漢字 é 👩\u{200d}👩\u{200d}👧 naïve \u{fffd} end";
        let ids = tokenizer.encode_plain(text).expect("ids");
        let pieces = streamed(&tokenizer, &ids, true);
        assert_eq!(pieces.concat(), text, "{name}");
        let whole: Vec<&str> = pieces.iter().map(String::as_str).filter(|piece| !piece.is_empty()).collect();
        assert_eq!(whole[0], "🐱", "{name}: as soon as its last byte is there");
        assert!(ids.len() > text.chars().count(), "{name}: expected characters of several tokens");
    }
}

#[test]
fn any_ids_become_the_same_text_at_once_and_one_by_one() {
    let mut random = Random::new(1);
    let mut broken = 0;
    for Case { name, json, .. } in cases() {
        let tokenizer = ours(&files(&json));
        for _ in 0..300 {
            let ids: Vec<u32> =
                (0..random.below(30)).map(|_| random.below(tokenizer.vocab_size() + 9) as u32).collect();
            let text = tokenizer.decode(&ids, false).expect("a text");
            assert_eq!(streamed(&tokenizer, &ids, false).concat(), text, "{name}: {ids:?}");
            broken += usize::from(text.contains('\u{fffd}'));
        }
    }
    assert!(broken > 100, "expected bytes that are no characters, found {broken}");
}

#[test]
fn bytes_that_are_no_characters_do_not_spoil_others() {
    let tokenizer = ours(&files(&fixture("siglip2")));
    let ids = |bytes: &[u8]| -> Vec<u32> {
        bytes.iter().map(|byte| tokenizer.id(&format!("<0x{byte:02X}>")).expect("every byte")).collect()
    };
    for (bytes, text) in [
        (&b"\xc3\xa9\xff"[..], "é\u{fffd}"),
        (b"\xf0\x9f\x90\xb1\xf0\x9f", "🐱\u{fffd}\u{fffd}"),
        (b"\xe6\xbca", "\u{fffd}\u{fffd}a"),
        (b"\x80", "\u{fffd}"),
    ] {
        assert_eq!(tokenizer.decode(&ids(bytes), false).expect("a text"), text);
        assert_eq!(streamed(&tokenizer, &ids(bytes), false).concat(), text);
    }
    // A stream starts anew after its end.
    let mut stream = tokenizer.stream(false).expect("a decoder");
    assert_eq!((stream.push(ids(b"\xc3")[0]), stream.finish()), (String::new(), "\u{fffd}".into()));
    assert_eq!(stream.push(ids(b"a")[0]), "a");
}

#[test]
fn leading_spaces_are_the_kinds_own() {
    let all = cases();
    let spelled = |name: &str, tokens: &[&str]| {
        let tokenizer = ours(&files(&all.iter().find(|case| case.name == name).expect("a case").json));
        let ids: Vec<u32> = tokens.iter().map(|token| tokenizer.id(token).expect("a token")).collect();
        assert_eq!(streamed(&tokenizer, &ids, true).concat(), tokenizer.decode(&ids, true).expect("a text"));
        tokenizer.decode(&ids, true).expect("a text")
    };
    assert_eq!(spelled("siglip2, as it is", &["▁", "a", "▁", "a"]), " a a");
    assert_eq!(spelled("siglip2, Llama's steps", &["<bos>", "▁", "▁", "a"]), " a");
    assert_eq!(spelled("the default model", &["</s>", "▁", "a", "▁", "a"]), "a a");
    assert_eq!(spelled("siglip, no space before it, none around", &["▁", "a"]), " a");
    // CLIP's words end with a space where another comes.
    assert_eq!(spelled("clip, as it is", &["<|startoftext|>", "a</w>", "b", "c</w>", "<|endoftext|>"]), "a bc");
}

#[test]
fn special_tokens_that_somebody_wrote_are_text() {
    for Case { name, json, others } in cases() {
        for tokenizer in [files(&json)].into_iter().chain(others).map(|files| ours(&files)) {
            let added = json["added_tokens"].as_array().expect("tokens").iter();
            let special: Vec<&str> =
                added.filter(|token| token["special"] == true).filter_map(|token| token["content"].as_str()).collect();
            let unk = ["<unk>", json["model"]["unk_token"].as_str().unwrap_or("<unk>")];
            for (at, token) in special.iter().enumerate().filter(|(_, token)| !unk.contains(token)) {
                let id = tokenizer.id(token).expect("a token");
                for text in [token.to_string(), format!("a {token}b"), format!("{token}{}", special[0])] {
                    let ids = tokenizer.encode_plain(&text).expect("ids");
                    assert!(!ids.contains(&id), "{name}: {text:?}: {ids:?}");
                }
                assert!(tokenizer.encode(&format!("a {token} b")).expect("ids").contains(&id), "{name}, {at}: {token}");
            }
            // And nothing else changes.
            for text in ["a photo of a cat", "  two  spaces", "naïve 🐱"] {
                let (plain, whole) = (tokenizer.encode_plain(text).expect("ids"), tokenizer.encode(text).expect("ids"));
                assert!(whole.windows(plain.len()).any(|part| part == plain), "{name}: {text:?}");
            }
        }
    }
}

#[test]
fn another_tokenizer_is_noticed() {
    let json = fixture("clip");
    let reference = reference(&json);
    let changes: [fn(&mut Value); 4] = [
        |json| drop(json["model"]["merges"].as_array_mut().expect("merges").remove(0)),
        |json| drop(json["normalizer"]["normalizers"].as_array_mut().expect("steps").remove(0)),
        |json| drop(json["added_tokens"].as_array_mut().expect("tokens").remove(0)),
        |json| json["post_processor"] = Value::Null,
    ];
    for (at, change) in changes.into_iter().enumerate() {
        let mut other = json.clone();
        change(&mut other);
        let other = ours(&files(&other));
        let differs = |text: &String| {
            other.encode(text).expect("ids") != reference.encode(text.as_str(), true).expect("ids").get_ids()
        };
        assert!(texts(1, TEXTS).iter().any(differs), "change {at}");
    }
}

fn refusal(model: &str, change: fn(&mut Value)) -> Error {
    let mut json = fixture(model);
    change(&mut json);
    match Tokenizer::new(&files(&json), false) {
        Ok(tokenizer) => tokenizer.decode(&[1], false).expect_err("no decoder"),
        Err(error) => error,
    }
}

#[test]
fn unknown_parts_are_refused() {
    let refused = |change: fn(&mut Value), message: &str| {
        let error = refusal("clip", change);
        let start = format!("tokenizer.json: {message}");
        assert!(error.code() == "bad-checkpoint" && error.to_string().starts_with(&start), "{start}: {error}");
    };
    refused(|j| j["normalizer"] = json!({ "type": "Shout" }), "normalizer: expected Sequence, NFC, NFD");
    refused(
        |j| j["normalizer"]["normalizers"][1]["pattern"] = json!({ "Regex": "x*" }),
        "normalizer: pattern: expected a String, or a plain and short Regex without repetitions beyond {99}, that matches at least one character, found {\"Regex\":\"x*\"}",
    );
    refused(
        |j| j["normalizer"]["normalizers"][1]["pattern"] = json!({ "String": "" }),
        "normalizer: pattern: expected a String, or a plain and short Regex without",
    );
    refused(|j| j["normalizer"]["normalizers"] = 1.into(), "normalizers: expected a list, found 1");
    refused(|j| j["pre_tokenizer"] = json!({ "type": "Guess" }), "pre_tokenizer: expected Sequence, Split,");
    refused(
        |j| j["pre_tokenizer"]["pretokenizers"][0]["pattern"] = json!({ "Regex": r"\p{L}{2,9999}" }),
        "pre_tokenizer: pattern: expected a String, or a short Regex without repetitions beyond {99}, found",
    );
    refused(|j| j["pre_tokenizer"]["pretokenizers"][0]["behavior"] = "Lost".into(), "pre_tokenizer: behavior: ");
    refused(|j| j["post_processor"] = json!({ "type": "Other" }), "post_processor: expected Sequence, Templ");
    refused(|j| j["post_processor"]["sep"] = json!(["</s>"]), "post_processor: sep: expected an id");
    refused(|j| j["added_tokens"][0]["content"] = 1.into(), "added_tokens: content: expected a string");
    refused(|j| j["model"]["type"] = "WordPiece".into(), "model: type: expected BPE");
    refused(|j| j["model"]["dropout"] = 0.1.into(), "model: dropout: expected none, found 0.1");
    refused(|j| j["model"]["unk_token"] = "none".into(), "model: unk_token: expected \"none\" in the vocabulary");
    refused(|j| j["model"]["merges"][0] = "abc".into(), "model: merges: expected two parts of a token, found \"abc\"");
    refused(|j| j["model"]["merges"][0] = "qqq a".into(), "model: merges: expected \"qqq\" in the vocabulary");
    refused(|j| j["version"] = "2.0".into(), "version: expected \"1.0\", found \"2.0\"");
    refused(|j| *j = json!([]), "expected an object, found something else");
    // What is only needed for the way back is refused there.
    refused(|j| j["decoder"] = json!({ "type": "CTC" }), "decoder: expected ByteLevel, Metaspace, or a Sequence");
    refused(|j| j["decoder"] = Value::Null, "decoder: expected ByteLevel, Metaspace, or a Sequence of Replace, ");
    refused(
        |j| j["decoder"] = json!({ "type": "Strip", "content": " ", "start": 1, "stop": 0 }),
        "decoder: expected ByteLevel, Metaspace, or a Sequence of Replace, ",
    );
}
