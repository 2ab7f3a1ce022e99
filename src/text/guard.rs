//! What the tokenizers crate panics on, or overflows the stack with, is refused before the crate sees it; in the browser a
//! panic is the end of the module. Found by `tests/fuzz`. By fields and not by `type`, which older files leave out.

use serde_json::Value;
use tokenizers::{NormalizedString, Normalizer, Tokenizer};

/// Longest piece of a Unigram vocabulary, in bytes: the crate's trie recurses once for each when it is dropped, and real
/// pieces have a few dozen.
const MAX_PIECE: usize = 512;

/// Looks at a whole `tokenizer.json`; the error says what is wrong.
pub fn check(tokenizer: &Value) -> Result<(), String> {
    each(&tokenizer["normalizer"], &mut |part| match &part["precompiled_charsmap"] {
        Value::Null if part["type"] != "Precompiled" => Ok(()),
        map => character_map(map)
            .ok_or_else(|| "precompiled_charsmap: expected a character map, found a broken one".into()),
    })?;
    each(&tokenizer["normalizer"], &mut |part| replaced(&part["pattern"]))?;
    each(&tokenizer["pre_tokenizer"], &mut |part| match part["length"].as_u64() {
        Some(0) => Err("pre_tokenizer: expected a length of at least 1, found 0".into()),
        _ => Ok(()),
    })?;
    each(&tokenizer["post_processor"], &mut template)?;
    pieces(&tokenizer["model"])?;
    merges(&tokenizer["model"])
}

/// Looks at the tokenizer once it is made: a token of which its normalizer leaves nothing would be found in every text,
/// between the bytes of a character too.
pub fn check_tokens(tokenizer: &Tokenizer) -> Result<(), String> {
    let Some(normalizer) = tokenizer.get_normalizer() else { return Ok(()) };
    for token in tokenizer.get_added_tokens_decoder().into_values().filter(|token| token.normalized) {
        let mut text = NormalizedString::from(token.content.as_str());
        normalizer.normalize(&mut text).map_err(|e| e.to_string())?;
        if text.is_empty() {
            return Err(format!("added_tokens: expected {:?} to remain when normalized, found nothing", token.content));
        }
    }
    Ok(())
}

/// Every object inside, however deep; JSON's own limit is 128 levels.
fn each(value: &Value, check: &mut impl FnMut(&Value) -> Result<(), String>) -> Result<(), String> {
    match value {
        Value::Object(fields) => {
            check(value)?;
            fields.values().try_for_each(|field| each(field, check))
        }
        Value::Array(items) => items.iter().try_for_each(|item| each(item, check)),
        _ => Ok(()),
    }
}

/// What is replaced must not be found where nothing is: what is put in there loses its place in the text.
fn replaced(pattern: &Value) -> Result<(), String> {
    let (string, regex) = (pattern["String"].as_str(), pattern["Regex"].as_str());
    let shortest = |regex: &str| regex_syntax::parse(regex).ok()?.properties().minimum_len();
    if string == Some("") || regex.is_some_and(|regex| shortest(regex).unwrap_or(0) == 0) {
        return Err(format!(
            "normalizer: expected a plain pattern that matches at least one character, found {pattern}"
        ));
    }
    Ok(())
}

/// A template may use the one text that there is, and special tokens that it defines.
fn template(part: &Value) -> Result<(), String> {
    for piece in part["single"].as_array().into_iter().flatten() {
        if piece["Sequence"]["id"] == "B" {
            return Err("post_processor: single: expected sequence A only, found B".into());
        }
        if let Some(id) = piece["SpecialToken"]["id"].as_str()
            && part["special_tokens"].get(id).is_none()
        {
            return Err(format!("post_processor: special_tokens: expected {id:?}, found none"));
        }
    }
    Ok(())
}

fn pieces(model: &Value) -> Result<(), String> {
    let pieces = model["vocab"].as_array().into_iter().flatten();
    match pieces.filter_map(|entry| entry[0].as_str()).find(|piece| piece.len() > MAX_PIECE) {
        None => Ok(()),
        Some(piece) => {
            Err(format!("model: vocab: expected pieces of at most {MAX_PIECE} bytes, found one of {}", piece.len()))
        }
    }
}

/// The second part of a merge starts with the prefix, if there is one, and the result is no longer than the longest token.
fn merges(model: &Value) -> Result<(), String> {
    let longest = model["vocab"].as_object().into_iter().flatten().map(|(token, _)| token.len()).max().unwrap_or(0);
    let prefix = model["continuing_subword_prefix"].as_str().map_or(0, str::len);
    for merge in model["merges"].as_array().into_iter().flatten() {
        let parts = merge.as_str().and_then(|text| text.split_once(' '));
        let Some((a, b)) = parts.or_else(|| Some((merge[0].as_str()?, merge[1].as_str()?))) else { continue };
        if b.get(prefix..).is_none_or(|rest| a.len() + rest.len() > longest) {
            return Err(format!("model: merges: expected two parts of a token in the vocabulary, found {merge}"));
        }
    }
    Ok(())
}

/// SentencePiece's map from characters to their replacements: the size of a double array, its units, and strings that end
/// with 0. Every walk through the array must stay inside it, and lead to the start of a character; nothing if one does not.
/// `DoubleArray::common_prefix_search` and `Precompiled::transform` in the crate spm_precompiled.
fn character_map(map: &Value) -> Option<()> {
    let bytes = base64::decode(map.as_str()?).ok()?;
    let (size, rest) = bytes.split_first_chunk::<4>()?;
    let (units, strings) = rest.split_at_checked(u32::from_le_bytes(*size) as usize / 4 * 4)?;
    let strings = std::str::from_utf8(strings).ok()?;
    let unit = |at: usize| units.chunks_exact(4).nth(at).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    let offset = |unit: u32| ((unit >> 10) << ((unit & 1 << 9) >> 6)) as usize;
    let mut seen = vec![false; units.len() / 4];
    let mut open = vec![offset(unit(0)?)];
    while let Some(node) = open.pop() {
        for label in 1..=255 {
            let child = unit(node ^ label)?;
            if child & (1 << 31 | 0xff) != label as u32 {
                continue;
            }
            let next = node ^ label ^ offset(child);
            let value = unit(next)? & !(1 << 31);
            if child >> 8 & 1 == 1 && !strings.is_char_boundary(value as usize) {
                return None;
            }
            if !std::mem::replace(&mut seen[next], true) {
                open.push(next);
            }
        }
    }
    Some(())
}
