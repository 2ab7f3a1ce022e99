//! Messages and pictures become the token ids that a decoder is fed, as transformers' processors and chat templates have them.
//!
//! A prompt is one text, of which the template wrote a part and somebody else the rest. Special tokens count only where the template wrote
//! them, so that `<image>` in a message is seven characters. Token ids are otherwise those of the whole text: words are joined across the
//! border between the two.

use super::{
    Tokenizer,
    message::Message,
    script::{self, Script, Text},
};
use crate::{config::PromptRule, error::Result, tokens::Layout};

/// What a decoder is fed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// Token ids, and [`crate::tokens::PICTURE`] with a row where a picture's token stands.
    pub ids: Vec<u32>,
    /// How many of them are pictures' tokens.
    pub image_tokens: usize,
    /// What it is made of, without pictures' rows.
    pub(super) text: Text,
}

impl Prompt {
    /// Of a conversation, whose next message is the model's. `context` is the number of tokens that the model has room for.
    ///
    /// # Errors
    /// [`crate::Error::BadInput`] for a picture that is not there, and for messages in a form that the model does not know;
    /// [`crate::Error::ContextFull`] with both numbers if the prompt is longer than `context`; [`crate::Error::BadCheckpoint`] for a tokenizer without
    /// `<image>`.
    pub fn chat(
        tokenizer: &Tokenizer,
        rule: PromptRule,
        messages: &[Message],
        pictures: &[Layout],
        context: usize,
    ) -> Result<Self> {
        let mut script = Script::new(rule, pictures);
        script.chat(messages)?;
        script.text.lead = rule.lead();
        let mut ids = tokenizer.encode_prompt(&script.text.text, &script.text.foreign)?;
        // A template that wrote the first of them itself wants none (`apply_chat_template` in transformers' `processing_utils.py`).
        let [before, after] = tokenizer.around();
        let written = !before.is_empty() && before.first() == ids.first();
        if !rule.is_prefix() && !written {
            ids = [before, &ids, after].concat();
        }
        let (ids, image_tokens) = script.rows(tokenizer, &ids, context)?;
        Ok(Self { ids, image_tokens, text: script.text })
    }

    /// Of a text that the caller wrote for this model: what transformers' processor takes as `text`. Special tokens count in it, and
    /// `<image>` stands for one picture after the other.
    ///
    /// # Errors
    /// As [`Prompt::chat`], and [`crate::Error::BadInput`] if there are not as many `<image>` as pictures, or a `<video>`.
    pub fn raw(
        tokenizer: &Tokenizer,
        rule: PromptRule,
        text: &str,
        pictures: &[Layout],
        context: usize,
    ) -> Result<Self> {
        let mut script = Script::new(rule, pictures);
        script::check_raw(tokenizer, text)?;
        script.raw(text)?;
        let mut ids = tokenizer.encode_prompt(&script.text.text, &[])?;
        if !rule.is_prefix() {
            let [before, after] = tokenizer.around();
            ids = [before, &ids, after].concat();
        }
        let (ids, image_tokens) = script.rows(tokenizer, &ids, context)?;
        Ok(Self { ids, image_tokens, text: script.text })
    }
}
