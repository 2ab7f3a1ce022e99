//! Answers whose form is given: one of several, or by a pattern.

use std::sync::Arc;

use super::{Guide, Prompt, Tokenizer};
use crate::error::{Error, Result};

impl Prompt {
    /// The tokens of these answers behind the prompt: what the tokenizer makes of both as one text, without the prompt's own. Whatever they
    /// say, none of it becomes a special token.
    ///
    /// # Errors
    /// [`Error::BadInput`] for no answers, an empty one, two that are the same, and one that cannot stand behind the prompt;
    /// [`Error::BadCheckpoint`] if the tokenizer has no token for something in them.
    pub fn answers(&self, tokenizer: &Tokenizer, answers: &[String]) -> Result<Vec<Vec<u32>>> {
        if answers.is_empty() {
            return Err(Error::BadInput("choices: expected at least one, found none".into()));
        }
        let prompt = tokenizer.encode_prompt(&self.text.text, &self.text.foreign)?;
        let mut found: Vec<Vec<u32>> = Vec::with_capacity(answers.len());
        for (at, answer) in answers.iter().enumerate() {
            let bad = |expected: &str, what: String| {
                Err(Error::BadInput(format!("choices[{at}]: expected {expected}, found {what}")))
            };
            if answer.is_empty() {
                return bad("a text", "an empty one".into());
            }
            let mut text = self.text.clone();
            text.text += text.lead;
            text.quote(answer);
            let whole = tokenizer.encode_prompt(&text.text, &text.foreign)?;
            let Some(tokens) = whole.strip_prefix(&*prompt).filter(|tokens| !tokens.is_empty()) else {
                let what = "one that joins the prompt's last word: end the prompt without a blank, or begin the choice with one";
                return bad("a word of its own behind the prompt", format!("{answer:?}, {what}"));
            };
            if let Some(same) = found.iter().position(|other| other == tokens) {
                return bad(
                    "one that is not there yet",
                    format!("{answer:?}, which has the tokens of choices[{same}]"),
                );
            }
            found.push(tokens.to_vec());
        }
        Ok(found)
    }

    /// What holds an answer to a pattern, a regular expression of JavaScript's with the flag `u` that the whole of it matches; of a model
    /// with so many tokens, of which `ends` end a text.
    ///
    /// # Errors
    /// As [`Guide::new`].
    pub fn guide(&self, tokenizer: &Arc<Tokenizer>, pattern: &str, ends: &[u32], vocab: usize) -> Result<Guide> {
        Guide::new(tokenizer, pattern, self.text.lead, ends, vocab)
    }
}
