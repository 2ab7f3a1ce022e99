//! The likeliest text as a whole, of an encoder and a decoder: several beginnings go on side by side, and the best of what they become
//! are kept (`_beam_search` in transformers' `generation/utils.py`, with a length penalty of 1).

use super::{Finish, Generation, Options, Session};
use crate::{
    backend::{Backend, Executor},
    config::Search,
    error::{Error, Result},
    kernels::Run,
    sampling::repeated,
    session::run::check_finite,
};

/// A text that a search has found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Its tokens, without what every text begins with and without the one that ends it.
    pub tokens: Vec<u32>,
    /// The mean of the logarithms of its tokens' probabilities, the end's among them.
    pub score: f64,
    /// Whether the model ended it, and not its length.
    pub ended: bool,
}

/// A beginning.
#[derive(Clone)]
struct Beam {
    /// All tokens of the decoder.
    tokens: Vec<u32>,
    /// The sum of the logarithms of their probabilities.
    score: f64,
    /// The item of the last run that it goes on from.
    from: u32,
}

/// Texts that are searched for. The next prompt of their session ends it.
pub struct Searching<B: Backend> {
    generation: Generation<B>,
    rule: Search,
    stops: Vec<u32>,
    /// Tokens of the decoder at most.
    longest: usize,
    /// Why a text of so many ended.
    at_longest: Finish,
    /// The best first.
    running: Vec<Beam>,
    /// The best first, as many as go on side by side.
    found: Vec<Found>,
    done: bool,
}

impl<B: Backend> Searching<B> {
    /// What was found so far, the best first.
    #[must_use]
    pub fn found(&self) -> &[Found] {
        &self.found
    }

    /// The likeliest of them, once the last step is done.
    ///
    /// # Panics
    /// Before.
    #[must_use]
    pub fn best(&self) -> &Found {
        self.found.first().expect("a search ends with a text")
    }

    /// Why it ended, likewise.
    #[must_use]
    pub fn finish(&self) -> Finish {
        if self.best().ended { Finish::Stop } else { self.at_longest }
    }

    /// Tokens of the prompt.
    #[must_use]
    pub fn prompt_tokens(&self) -> usize {
        self.generation.prompt_tokens()
    }

    /// The likeliest continuations of all beams, each with its beam and its token; twice as many as go on, so that enough of them have not
    /// ended. Of equal ones the first.
    fn likeliest(&self, logits: &[f32], vocab: usize) -> Vec<Beam> {
        let last = self.running[0].tokens.len() + 1 >= self.longest;
        let most = 2 * self.rule.beams;
        let mut best: Vec<(f64, usize, u32)> = Vec::with_capacity(most + 1);
        let mut offer = |score: f64, from, token| {
            let place = best.partition_point(|kept| kept.0.total_cmp(&score).is_ge());
            if place < most && score > f64::NEG_INFINITY {
                best.insert(place, (score, from, token));
                best.truncate(most);
            }
        };
        for (from, (beam, logits)) in self.running.iter().zip(logits.chunks_exact(vocab)).enumerate() {
            if let Some(end) = self.rule.last.filter(|_| last) {
                offer(beam.score, from, end);
                continue;
            }
            let peak = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
            let total = peak + logits.iter().map(|&logit| (f64::from(logit) - peak).exp()).sum::<f64>().ln();
            let barred: Vec<u32> = repeated(&beam.tokens, self.rule.no_repeat_ngram).collect();
            for (token, &logit) in (0..).zip(logits).filter(|(token, _)| !barred.contains(token)) {
                offer(beam.score + f64::from(logit) - total, from, token);
            }
        }
        let go_on = |(score, from, token): (f64, usize, u32)| {
            let mut tokens = self.running[from].tokens.clone();
            tokens.push(token);
            Beam { tokens, score, from: from as u32 }
        };
        best.into_iter().map(go_on).collect()
    }

    /// Takes in the logits of all beams.
    fn advance(&mut self, logits: &[f32], vocab: usize) {
        let Search { beams, early, .. } = self.rule;
        let all = self.likeliest(logits, vocab);
        let length = self.running[0].tokens.len() + 1;
        let full = length >= self.longest;
        let ends = |beam: &Beam| full || self.stops.contains(beam.tokens.last().expect("one was added"));
        // The first token is no part of a text's length.
        let prompt = self.generation.prompt;
        let written = (length - 1) as f64;
        let complete = |found: &[Found]| found.len() == beams;
        if !(early && complete(&self.found)) {
            let new = all.iter().take(beams).filter(|beam| ends(beam)).map(|beam| {
                let ended = self.stops.contains(beam.tokens.last().expect("one was added"));
                let text = &beam.tokens[prompt..beam.tokens.len() - usize::from(ended)];
                let forced = full && self.rule.last.is_some();
                Found { tokens: text.to_vec(), score: beam.score / written, ended: ended && !forced }
            });
            self.found.extend(new.collect::<Vec<_>>());
            self.found.sort_by(|a, b| b.score.total_cmp(&a.score));
            self.found.truncate(beams);
        }
        self.running = all.into_iter().filter(|beam| !ends(beam)).take(beams).collect();
        let worst = self.found.last().map_or(f64::NEG_INFINITY, |found| found.score);
        let hopeless = self.running.first().is_none_or(|best| best.score / written <= worst);
        self.done = self.running.is_empty() || complete(&self.found) && (early || hopeless);
    }
}

impl<B: Backend> Session<B> {
    /// How a text with these options is searched for: as the model's files say, with the options' own number of beams. None if it is
    /// written token by token: with one beam, by a model without an encoder, or where more than the model decides. The options come
    /// back, and say which runs of tokens may not come twice in it.
    ///
    /// # Errors
    /// [`Error::WrongModel`] for beams that the model does not have.
    pub fn search_rule(&self, mut options: Options) -> Result<(Options, Option<Search>)> {
        let Some(of) = &self.config.generator()?.seq2seq else {
            return match options.beams {
                None | Some(1) => Ok((options, None)),
                Some(beams) => Err(self.without_encoder(&format!("{beams} beams"))),
            };
        };
        if !options.sampling.is_greedy() || options.logits || options.constrained {
            return Ok((options, None));
        }
        let rule = Search { beams: options.beams.unwrap_or(of.search.beams), ..of.search };
        if rule.beams != 1 {
            return Ok((options, Some(rule)));
        }
        options.sampling.no_repeat_ngram = rule.no_repeat_ngram;
        Ok((options, None))
    }

    fn without_encoder(&self, asked: &str) -> Error {
        let family = self.config.family.name();
        Error::WrongModel(format!(
            "beams: expected a model with an encoder, found {family}, asked for {asked}: its texts are written token by token; leave beams out"
        ))
    }

    /// Begins to search for texts that answer a prompt.
    ///
    /// # Errors
    /// As [`Session::generate`]; [`Error::WrongModel`] for a model without an encoder, [`Error::BadInput`] for more beams than the model
    /// was loaded for.
    pub fn search(&self, prompt: &[u32], rule: Search, options: Options) -> Result<Searching<B>> {
        let generator = self.config.generator()?;
        let Some(of) = &generator.seq2seq else {
            return Err(self.without_encoder("a search"));
        };
        let most = self.language()?.plan.most().batch as usize;
        if !(1..=most).contains(&rule.beams) {
            return Err(Error::BadInput(format!("beams: expected 1 to {most}, found {}", rule.beams)));
        }
        let room = self.context()?;
        let asked = options.max_tokens.map_or(usize::MAX, |most| of.start.len() + most.max(1));
        let (longest, at_longest) = if asked <= room { (asked, Finish::Length) } else { (room, Finish::Context) };
        let (stops, tokens) = (options.stops.clone(), of.start.clone());
        let generation = self.generate(prompt, Options { logits: true, ..options })?;
        let running = vec![Beam { tokens, score: 0.0, from: 0 }];
        Ok(Searching { generation, rule, stops, longest, at_longest, running, found: Vec::new(), done: false })
    }

    /// Runs the next step, and says whether it was the last. The number of steps is that of the longest text's tokens.
    ///
    /// # Errors
    /// As [`Session::next_token`].
    pub async fn search_on(&self, searching: &mut Searching<B>) -> Result<bool> {
        if searching.done {
            return Ok(true);
        }
        let generation = &mut searching.generation;
        let language = self.check_number(generation)?;
        if !generation.prompt_is_read() && !self.read_prompt(generation).await? {
            return Ok(false);
        }
        let readback = match generation.pending.pop_front() {
            Some(readback) => readback,
            None => {
                let reader = language.reader.as_ref().expect("a model with an encoder");
                let beams = &searching.running;
                let write = |act, words: Vec<u32>| {
                    language.plan.write(&self.device, act, 0, bytemuck::cast_slice(&words));
                };
                write(language.ids, beams.iter().map(|beam| beam.tokens[beam.tokens.len() - 1]).collect());
                write(language.last, vec![0; beams.len()]);
                write(reader.model.from, beams.iter().map(|beam| beam.from).collect());
                let run = Run { batch: beams.len() as u32, tokens: 1, past: generation.past as u32 };
                generation.past += 1;
                language.plan.submit(&self.device, run, &[language.logits])
            }
        };
        let logits: Vec<f32> = bytemuck::pod_collect_to_vec(&self.device.bytes(readback).await?);
        let vocab = self.config.generator()?.decoder.vocab;
        let logits = &logits[..searching.running.len() * vocab];
        check_finite(logits, vocab, "logits")?;
        searching.advance(logits, vocab);
        Ok(searching.done)
    }
}
