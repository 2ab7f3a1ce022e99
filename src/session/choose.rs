//! One of several answers: how likely each of them is to the model, as a whole.
//!
//! The probability of an answer is the product of those of its tokens, each behind the prompt and the tokens before it, and of the text's
//! end behind them. So it is that with which the model, drawing freely, would write this answer and nothing else. The answers are a trie
//! of tokens: what several begin with is run once.

use std::{collections::VecDeque, ops::Range};

use super::{Generation, Options, Session};
use crate::{
    backend::Backend,
    error::{Error, Result},
    sampling::Sampling,
};

/// Answers that are being weighed. The next prompt of their session ends it.
pub struct Choosing<B: Backend> {
    generation: Generation<B>,
    /// Their tokens, and the places at which they were given; sorted, so that those with a common beginning are neighbours.
    answers: Vec<(Vec<u32>, usize)>,
    /// Tokens that end a text.
    ends: Vec<u32>,
    /// Beginnings that were not run yet.
    beginnings: VecDeque<Beginning>,
    /// Natural logarithms, by the places at which answers were given; of what was run so far.
    log_probabilities: Vec<f64>,
}

/// So many tokens that some of the answers, which are neighbours, begin with.
struct Beginning {
    tokens: usize,
    answers: Range<usize>,
}

impl<B: Backend> Choosing<B> {
    /// The natural logarithm of each answer's probability under the model, in the order in which they were given, once all is run.
    #[must_use]
    pub fn log_probabilities(&self) -> &[f64] {
        &self.log_probabilities
    }

    /// The probability of each, given that it is one of them: they add up to 1.
    #[must_use]
    pub fn probabilities(&self) -> Vec<f64> {
        let total = log_sum(self.log_probabilities.iter().copied());
        self.log_probabilities.iter().map(|log| (log - total).exp()).collect()
    }

    /// The place of the one that is chosen: the likeliest, or a draw from these probabilities, with temperature, top-k and top-p.
    #[must_use]
    pub fn pick(&self, sampling: &Sampling) -> usize {
        let largest = self.log_probabilities.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let logits: Vec<f32> = self.log_probabilities.iter().map(|log| (log - largest) as f32).collect();
        let sampling = Sampling { repetition_penalty: 1.0, no_repeat_ngram: 0, ..*sampling };
        sampling.pick(&logits, self.generation.prompt_ids()) as usize
    }

    /// The tokens of the answer at this place.
    #[must_use]
    pub fn tokens(&self, place: usize) -> &[u32] {
        self.answers.iter().find(|(_, at)| *at == place).map_or(&[], |(tokens, _)| tokens)
    }

    /// Tokens of the prompt.
    #[must_use]
    pub fn prompt_tokens(&self) -> usize {
        self.generation.prompt_tokens()
    }
}

impl<B: Backend> Session<B> {
    /// Begins to weigh answers to a prompt, each of at least one token and none twice; `ends` are the tokens that end a text.
    ///
    /// # Errors
    /// As [`Session::generate`]; [`Error::BadInput`] also without answers or ends, [`Error::ContextFull`] also for an answer for which
    /// there is no room.
    pub fn choose(&self, prompt: &[u32], answers: Vec<Vec<u32>>, ends: &[u32]) -> Result<Choosing<B>> {
        let (context, vocab) = (self.context()?, self.config.generator()?.decoder.vocab);
        let mut ends: Vec<u32> = ends.iter().copied().filter(|&id| (id as usize) < vocab).collect();
        ends.sort_unstable();
        ends.dedup();
        if ends.is_empty() {
            return Err(Error::BadInput(
                "choices: expected a model whose files say what ends its texts, found none that does: see eos_token_id"
                    .into(),
            ));
        }
        let mut answers: Vec<(Vec<u32>, usize)> = answers.into_iter().zip(0..).collect();
        answers.sort_unstable();
        let empty = answers.first().is_none_or(|(tokens, _)| tokens.is_empty());
        let wrong = answers.iter().flat_map(|(tokens, _)| tokens).any(|&id| id as usize >= vocab);
        if empty || wrong || answers.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err(Error::BadInput(format!(
                "choices: expected different ones of tokens below {vocab}, found others"
            )));
        }
        let options = Options { logits: true, ..Options::default() };
        let generation = self.generate(prompt, options)?;
        let longest = answers.iter().map(|(tokens, _)| tokens.len()).max().unwrap_or(0);
        if prompt.len() + longest > context {
            return Err(Error::ContextFull(format!(
                "choices: expected at most {} tokens, for which there is room behind the prompt, found {longest}: shorten the prompt, or \
                 load the model with a larger context",
                context - prompt.len()
            )));
        }
        let log_probabilities = vec![0.0; answers.len()];
        let beginnings = beginnings(&answers);
        Ok(Choosing { generation, answers, ends, beginnings, log_probabilities })
    }

    /// Runs the next step: a part of the prompt, or one token. Whether it was the last one.
    ///
    /// # Errors
    /// As [`Session::next_token`].
    pub async fn weigh(&self, choosing: &mut Choosing<B>) -> Result<bool> {
        let Choosing { generation, answers, ends, beginnings, log_probabilities } = choosing;
        if !generation.prompt_is_read() {
            self.read_prompt(generation).await?;
            return Ok(false);
        }
        let Some(Beginning { tokens, answers: range }) = beginnings.pop_front() else { return Ok(true) };
        if let Some(before) = tokens.checked_sub(1) {
            self.go_back(generation, before, answers[range.start].0[before])?;
        }
        let token = self.next_token(generation).await?.expect("there is room for all answers");
        let logits: Vec<f64> = token.logits.expect("asked for").into_iter().map(f64::from).collect();
        let total = log_sum(logits.iter().copied());
        let end = log_sum(ends.iter().map(|&id| logits[id as usize]));
        for (answer, place) in &answers[range] {
            let next = answer.get(tokens).map_or(end, |&id| logits[id as usize]);
            log_probabilities[*place] += next - total;
        }
        Ok(beginnings.is_empty())
    }
}

/// Every beginning of sorted answers, the longer ones behind those that they go on from. The first one is no token at all.
fn beginnings(answers: &[(Vec<u32>, usize)]) -> VecDeque<Beginning> {
    let mut found = VecDeque::from([Beginning { tokens: 0, answers: 0..answers.len() }]);
    let mut before: &[u32] = &[];
    for (at, (answer, _)) in answers.iter().enumerate() {
        let known = answer.iter().zip(before).take_while(|(a, b)| a == b).count();
        for tokens in known + 1..=answer.len() {
            let same = answers[at..].iter().take_while(|(other, _)| other.starts_with(&answer[..tokens])).count();
            found.push_back(Beginning { tokens, answers: at..at + same });
        }
        before = answer;
    }
    found
}

/// The logarithm of the sum of what these are logarithms of.
fn log_sum(logs: impl Iterator<Item = f64> + Clone) -> f64 {
    let largest = logs.clone().fold(f64::NEG_INFINITY, f64::max);
    largest + logs.map(|log| (log - largest).exp()).sum::<f64>().ln()
}
