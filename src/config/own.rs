//! What Ocelli adds to a folder's JSON files, for models whose own files say more than transformers' can (see `write`).

use serde_json::Value;

use super::{Cleaning, CropRounding, Mask, OpenClipCleaning, Padding, ScoreRule, TextPooling, TextRule, Towers};
use crate::{
    error::Result,
    json::{Field, Object},
};

/// The key of Ocelli's additions in a JSON file.
pub const KEY: &str = "ocelli";

/// Reads Ocelli's addition to `tokenizer_config.json`.
pub fn text_rule(mut own: Object) -> Result<TextRule> {
    Ok(TextRule {
        cleaning: own.need("cleaning")?,
        byte_fallback: own.need("byte_fallback")?,
        padding: own.need("padding")?,
    })
}

/// Reads Ocelli's addition to `preprocessor_config.json`; the default if there is none.
pub fn rounding(own: Option<Object>) -> Result<CropRounding> {
    own.map_or(Ok(CropRounding::default()), |mut own| own.need("rounding"))
}

/// Kinds of fields that are one of some words, or else what `$other` makes of them.
macro_rules! words {
    ($type:ty, $expected:literal, [$($word:literal => $meaning:expr),*], $other:expr) => {
        impl Field for $type {
            const EXPECTED: &'static str = $expected;
            fn of(value: &Value) -> Option<Self> {
                let other: fn(&Value) -> Option<Self> = $other;
                match value.as_str() {
                    $(Some($word) => Some($meaning),)*
                    _ => other(value),
                }
            }
        }
    };
}

words!(Mask, "none or causal", ["none" => Self::None, "causal" => Self::Causal], |_| None);
words!(ScoreRule, "softmax or sigmoid", ["softmax" => Self::Softmax, "sigmoid" => Self::Sigmoid], |_| None);
words!(CropRounding, "down or half_even", ["down" => Self::Down, "half_even" => Self::HalfEven], |_| None);
words!(Towers, "both, vision or text", ["both" => Self::Both, "vision" => Self::Vision, "text" => Self::Text], |_| None);
words!(
    TextPooling,
    "highest_id, last or {first_of}",
    ["highest_id" => Self::HighestId, "last" => Self::Last],
    |value| Field::of(&value["first_of"]).map(Self::FirstOf)
);
words!(
    Cleaning,
    "as_is, canonical, lowercase or {open_clip}",
    ["as_is" => Self::AsIs, "canonical" => Self::Canonical, "lowercase" => Self::Lowercase],
    |value| Field::of(&value["open_clip"]).map(Self::OpenClip)
);
words!(
    OpenClipCleaning,
    "whitespace, lower or canonicalize",
    ["whitespace" => Self::Whitespace, "lower" => Self::Lower, "canonicalize" => Self::Canonicalize],
    |_| None
);
words!(Padding, "{token} or {id}", [], |value| match Field::of(&value["token"]) {
    Some(token) => Some(Self::Token(token)),
    None => Field::of(&value["id"]).map(Self::Id),
});
