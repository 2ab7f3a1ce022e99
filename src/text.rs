//! From text to the token ids that the tower is fed: what the tokenizer's files say, and what the reference does around it.

mod answers;
mod automaton;
mod clean;
mod clip_files;
mod decoder;
mod guide;
mod html;
mod message;
mod parts;
mod pattern;
mod prompt;
mod read;
mod request;
mod script;
mod sentencepiece;
mod spellings;
mod steps;
mod tokenizer;

use std::sync::Arc;

pub use guide::Guide;
pub use message::{Message, Part, Role};
pub use prompt::Prompt;
pub use request::{Request, messages_of};
pub use sentencepiece::compact;
pub use tokenizer::{TextStream, Tokenizer};

use crate::{
    config::{Cleaning, Config, Padding, TextRule, TokenizerFiles},
    error::Result,
    tokens::{Encoded, Tokenize},
};

/// Turns text into ids of the length that the tower expects.
pub struct TextEncoder {
    tokenizer: Arc<Tokenizer>,
    rule: TextRule,
    tokens: usize,
    vocab: usize,
    pad: u32,
}

impl Tokenize for TextEncoder {
    fn encoded(&self, text: &str) -> Result<Encoded> {
        Self::encoded(self, text)
    }
}

impl TextEncoder {
    /// Makes the tokenizer of a folder.
    ///
    /// # Errors
    /// [`crate::Error::BadCheckpoint`] that names the file if it is not a tokenizer, lacks the padding token, or has more tokens than
    /// the token table has rows.
    pub fn new(files: &TokenizerFiles, config: &Config) -> Result<Self> {
        let mut tokenizer = Tokenizer::new(files, config.text_rule.byte_fallback)?;
        let rule = config.text_rule.clone();
        let pad = match &rule.padding {
            Padding::Id(id) => *id,
            Padding::Token(token) => tokenizer.special(token)?,
        };
        let (vocab, found) = (config.text.vocab, tokenizer.vocab_size());
        if found > vocab {
            return Err(tokenizer.bad(format!("expected at most {vocab} tokens, which is vocab_size, found {found}")));
        }
        Ok(Self { tokenizer: Arc::new(tokenizer), rule, tokens: config.text.tokens, vocab, pad })
    }

    /// The ids, exactly as fed to the tower: EOS kept when truncated, padded to the tower's length.
    ///
    /// # Errors
    /// [`crate::Error::BadCheckpoint`] if the tokenizer knows more tokens than the token table has rows, or has none for something in the
    /// text.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        Ok(self.encoded(text)?.ids)
    }

    /// The same, and whether the text was truncated.
    ///
    /// # Errors
    /// As [`TextEncoder::encode`].
    pub fn encoded(&self, text: &str) -> Result<Encoded> {
        let mut ids = self.tokenizer.encode(&cleaned(text, self.rule.cleaning))?;
        let cut = ids.len() > self.tokens;
        if let Some(&eos) = ids.last().filter(|_| cut) {
            ids.truncate(self.tokens);
            ids[self.tokens - 1] = eos;
        }
        ids.resize(self.tokens, self.pad);
        match ids.iter().find(|&&id| id as usize >= self.vocab) {
            None => Ok(Encoded { ids, cut }),
            Some(id) => Err(self.tokenizer.bad(format!("expected ids below vocab_size {}, found {id}", self.vocab))),
        }
    }

    /// The tokenizer by itself, which cleans nothing, cuts nothing and adds no padding.
    #[must_use]
    pub fn tokenizer(&self) -> &Arc<Tokenizer> {
        &self.tokenizer
    }
}

/// The text as the tokenizer sees it.
#[must_use]
pub fn cleaned(text: &str, rule: Cleaning) -> String {
    match rule {
        Cleaning::AsIs => text.into(),
        Cleaning::Canonical => canonical(text),
        // Letter by letter, as the tokenizers library does it: a Σ is a σ at the end of a word, too.
        Cleaning::Lowercase => text.chars().flat_map(char::to_lowercase).collect(),
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
