//! Messages and pictures become the token ids that a decoder is fed, as transformers' processors and chat templates have them.
//!
//! A prompt is one text, of which the template wrote a part and somebody else the rest. Special tokens count only where the template wrote
//! them, so that `<image>` in a message is seven characters. Token ids are otherwise those of the whole text: words are joined across the
//! border between the two.

use std::ops::Range;

use super::Tokenizer;
use crate::{
    config::PromptRule,
    error::{Error, Result},
};

/// The bit of an id that stands for a row of the pictures' tokens: the other bits are the row, counted over all pictures of a prompt.
pub const PICTURE: u32 = 1 << 31;

const IMAGE: &str = "<image>";
/// What stands for a video in the prompts of models that see some.
const VIDEO: &str = "<video>";

/// Who says something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Whoever set the model up.
    System,
    /// Whoever asks.
    User,
    /// The model.
    Assistant,
}

impl Role {
    /// `system`, `user` or `assistant`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// A part of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// What somebody wrote.
    Text(String),
    /// A picture, by its place among those of the prompt.
    Picture(usize),
}

/// What somebody says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Who.
    pub role: Role,
    /// Texts and pictures, in their order.
    pub content: Vec<Part>,
}

impl Message {
    /// A question about so many pictures, which stand before it.
    #[must_use]
    pub fn ask(pictures: usize, text: &str) -> Self {
        let content = (0..pictures).map(Part::Picture).chain([Part::Text(text.into())]).collect();
        Self { role: Role::User, content }
    }

    fn texts(&self) -> impl Iterator<Item = &str> {
        self.content.iter().filter_map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            Part::Picture(_) => None,
        })
    }

    fn pictures(&self) -> impl Iterator<Item = usize> {
        self.content.iter().filter_map(|part| match part {
            Part::Picture(at) => Some(*at),
            Part::Text(_) => None,
        })
    }
}

/// How a picture was cut, and how many tokens became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Rows of tiles; 0 where the whole picture is all.
    pub rows: usize,
    /// Columns of tiles; 0 where the whole picture is all.
    pub columns: usize,
    /// Tokens of all tiles, in the order in which the tower sees them.
    pub tokens: usize,
}

/// What a decoder is fed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// Token ids, and [`PICTURE`] with a row where a picture's token stands.
    pub ids: Vec<u32>,
    /// How many of them are pictures' tokens.
    pub image_tokens: usize,
    /// What it is made of, without pictures' rows.
    pub(super) text: Text,
}

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

impl Prompt {
    /// Of a conversation, whose next message is the model's. `context` is the number of tokens that the model has room for.
    ///
    /// # Errors
    /// [`Error::BadInput`] for a picture that is not there, and for messages in a form that the model does not know;
    /// [`Error::ContextFull`] with both numbers if the prompt is longer than `context`; [`Error::BadCheckpoint`] for a tokenizer without
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
        if rule != PromptRule::PaliGemma && !written {
            ids = [before, &ids, after].concat();
        }
        script.finish(tokenizer, &ids, context)
    }

    /// Of a text that the caller wrote for this model: what transformers' processor takes as `text`. Special tokens count in it, and
    /// `<image>` stands for one picture after the other.
    ///
    /// # Errors
    /// As [`Prompt::chat`], and [`Error::BadInput`] if there are not as many `<image>` as pictures, or a `<video>`.
    pub fn raw(
        tokenizer: &Tokenizer,
        rule: PromptRule,
        text: &str,
        pictures: &[Layout],
        context: usize,
    ) -> Result<Self> {
        let mut script = Script::new(rule, pictures);
        if text.contains(VIDEO) && tokenizer.id(VIDEO).is_some() {
            return Err(Error::BadInput(format!(
                "prompt: expected {IMAGE} alone, found {VIDEO}: show its frames as pictures"
            )));
        }
        script.raw(text)?;
        let mut ids = tokenizer.encode_prompt(&script.text.text, &[])?;
        if rule != PromptRule::PaliGemma {
            let [before, after] = tokenizer.around();
            ids = [before, &ids, after].concat();
        }
        script.finish(tokenizer, &ids, context)
    }
}

/// A prompt as it is written: its text, and what is known of it.
struct Script<'a> {
    rule: PromptRule,
    layouts: &'a [Layout],
    text: Text,
    /// The rows of pictures' tokens that each `<image>` in the text stands for.
    shown: Vec<Range<usize>>,
}

impl<'a> Script<'a> {
    fn new(rule: PromptRule, layouts: &'a [Layout]) -> Self {
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

    /// What somebody wrote to PaliGemma: places and shapes in it, `<loc0000>` and `<seg000>`, are tokens, as to its processor.
    fn quote_places(&mut self, text: &str) {
        let mut rest = text;
        while let Some(at) = ["<loc", "<seg"].iter().filter_map(|start| rest.find(start)).min() {
            let digits = rest[at + 4..].bytes().take_while(u8::is_ascii_digit).count();
            let end = at + 4 + digits;
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

    fn chat(&mut self, messages: &[Message]) -> Result<()> {
        match self.rule {
            PromptRule::SmolVlm => self.smol_vlm(messages),
            PromptRule::ChatMl => self.chat_ml(messages),
            PromptRule::Llava15 => self.llava(messages),
            PromptRule::PaliGemma | PromptRule::Raw => self.one_turn(messages),
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

    /// PaliGemma's prefix, or a text alone.
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
        } else {
            message.texts().for_each(|text| self.quote(text));
        }
        Ok(())
    }

    /// What transformers' processors make of a text: `get_text_with_replacements` in `processing_utils.py`, after PaliGemma's
    /// `prepare_inputs_layout` in `processing_paligemma.py`.
    fn raw(&mut self, text: &str) -> Result<()> {
        let prefix = self.rule == PromptRule::PaliGemma;
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
            if prefix && at == count {
                self.say("<bos>");
            }
            self.say(part);
        }
        if prefix {
            self.say("\n");
        }
        Ok(())
    }

    /// The prompt of these ids, in which each `<image>` becomes the rows that it stands for.
    fn finish(self, tokenizer: &Tokenizer, ids: &[u32], context: usize) -> Result<Prompt> {
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
        let (mut all, mut shown) = (Vec::with_capacity(count), self.shown.into_iter());
        for &id in ids {
            match Some(id) == image {
                true => all.extend(shown.next().into_iter().flatten().map(|row| PICTURE | row as u32)),
                false => all.push(id),
            }
        }
        Ok(Prompt { ids: all, image_tokens, text: self.text })
    }
}
