//! Where the text is cut before the model sees it: `pre_tokenizers` of the tokenizers crate, as far as CLIP's and SigLIP's
//! tokenizers have them.

use super::classes::{LETTERS, NUMBERS};

/// SentencePiece's letter for a space.
const SPACE: char = '▁';

/// CLIP's tokens, of which its pattern may speak too.
const CLIP_TOKENS: [&str; 2] = ["<|startoftext|>", "<|endoftext|>"];

/// A step; each takes the words of the one before.
#[derive(Debug, PartialEq)]
pub enum Words {
    /// CLIP's pattern: short forms, letters, single digits, all else but white space.
    Clip {
        /// Whether the two special tokens, written out, are words of their own.
        tokens: bool,
    },
    /// A letter for each byte.
    Bytes,
    /// At white space.
    Whitespace,
    /// After every space.
    Spaces,
    /// Spaces become letters, with which words start.
    Metaspace {
        /// Whether there is one before the first word too.
        prefix: bool,
        /// Whether words are taken apart.
        split: bool,
    },
}

impl Words {
    /// No word is empty.
    pub fn split(&self, words: &[String]) -> Vec<String> {
        let mut out = Vec::new();
        for word in words {
            match self {
                Self::Clip { tokens } => clip(word, *tokens, &mut out),
                Self::Bytes => out.push(word.bytes().map(letter).collect()),
                Self::Whitespace => out.extend(word.split_whitespace().map(String::from)),
                Self::Spaces => out.extend(word.split_inclusive(' ').map(String::from)),
                Self::Metaspace { prefix, split } => metaspace(word, *prefix, *split, &mut out),
            }
        }
        out
    }
}

fn metaspace(word: &str, prefix: bool, split: bool, out: &mut Vec<String>) {
    let mut word = word.replace(' ', "▁");
    if prefix && !word.starts_with(SPACE) {
        word.insert(0, SPACE);
    }
    if !split {
        out.push(word);
        return;
    }
    let mut start = 0;
    for (at, _) in word.match_indices(SPACE).filter(|(at, _)| *at > 0) {
        out.push(word[start..at].into());
        start = at;
    }
    out.push(word[start..].into());
}

/// `'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+`, of which a byte-level step leaves all but the special tokens whole.
fn clip(text: &str, tokens: bool, out: &mut Vec<String>) {
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let run = |is: &dyn Fn(char) -> bool| rest.find(|c| !is(c)).unwrap_or(rest.len());
        let short = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"].into_iter().find(|short| rest.starts_with(short));
        let token = CLIP_TOKENS.into_iter().find(|token| tokens && rest.starts_with(token));
        let len = match (token, short) {
            (Some(token), _) => {
                let (open, name) = token[..token.len() - 2].split_at(2);
                out.extend([open, name, "|>"].map(String::from));
                rest = &rest[token.len()..];
                continue;
            }
            (_, Some(short)) => short.len(),
            _ if is_letter(c) => run(&is_letter),
            _ if is_number(c) => c.len_utf8(),
            _ if c.is_whitespace() => {
                rest = &rest[c.len_utf8()..];
                continue;
            }
            _ => run(&|c| !(is_letter(c) || is_number(c) || c.is_whitespace())),
        };
        let (word, after) = rest.split_at(len);
        out.push(word.into());
        rest = after;
    }
}

/// The letter that stands for a byte: itself if it is printable, else one from U+0100 on. `bytes_to_unicode` in GPT-2's `encoder.py`.
fn letter(byte: u8) -> char {
    let code = u32::from(byte);
    char::from_u32(match byte {
        0..=32 => 0x100 + code,
        127..=160 => 0x121 + code - 127,
        173 => 0x143,
        _ => code,
    })
    .unwrap_or_default()
}

fn is_letter(c: char) -> bool {
    within(&LETTERS, c)
}

fn is_number(c: char) -> bool {
    within(&NUMBERS, c)
}

fn within(ranges: &[(u32, u32)], c: char) -> bool {
    let after = ranges.partition_point(|(first, _)| *first <= u32::from(c));
    after > 0 && u32::from(c) <= ranges[after - 1].1
}
