//! SentencePiece's model file: `spiece.model` of SigLIP (Unigram) and `tokenizer.model` of SigLIP 2 (byte pairs, Gemma's).
//!
//! The format is `sentencepiece_model.proto`; how it becomes a tokenizer is `SpmConverter`, `SiglipConverter` and
//! `GemmaConverter` in transformers' `convert_slow_tokenizer.py`. The other way, [`compact`] writes the few megabytes of such a
//! file in place of a `tokenizer.json` of 34, most of which is a list of merges that follows from the pieces.

use ahash::AHashMap;
use prost::Message;
use serde_json::{Value, json};
use tokenizers::models::bpe::BPE;

use super::{parts::Parts, read};

/// The file, as far as it matters here.
#[derive(Clone, PartialEq, Message)]
struct Model {
    #[prost(message, repeated, tag = "1")]
    pieces: Vec<Piece>,
    #[prost(message, optional, tag = "2")]
    trainer: Option<Trainer>,
    #[prost(message, optional, tag = "3")]
    normalizer: Option<Normalizer>,
}

#[derive(Clone, PartialEq, Message)]
struct Piece {
    #[prost(string, optional, tag = "1")]
    piece: Option<String>,
    #[prost(float, optional, tag = "2")]
    score: Option<f32>,
    #[prost(int32, optional, tag = "3", default = "1")]
    kind: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
struct Trainer {
    #[prost(int32, optional, tag = "3", default = "1")]
    model_type: Option<i32>,
    #[prost(bool, optional, tag = "35")]
    byte_fallback: Option<bool>,
    #[prost(int32, optional, tag = "40", default = "0")]
    unk_id: Option<i32>,
    #[prost(int32, optional, tag = "41", default = "1")]
    bos_id: Option<i32>,
    #[prost(int32, optional, tag = "42", default = "2")]
    eos_id: Option<i32>,
    #[prost(int32, optional, tag = "43", default = "-1")]
    pad_id: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
struct Normalizer {
    #[prost(string, optional, tag = "1")]
    name: Option<String>,
    #[prost(bytes = "vec", optional, tag = "2")]
    precompiled_charsmap: Option<Vec<u8>>,
    #[prost(bool, optional, tag = "3", default = "true")]
    add_dummy_prefix: Option<bool>,
    #[prost(bool, optional, tag = "4", default = "true")]
    remove_extra_whitespaces: Option<bool>,
    #[prost(bool, optional, tag = "5", default = "true")]
    escape_whitespaces: Option<bool>,
}

// `SentencePiece.Type` and `TrainerSpec.ModelType`
const NORMAL: i32 = 1;
const UNKNOWN: i32 = 2;
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;
const BYTE: i32 = 6;
const TAB_BYTE: &str = "<0x09>";
const UNIGRAM: i32 = 1;
const BPE_MODEL: i32 = 2;

/// Reads the file; `byte_fallback` as in [`crate::config::TextRule`].
pub fn read(bytes: &[u8], byte_fallback: bool) -> Result<Parts, String> {
    let model = Model::decode(bytes).map_err(|e| format!("not the SentencePiece model that was expected: {e}"))?;
    let trainer = model.trainer.clone().unwrap_or_default();
    let at = |id: i32, what: &str| match usize::try_from(id) {
        Ok(at) if at < model.pieces.len() => Ok(at as u32),
        _ => Err(format!("{what}: expected one of {} pieces, found {id}", model.pieces.len())),
    };
    let (unk, eos) = (at(trainer.unk_id(), "unk_id")?, at(trainer.eos_id(), "eos_id")?);
    match trainer.model_type() {
        UNIGRAM => unigram(model, unk, eos, byte_fallback),
        BPE_MODEL => bpe(model, unk, eos),
        other => Err(format!("model_type: expected 1 (unigram) or 2 (byte pairs), found {other}")),
    }
}

impl Model {
    fn prefix(&self) -> bool {
        self.normalizer.as_ref().is_none_or(|n| n.add_dummy_prefix())
    }

    fn character_map(&self) -> Option<Value> {
        let map = self.normalizer.as_ref()?.precompiled_charsmap.as_ref().filter(|map| !map.is_empty())?;
        Some(json!({ "type": "Precompiled", "precompiled_charsmap": base64::encode(map) }))
    }

    /// What `tokenizer.json` says around a text of these pieces.
    fn template(&self, eos: u32) -> Value {
        let name = self.pieces[eos as usize].piece();
        json!({
            "type": "TemplateProcessing",
            "single": single(name),
            "special_tokens": { name: { "ids": [eos] } },
        })
    }

    /// Unknown, control and user-defined pieces, which are found in a text before the model sees it.
    fn added(&self, strip: bool, normalized: bool) -> Vec<Value> {
        let pieces = self.pieces.iter().zip(0..);
        let added = pieces.filter(|(piece, _)| matches!(piece.kind(), UNKNOWN | CONTROL | USER_DEFINED));
        let token = |(piece, id): (&Piece, u32)| {
            let special = piece.kind() != USER_DEFINED;
            json!({ "id": id, "content": piece.piece(), "single_word": false, "lstrip": strip && special,
                "rstrip": strip && special, "normalized": normalized && special, "special": special })
        };
        added.map(token).collect()
    }
}

/// SigLIP's, as its published `tokenizer.json` has it.
fn unigram(model: Model, unk: u32, eos: u32, byte_fallback: bool) -> Result<Parts, String> {
    let mut added = model.added(true, true);
    // Padding is ours to add and is never written in a text.
    added.retain(|token| token["id"] != 0 || model.pieces[0].kind() != CONTROL);
    let mut normalizers: Vec<Value> = model.character_map().into_iter().collect();
    normalizers.push(json!({ "type": "Replace", "pattern": { "Regex": " {2,}" }, "content": " " }));
    let scheme = if model.prefix() { "always" } else { "never" };
    let metaspace = json!({ "type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": true });
    let rest = json!({
        "added_tokens": added,
        "normalizer": { "type": "Sequence", "normalizers": normalizers },
        "pre_tokenizer": metaspace,
        "post_processor": model.template(eos),
        "decoder": metaspace,
    });
    let piece = |piece: Piece| match piece.score() {
        score if score.is_finite() => Ok((piece.piece.unwrap_or_default(), f64::from(score))),
        score => Err(format!("pieces: expected a finite score, found {score}")),
    };
    let vocab = model.pieces.into_iter().map(piece).collect::<Result<_, String>>()?;
    read::around(read::unigram(vocab, unk, false, byte_fallback)?, &rest, "")
}

/// How Gemma's tokens are spelled.
fn gemma_decoder(prefix: bool) -> Value {
    let mut steps = vec![
        json!({ "type": "Replace", "pattern": { "String": "▁" }, "content": " " }),
        json!({ "type": "ByteFallback" }),
        json!({ "type": "Fuse" }),
    ];
    steps.extend(prefix.then(|| json!({ "type": "Strip", "content": " ", "start": 1, "stop": 0 })));
    json!({ "type": "Sequence", "decoders": steps })
}

/// Gemma's: spaces are letters, and what is unknown is spelled in bytes.
///
/// The byte of a tab becomes the tab itself, as `GemmaConverter` has it.
fn bpe(mut model: Model, unk: u32, eos: u32) -> Result<Parts, String> {
    let mut normalizers: Vec<Value> = model.character_map().into_iter().collect();
    normalizers.extend(model.prefix().then(|| json!({ "type": "Prepend", "prepend": "▁" })));
    normalizers.push(json!({ "type": "Replace", "pattern": { "String": " " }, "content": "▁" }));
    let rest = json!({
        "added_tokens": model.added(false, false),
        "normalizer": { "type": "Sequence", "normalizers": normalizers },
        "post_processor": model.template(eos),
        "decoder": gemma_decoder(model.prefix()),
    });
    let byte_fallback = model.trainer.as_ref().is_some_and(|t| t.byte_fallback());
    // From here on every large list is gone before the next comes: in a browser memory that was once taken stays taken.
    let mut texts = Vec::with_capacity(model.pieces.len());
    let mut scores = Vec::with_capacity(model.pieces.len());
    for piece in std::mem::take(&mut model.pieces) {
        let is_tab = piece.kind() == BYTE && piece.piece() == TAB_BYTE;
        scores.push(piece.score());
        texts.push(if is_tab { "\t".into() } else { piece.piece.unwrap_or_default() });
    }
    let merges = merges(&texts, &scores)?;
    drop(scores);
    let unk_token = texts[unk as usize].clone();
    let built = BPE::builder()
        // Whole texts are its words.
        .cache_capacity(0)
        .vocab_and_merges(texts.into_iter().zip(0..).collect::<read::Vocab>(), merges)
        .unk_token(unk_token)
        .fuse_unk(true)
        .byte_fallback(byte_fallback)
        .build();
    read::around((built.map_err(|e| e.to_string())?.into(), Some(unk)), &rest, "")
}

/// A way to put a piece together: its score, how many characters either part has, which piece, and where the second part starts.
/// In this order of fields, all but the last two from high to low, is the order of the merges.
struct Way {
    score: f32,
    chars: (u16, u16),
    piece: u32,
    at: u16,
}

/// Every way to put a piece together of two others, the best piece first: `generate_merges`. Of equal ones the longer first part
/// comes first, and what is still equal stays in the order of ids.
fn merges(texts: &[String], scores: &[f32]) -> Result<Vec<(String, String)>, String> {
    let ids: AHashMap<&str, u32> = texts.iter().map(String::as_str).zip(0..).collect();
    if ids.len() != texts.len() {
        return Err(format!("pieces: expected each once, found {} of {} again", texts.len() - ids.len(), texts.len()));
    }
    let mut all = Vec::with_capacity(2 * texts.len());
    let mut ways: Vec<(u32, u32, Way)> = Vec::new();
    for ((text, &score), piece) in texts.iter().zip(scores).zip(0..) {
        if text.len() > usize::from(u16::MAX) {
            return Err(format!("pieces: expected at most {} bytes, found {}", u16::MAX, text.len()));
        }
        let count = text.chars().count() as u16;
        for ((at, _), before) in text.char_indices().zip(0u16..).skip(1) {
            let (a, b) = text.split_at(at);
            if let Some(&a) = ids.get(a)
                && let Some(&b) = ids.get(b)
            {
                // Plus zero: the first piece's -0 is no less than another's 0.
                ways.push((a, b, Way { score: score + 0.0, chars: (before, count - before), piece, at: at as u16 }));
            }
        }
        ways.sort_unstable_by_key(|(a, b, _)| (*a, *b));
        all.extend(ways.drain(..).map(|(_, _, way)| way));
    }
    drop(ids);
    all.sort_by(|x, y| y.score.total_cmp(&x.score).then(y.chars.cmp(&x.chars)));
    let parts = |way: &Way| {
        let (a, b) = texts[way.piece as usize].split_at(way.at.into());
        (a.to_string(), b.to_string())
    };
    Ok(all.iter().map(parts).collect())
}

fn single(eos: &str) -> Value {
    json!([{ "Sequence": { "id": "A", "type_id": 0 } }, { "SpecialToken": { "id": eos, "type_id": 0 } }])
}

/// A `tokenizer.json` of Gemma's kind as a model file, if the two are the same tokenizer: the same vocabulary, the same merges in
/// the same order, the same added tokens. None for any other.
#[must_use]
pub fn compact(json: &[u8]) -> Option<Vec<u8>> {
    let value: Value = serde_json::from_slice(json).ok()?;
    let model = &value["model"];
    let plain = json!({ "type": "Replace", "pattern": { "String": " " }, "content": "▁" });
    let is_gemma = model["type"] == "BPE"
        && model["byte_fallback"] == true
        && model["fuse_unk"] == true
        && model["dropout"].is_null()
        && model["ignore_merges"] != true
        && model["continuing_subword_prefix"].as_str().unwrap_or("").is_empty()
        && model["end_of_word_suffix"].as_str().unwrap_or("").is_empty()
        && (value["normalizer"] == plain || value["normalizer"] == json!({ "type": "Sequence", "normalizers": [plain] }))
        // Of the normalized text nothing is left to split at.
        && (value["pre_tokenizer"].is_null() || value["pre_tokenizer"]["pattern"]["String"] == " ")
        && value["decoder"] == gemma_decoder(false);
    let eos = value["post_processor"]["single"][1]["SpecialToken"]["id"].as_str()?;
    let eos_id = i32::try_from(value["post_processor"]["special_tokens"][eos]["ids"][0].as_u64()?).ok()?;
    if !is_gemma || value["post_processor"]["single"] != single(eos) {
        return None;
    }
    let mut texts: Vec<(&String, u64)> =
        model["vocab"].as_object()?.iter().map(|(text, id)| Some((text, id.as_u64()?))).collect::<Option<_>>()?;
    texts.sort_by_key(|(_, id)| *id);
    let unk = model["unk_token"].as_str()?;
    let mut added: AHashMap<&str, bool> = AHashMap::new();
    for token in value["added_tokens"].as_array()? {
        let flags = ["single_word", "lstrip", "rstrip", "normalized"].map(|flag| token[flag].as_bool());
        let (content, id) = (token["content"].as_str()?, token["id"].as_u64()?);
        if flags != [Some(false); 4] || texts.get(id as usize)?.0 != content {
            return None;
        }
        added.insert(content, token["special"].as_bool()?);
    }
    let mut rank = 0;
    let mut pieces = Vec::with_capacity(texts.len());
    for (at, (text, id)) in texts.iter().enumerate() {
        if at as u64 != *id {
            return None;
        }
        let is_byte = text.len() == 6 && text.starts_with("<0x") && text.ends_with('>');
        let kind = match added.get(text.as_str()) {
            _ if *text == unk => UNKNOWN,
            Some(true) => CONTROL,
            Some(false) => USER_DEFINED,
            None if is_byte => BYTE,
            None => NORMAL,
        };
        // A single letter is not put together, and has no rank.
        let ranked = kind == NORMAL && text.chars().nth(1).is_some();
        let score = if ranked { 0.0 - rank as f32 } else { 0.0 };
        rank += i32::from(ranked);
        pieces.push(Piece { piece: Some((*text).clone()), score: Some(score), kind: Some(kind) });
    }
    let unk_id = texts.iter().position(|(text, _)| *text == unk)?;
    let (names, scores): (Vec<String>, Vec<f32>) = pieces.iter().map(|p| (p.piece().to_string(), p.score())).unzip();
    let derived = merges(&names, &scores).ok()?;
    let listed = model["merges"].as_array()?;
    let same = |(merge, (a, b)): (&Value, &(String, String))| match merge.as_str() {
        Some(text) => text.split_once(' ') == Some((a, b)),
        None => merge[0] == **a && merge[1] == **b,
    };
    if listed.len() != derived.len() || !listed.iter().zip(&derived).all(same) {
        return None;
    }
    // SentencePiece wants all 256 bytes.
    if !names.iter().any(|name| name == TAB_BYTE)
        && let Some(tab) = pieces.iter_mut().find(|p| p.piece() == "\t")
    {
        (tab.piece, tab.kind) = (Some(TAB_BYTE.into()), Some(BYTE));
    }
    let trainer = Trainer {
        model_type: Some(BPE_MODEL),
        byte_fallback: Some(true),
        unk_id: i32::try_from(unk_id).ok(),
        bos_id: Some(-1),
        eos_id: Some(eos_id),
        pad_id: Some(-1),
    };
    let normalizer = Normalizer {
        name: Some("identity".into()),
        precompiled_charsmap: None,
        add_dummy_prefix: Some(false),
        remove_extra_whitespaces: Some(false),
        escape_whitespaces: Some(true),
    };
    Some(Model { pieces, trainer: Some(trainer), normalizer: Some(normalizer) }.encode_to_vec())
}
