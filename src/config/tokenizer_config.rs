//! `tokenizer_config.json`, as far as it changes ids.

use serde_json::Value;

use super::{TextRule, own};
use crate::{error::Result, json::Object};

/// The few fields of `tokenizer_config.json` that change ids.
pub(super) struct TokenizerFile {
    /// `tokenizer_class`, empty if there is none.
    pub class: String,
    /// The token that fills texts up: `"</s>"` or `{"content": "</s>", …}`.
    pub pad_token: Option<String>,
    /// Whether texts are filled up and cut at their end: `padding_side` and `truncation_side`.
    pub sides: [(&'static str, Option<String>); 2],
    pub do_lower_case: Option<bool>,
    pub own: Option<TextRule>,
}

impl TokenizerFile {
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let mut file = Object::parse("tokenizer_config.json", bytes)?;
        let pad_token = file.take::<Value>("pad_token")?.unwrap_or_default();
        Ok(Self {
            class: file.take("tokenizer_class")?.unwrap_or_default(),
            pad_token: pad_token.as_str().or_else(|| pad_token["content"].as_str()).map(String::from),
            sides: [("padding_side", file.take("padding_side")?), ("truncation_side", file.take("truncation_side")?)],
            do_lower_case: file.take("do_lower_case")?,
            own: file.object(own::KEY)?.map(own::text_rule).transpose()?,
        })
    }
}

/// Whether transformers 5 saved this `tokenizer_config.json` as part of a processor, and so a `processor_config.json` beside it.
#[must_use]
pub fn names_a_processor(tokenizer_config: &[u8]) -> bool {
    let file = serde_json::from_slice::<Value>(tokenizer_config).unwrap_or_default();
    // Version 4 wrote no backend, and the image processor into preprocessor_config.json.
    file["processor_class"].is_string() && file["backend"].is_string()
}
