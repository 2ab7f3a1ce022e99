//! From a text to token ids: what the reference does around the tokenizer's files.

use serde::Serialize;

/// How a text is cleaned before `tokenizer.json` is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cleaning {
    /// No cleaning: `tokenizer.json` does all of it (CLIP).
    AsIs,
    /// Lowercase, strip ASCII punctuation, collapse spaces (SigLIP, `SiglipTokenizer.canonicalize_text`).
    Canonical,
    /// Lowercase (SigLIP 2, `Siglip2Tokenizer`).
    Lowercase,
    /// What open_clip does to any text: repairs of `ftfy`, HTML's entities, and one of three rules.
    OpenClip(OpenClipCleaning),
}

/// open_clip's rules (`get_clean_fn` in its `tokenizer.py`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OpenClipCleaning {
    /// Single spaces: the default where the tokenizer is Hugging Face's.
    Whitespace,
    /// Single spaces, lowercase: the default of open_clip's own tokenizer.
    Lower,
    /// `_` becomes a space, strip ASCII punctuation, lowercase, single spaces (SigLIP).
    Canonicalize,
}

/// What pads a text to the tower's length.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Padding {
    /// A token, by its name in the vocabulary.
    Token(String),
    /// An id, whatever it stands for (open_clip's own tokenizer fills up with 0).
    Id(u32),
}

/// What the reference tokenizer does before and after `tokenizer.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextRule {
    /// Cleaning of the text before `tokenizer.json`.
    pub cleaning: Cleaning,
    /// Use the vocabulary's 256 byte pieces for unknown characters, which the published JSON leaves off.
    pub byte_fallback: bool,
    /// What pads the ids to the tower's length.
    pub padding: Padding,
}
