//! Words that go on from words and pictures: a prompt through the decoder, then token by token.

use std::collections::{HashMap, VecDeque};

use super::{
    Session,
    language::{Language, Reader},
};
use crate::{
    backend::{Backend, Executor},
    config::{Decoder, Task, Towers},
    error::{Error, Result},
    kernels::{ActId, PICTURE, Run},
    sampling::Sampling,
    session::run::{check_finite, lacks},
};

/// In place of a token where no logit is a number.
const NONE: u32 = u32::MAX;

/// What becomes of a prompt.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Most tokens that are written; none: as many as there is room for.
    pub max_tokens: Option<usize>,
    /// Tokens that end the text, and belong to it no more.
    pub stops: Vec<u32>,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Whether each token comes with the logits that it was chosen from.
    pub logits: bool,
    /// Texts side by side in a search for the likeliest one, of a model with an encoder; none: as its files have it. 1 takes token by
    /// token.
    pub beams: Option<usize>,
    /// Whether it depends on what was written which tokens may come: for [`Session::next_token_among`].
    pub constrained: bool,
}

/// Why a text ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Finish {
    /// The model ended it.
    Stop,
    /// It has as many tokens as were asked for.
    Length,
    /// There is no more room.
    Context,
}

/// A token, as it is chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct Token {
    /// Its id.
    pub id: u32,
    /// What it was chosen from, `[vocab]`, where they were asked for.
    pub logits: Option<Vec<f32>>,
}

/// A text on its way. The next prompt of its session ends it.
pub struct Generation<B: Backend> {
    options: Options,
    /// The prompt, or what every text begins with behind an encoder, and what was written, as far as it is known.
    ids: Vec<u32>,
    /// Of these the prompt.
    pub(super) prompt: usize,
    /// The prompt that an encoder has to read yet.
    unread: Option<Vec<u32>>,
    /// Tokens of the prompt, whoever reads it.
    prompt_tokens: usize,
    /// Tokens whose keys and values are there, or will be when all steps under way are done.
    pub(super) past: usize,
    /// Steps under way, in order.
    pub(super) pending: VecDeque<B::Readback>,
    finish: Option<Finish>,
    /// Which of the session's prompts it goes on from.
    number: u64,
}

impl Finish {
    /// `stop`, `length` or `context`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::Context => "context",
        }
    }
}

impl<B: Backend> Generation<B> {
    fn new(
        options: Options,
        ids: Vec<u32>,
        (unread, prompt_tokens): (Option<Vec<u32>>, usize),
        past: usize,
        number: u64,
    ) -> Self {
        let (prompt, pending) = (ids.len(), VecDeque::new());
        Self { options, ids, prompt, unread, prompt_tokens, past, pending, finish: None, number }
    }

    /// Why it ended; none while it goes on.
    #[must_use]
    pub fn finish(&self) -> Option<Finish> {
        self.finish
    }

    /// Tokens of the prompt.
    #[must_use]
    pub fn prompt_tokens(&self) -> usize {
        self.prompt_tokens
    }

    /// Goes on from another token in the place of the last one: for who chooses tokens by other rules, or measures how likely a text is.
    /// Only where each token is seen before the next step: with [`Options::logits`], or where tokens are drawn.
    ///
    /// # Panics
    /// If steps are under way that the token was a part of, or nothing was written.
    pub fn replace_last(&mut self, token: u32) {
        assert!(self.by_turns() && self.written() > 0, "a token to replace, which no step has seen");
        *self.ids.last_mut().expect("there is one") = token;
    }

    /// Whether all of the prompt was run, or is under way.
    pub(super) fn prompt_is_read(&self) -> bool {
        self.past >= self.prompt
    }

    /// The prompt.
    pub(super) fn prompt_ids(&self) -> &[u32] {
        &self.ids[..self.prompt]
    }

    fn written(&self) -> usize {
        self.ids.len() - self.prompt
    }

    /// Whether each token has to be seen before the next step.
    fn by_turns(&self) -> bool {
        self.options.logits || self.options.constrained || !self.options.sampling.is_greedy()
    }
}

impl<B: Backend> Session<B> {
    /// Most tokens of a prompt and what is written after it.
    ///
    /// # Errors
    /// [`Error::WrongModel`] for a model that does not write.
    pub fn context(&self) -> Result<usize> {
        self.config.expect(Task::Generate)?;
        Ok(self.config.text.tokens)
    }

    /// Begins a text with a prompt. Tokens that it begins with and that the prompt before began with are not run again, where a token sees
    /// none after it.
    ///
    /// # Errors
    /// [`Error::ContextFull`] for a prompt that leaves no room for a token, before anything runs; [`Error::BadInput`] for ids that the
    /// model does not have or settings without meaning; [`Error::WrongModel`].
    pub fn generate(&self, prompt: &[u32], options: Options) -> Result<Generation<B>> {
        let language = self.language()?;
        options.sampling.check()?;
        self.check_prompt(prompt)?;
        if let (Some(reader), Some(of)) = (&language.reader, &self.config.generator()?.seq2seq) {
            let unread = (*reader.held.borrow() != prompt).then(|| prompt.to_vec());
            let (ids, number) = (of.start.clone(), language.begin(0));
            return Ok(Generation::new(options, ids, (unread, prompt.len()), 0, number));
        }
        let same = language.held.borrow().iter().zip(prompt).take_while(|(a, b)| a == b).count();
        // The last token is run in any case: the next one follows from it.
        let past = if self.prompt_is_one_run() { 0 } else { same.min(prompt.len() - 1) };
        let (ids, number) = (prompt.to_vec(), language.begin(past));
        Ok(Generation::new(options, ids, (None, prompt.len()), past, number))
    }

    /// Runs the next part of a prompt, and says whether it was the last. Whoever wants to stop in between calls it; for others
    /// [`Session::next_token`] does.
    ///
    /// # Errors
    /// As [`Session::next_token`].
    pub async fn read_prompt(&self, generation: &mut Generation<B>) -> Result<bool> {
        let language = self.check_number(generation)?;
        if let (Some(reader), Some(prompt)) = (&language.reader, generation.unread.take()) {
            self.read_with(reader, &prompt)?;
            *reader.held.borrow_mut() = prompt;
            return Ok(false);
        }
        let (past, end) = (generation.past, generation.prompt);
        if past >= end {
            return Ok(true);
        }
        let chunk = &generation.ids[past..end.min(past + language.plan.most().tokens as usize)];
        let count = chunk.len() as u32;
        language.plan.write(&self.device, language.ids, 0, bytemuck::cast_slice(chunk));
        language.plan.write(&self.device, language.last, 0, &(count - 1).to_le_bytes());
        let (run, outputs) = (Run { batch: 1, tokens: count, past: past as u32 }, [self.output_of(generation)?]);
        let readback = language.plan.submit(&self.device, run, &outputs);
        language.held.borrow_mut().extend_from_slice(chunk);
        generation.past += count as usize;
        if generation.past < end {
            self.device.bytes(readback).await?;
            return Ok(false);
        }
        language.plan.write(&self.device, language.last, 0, &0u32.to_le_bytes());
        generation.pending.push_back(readback);
        Ok(true)
    }

    /// Runs an encoder over a prompt.
    fn read_with(&self, reader: &Reader<B>, prompt: &[u32]) -> Result<()> {
        let run = self.put_for(reader, prompt)?;
        reader.plan.run_all(&self.device, run);
        Ok(())
    }

    /// Makes a prompt an encoder's next, and tells the decoder how long it is.
    fn put_for(&self, reader: &Reader<B>, prompt: &[u32]) -> Result<Run> {
        let language = self.language()?;
        reader.plan.write(&self.device, reader.model.ids, 0, bytemuck::cast_slice(prompt));
        let lengths = vec![prompt.len() as u32; language.plan.most().batch as usize];
        language.plan.write(&self.device, reader.model.lengths, 0, bytemuck::cast_slice(&lengths));
        Ok(Run::tokens(1, prompt.len() as u32))
    }

    /// Goes back to the first `kept` tokens of what was written, and on from another one behind them: for steps by turns alone.
    pub(super) fn go_back(&self, generation: &mut Generation<B>, kept: usize, token: u32) -> Result<()> {
        let language = self.check_number(generation)?;
        generation.ids.truncate(generation.prompt + kept);
        generation.past = generation.past.min(generation.ids.len());
        language.held.borrow_mut().truncate(generation.past);
        generation.ids.push(token);
        Ok(())
    }

    /// The next token; none at the end, which [`Generation::finish`] tells.
    ///
    /// # Errors
    /// [`Error::BadInput`] once another prompt has begun, [`Error::NotFinite`], or [`Error::Gpu`].
    pub async fn next_token(&self, generation: &mut Generation<B>) -> Result<Option<Token>> {
        self.next_token_among(generation, None).await
    }

    /// The same of some tokens alone, given as [`Sampling::pick_among`] takes them, for [`Options::constrained`]. None of them ends the
    /// text, without a step.
    ///
    /// # Errors
    /// As [`Session::next_token`].
    ///
    /// # Panics
    /// If some are given to a text that is not constrained: a step may be under way.
    pub async fn next_token_among(
        &self,
        generation: &mut Generation<B>,
        allowed: Option<&[u32]>,
    ) -> Result<Option<Token>> {
        assert!(allowed.is_none() || generation.by_turns(), "some tokens alone, where steps run ahead");
        if generation.finish.is_some() {
            return Ok(None);
        }
        if allowed.is_some_and(|words| words.iter().all(|&word| word == 0)) {
            return Ok(self.end(generation, Finish::Stop));
        }
        if generation.options.max_tokens.is_some_and(|most| generation.written() >= most) {
            return Ok(self.end(generation, Finish::Length));
        }
        let (language, context) = (self.check_number(generation)?, self.config.text.tokens);
        while !self.read_prompt(generation).await? {}
        let ahead = if generation.by_turns() { 1 } else { self.device.steps_ahead() };
        let most = generation.options.max_tokens.map_or(context, |most| generation.prompt + most - 1);
        let outputs = self.output_of(generation)?;
        // The first of those under way is the one that is waited for.
        while generation.pending.len() < ahead && generation.past < context && generation.past < most {
            if generation.by_turns() && generation.past == generation.ids.len() {
                break;
            }
            if let Some(&token) = generation.ids.get(generation.past) {
                language.plan.write(&self.device, language.ids, 0, &token.to_le_bytes());
            }
            let run = Run { batch: 1, tokens: 1, past: generation.past as u32 };
            generation.pending.push_back(language.plan.submit(&self.device, run, &[outputs]));
            generation.past += 1;
        }
        let Some(readback) = generation.pending.pop_front() else {
            return Ok(self.end(generation, Finish::Context));
        };
        let bytes = self.device.bytes(readback).await?;
        let token = match generation.by_turns() {
            false => match bytemuck::pod_read_unaligned(&bytes[..4]) {
                NONE => return Err(check_finite(&[f32::NAN], 1, "logits").expect_err("it is not")),
                id => Token { id, logits: None },
            },
            true => {
                let mut logits: Vec<f32> = bytemuck::pod_collect_to_vec(&bytes);
                check_finite(&logits, logits.len(), "logits")?;
                if let Some(cap) = self.decoder_config()?.logit_cap {
                    logits.iter_mut().for_each(|logit| *logit = cap * (*logit / cap).tanh());
                }
                let id = generation.options.sampling.pick_among(&logits, &generation.ids, allowed);
                Token { id, logits: generation.options.logits.then_some(logits) }
            }
        };
        if generation.options.stops.contains(&token.id) {
            return Ok(self.end(generation, Finish::Stop));
        }
        generation.ids.push(token.id);
        let known = generation.past.min(generation.ids.len());
        let mut held = language.held.borrow_mut();
        let from = held.len();
        held.extend_from_slice(&generation.ids[from..known.max(from)]);
        Ok(Some(token))
    }

    /// Named activations of the decoder for a prompt that is one run.
    ///
    /// # Errors
    /// As [`Session::generate`].
    pub async fn taps_of_prompt(&self, prompt: &[u32]) -> Result<HashMap<String, Vec<f32>>> {
        self.check_prompt(prompt)?;
        let language = self.language()?;
        language.forget();
        language.begin(0);
        let (mut taps, mut ids) = (HashMap::new(), prompt);
        if let (Some(reader), Some(of)) = (&language.reader, &self.config.generator()?.seq2seq) {
            taps = reader.plan.taps(&self.device, self.put_for(reader, prompt)?).await?;
            ids = &of.start;
        }
        language.plan.write(&self.device, language.ids, 0, bytemuck::cast_slice(ids));
        language.plan.write(&self.device, language.last, 0, &(ids.len() as u32 - 1).to_le_bytes());
        taps.extend(language.plan.taps(&self.device, Run::tokens(1, ids.len() as u32)).await?);
        Ok(taps)
    }

    fn end(&self, generation: &mut Generation<B>, finish: Finish) -> Option<Token> {
        generation.finish = Some(finish);
        generation.pending.clear();
        None
    }

    /// What a step hands back.
    fn output_of(&self, generation: &Generation<B>) -> Result<ActId> {
        let language = self.language()?;
        Ok(if generation.by_turns() { language.logits } else { language.ids })
    }

    pub(super) fn check_number(&self, generation: &Generation<B>) -> Result<&Language<B>> {
        let language = self.language()?;
        if language.prompts.get() == generation.number {
            return Ok(language);
        }
        Err(Error::BadInput("text: expected the one of the last prompt, found an older one, which has ended".into()))
    }

    fn check_prompt(&self, prompt: &[u32]) -> Result<()> {
        let (context, vocab) = (self.config.text.tokens, self.decoder_config()?.vocab);
        if prompt.is_empty() {
            return Err(Error::BadInput("prompt: expected at least one token, found none".into()));
        }
        let most = if self.prompt_is_one_run() { self.language()?.plan.most().tokens as usize } else { context };
        if prompt.len() >= context || prompt.len() > most {
            return Err(Error::ContextFull(format!(
                "prompt: expected at most {} tokens, found {}: shorten it, or load the model with a larger context",
                most.min(context - 1),
                prompt.len()
            )));
        }
        match prompt.iter().find(|&&id| id < PICTURE && id as usize >= vocab) {
            Some(id) => Err(Error::BadInput(format!("token ids: expected ids below {vocab}, found {id}"))),
            None => Ok(()),
        }
    }

    fn prompt_is_one_run(&self) -> bool {
        self.config.generator().is_ok_and(|g| g.pictures.as_ref().is_some_and(|p| p.prefix))
    }

    fn decoder_config(&self) -> Result<&Decoder> {
        Ok(&self.config.generator()?.decoder)
    }

    pub(super) fn language(&self) -> Result<&Language<B>> {
        self.config.expect(Task::Generate)?;
        self.language.as_ref().ok_or_else(|| lacks(self.config.towers, Towers::Text))
    }
}
