//! From text to the token ids that the tower is fed: what the tokenizer's files say, and what the reference does around it.

mod clean;
mod clip_files;
mod guard;
mod html;
mod sentencepiece;

use sentencepiece::Made;
pub use sentencepiece::compact;
use serde_json::Value;
use tokenizers::Tokenizer;

use crate::{
    config::{Cleaning, Config, Padding, TextRule, TokenizerFiles},
    error::{Error, Result},
};

/// Turns text into ids of the length that the tower expects.
pub struct TextEncoder {
    tokenizer: Tokenizer,
    rule: TextRule,
    tokens: usize,
    vocab: usize,
    pad: u32,
    /// For messages.
    file: String,
}

/// What makes token ids of a text. A trait, so that a build whose tokenizer is elsewhere does not carry one.
pub trait Tokenize {
    /// As [`TextEncoder::encode`].
    ///
    /// # Errors
    /// As [`TextEncoder::encode`].
    fn encode(&self, text: &str) -> Result<Vec<u32>>;
}

impl Tokenize for TextEncoder {
    fn encode(&self, text: &str) -> Result<Vec<u32>> {
        self.encode(text)
    }
}

impl TextEncoder {
    /// Makes the tokenizer of a folder.
    ///
    /// # Errors
    /// [`Error::BadCheckpoint`] that names the file if it is not a tokenizer, lacks the padding token, or has more tokens than
    /// the token table has rows.
    pub fn new(files: &TokenizerFiles, config: &Config) -> Result<Self> {
        let byte_fallback = config.text_rule.byte_fallback;
        let (file, made) = match files {
            TokenizerFiles::None => return Err(Error::BadInput("tokenizer: expected one, found none".into())),
            TokenizerFiles::Json(json) => ("tokenizer.json", serde_json::from_slice(json).map_err(|e| e.to_string())),
            // Both files are named in the message itself.
            TokenizerFiles::VocabMerges { vocab, merges } => {
                let made = clip_files::tokenizer(vocab, merges);
                ("vocab.json", Ok(made.map_err(Error::BadCheckpoint)?))
            }
            TokenizerFiles::SentencePiece { name, bytes } => match sentencepiece::read(bytes, byte_fallback) {
                Ok(Made::Tokenizer(tokenizer)) => return Self::around(name, *tokenizer, config),
                Ok(Made::Json(json)) => (name.as_str(), Ok(json)),
                Err(why) => (name.as_str(), Err(why)),
            },
        };
        let tokenizer = made.and_then(|json| from_json(json, byte_fallback)).map_err(|e| bad(file, e))?;
        Self::around(file, tokenizer, config)
    }

    fn around(file: &str, mut tokenizer: Tokenizer, config: &Config) -> Result<Self> {
        let rule = config.text_rule.clone();
        // Length is ours to keep: truncation must not lose EOS, and the files disagree on padding.
        tokenizer.with_truncation(None).map_err(|e| bad(file, e))?;
        tokenizer.with_padding(None);
        let pad = match &rule.padding {
            Padding::Id(id) => *id,
            Padding::Token(token) => tokenizer
                .token_to_id(token)
                .ok_or_else(|| bad(file, format!("expected the padding token {token:?}, found none")))?,
        };
        let (vocab, found) = (config.text.vocab, tokenizer.get_vocab_size(true));
        if found > vocab {
            return Err(bad(file, format!("expected at most {vocab} tokens, which is vocab_size, found {found}")));
        }
        Ok(Self { tokenizer, rule, tokens: config.text.tokens, vocab, pad, file: file.into() })
    }

    /// The ids, exactly as fed to the tower: EOS kept when truncated, padded to the tower's length.
    ///
    /// # Errors
    /// [`Error::BadCheckpoint`] if the tokenizer knows more tokens than the token table has rows.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let encoding =
            self.tokenizer.encode(cleaned(text, self.rule.cleaning), true).map_err(|e| bad(&self.file, e))?;
        let mut ids = encoding.get_ids().to_vec();
        if let Some(&eos) = ids.last().filter(|_| ids.len() > self.tokens) {
            ids.truncate(self.tokens);
            ids[self.tokens - 1] = eos;
        }
        ids.resize(self.tokens, self.pad);
        match ids.iter().find(|&&id| id as usize >= self.vocab) {
            None => Ok(ids),
            Some(id) => Err(bad(&self.file, format!("expected ids below vocab_size {}, found {id}", self.vocab))),
        }
    }
}

fn bad(file: &str, what: impl std::fmt::Display) -> Error {
    Error::BadCheckpoint(format!("{file}: {what}"))
}

/// From the content of a `tokenizer.json`.
fn from_json(mut value: Value, byte_fallback: bool) -> std::result::Result<Tokenizer, String> {
    if !value.is_object() {
        return Err("expected an object, found something else".into());
    }
    guard::check(&value)?;
    if byte_fallback {
        enable_byte_fallback(&mut value);
    }
    // Ids never become text again, and the crate panics on a decoder that it does not know.
    value["decoder"] = Value::Null;
    let tokenizer: Tokenizer = serde_json::from_value(value).map_err(|e| e.to_string())?;
    guard::check_tokens(&tokenizer)?;
    Ok(tokenizer)
}

/// The text as the tokenizer sees it.
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
