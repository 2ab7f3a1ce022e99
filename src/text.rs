//! From text to the token ids that the tower is fed: what the tokenizer's files say, and what the reference does around it.

mod bpe;
mod character_map;
mod classes;
mod clean;
mod clip_files;
mod html;
mod normalizer;
mod read;
mod sentencepiece;
mod tokenizer;
mod unigram;
mod words;

pub use sentencepiece::compact;
use tokenizer::Tokenizer;

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
        let (file, tokenizer) = match files {
            TokenizerFiles::None => return Err(Error::BadInput("tokenizer: expected one, found none".into())),
            TokenizerFiles::Json(json) => {
                let json = serde_json::from_slice(json).map_err(|e| bad("tokenizer.json", e))?;
                ("tokenizer.json", read::tokenizer(json, byte_fallback))
            }
            TokenizerFiles::VocabMerges { vocab, merges } => {
                // Both files are named in the message itself.
                let json = clip_files::tokenizer(vocab, merges).map_err(Error::BadCheckpoint)?;
                ("vocab.json", read::tokenizer(json, byte_fallback))
            }
            TokenizerFiles::SentencePiece { name, bytes } => (name.as_str(), sentencepiece::read(bytes, byte_fallback)),
        };
        let tokenizer = tokenizer.map_err(|e| bad(file, e))?;
        let rule = config.text_rule.clone();
        let pad = match &rule.padding {
            Padding::Id(id) => *id,
            Padding::Token(token) => tokenizer
                .id(token)
                .ok_or_else(|| bad(file, format!("expected the padding token {token:?}, found none")))?,
        };
        let (vocab, found) = (config.text.vocab, tokenizer.len());
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
        let mut ids = self.tokenizer.encode(&cleaned(text, self.rule.cleaning));
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
