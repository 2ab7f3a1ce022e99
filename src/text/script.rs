//! Prompts as they are written: by a model's template around what somebody else wrote.

use std::ops::Range;

use super::{
    Tokenizer,
    message::{Message, Part, Role},
};
use crate::{
    config::{PromptRule, TaskInput, VisionTask},
    error::{Error, Result},
    tokens::{Layout, PICTURE},
};

const IMAGE: &str = "<image>";
/// What stands for a video in the prompts of models that see some.
const VIDEO: &str = "<video>";

/// The text of a prompt, behind which answers are written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Text {
    pub text: String,
    /// Bytes of it that the template did not write.
    pub foreign: Vec<Range<usize>>,
    /// What stands between it and an answer.
    pub lead: &'static str,
}

impl Text {
    /// What somebody wrote.
    pub fn quote(&mut self, text: &str) {
        let start = self.text.len();
        self.text += text;
        self.foreign.push(start..self.text.len());
    }
}

/// A prompt as it is written: its text, and what is known of it.
pub(super) struct Script<'a> {
    rule: PromptRule,
    layouts: &'a [Layout],
    pub text: Text,
    /// The rows of pictures' tokens that each `<image>` in the text stands for.
    shown: Vec<Range<usize>>,
}

/// Whether a text of the caller's own may be a prompt.
pub(super) fn check_raw(tokenizer: &Tokenizer, text: &str) -> Result<()> {
    if text.contains(VIDEO) && tokenizer.id(VIDEO).is_some() {
        let what = format!("prompt: expected {IMAGE} alone, found {VIDEO}: show its frames as pictures");
        return Err(Error::BadInput(what));
    }
    Ok(())
}

impl<'a> Script<'a> {
    pub fn new(rule: PromptRule, layouts: &'a [Layout]) -> Self {
        Self { rule, layouts, text: Text::default(), shown: Vec::new() }
    }

    /// What the template says.
    fn say(&mut self, text: &str) {
        self.text.text += text;
    }

    /// What somebody wrote.
    fn quote(&mut self, text: &str) {
        self.text.quote(text);
    }

    /// What somebody wrote to a model that writes places: places and shapes in it, such as `<loc0000>` and `<seg000>`, are tokens, as to its
    /// processor.
    fn quote_places(&mut self, text: &str) {
        let starts: &[&str] = if self.rule == PromptRule::Florence { &["<loc_"] } else { &["<loc", "<seg"] };
        let mut rest = text;
        while let Some((at, start)) = starts.iter().filter_map(|start| Some((rest.find(start)?, start))).min() {
            let digits = rest[at + start.len()..].bytes().take_while(u8::is_ascii_digit).count();
            let end = at + start.len() + digits;
            let is_place = digits > 0 && rest[end..].starts_with('>');
            let (before, found) = rest[..end + usize::from(is_place)].split_at(at);
            self.quote(before);
            match is_place {
                true => self.say(found),
                false => self.quote(found),
            }
            rest = &rest[before.len() + found.len()..];
        }
        self.quote(rest);
    }

    fn image(&mut self, rows: Range<usize>) {
        self.say(IMAGE);
        self.shown.push(rows);
    }

    /// A picture, with what its tiles need around them: `get_image_prompt_string` in transformers' `processing_smolvlm.py`.
    fn picture(&mut self, at: usize) -> Result<()> {
        const AROUND: &str = "<fake_token_around_image>";
        let Some(&Layout { rows, columns, tokens }) = self.layouts.get(at) else {
            let count = self.layouts.len();
            return Err(Error::BadInput(format!("prompt: expected a picture below {count}, found picture {at}")));
        };
        let mut start: usize = self.layouts[..at].iter().map(|layout| layout.tokens).sum();
        if self.rule != PromptRule::SmolVlm {
            self.image(start..start + tokens);
            return Ok(());
        }
        let each = tokens / (rows * columns + 1);
        for row in 1..=rows {
            for column in 1..=columns {
                self.say(AROUND);
                self.say(&format!("<row_{row}_col_{column}>"));
                self.image(start..start + each);
                start += each;
            }
            self.say("\n");
        }
        if rows > 0 {
            self.say("\n");
        }
        self.say(AROUND);
        self.say("<global-img>");
        self.image(start..start + each);
        self.say(AROUND);
        Ok(())
    }

    pub fn chat(&mut self, messages: &[Message]) -> Result<()> {
        match self.rule {
            PromptRule::SmolVlm => self.smol_vlm(messages),
            PromptRule::ChatMl => self.chat_ml(messages),
            PromptRule::Llava15 => self.llava(messages),
            PromptRule::PaliGemma | PromptRule::Florence | PromptRule::Raw => self.one_turn(messages),
        }
    }

    /// `DEFAULT_CHAT_TEMPLATE` in transformers' `processing_smolvlm.py`.
    fn smol_vlm(&mut self, messages: &[Message]) -> Result<()> {
        self.say("<|im_start|>");
        for message in messages {
            self.say(match message.role {
                Role::System => "System:",
                Role::User => "User:",
                Role::Assistant => "Assistant:",
            });
            if !matches!(message.content.first(), Some(Part::Picture(_))) {
                self.say(" ");
            }
            for part in &message.content {
                match part {
                    Part::Text(text) => self.quote(text),
                    Part::Picture(at) => self.picture(*at)?,
                }
            }
            self.say("<end_of_utterance>\n");
        }
        self.say("Assistant:");
        Ok(())
    }

    /// The template of LLaVA-OneVision: a message's pictures come before its texts.
    fn chat_ml(&mut self, messages: &[Message]) -> Result<()> {
        for message in messages {
            self.say("<|im_start|>");
            self.say(message.role.name());
            self.say(" ");
            message.pictures().try_for_each(|at| self.picture(at))?;
            for text in message.texts() {
                self.say("\n");
                self.quote(text);
            }
            self.say("<|im_end|>");
        }
        self.say("<|im_start|>assistant\n");
        Ok(())
    }

    /// The template of LLaVA-1.5, likewise.
    fn llava(&mut self, messages: &[Message]) -> Result<()> {
        for message in messages {
            self.say(match message.role {
                Role::System => "",
                Role::User => "USER: ",
                Role::Assistant => "ASSISTANT: ",
            });
            for at in message.pictures() {
                self.picture(at)?;
                self.say("\n");
            }
            for text in message.texts() {
                self.quote(text);
                self.say(" ");
            }
        }
        self.say("ASSISTANT:");
        Ok(())
    }

    /// PaliGemma's prefix, what Florence-2's encoder reads, or a text alone.
    fn one_turn(&mut self, messages: &[Message]) -> Result<()> {
        let [message @ Message { role: Role::User, .. }] = messages else {
            let found: Vec<&str> = messages.iter().map(|message| message.role.name()).collect();
            return Err(Error::BadInput(format!(
                "messages: expected one of the user, because this model holds no conversation, found [{}]",
                found.join(", ")
            )));
        };
        message.pictures().try_for_each(|at| self.picture(at))?;
        if self.rule == PromptRule::PaliGemma {
            self.say("<bos>");
            message.texts().for_each(|text| self.quote_places(text));
            self.say("\n");
        } else if self.rule == PromptRule::Florence {
            let text: String = message.texts().collect();
            self.task(&text)?;
        } else {
            message.texts().for_each(|text| self.quote(text));
        }
        Ok(())
    }

    /// What Florence-2 is asked: a task is written out, with what comes with it (`_construct_prompts` in transformers'
    /// `processing_florence2.py`).
    fn task(&mut self, text: &str) -> Result<()> {
        let asked = match VisionTask::of_prompt(text) {
            None => text.to_string(),
            Some((task, input)) => {
                let (token, found) = (task.token(), if input.is_empty() { "nothing" } else { input });
                let expected = match (task.input(), input.is_empty()) {
                    (TaskInput::None, false) => "nothing",
                    (TaskInput::Words, true) => "words",
                    (TaskInput::Region, true) => "a region, four <loc_…>",
                    _ => "",
                };
                if !expected.is_empty() {
                    let what = format!("prompt: expected {expected} behind {token}, found {found}");
                    return Err(Error::BadInput(what));
                }
                task.prompt(input)
            }
        };
        self.say("<s>");
        self.quote_places(&asked);
        self.say("</s>");
        Ok(())
    }

    /// What transformers' processors make of a text: `get_text_with_replacements` in `processing_utils.py`, after PaliGemma's
    /// `prepare_inputs_layout` in `processing_paligemma.py`.
    pub fn raw(&mut self, text: &str) -> Result<()> {
        let (prefix, florence) = (self.rule.is_prefix(), self.rule == PromptRule::Florence);
        let (count, pictures) = (text.matches(IMAGE).count(), self.layouts.len());
        if prefix && count == 0 {
            (0..pictures).try_for_each(|at| self.picture(at))?;
        } else if count != pictures {
            return Err(Error::BadInput(format!(
                "prompt: expected {IMAGE} once for each of {pictures} pictures, found it {count} times"
            )));
        }
        for (at, part) in text.split(IMAGE).enumerate() {
            if at > 0 {
                self.picture(at - 1)?;
            }
            if florence && at == count {
                self.task(part)?;
                continue;
            }
            if prefix && at == count {
                self.say("<bos>");
            }
            self.say(part);
        }
        if prefix && !florence {
            self.say("\n");
        }
        Ok(())
    }

    /// These ids with the rows that each `<image>` stands for in its place, and how many those are.
    pub fn rows(&self, tokenizer: &Tokenizer, ids: &[u32], context: usize) -> Result<(Vec<u32>, usize)> {
        let image = tokenizer.id(IMAGE);
        let found = ids.iter().filter(|&&id| Some(id) == image).count();
        let expected = self.shown.len();
        if found != expected {
            return Err(tokenizer.bad(format!("expected {IMAGE} to be a special token, found it to be none")));
        }
        let image_tokens: usize = self.shown.iter().map(ExactSizeIterator::len).sum();
        let count = ids.len() - found + image_tokens;
        if count > context {
            return Err(Error::ContextFull(format!(
                "prompt: expected at most {context} tokens, for which the model has room, found {count}, of which {image_tokens} are \
                 pictures: shorten the text, or show fewer pictures or less of their detail"
            )));
        }
        let (mut all, mut shown) = (Vec::with_capacity(count), self.shown.iter().cloned());
        for &id in ids {
            match Some(id) == image {
                true => all.extend(shown.next().into_iter().flatten().map(|row| PICTURE | row as u32)),
                false => all.push(id),
            }
        }
        Ok((all, image_tokens))
    }
}
