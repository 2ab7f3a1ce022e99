//! What becomes of a text before it is cut into words: `normalizers` of the tokenizers crate, as far as CLIP's and SigLIP's
//! tokenizers have them.

use unicode_normalization_alignments::UnicodeNormalization;

use super::character_map::CharacterMap;

/// A step.
pub enum Normalizer {
    /// Unicode's canonical composition.
    Nfc,
    /// With compatible characters made one before.
    Nfkc,
    /// Each character by itself.
    Lowercase,
    /// White space at the ends.
    Strip {
        left: bool,
        right: bool,
    },
    /// Something before a text that is not empty.
    Prepend(String),
    Replace(Pattern, String),
    CharacterMap(CharacterMap),
}

/// What is replaced.
pub enum Pattern {
    /// At least one character.
    Text(String),
    /// `\s+`
    Whitespace,
    /// ` {2,}`
    Spaces,
}

impl Normalizer {
    pub fn apply(&self, text: String) -> String {
        match self {
            Self::Nfc => nfc(&text),
            Self::Nfkc => text.nfkc().map(|(c, _)| c).collect(),
            Self::Lowercase => text.chars().flat_map(char::to_lowercase).collect(),
            Self::Strip { left, right } => {
                let text = if *left { text.trim_start() } else { &text };
                if *right { text.trim_end() } else { text }.into()
            }
            Self::Prepend(_) if text.is_empty() => text,
            Self::Prepend(start) => start.clone() + &text,
            Self::Replace(Pattern::Text(pattern), content) => text.replace(pattern, content),
            Self::Replace(Pattern::Whitespace, content) => replace_runs(&text, char::is_whitespace, 1, content),
            Self::Replace(Pattern::Spaces, content) => replace_runs(&text, |c| c == ' ', 2, content),
            Self::CharacterMap(map) => map.apply(&text),
        }
    }
}

/// Unicode's canonical composition, of the version that the tokenizers crate has.
pub fn nfc(text: &str) -> String {
    text.nfc().map(|(c, _)| c).collect()
}

fn replace_runs(text: &str, is: fn(char) -> bool, least: usize, content: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(is) {
        let (before, from) = rest.split_at(start);
        let (run, after) = from.split_at(from.find(|c| !is(c)).unwrap_or(from.len()));
        out += before;
        out += if run.chars().count() < least { run } else { content };
        rest = after;
    }
    out + rest
}
