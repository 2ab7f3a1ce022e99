//! A whole text about pictures: they are shown, the prompt is run, and tokens come until the end; natively, where nobody stops in between.

use std::{sync::Arc, time::Instant};

use serde::Serialize;

use super::{Cut, Finish, Options, Session, View};
use crate::{
    backend::Backend,
    config::Search,
    error::Result,
    text::{Guide, Prompt, Tokenizer},
    tokens::Layout,
};

/// What a text may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// Whatever the model writes.
    Any,
    /// One of these.
    OneOf(Vec<String>),
    /// What matches this regular expression.
    Pattern(String),
}

/// A text that was written, and how.
#[derive(Debug, Serialize)]
pub struct Written {
    /// The text.
    pub text: String,
    /// Its tokens.
    pub tokens: Vec<u32>,
    /// Why it ended.
    pub finish: Finish,
    /// Tokens of the prompt, those of pictures among them.
    pub prompt_tokens: usize,
    /// Tokens of pictures.
    pub image_tokens: usize,
    /// From the prompt to the first token, pictures included.
    pub first_token_ms: f64,
    /// Of those after the first; none of a single one.
    pub tokens_per_second: Option<f64>,
    /// Of a text that was searched for: the mean of the logarithms of its tokens' probabilities.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// How likely each answer was, of those that were given.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Choice>,
    /// What each token was chosen from, `[vocab]`, where that was asked for.
    #[serde(skip)]
    pub logits: Vec<Vec<f32>>,
}

/// How likely an answer was.
#[derive(Debug, Serialize)]
pub struct Choice {
    /// The answer.
    pub text: String,
    /// Given that it is one of the choices.
    pub probability: f64,
    /// The natural logarithm of the probability that the model writes this and nothing else.
    pub log_probability: f64,
}

/// Pictures as a model sees them.
pub struct Seen {
    cuts: Vec<Cut>,
    /// How each was cut.
    pub layouts: Vec<Layout>,
}

impl<B: Backend> Session<B> {
    /// Cuts pictures for a prompt: the RGBA words of each, and its width and height in pixels. `low` sees each as one square.
    ///
    /// # Errors
    /// As [`Session::cut`].
    pub fn see(&self, pictures: &[(&[u32], (usize, usize))], low: bool) -> Result<Seen> {
        let view = View { low, several: pictures.len() > 1 };
        let cuts: Vec<Cut> =
            pictures.iter().map(|&(words, size)| self.cut(words, size, view)).collect::<Result<_>>()?;
        Ok(Seen { layouts: cuts.iter().map(|cut| cut.layout).collect(), cuts })
    }

    /// Hands pictures to the model, for any number of prompts.
    ///
    /// # Errors
    /// As [`Session::show`].
    pub async fn show_all(&self, seen: &mut Seen) -> Result<()> {
        let mut first = 0;
        for cut in &mut seen.cuts {
            first = self.show(cut, first).await?;
        }
        Ok(())
    }

    /// Tokens that end a text: those of the model's files and of its prompts.
    ///
    /// # Errors
    /// [`crate::Error::WrongModel`] for a model that does not write.
    pub fn stops(&self, tokenizer: &Tokenizer) -> Result<Vec<u32>> {
        let generator = self.config.generator()?;
        let own = generator.prompt.ends().iter().filter_map(|token| tokenizer.id(token));
        Ok(generator.stops.iter().copied().chain(own).collect())
    }

    /// Shows pictures and writes about them; `say` gets the text as it comes.
    ///
    /// # Errors
    /// As [`Session::show`], [`Session::generate`], [`Session::next_token`] and [`Session::choose`]; [`crate::Error::BadInput`] for a form
    /// that cannot be kept to, before anything runs; and what `say` returns.
    pub async fn write(
        &self,
        tokenizer: &Arc<Tokenizer>,
        seen: &mut Seen,
        prompt: &Prompt,
        options: Options,
        form: &Form,
        mut say: impl FnMut(&str) -> Result<()>,
    ) -> Result<Written> {
        let start = Instant::now();
        let vocab = self.config.generator()?.decoder.vocab;
        let guide = match form {
            Form::Any => None,
            Form::Pattern(pattern) => Some(prompt.guide(tokenizer, pattern, &options.stops, vocab)?),
            Form::OneOf(choices) => {
                let written = self.write_one_of(tokenizer, seen, prompt, &options, choices).await?;
                say(&written.text)?;
                return Ok(written);
            }
        };
        self.show_all(seen).await?;
        self.go_on(start, tokenizer, prompt, options, guide, say).await
    }

    /// Chooses one of these answers.
    async fn write_one_of(
        &self,
        tokenizer: &Tokenizer,
        seen: &mut Seen,
        prompt: &Prompt,
        options: &Options,
        choices: &[String],
    ) -> Result<Written> {
        let start = Instant::now();
        let answers = prompt.answers(tokenizer, choices)?;
        let begin = || self.choose(&prompt.ids, answers.clone(), &options.stops);
        // Says what is wrong before anything runs; the tower's rows end it.
        begin()?;
        self.show_all(seen).await?;
        let mut choosing = begin()?;
        while !self.weigh(&mut choosing).await? {}
        let place = choosing.pick(&options.sampling);
        let likely = choosing.probabilities().into_iter().zip(choosing.log_probabilities());
        let choice = |(text, (probability, &log_probability)): (&String, _)| Choice {
            text: text.clone(),
            probability,
            log_probability,
        };
        Ok(Written {
            text: choices[place].clone(),
            tokens: choosing.tokens(place).to_vec(),
            finish: Finish::Stop,
            prompt_tokens: choosing.prompt_tokens(),
            image_tokens: prompt.image_tokens,
            first_token_ms: start.elapsed().as_secs_f64() * 1e3,
            tokens_per_second: None,
            score: None,
            choices: choices.iter().zip(likely).map(choice).collect(),
            logits: Vec::new(),
        })
    }

    /// Goes on from a prompt about pictures that were shown; it counts from `start`, and keeps to the guide if there is one.
    ///
    /// # Errors
    /// As [`Session::write`].
    pub async fn go_on(
        &self,
        start: Instant,
        tokenizer: &Arc<Tokenizer>,
        prompt: &Prompt,
        options: Options,
        mut guide: Option<Guide>,
        mut say: impl FnMut(&str) -> Result<()>,
    ) -> Result<Written> {
        let (options, rule) = self.search_rule(Options { constrained: guide.is_some(), ..options })?;
        if let Some(rule) = rule {
            return self.write_best(start, tokenizer, prompt, (rule, options), say).await;
        }
        let mut generation = self.generate(&prompt.ids, options)?;
        let mut stream = tokenizer.stream(true)?;
        let (mut text, mut tokens, mut logits, mut first) = (String::new(), Vec::new(), Vec::new(), None);
        loop {
            let allowed = guide.as_mut().map(Guide::allowed).transpose()?;
            let Some(token) = self.next_token_among(&mut generation, allowed).await? else { break };
            first.get_or_insert_with(Instant::now);
            let part = match &mut guide {
                Some(guide) => guide.push(token.id),
                None => stream.push(token.id),
            };
            say(&part)?;
            text += &part;
            tokens.push(token.id);
            logits.extend(token.logits);
        }
        let rest = stream.finish();
        say(&rest)?;
        text += &rest;
        let after = first.map(|first| first.elapsed().as_secs_f64()).filter(|_| tokens.len() > 1);
        Ok(Written {
            text,
            finish: generation.finish().expect("the text has ended"),
            prompt_tokens: generation.prompt_tokens(),
            image_tokens: prompt.image_tokens,
            first_token_ms: first.map_or(0.0, |first| (first - start).as_secs_f64() * 1e3),
            tokens_per_second: after.map(|seconds| (tokens.len() - 1) as f64 / seconds),
            score: None,
            tokens,
            choices: Vec::new(),
            logits,
        })
    }

    /// Searches for the likeliest text; `say` gets it as a whole.
    async fn write_best(
        &self,
        start: Instant,
        tokenizer: &Arc<Tokenizer>,
        prompt: &Prompt,
        (rule, options): (Search, Options),
        mut say: impl FnMut(&str) -> Result<()>,
    ) -> Result<Written> {
        let mut searching = self.search(&prompt.ids, rule, options)?;
        while !self.search_on(&mut searching).await? {}
        let best = searching.best();
        let text = tokenizer.decode(&best.tokens, true)?;
        say(&text)?;
        Ok(Written {
            text,
            finish: searching.finish(),
            prompt_tokens: searching.prompt_tokens(),
            image_tokens: prompt.image_tokens,
            first_token_ms: start.elapsed().as_secs_f64() * 1e3,
            tokens_per_second: None,
            score: Some(best.score),
            tokens: best.tokens.clone(),
            choices: Vec::new(),
            logits: Vec::new(),
        })
    }
}
