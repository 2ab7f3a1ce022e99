//! A `tokenizer.json` becomes the parts of a tokenizer: its model here, all else in `steps`. The crate's own reading would keep a
//! large model three times in memory, and panic on some files.

use serde_json::{Map, Value, json};
pub use tokenizers::models::bpe::Vocab;
use tokenizers::{
    AddedToken, ModelWrapper,
    models::{bpe::BPE, unigram::Unigram},
};

use super::{
    decoder::{Decoder, byte_of_token},
    parts::Parts,
    steps::{self, Result, flag, id, unexpected},
};

/// Longest piece of a Unigram vocabulary, in bytes: the crate's trie recurses once for each when it is dropped, and real
/// pieces have a few dozen.
const MAX_PIECE: usize = 512;

/// Words whose tokens are remembered, where texts are cut into words. They outlive the tokenizer.
const CACHE: usize = 4096;

/// A model, and its token for what it does not know.
type Known = (ModelWrapper, Option<u32>);

/// Adds special tokens to those of a file, if it has none of them.
pub fn add_tokens(file: &mut Value, tokens: &[String]) {
    let Some(file) = file.as_object_mut().filter(|_| !tokens.is_empty()) else { return };
    let list = file.entry("added_tokens").or_insert_with(|| Value::Array(Vec::new()));
    let Some(list) = list.as_array_mut() else { return };
    if !list.iter().any(|one| tokens.iter().any(|token| one["content"] == **token)) {
        list.extend(tokens.iter().map(|token| json!({ "content": token, "special": true })));
    }
}

/// From the whole file; `byte_fallback` as in [`crate::config::TextRule`].
pub fn tokenizer(mut value: Value, byte_fallback: bool) -> Result<Parts> {
    if !value.is_object() {
        return Err("expected an object, found something else".into());
    }
    if value["version"] != "1.0" && !value["version"].is_null() {
        return Err(unexpected("version", "\"1.0\"", &value["version"]));
    }
    let mut model = take(&mut value, "model");
    let vocab = take(&mut model, "vocab");
    let suffix = model["end_of_word_suffix"].as_str().unwrap_or_default().to_string();
    // Older files leave the type out.
    let known = match (model["type"].as_str(), vocab) {
        (Some("BPE") | None, Value::Object(vocab)) => bpe(model, vocab)?,
        (Some("Unigram") | None, Value::Array(vocab)) => unigram_model(&model, vocab, byte_fallback)?,
        (_, vocab) => {
            let shape = if vocab.is_object() { "an object" } else { "something else" };
            let what = format!("BPE with an object as vocab, or Unigram with a list; vocab is {shape}");
            return Err(unexpected("model: type", &what, &model["type"]));
        }
    };
    around(known, &value, &suffix)
}

/// The parts of a tokenizer with this model, of which the rest is as in a `tokenizer.json`.
pub fn around((model, unk): Known, rest: &Value, suffix: &str) -> Result<Parts> {
    let byte_fallback = matches!(&model, ModelWrapper::Unigram(unigram) if unigram.byte_fallback());
    Ok(Parts {
        model,
        unk,
        decoder: Decoder::new(&rest["decoder"], suffix, byte_fallback),
        normalizers: steps::normalizers(&rest["normalizer"])?,
        pre_tokenizers: steps::pre_tokenizers(&rest["pre_tokenizer"])?,
        template: steps::template(&rest["post_processor"])?,
        added: rest["added_tokens"].as_array().into_iter().flatten().map(added).collect::<Result<_>>()?,
    })
}

fn added(token: &Value) -> Result<AddedToken> {
    let content = &token["content"];
    let content = content.as_str().ok_or_else(|| unexpected("added_tokens: content", "a string", content))?;
    let special = flag(token, "special", false)?;
    Ok(AddedToken::from(content, special)
        .single_word(flag(token, "single_word", false)?)
        .lstrip(flag(token, "lstrip", false)?)
        .rstrip(flag(token, "rstrip", false)?)
        .normalized(flag(token, "normalized", !special)?))
}

/// The field itself, of whatever this is.
fn take(value: &mut Value, field: impl serde_json::value::Index) -> Value {
    value.get_mut(field).map(Value::take).unwrap_or_default()
}

fn bpe(mut model: Value, vocab: Map<String, Value>) -> Result<Known> {
    let ids: Vocab =
        vocab.into_iter().map(|(token, value)| Ok((token, id(&value, "model: vocab")?))).collect::<Result<_>>()?;
    if !model["dropout"].is_null() && model["dropout"] != 0.0 {
        return Err(unexpected("model: dropout", "none", &model["dropout"]));
    }
    let string = |key: &str| model[key].as_str().filter(|text| !text.is_empty()).map(String::from);
    let (prefix, suffix) = (string("continuing_subword_prefix"), string("end_of_word_suffix"));
    let unk = string("unk_token");
    let expected = |token: &str| format!("expected {token:?} in the vocabulary, found none");
    let unk_id = match &unk {
        Some(unk) => Some(*ids.get(unk).ok_or_else(|| format!("model: unk_token: {}", expected(unk)))?),
        None => None,
    };
    let mut builder = BPE::builder()
        .cache_capacity(CACHE)
        .fuse_unk(flag(&model, "fuse_unk", false)?)
        .byte_fallback(flag(&model, "byte_fallback", false)?)
        .ignore_merges(flag(&model, "ignore_merges", false)?);
    let Value::Array(merges) = take(&mut model, "merges") else {
        return Err("model: merges: expected a list, found something else".into());
    };
    let start = prefix.as_deref().unwrap_or_default();
    let merge = |merge: Value| {
        let parts = match &merge {
            Value::String(text) => text.split_once(' ').filter(|(_, b)| !b.contains(' ')),
            _ => merge[0].as_str().zip(merge[1].as_str()),
        };
        // The second part loses the prefix.
        let parts = parts.and_then(|(a, b)| Some((a, b, a.to_string() + b.get(start.len()..)?)));
        let (a, b, whole) = parts.ok_or_else(|| unexpected("model: merges", "two parts of a token", &merge))?;
        match [a, b, &whole].into_iter().find(|token| !ids.contains_key(*token)) {
            Some(token) => Err(format!("model: merges: {}", expected(token))),
            None => Ok((a.to_string(), b.to_string())),
        }
    };
    let merges = merges.into_iter().map(merge).collect::<Result<_>>()?;
    builder = builder.vocab_and_merges(ids, merges);
    if let Some(unk) = unk {
        builder = builder.unk_token(unk);
    }
    if let Some(prefix) = prefix {
        builder = builder.continuing_subword_prefix(prefix);
    }
    if let Some(suffix) = suffix {
        builder = builder.end_of_word_suffix(suffix);
    }
    Ok((builder.build().map_err(|e| format!("model: {e}"))?.into(), unk_id))
}

fn unigram_model(model: &Value, vocab: Vec<Value>, complete: bool) -> Result<Known> {
    let piece = |mut piece: Value| match (take(&mut piece, 0), piece[1].as_f64()) {
        (Value::String(text), Some(score)) => Ok((text, score)),
        (text, _) => Err(unexpected("model: vocab", "pieces with a score", &text)),
    };
    let vocab: Vec<(String, f64)> = vocab.into_iter().map(piece).collect::<Result<_>>()?;
    let unk = id(&model["unk_id"], "model: unk_id")?;
    if unk as usize >= vocab.len() {
        return Err(format!("model: unk_id: expected one of {} pieces, found {unk}", vocab.len()));
    }
    unigram(vocab, unk, flag(model, "byte_fallback", false)?, complete)
}

/// A model of pieces with scores. `complete`: it falls back to bytes if it has all of them, whatever `byte_fallback` says, as
/// SentencePiece does.
pub fn unigram(vocab: Vec<(String, f64)>, unk: u32, byte_fallback: bool, complete: bool) -> Result<Known> {
    if let Some((piece, _)) = vocab.iter().find(|(piece, _)| piece.len() > MAX_PIECE) {
        return Err(format!(
            "model: vocab: expected pieces of at most {MAX_PIECE} bytes, found one of {}",
            piece.len()
        ));
    }
    let bytes = vocab.iter().filter(|(piece, _)| byte_of_token(piece).is_some()).count();
    let model = Unigram::from(vocab, Some(unk as usize), byte_fallback || complete && bytes == 256);
    Ok((model.map_err(|e| format!("model: {e}"))?.into(), Some(unk)))
}
