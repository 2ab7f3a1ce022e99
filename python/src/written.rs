//! Texts about pictures.

use std::sync::Arc;

use numpy::{IntoPyArray, PyArray1};
use ocelli::{
    Error, Result,
    backend::Device,
    config::{Task, Towers},
    pictures::Picture,
    sampling::Sampling,
    session::{Form, Options, Written},
    text::{Message, Prompt, Tokenizer},
};
use pyo3::{Py, Python, pyclass, pymethods};

use crate::{engine::Session, found::each, input::Pictures, results::states};

/// A text for each picture.
#[pyclass(frozen, module = "ocelli_vision")]
pub struct Texts {
    /// For each picture its text; empty where `ok` is False.
    #[pyo3(get)]
    texts: Vec<String>,
    /// For each picture the ids of its text's tokens; none where `ok` is False.
    #[pyo3(get)]
    tokens: Vec<Vec<u32>>,
    /// For each picture why its text ended: "stop" (the model ended it), "length" (`max_tokens`) or "context" (no more room); None where
    /// `ok` is False.
    #[pyo3(get)]
    finish: Vec<Option<&'static str>>,
    /// For each picture the probability of each of the choices; none without choices.
    #[pyo3(get)]
    probabilities: Vec<Vec<f64>>,
    ok: Py<PyArray1<bool>>,
    /// For each picture None, or why it has no text.
    #[pyo3(get)]
    errors: Vec<Option<String>>,
}

/// What is asked of each picture, and how it is answered.
pub struct Asked {
    /// None: what it shows.
    prompt: Option<String>,
    raw: bool,
    /// None: as suits the device.
    low: Option<bool>,
    form: Form,
    options: Options,
}

impl Asked {
    pub fn new(
        prompt: Option<String>,
        raw: bool,
        detail: &str,
        max_tokens: usize,
        pattern: Option<String>,
        choices: Option<Vec<String>>,
        sampling: Sampling,
    ) -> Result<Self> {
        let bad = |what: String| Err(Error::BadInput(what));
        let low = match detail {
            "auto" => None,
            "low" => Some(true),
            "high" => Some(false),
            other => return bad(format!("detail: expected auto, low or high, found {other:?}")),
        };
        let form = match (pattern, choices) {
            (None, None) => Form::Any,
            (Some(pattern), None) => Form::Pattern(pattern),
            (None, Some(choices)) => Form::OneOf(choices),
            _ => return bad("pattern, choices: expected one of them, found both".into()),
        };
        if raw && prompt.is_none() {
            return bad("raw: expected a prompt with it, found none".into());
        }
        sampling.check()?;
        let options = Options { max_tokens: Some(max_tokens), sampling, ..Options::default() };
        Ok(Self { prompt, raw, low, form, options })
    }
}

/// Asks the same of each picture, one after the other. One that is too much for the model's context is a row with its error.
pub async fn generate(
    session: &Session,
    tokenizer: Option<&Arc<Tokenizer>>,
    pictures: Pictures,
    asked: &Asked,
) -> Result<Vec<Result<Written>>> {
    session.config.expect(Task::Generate)?;
    let Some(tokenizer) = tokenizer else {
        return Err(Error::BadInput(format!(
            "towers: expected {:?} to write, found {:?}: open the model with both",
            Towers::Both.name(),
            Towers::Vision.name()
        )));
    };
    let options = Options { stops: session.stops(tokenizer)?, ..asked.options.clone() };
    let low = asked.low.unwrap_or(matches!(session.device(), Device::Cpu(_)));
    let (rule, context) = (session.config.generator()?.prompt, session.context()?);
    let full = |error: Error| match error {
        Error::ContextFull(what) => Error::BadImage(what),
        other => other,
    };
    each(pictures, async |picture: &Picture| {
        let words: Vec<u32> = bytemuck::pod_collect_to_vec(picture.0.as_raw());
        let mut seen = session.see(&[(&words, picture.size())], low)?;
        let chat = |text: &str| Prompt::chat(tokenizer, rule, &[Message::ask(1, text)], &seen.layouts, context);
        let prompt = match &asked.prompt {
            None => chat(rule.caption()),
            Some(raw) if asked.raw => Prompt::raw(tokenizer, rule, raw, &seen.layouts, context),
            Some(question) => chat(&rule.question(question)),
        };
        let prompt = prompt.map_err(full)?;
        session.write(tokenizer, &mut seen, &prompt, options.clone(), &asked.form, |_| Ok(())).await.map_err(full)
    })
    .await
}

impl Texts {
    pub fn new(py: Python, rows: Vec<Result<Written>>) -> Self {
        let (ok, errors) = states(&rows);
        let rows: Vec<Option<Written>> = rows.into_iter().map(Result::ok).collect();
        let likely = |row: &Written| row.choices.iter().map(|choice| choice.probability).collect();
        Self {
            finish: rows.iter().map(|row| row.as_ref().map(|row| row.finish.name())).collect(),
            probabilities: rows.iter().map(|row| row.as_ref().map(likely).unwrap_or_default()).collect(),
            tokens: rows.iter().map(|row| row.as_ref().map(|row| row.tokens.clone()).unwrap_or_default()).collect(),
            texts: rows.into_iter().map(|row| row.map(|row| row.text).unwrap_or_default()).collect(),
            ok: ok.into_pyarray(py).unbind(),
            errors,
        }
    }
}

#[pymethods]
impl Texts {
    /// bool, (pictures,): whether there is a text.
    #[getter]
    fn ok(&self, py: Python) -> Py<PyArray1<bool>> {
        self.ok.clone_ref(py)
    }
    fn __len__(&self) -> usize {
        self.errors.len()
    }
    fn __repr__(&self) -> String {
        let bad = self.errors.iter().flatten().count();
        format!("Texts({} pictures, {bad} of them without a text)", self.errors.len())
    }
}
