//! Tokens become text again, as the `decoder` of a `tokenizer.json` says.
//!
//! The tokenizers crate decodes whole texts only: of a run of byte tokens with one bad byte it makes U+FFFD for every byte, and its
//! stream, which decodes again and again, then fails, or waits as long as a text ends with U+FFFD. Here bytes are kept until they
//! are characters, which gives the crate's text for all that is sound (`tests/text/reference.rs`).

use serde_json::Value;

use crate::json::brief;

const EXPECTED: &str =
    "ByteLevel, Metaspace, or a Sequence of Replace, ByteFallback, Fuse and Strip (spaces at the start)";

/// How tokens are spelled.
#[derive(Debug, Default, PartialEq)]
pub struct Decoder {
    /// A letter stands for each byte, as in GPT-2.
    byte_letters: bool,
    /// Tokens such as `<0x0A>` are bytes.
    byte_tokens: bool,
    /// What stands for something else in a token, such as `▁` for a space.
    replace: Vec<(String, String)>,
    /// Whether the first token has none of it: `Metaspace`.
    not_in_first: bool,
    /// So many spaces at the start are dropped.
    strip: usize,
    /// Ends a word, and is a space where something follows: CLIP's `</w>`.
    suffix: String,
}

impl Decoder {
    /// From a tokenizer's `decoder`, and its model's `end_of_word_suffix`; `byte_fallback` if bytes are tokens whatever the decoder
    /// says.
    pub fn new(decoder: &Value, suffix: &str, byte_fallback: bool) -> Result<Self, String> {
        let mut all = Self { suffix: suffix.into(), byte_tokens: byte_fallback, ..Self::default() };
        match decoder["decoders"].as_array() {
            Some(steps) if decoder["type"] == "Sequence" => {
                steps.iter().enumerate().try_for_each(|(at, step)| all.add(step, &steps[..at]))?;
            }
            _ => all.add(decoder, &[])?,
        }
        Ok(all)
    }

    fn add(&mut self, step: &Value, before: &[Value]) -> Result<(), String> {
        let string = |key: &str| step[key].as_str();
        match step["type"].as_str().unwrap_or_default() {
            "ByteLevel" => self.byte_letters = true,
            "ByteFallback" => self.byte_tokens = true,
            "Fuse" => {}
            "Replace" => match (step["pattern"]["String"].as_str(), string("content")) {
                (Some(from), Some(to)) if !from.is_empty() => self.replace.push((from.into(), to.into())),
                _ => return Err(unlike(step)),
            },
            "Metaspace" => {
                self.replace.push((string("replacement").ok_or_else(|| unlike(step))?.into(), " ".into()));
                let scheme = string("prepend_scheme").unwrap_or("always");
                self.not_in_first = scheme != "never" && step["add_prefix_space"] != false;
            }
            // Of each token if they are not one before.
            "Strip" if step["content"] == " " && step["stop"] == 0 && before.iter().any(|b| b["type"] == "Fuse") => {
                let count = step["start"].as_u64().and_then(|count| usize::try_from(count).ok());
                self.strip = count.ok_or_else(|| unlike(step))?;
            }
            _ => return Err(unlike(step)),
        }
        Ok(())
    }

    /// Whether a space comes after some tokens.
    pub fn has_suffix(&self) -> bool {
        !self.suffix.is_empty()
    }

    /// Whether a token has another spelling where it is the first one.
    pub fn is_other_at_first(&self) -> bool {
        self.not_in_first
    }

    /// How many spaces at a text's start are dropped, and whether a first blank is in one way or another.
    pub fn blanks(&self) -> (usize, bool) {
        (self.strip, self.strip > 0 || self.not_in_first)
    }

    /// The bytes of a token, and whether it ends a word. Added tokens are no byte letters.
    pub fn bytes(&self, token: &str, added: bool, first: bool) -> (Vec<u8>, bool) {
        let (token, ends) = match token.strip_suffix(&self.suffix) {
            Some(start) if !self.suffix.is_empty() && !added => (start, true),
            _ => (token, false),
        };
        if self.byte_letters
            && !added
            && let Some(bytes) = token.chars().map(byte_of_letter).collect()
        {
            return (bytes, ends);
        }
        if self.byte_tokens
            && let Some(byte) = byte_of_token(token)
        {
            return (vec![byte], ends);
        }
        let mut text = token.to_string();
        for (from, to) in &self.replace {
            text = text.replace(from, if first && self.not_in_first { "" } else { to });
        }
        (text.into_bytes(), ends)
    }
}

fn unlike(found: &Value) -> String {
    format!("decoder: expected {EXPECTED}, found {}", brief(found))
}

/// What `<0x0A>` stands for.
pub fn byte_of_token(token: &str) -> Option<u8> {
    let hex = token.strip_prefix("<0x")?.strip_suffix('>').filter(|hex| hex.len() == 2)?;
    u8::from_str_radix(hex, 16).ok()
}

/// The byte that a letter stands for, which is itself if it can be printed, else one from U+0100 on: `bytes_to_unicode` in GPT-2's
/// `encoder.py`.
fn byte_of_letter(letter: char) -> Option<u8> {
    let code = u32::from(letter);
    let byte = match code {
        0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff => code,
        0x100..=0x120 => code - 0x100,
        0x121..=0x142 => code - 0x121 + 0x7f,
        0x143 => 0xad,
        _ => return None,
    };
    u8::try_from(byte).ok()
}

/// A text as far as its tokens have come.
#[derive(Default)]
pub struct Spelling {
    /// Bytes that may yet become a character.
    bytes: Vec<u8>,
    /// Whether a token has come.
    started: bool,
    /// Whether the last token ended a word.
    space: bool,
    /// Spaces to be dropped from the start, besides the decoder's.
    pub lead: usize,
    /// Spaces dropped from the start, and whether something else has come.
    stripped: usize,
    inside: bool,
}

impl Spelling {
    /// The whole characters that have come with this token.
    pub fn push(&mut self, decoder: &Decoder, token: &str, added: bool) -> String {
        if std::mem::take(&mut self.space) {
            self.bytes.push(b' ');
        }
        let (bytes, ends) = decoder.bytes(token, added, !self.started);
        (self.started, self.space) = (true, ends);
        self.bytes.extend(bytes);
        let text = self.take(decoder, false);
        self.without_leading_spaces(decoder, text)
    }

    /// What is left: U+FFFD for bytes that never became a character.
    pub fn finish(&mut self, decoder: &Decoder) -> String {
        let text = self.take(decoder, true);
        *self = Self::default();
        text
    }

    fn take(&mut self, decoder: &Decoder, last: bool) -> String {
        let bytes = std::mem::take(&mut self.bytes);
        let mut text = String::with_capacity(bytes.len());
        let mut chunks = bytes.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            text += chunk.valid();
            let bad = chunk.invalid();
            let may_go_on = std::str::from_utf8(bad).is_err_and(|e| e.error_len().is_none());
            if may_go_on && !last && chunks.peek().is_none() {
                self.bytes = bad.to_vec();
            } else {
                // SentencePiece has one for each byte, GPT-2's decoder one for what could have been a character.
                let count = if decoder.byte_tokens { bad.len() } else { usize::from(!bad.is_empty()) };
                text.extend(std::iter::repeat_n(char::REPLACEMENT_CHARACTER, count));
            }
        }
        text
    }

    fn without_leading_spaces(&mut self, decoder: &Decoder, text: String) -> String {
        let mut rest = text.as_str();
        while !self.inside
            && self.stripped < decoder.strip + self.lead
            && let Some(after) = rest.strip_prefix(' ')
        {
            self.stripped += 1;
            rest = after;
        }
        self.inside |= !rest.is_empty();
        rest.into()
    }
}
