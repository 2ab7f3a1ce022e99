//! What is asked of a model that writes, as JSON: messages in OpenAI's form, a raw prompt, a caption, a question, where things are.

use serde_json::Value;

use super::{
    message::{Message, Part, Role},
    prompt::Prompt,
};
use crate::{
    config::{PromptRule, TaskInput, VisionTask, locations},
    error::{Error, Result},
    json::brief,
    text::Tokenizer,
    tokens::Layout,
};

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// A conversation.
    Messages(Vec<Message>),
    /// A prompt as the model reads it.
    Raw(String),
    /// What so many pictures show.
    Caption(usize),
    /// Something about so many pictures.
    Question(usize, String),
    /// Boxes around these things in a picture.
    Detect(Vec<String>),
    /// Masks of a thing in a picture.
    Segment(String),
    /// What a model was trained to be asked about a picture, with the words or the places that come with it.
    Task(VisionTask, String),
}

impl Request {
    /// Reads `{"messages": […]}`, `{"raw": "…"}`, `{"caption": true, "pictures": n}`, `{"question": "…", "pictures": n}`,
    /// `{"detect": ["…"]}`, `{"segment": "…"}`, or `{"task": "…"}` with the `text` of it, or its `box` and the `size` of the picture.
    ///
    /// # Errors
    /// [`Error::BadInput`] for anything else.
    pub fn parse(json: &str) -> Result<Self> {
        let request: Value = serde_json::from_str(json).map_err(|e| Error::BadInput(format!("prompt: {e}")))?;
        let pictures = request["pictures"].as_u64().unwrap_or(0) as usize;
        match (&request["messages"], &request["raw"], &request["question"], &request["caption"]) {
            (Value::Array(messages), ..) => messages_of(messages).map(Self::Messages),
            (_, Value::String(raw), ..) => Ok(Self::Raw(raw.clone())),
            (_, _, Value::String(question), _) => Ok(Self::Question(pictures, question.clone())),
            (_, _, _, Value::Bool(true)) => Ok(Self::Caption(pictures)),
            _ if request["detect"].is_array() => {
                let things = request["detect"].as_array().into_iter().flatten();
                let thing = |thing: &Value| thing.as_str().map(String::from);
                let things: Option<Vec<String>> = things.map(thing).collect();
                things.map(Self::Detect).ok_or_else(|| {
                    Error::BadInput(format!("labels: expected texts, found {}", brief(&request["detect"])))
                })
            }
            _ if request["segment"].is_string() => {
                Ok(Self::Segment(request["segment"].as_str().unwrap_or_default().into()))
            }
            _ if request["task"].is_string() => task_of(&request),
            _ => Err(Error::BadInput(format!(
                "prompt: expected messages, raw, caption, question, detect, segment or task, found {}",
                brief(&request)
            ))),
        }
    }

    /// The prompt that asks it. `layouts` are rows, columns and tokens of each picture.
    ///
    /// # Errors
    /// As [`Prompt::chat`].
    pub fn prompt(&self, tokenizer: &Tokenizer, rule: PromptRule, layouts: &[u32], context: usize) -> Result<Prompt> {
        let layout = |numbers: &[u32]| {
            let [rows, columns, tokens] = [numbers[0], numbers[1], numbers[2]].map(|n| n as usize);
            Layout { rows, columns, tokens }
        };
        let layouts: Vec<Layout> = layouts.chunks_exact(3).map(layout).collect();
        let chat = |messages: &[Message]| Prompt::chat(tokenizer, rule, messages, &layouts, context);
        match self {
            Self::Raw(raw) => Prompt::raw(tokenizer, rule, raw, &layouts, context),
            Self::Messages(messages) => chat(messages),
            Self::Caption(pictures) => chat(&[Message::ask(*pictures, rule.caption())]),
            Self::Question(pictures, question) => chat(&[Message::ask(*pictures, &rule.question(question))]),
            Self::Detect(things) => {
                check_things(tokenizer, rule, things)?;
                chat(&[Message::ask(1, &rule.detect(things))])
            }
            Self::Segment(thing) => {
                check_things(tokenizer, rule, std::slice::from_ref(thing))?;
                chat(&[Message::ask(1, &rule.segment(thing))])
            }
            Self::Task(..) if !rule.knows_tasks() => Err(Error::WrongModel(
                "task: expected a model that knows tasks, found one that is asked in words: call caption, ask or generate, or load florence2"
                    .into(),
            )),
            Self::Task(task, input) => chat(&[Message::ask(1, &format!("{}{input}", task.token()))]),
        }
    }
}

/// A task by its name, with what comes with it.
fn task_of(request: &Value) -> Result<Request> {
    let task = VisionTask::parse(request["task"].as_str().unwrap_or_default())?;
    let number = |value: &Value| value.as_f64().filter(|number| number.is_finite());
    let bad = |what: &str, found: &Value| Error::BadInput(format!("{what}, found {}", brief(found)));
    let input = match task.input() {
        TaskInput::None => String::new(),
        TaskInput::Words => request["text"].as_str().unwrap_or_default().into(),
        TaskInput::Region => {
            let [given, size] = [&request["box"], &request["size"]];
            let sides = ["x", "y", "width", "height"].map(|side| number(&given[side]));
            let [Some(x), Some(y), Some(width), Some(height)] = sides else {
                return Err(bad("box: expected x, y, width and height", given));
            };
            let [Some(across), Some(down)] = [0, 1].map(|side| size[side].as_u64().and_then(|n| u32::try_from(n).ok()))
            else {
                return Err(bad("size: expected width and height", size));
            };
            locations([x, y, x + width, y + height].map(|edge| edge as f32), (across, down))
        }
    };
    Ok(Request::Task(task, input))
}

/// Whether a model can be asked where these things are.
fn check_things(tokenizer: &Tokenizer, rule: PromptRule, things: &[String]) -> Result<()> {
    if rule.knows_tasks() {
        return Err(Error::WrongModel(
            "labels: expected a model that finds several at once, found florence2, which has tasks: call task with \
             \"open-vocabulary-detection\", \"phrase-grounding\" or \"referring-segmentation\""
                .into(),
        ));
    }
    if !rule.locates() {
        return Err(Error::WrongModel(
            "labels: expected a model that writes where things are, found one that does not: load paligemma, or owlvit or owlv2 to detect \
             and clipseg to segment"
                .into(),
        ));
    }
    if tokenizer.id("<loc0000>").is_none() {
        return Err(Error::WrongModel(
            "tokenizer: expected one with the token <loc0000>, found one without: take the model's own tokenizer.json"
                .into(),
        ));
    }
    match things.iter().find(|thing| thing.contains(';') || thing.trim().is_empty()) {
        _ if things.is_empty() => Err(Error::BadInput("labels: expected at least one, found none".into())),
        Some(thing) => Err(Error::BadInput(format!(
            "labels: expected words without ;, which stands between labels, found {thing:?}"
        ))),
        None => Ok(()),
    }
}

/// Messages in OpenAI's form; pictures are counted through where they have no `picture` of their own.
///
/// # Errors
/// [`Error::BadInput`] that names the message.
pub fn messages_of(list: &[Value]) -> Result<Vec<Message>> {
    let mut next = 0;
    let message = |(at, message): (usize, &Value)| {
        one(message, &mut next).map_err(|what| Error::BadInput(format!("message {}: {what}", at + 1)))
    };
    list.iter().enumerate().map(message).collect()
}

fn one(message: &Value, next: &mut usize) -> std::result::Result<Message, String> {
    let role = match message["role"].as_str() {
        Some("system") => Role::System,
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        _ => return Err(format!("role: expected system, user or assistant, found {}", brief(&message["role"]))),
    };
    let content = match &message["content"] {
        Value::String(text) => vec![Part::Text(text.clone())],
        Value::Array(parts) => parts.iter().map(|part| part_of(part, next)).collect::<std::result::Result<_, _>>()?,
        other => return Err(format!("content: expected a text or a list, found {}", brief(other))),
    };
    Ok(Message { role, content })
}

fn part_of(part: &Value, next: &mut usize) -> std::result::Result<Part, String> {
    match (part["type"].as_str(), part["text"].as_str()) {
        (Some("text"), Some(text)) => Ok(Part::Text(text.into())),
        (Some("image" | "image_url"), _) => {
            let picture = part["picture"].as_u64().map_or(*next, |at| at as usize);
            *next = picture + 1;
            Ok(Part::Picture(picture))
        }
        _ => Err(format!(
            "content: expected {{\"type\": \"text\", \"text\": …}} or {{\"type\": \"image\"}}, found {}",
            brief(part)
        )),
    }
}
