//! A `tokenizer.json` becomes a [`Tokenizer`], if it is made of the parts that CLIP's and SigLIP's are made of. All else is an
//! error that names the part: none is left out.

use rustc_hash::FxHashMap;
use serde_json::Value;

use super::{
    bpe::{Bpe, byte_tokens},
    character_map::CharacterMap,
    normalizer::{Normalizer, Pattern},
    tokenizer::{AddedToken, Model, Tokenizer},
    unigram::Unigram,
    words::Words,
};
use crate::json::brief;

type Result<T> = std::result::Result<T, String>;

/// CLIP's pattern, with its special tokens before it or without.
const CLIP: &str = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";
const CLIP_TOKENS: &str = r"<\|startoftext\|>|<\|endoftext\|>|";

/// From the whole file; `byte_fallback` as in [`crate::config::TextRule`].
pub fn tokenizer(mut value: Value, byte_fallback: bool) -> Result<Tokenizer> {
    if !value.is_object() {
        return Err("expected an object, found something else".into());
    }
    let model = model(take(&mut value, "model"), byte_fallback)?;
    if value["version"] != "1.0" && !value["version"].is_null() {
        return Err(unexpected("version", "\"1.0\"", &value["version"]));
    }
    let added = value["added_tokens"].as_array().into_iter().flatten().map(added_token).collect::<Result<_>>()?;
    let mut normalizers = Vec::new();
    each(&value["normalizer"], "normalizers", &mut |part| {
        normalizers.push(normalizer(part)?);
        Ok(())
    })?;
    let mut steps = Vec::new();
    each(&value["pre_tokenizer"], "pretokenizers", &mut |part| {
        steps.push(words(part, steps.last())?);
        Ok(())
    })?;
    Tokenizer::new(added, normalizers, steps, model, template(&value["post_processor"])?)
}

/// The field itself, of whatever this is.
fn take(value: &mut Value, field: impl serde_json::value::Index) -> Value {
    value.get_mut(field).map(Value::take).unwrap_or_default()
}

fn unexpected(what: &str, expected: &str, found: &Value) -> String {
    format!("{what}: expected {expected}, found {}", brief(found))
}

/// Every part of a sequence, or the only one.
fn each(part: &Value, list: &str, read: &mut impl FnMut(&Value) -> Result<()>) -> Result<()> {
    match part {
        Value::Null => Ok(()),
        _ if part["type"] == "Sequence" => match part[list].as_array() {
            Some(parts) => parts.iter().try_for_each(|part| each(part, list, read)),
            None => Err(unexpected(list, "a list", &part[list])),
        },
        _ => read(part),
    }
}

fn flag(part: &Value, key: &str, default: bool) -> Result<bool> {
    match &part[key] {
        Value::Null => Ok(default),
        value => value.as_bool().ok_or_else(|| unexpected(key, "true or false", value)),
    }
}

/// A flag that has to be so.
fn only(part: &Value, key: &str, value: bool) -> Result<()> {
    match flag(part, key, value)? == value {
        true => Ok(()),
        false => Err(unexpected(key, &value.to_string(), &part[key])),
    }
}

fn string<'v>(value: &'v Value, what: &str) -> Result<&'v str> {
    value.as_str().ok_or_else(|| unexpected(what, "a string", value))
}

fn number(value: &Value, what: &str) -> Result<u32> {
    let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
    number.ok_or_else(|| unexpected(what, "an id", value))
}

fn added_token(token: &Value) -> Result<AddedToken> {
    only(token, "single_word", false)?;
    Ok(AddedToken {
        content: string(&token["content"], "added_tokens: content")?.into(),
        strip: (flag(token, "lstrip", false)?, flag(token, "rstrip", false)?),
        normalized: flag(token, "normalized", true)?,
    })
}

fn normalizer(part: &Value) -> Result<Normalizer> {
    Ok(match part["type"].as_str().unwrap_or_default() {
        "NFC" => Normalizer::Nfc,
        "NFKC" => Normalizer::Nfkc,
        "Lowercase" => Normalizer::Lowercase,
        "Strip" => Normalizer::Strip { left: flag(part, "strip_left", true)?, right: flag(part, "strip_right", true)? },
        "Prepend" => Normalizer::Prepend(string(&part["prepend"], "prepend")?.into()),
        "Replace" => {
            let pattern = match (part["pattern"]["String"].as_str(), part["pattern"]["Regex"].as_str()) {
                (Some(text), None) if !text.is_empty() => Pattern::Text(text.into()),
                (None, Some(r"\s+")) => Pattern::Whitespace,
                (None, Some(" {2,}")) => Pattern::Spaces,
                _ => {
                    let expected = r#"a String that is not empty, or the Regex "\s+" or " {2,}""#;
                    return Err(unexpected("normalizer: pattern", expected, &part["pattern"]));
                }
            };
            Normalizer::Replace(pattern, string(&part["content"], "normalizer: content")?.into())
        }
        "Precompiled" => {
            let bytes = part["precompiled_charsmap"].as_str().and_then(|text| base64::decode(text).ok());
            let map = bytes.and_then(|bytes| CharacterMap::new(&bytes));
            Normalizer::CharacterMap(map.ok_or("precompiled_charsmap: expected a character map, found a broken one")?)
        }
        _ => {
            let expected = "NFC, NFKC, Lowercase, Strip, Prepend, Replace or Precompiled, as CLIP and SigLIP have them";
            return Err(unexpected("normalizer", expected, part));
        }
    })
}

fn words(part: &Value, before: Option<&Words>) -> Result<Words> {
    let what = "pre_tokenizer";
    let pattern = &part["pattern"];
    match part["type"].as_str().unwrap_or_default() {
        "WhitespaceSplit" => Ok(Words::Whitespace),
        "Split" if pattern["String"] == " " && part["behavior"] == "MergedWithPrevious" => {
            only(part, "invert", false).map(|()| Words::Spaces)
        }
        "Split" => {
            let found = pattern["Regex"].as_str().unwrap_or_default();
            let rest = found.strip_prefix(CLIP_TOKENS);
            if rest.unwrap_or(found) != CLIP || part["behavior"] != "Removed" || part["invert"] != true {
                return Err(unexpected(what, "Split as CLIP or Gemma have it", part));
            }
            Ok(Words::Clip { tokens: rest.is_some() })
        }
        // Its own pattern cuts nothing that CLIP's has left.
        "ByteLevel" if matches!(before, Some(Words::Clip { .. })) => {
            only(part, "use_regex", true)?;
            only(part, "add_prefix_space", false).map(|()| Words::Bytes)
        }
        "Metaspace" => {
            let scheme = part["prepend_scheme"].as_str().unwrap_or("always");
            let prefix = scheme == "always";
            let agrees = part["add_prefix_space"] != false || scheme == "never";
            if part["replacement"] != "▁" || !agrees || !(prefix || scheme == "never") {
                return Err(unexpected(what, "Metaspace with ▁, always prepended or never", part));
            }
            Ok(Words::Metaspace { prefix, split: flag(part, "split", true)? })
        }
        _ => Err(unexpected(what, "Split, ByteLevel after CLIP's Split, WhitespaceSplit or Metaspace", part)),
    }
}

fn template(part: &Value) -> Result<Vec<Option<u32>>> {
    match part["type"].as_str().unwrap_or_default() {
        "" if part.is_null() => Ok(vec![None]),
        "RobertaProcessing" => {
            let id = |key: &str| number(&part[key][1], key).map(Some);
            Ok(vec![id("cls")?, None, id("sep")?])
        }
        "TemplateProcessing" => {
            let mut template = Vec::new();
            let single = &part["single"];
            for piece in single.as_array().ok_or_else(|| unexpected("post_processor: single", "a list", single))? {
                if piece["Sequence"]["id"] == "A" {
                    template.push(None);
                    continue;
                }
                let what = "post_processor: special_tokens";
                let name = string(&piece["SpecialToken"]["id"], what)?;
                let ids = &part["special_tokens"][name]["ids"];
                for id in ids.as_array().ok_or_else(|| unexpected(what, &format!("ids of {name:?}"), ids))? {
                    template.push(Some(number(id, what)?));
                }
            }
            Ok(template)
        }
        _ => Err(unexpected("post_processor", "TemplateProcessing or RobertaProcessing", part)),
    }
}

fn model(mut model: Value, byte_fallback: bool) -> Result<Model> {
    let vocab = take(&mut model, "vocab");
    // Older files leave the type out.
    match (model["type"].as_str(), vocab) {
        (Some("BPE") | None, Value::Object(vocab)) => {
            let ids: FxHashMap<String, u32> = vocab
                .into_iter()
                .map(|(token, id)| Ok((token, number(&id, "model: vocab")?)))
                .collect::<Result<_>>()?;
            bpe(model, ids)
        }
        (Some("Unigram") | None, Value::Array(vocab)) => unigram(&model, vocab, byte_fallback),
        (_, vocab) => {
            let shape = if vocab.is_object() { "an object" } else { "something else" };
            let what = format!("BPE with an object as vocab, or Unigram with a list; vocab is {shape}");
            Err(unexpected("model: type", &what, &model["type"]))
        }
    }
}

fn bpe(mut model: Value, ids: FxHashMap<String, u32>) -> Result<Model> {
    only(&model, "ignore_merges", false)?;
    let absent = |key: &str| model[key].is_null() || model[key] == "" || model[key] == 0.0;
    if let Some(key) = ["continuing_subword_prefix", "dropout"].into_iter().find(|key| !absent(key)) {
        return Err(unexpected(key, "none", &model[key]));
    }
    let Value::Array(merges) = take(&mut model, "merges") else {
        return Err("model: merges: expected a list, found something else".into());
    };
    let merge = |merge: Value| {
        let parts = match &merge {
            Value::String(text) => text.split_once(' ').filter(|(_, b)| !b.contains(' ')),
            _ => merge[0].as_str().zip(merge[1].as_str()),
        };
        let parts = parts.map(|(a, b)| (a.to_string(), b.to_string()));
        parts.ok_or_else(|| unexpected("model: merges", "two parts of a token", &merge))
    };
    let mut bpe = Bpe::new(ids, merges.into_iter().map(merge))?;
    if let Some(unk) = model["unk_token"].as_str() {
        let expected = || format!("model: unk_token: expected {unk:?} in the vocabulary, found none");
        bpe.unk = Some(bpe.id(unk).ok_or_else(expected)?);
    }
    bpe.fuse_unk = flag(&model, "fuse_unk", false)?;
    bpe.suffix = model["end_of_word_suffix"].as_str().unwrap_or_default().into();
    bpe.bytes = flag(&model, "byte_fallback", false)?.then(|| byte_tokens(|token| bpe.id(token)));
    Ok(Model::Bpe(bpe))
}

fn unigram(model: &Value, vocab: Vec<Value>, complete: bool) -> Result<Model> {
    let piece = |mut piece: Value| match (take(&mut piece, 0), piece[1].as_f64()) {
        (Value::String(text), Some(score)) => Ok((text, score)),
        (text, _) => Err(unexpected("model: vocab", "pieces with a score", &text)),
    };
    let vocab: Vec<(String, f64)> = vocab.into_iter().map(piece).collect::<Result<_>>()?;
    let unk = number(&model["unk_id"], "model: unk_id")?;
    if unk as usize >= vocab.len() {
        return Err(format!("model: unk_id: expected one of {} pieces, found {unk}", vocab.len()));
    }
    Ok(Model::Unigram(Unigram::new(vocab, unk, flag(model, "byte_fallback", false)?, complete)))
}
