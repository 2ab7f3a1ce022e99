//! From text to the token ids that the tower is fed: what `tokenizer.json` does, and what the reference does around it.

mod clean;
mod guard;
mod html;

use serde_json::Value;
use tokenizers::Tokenizer;

use crate::{
    config::{Cleaning, Config, Padding, TextRule},
    error::{Error, Result},
};

/// Turns text into ids of the length that the tower expects.
pub struct TextEncoder {
    tokenizer: Tokenizer,
    rule: TextRule,
    tokens: usize,
    vocab: usize,
    pad: u32,
}

fn bad(what: impl std::fmt::Display) -> Error {
    Error::BadCheckpoint(format!("tokenizer.json: {what}"))
}

impl TextEncoder {
    /// Reads `tokenizer.json`.
    ///
    /// # Errors
    /// [`Error::BadCheckpoint`] if the file is not a tokenizer or lacks the padding token.
    pub fn new(json: &[u8], config: &Config) -> Result<Self> {
        let rule = config.text_rule.clone();
        let mut value: Value = serde_json::from_slice(json).map_err(bad)?;
        if !value.is_object() {
            return Err(bad("expected an object, found something else"));
        }
        guard::check(&value).map_err(bad)?;
        if rule.byte_fallback {
            enable_byte_fallback(&mut value);
        }
        // Ids never become text again, and the crate panics on a decoder that it does not know.
        value["decoder"] = Value::Null;
        let mut tokenizer: Tokenizer = serde_json::from_value(value).map_err(bad)?;
        guard::check_tokens(&tokenizer).map_err(bad)?;
        // Length is ours to keep: truncation must not lose EOS, and the files disagree on padding.
        tokenizer.with_truncation(None).map_err(bad)?;
        tokenizer.with_padding(None);
        let pad = match &rule.padding {
            Padding::Id(id) => *id,
            Padding::Token(token) => tokenizer
                .token_to_id(token)
                .ok_or_else(|| bad(format!("expected the padding token {token:?}, found none")))?,
        };
        Ok(Self { tokenizer, rule, tokens: config.text.tokens, vocab: config.text.vocab, pad })
    }

    /// The ids, exactly as fed to the tower: EOS kept when truncated, padded to the tower's length.
    ///
    /// # Errors
    /// [`Error::BadCheckpoint`] if the tokenizer knows more tokens than the token table has rows.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let encoding = self.tokenizer.encode(cleaned(text, self.rule.cleaning), true).map_err(bad)?;
        let mut ids = encoding.get_ids().to_vec();
        if let Some(&eos) = ids.last().filter(|_| ids.len() > self.tokens) {
            ids.truncate(self.tokens);
            ids[self.tokens - 1] = eos;
        }
        ids.resize(self.tokens, self.pad);
        match ids.iter().find(|&&id| id as usize >= self.vocab) {
            None => Ok(ids),
            Some(id) => Err(bad(format!("expected ids below vocab_size {}, found {id}", self.vocab))),
        }
    }
}

/// The text as `tokenizer.json` sees it.
#[must_use]
pub fn cleaned(text: &str, rule: Cleaning) -> String {
    match rule {
        Cleaning::AsIs => text.into(),
        Cleaning::Canonical => canonical(text),
        Cleaning::Lowercase => text.to_lowercase(),
        Cleaning::OpenClip(rule) => clean::open_clip(text, rule),
    }
}

/// Lowercase, without ASCII punctuation, single spaces: `SiglipTokenizer.canonicalize_text` in transformers, after
/// `_canonicalize_text` in big_vision's `prompt_engineering.py`.
#[must_use]
pub fn canonical(text: &str) -> String {
    // Sentencepiece's own space would otherwise pass for a letter; the reference replaces it too (`tokenize`).
    let text: String = text.replace('▁', " ").to_lowercase().chars().filter(|c| !c.is_ascii_punctuation()).collect();
    clean::collapse(&text)
}

/// Sentencepiece falls back to bytes wherever the vocabulary has all 256 of them; the published JSON says it does not.
fn enable_byte_fallback(tokenizer: &mut Value) {
    let model = &mut tokenizer["model"];
    let Some(vocab) = model["vocab"].as_array() else { return };
    let is_byte = |piece: &str| piece.len() == 6 && piece.starts_with("<0x") && piece.ends_with('>');
    let bytes = vocab.iter().filter(|entry| entry[0].as_str().is_some_and(is_byte)).count();
    if bytes == 256 {
        model["byte_fallback"] = true.into();
    }
}
