//! Tokenizers that come in other files than `tokenizer.json` give its ids, and a compact file those of the large one.

use std::{collections::BTreeMap, fs};

use ocelli::{
    Checkpoint, Error,
    config::TokenizerFiles,
    text::{TextEncoder, compact},
};
use serde_json::{Value, json};

use crate::{common, texts::vocab_merges};

const TEXTS: [&str; 8] = [
    "a photo of a cat",
    "",
    "It's 42 dogs, isn't it?",
    "naïve café ÀÉ ﬁ ½",
    "  two  spaces\tand a tab\n",
    "emoji 🐱 and 漢字",
    "<pad> </s> <eos> <mask> <0x41> <|endoftext|>",
    "x",
];

fn json_of(model: &str) -> Value {
    serde_json::from_slice(&common::files(model)["tokenizer.json"]).expect("a sound fixture")
}

/// The fixture's files with this tokenizer instead of its own.
fn folder(model: &str, tokenizer: TokenizerFiles) -> BTreeMap<String, Vec<u8>> {
    let mut files = common::files(model);
    files.retain(|name, _| name != "tokenizer.json" && name != "spiece.model");
    files.extend(tokenizer.files());
    files
}

/// The ids of both, over the golden texts and a few more.
fn assert_same(a: &TextEncoder, b: &TextEncoder, more: &[String]) {
    for text in TEXTS.into_iter().chain(more.iter().map(String::as_str)) {
        assert_eq!(a.encode(text).expect("ids"), b.encode(text).expect("ids"), "{text:?}");
    }
}

fn golden_texts(model: &str) -> Vec<String> {
    let golden: Value =
        serde_json::from_slice(&fs::read(common::fixtures().join(model).join("golden.json")).expect("a fixture"))
            .expect("a sound fixture");
    let texts = golden["texts"].as_array().expect("texts").iter();
    texts.map(|text| text["text"].as_str().expect("a text").to_string()).collect()
}

fn encoder(files: BTreeMap<String, Vec<u8>>) -> Result<TextEncoder, Error> {
    let checkpoint = Checkpoint::from_files(files)?;
    TextEncoder::new(&checkpoint.tokenizer, &checkpoint.config)
}

#[test]
fn vocab_and_merges_give_the_same_ids() {
    for model in ["clip", "clip-eos"] {
        let json = encoder(common::files(model)).expect("a sound fixture");
        let files = folder(model, vocab_merges(&json_of(model)));
        assert!(files.contains_key("merges.txt") && !files.contains_key("tokenizer.json"));
        let other = encoder(files).expect("the same tokenizer");
        assert_same(&json, &other, &golden_texts(model));
        // One merge less is another tokenizer, which must show.
        let mut short = json_of(model);
        short["model"]["merges"].as_array_mut().expect("merges").remove(0);
        let other = encoder(folder(model, vocab_merges(&short))).expect("a tokenizer");
        let texts = golden_texts(model);
        assert!(texts.iter().any(|text| json.encode(text).expect("ids") != other.encode(text).expect("ids")));
    }
}

#[test]
fn sentencepiece_gives_the_same_ids() {
    // Written by SentencePiece itself, beside the tokenizer.json that was made from it.
    let bytes = fs::read(common::fixtures().join("siglip/spiece.model")).expect("a fixture");
    let json = encoder(common::files("siglip")).expect("a sound fixture");
    let files = folder("siglip", TokenizerFiles::SentencePiece { name: "spiece.model".into(), bytes });
    assert_same(&json, &encoder(files).expect("the same tokenizer"), &golden_texts("siglip"));
}

/// A tokenizer of Gemma's kind whose merges are all that its pieces allow, in the order in which SentencePiece has them.
fn gemma(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let words = ["ab", "bc", "▁a", "abc", "▁ab", "▁abc", "\n\n", "cab"];
    let mut pieces: Vec<String> = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"].map(String::from).to_vec();
    pieces.extend((0..256).map(|byte| format!("<0x{byte:02X}>")));
    pieces.extend(words.iter().chain(&["a", "b", "c", "▁", "\n"]).map(ToString::to_string));
    let mut json = json_of("siglip2");
    let vocab: Value = pieces.iter().zip(0..).map(|(piece, id)| (piece.clone(), json!(id))).collect();
    json["model"]["vocab"] = vocab;
    json["model"]["merges"] = json!([
        ["a", "b"],
        ["\n", "\n"],
        ["b", "c"],
        ["▁", "a"],
        ["ab", "c"],
        ["a", "bc"],
        ["▁a", "b"],
        ["▁", "ab"],
        ["▁ab", "c"],
        ["▁a", "bc"],
        ["▁", "abc"],
        ["c", "ab"],
    ]);
    let added = json["added_tokens"].as_array_mut().expect("tokens");
    let mut newlines = added[4].clone();
    newlines["content"] = "\n\n".into();
    newlines["id"] = pieces.iter().position(|piece| piece == "\n\n").into();
    added.push(newlines);
    change(&mut json);
    json.to_string().into_bytes()
}

#[test]
fn a_compact_file_gives_the_same_ids() {
    let json = gemma(|_| ());
    let bytes = compact(&json).expect("all that its pieces allow");
    let mut files = common::files("siglip2");
    files.insert("tokenizer.json".into(), json);
    let from_json = encoder(files).expect("a tokenizer");
    let files = folder("siglip2", TokenizerFiles::SentencePiece { name: "tokenizer.model".into(), bytes });
    let more = ["abcabc cab ab\n\nabc", "<mask>ab<eos>", "cabbcab  bc"].map(String::from);
    assert_same(&from_json, &encoder(files).expect("the same tokenizer"), &more);
    assert_eq!(from_json.encode("abc").expect("ids")[..2], [264, 1], "it merges");

    let bytes = compact(&common::files("siglip2")["tokenizer.json"]).expect("learnt one by one, and still all");
    let files = folder("siglip2", TokenizerFiles::SentencePiece { name: "tokenizer.model".into(), bytes });
    let fixture = encoder(common::files("siglip2")).expect("a sound fixture");
    assert_same(&fixture, &encoder(files).expect("the same tokenizer"), &golden_texts("siglip2"));

    // Whatever is not the same tokenizer stays as it is.
    let changes: [fn(&mut Value); 9] = [
        |t| drop(t["model"]["merges"].as_array_mut().expect("merges").pop()),
        |t| t["model"]["merges"].as_array_mut().expect("merges").swap(1, 2),
        |t| t["model"]["byte_fallback"] = false.into(),
        |t| t["model"]["ignore_merges"] = true.into(),
        |t| t["model"]["vocab"]["cab"] = 9999.into(),
        |t| t["normalizer"] = json!({ "type": "NFC" }),
        |t| t["post_processor"] = json!({ "type": "ByteLevel" }),
        |t| t["added_tokens"][0]["normalized"] = true.into(),
        |t| t["added_tokens"][0]["content"] = "<other>".into(),
    ];
    for (at, change) in changes.into_iter().enumerate() {
        assert!(compact(&gemma(change)).is_none(), "change {at}");
    }
    assert!(compact(&common::files("clip")["tokenizer.json"]).is_none() && compact(b"{").is_none());
}

#[test]
fn broken_files_say_so() {
    let clip =
        |vocab: &str, merges: &[u8]| TokenizerFiles::VocabMerges { vocab: vocab.into(), merges: merges.to_vec() };
    let TokenizerFiles::VocabMerges { vocab, merges } = vocab_merges(&json_of("clip")) else { panic!("both") };
    let vocab = String::from_utf8(vocab).expect("JSON");
    let spiece = fs::read(common::fixtures().join("siglip/spiece.model")).expect("a fixture");
    let piece = |bytes: &[u8]| TokenizerFiles::SentencePiece { name: "spiece.model".into(), bytes: bytes.to_vec() };
    let cases = [
        ("clip", clip("[", &merges), "vocab.json: "),
        ("clip", clip("{}", &merges), "vocab.json: expected the token \"<|startoftext|>\""),
        ("clip", clip(&vocab, b"a b\n\xff c"), "merges.txt: expected UTF-8"),
        ("clip", clip(&vocab, b"#version: 0.2\na b c"), "merges.txt: expected two tokens a line, found \"a b c\""),
        ("clip", clip(&vocab, b"no such"), "vocab.json: "),
        ("siglip", piece(b""), "spiece.model: unk_id: expected one of 0 pieces"),
        ("siglip", piece(&spiece[..spiece.len() - 3]), "spiece.model: not the SentencePiece model"),
        ("siglip", piece(b"\xff\xff\xff\xff\xff"), "spiece.model: not the SentencePiece model"),
        ("siglip", piece(b"<!doctype html>"), "spiece.model: not the SentencePiece model"),
    ];
    for (model, tokenizer, message) in cases {
        let Err(error) = encoder(folder(model, tokenizer)) else { panic!("{message}: expected an error") };
        assert_eq!(error.code(), "bad-checkpoint", "{error}");
        assert!(error.to_string().starts_with(message), "{message}: {error}");
    }
    let Err(error) = encoder(folder("clip", TokenizerFiles::None)) else { panic!("expected an error") };
    assert_eq!(error.code(), "not-found");
    assert!(error.to_string().starts_with("tokenizer.json: ") && error.to_string().contains("spiece.model"), "{error}");
}

#[test]
fn a_tokenizer_larger_than_the_table_is_found_at_load() {
    let mut files = common::files("clip");
    let mut config: Value = serde_json::from_slice(&files["config.json"]).expect("JSON");
    let size = config["text_config"]["vocab_size"].as_u64().expect("a number");
    config["text_config"]["vocab_size"] = (size - 1).into();
    files.insert("config.json".into(), config.to_string().into_bytes());
    let Err(error) = encoder(files) else { panic!("expected an error") };
    assert!(error.to_string().contains(&format!("expected at most {} tokens", size - 1)), "{error}");
}
