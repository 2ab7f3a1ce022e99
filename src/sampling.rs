//! From logits to the next token.
//!
//! Chance is a function of seed, position and token, and not of a generator's state: so one seed gives one text on every device, however
//! many steps are under way, and a text can be taken up again in its middle.

use crate::error::{Error, Result};

/// How the next token is chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// What logits are divided by; 0 takes the likeliest token.
    pub temperature: f32,
    /// Of so many of the likeliest tokens; none: of all.
    pub top_k: Option<usize>,
    /// Of the likeliest tokens whose probabilities add up to this at least, at most 1.
    pub top_p: f32,
    /// What logits of tokens that the text has already are divided by, or, below zero, multiplied with (Keskar et al. 2019); 1 changes
    /// nothing.
    pub repetition_penalty: f32,
    /// No text has the same so many tokens in a row twice; 0 allows all.
    pub no_repeat_ngram: usize,
    /// Another seed gives another text.
    pub seed: u64,
}

impl Default for Sampling {
    /// The likeliest token.
    fn default() -> Self {
        Self { temperature: 0.0, top_k: None, top_p: 1.0, repetition_penalty: 1.0, no_repeat_ngram: 0, seed: 0 }
    }
}

impl Sampling {
    /// Whether it is the likeliest token, whatever was before.
    #[must_use]
    pub fn is_greedy(&self) -> bool {
        self.temperature == 0.0 && self.repetition_penalty == 1.0 && self.no_repeat_ngram == 0
    }

    /// Checks that every number means something.
    ///
    /// # Errors
    /// [`Error::BadInput`] that names the setting.
    pub fn check(&self) -> Result<()> {
        let bad = |name: &str, expected: &str, found: String| {
            Err(Error::BadInput(format!("{name}: expected {expected}, found {found}")))
        };
        if !(self.temperature >= 0.0 && self.temperature.is_finite()) {
            return bad("temperature", "0 or a positive number", self.temperature.to_string());
        }
        if self.top_k == Some(0) {
            return bad("topK", "at least 1", "0".into());
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return bad("topP", "a number above 0 and at most 1", self.top_p.to_string());
        }
        if !(self.repetition_penalty > 0.0 && self.repetition_penalty.is_finite()) {
            return bad("repetitionPenalty", "a positive number", self.repetition_penalty.to_string());
        }
        Ok(())
    }

    /// The token that follows `before`, by the logits of all tokens. Of equal ones the first, as argmax takes it.
    #[must_use]
    pub fn pick(&self, logits: &[f32], before: &[u32]) -> u32 {
        self.pick_among(logits, before, None)
    }

    /// The same of some tokens alone: bit n % 32 of word n / 32 says whether token n may come. At least one must.
    #[must_use]
    pub fn pick_among(&self, logits: &[f32], before: &[u32], allowed: Option<&[u32]>) -> u32 {
        let mut logits: Vec<f64> = logits.iter().map(|&logit| f64::from(logit)).collect();
        self.penalize(&mut logits, before);
        for token in repeated(before, self.no_repeat_ngram) {
            if let Some(logit) = logits.get_mut(token as usize) {
                *logit = f64::NEG_INFINITY;
            }
        }
        if let Some(words) = allowed {
            let may_come = |token: usize| words.get(token / 32).is_some_and(|word| word >> (token % 32) & 1 == 1);
            let others = logits.iter_mut().enumerate().filter(|(token, _)| !may_come(*token));
            others.for_each(|(_, logit)| *logit = f64::NEG_INFINITY);
        }
        if self.temperature == 0.0 {
            return first_largest(logits.into_iter().zip(0..));
        }
        logits.iter_mut().for_each(|logit| *logit /= f64::from(self.temperature));
        let position = before.len() as u64;
        let noisy = |token: u32| (logits[token as usize] + gumbel(self.seed, position, token), token);
        first_largest(self.likeliest(&logits).into_iter().map(noisy))
    }

    fn penalize(&self, logits: &mut [f64], before: &[u32]) {
        let penalty = f64::from(self.repetition_penalty);
        let mut seen = before.to_vec();
        seen.sort_unstable();
        seen.dedup();
        // Pictures' tokens have no logits.
        for token in seen {
            if let Some(logit) = logits.get_mut(token as usize) {
                *logit = if *logit < 0.0 { *logit * penalty } else { *logit / penalty };
            }
        }
    }

    /// The tokens among which one is chosen, in the order of their ids.
    fn likeliest(&self, logits: &[f64]) -> Vec<u32> {
        let mut tokens: Vec<u32> = (0..logits.len() as u32).collect();
        let most = self.top_k.unwrap_or(logits.len()).min(logits.len());
        if most == logits.len() && self.top_p >= 1.0 {
            return tokens;
        }
        tokens.sort_by(|&a, &b| logits[b as usize].total_cmp(&logits[a as usize]));
        tokens.truncate(most);
        let weights: Vec<f64> =
            tokens.iter().map(|&token| (logits[token as usize] - logits[tokens[0] as usize]).exp()).collect();
        // Up to the one with which they add up to the share.
        let share = f64::from(self.top_p) * weights.iter().sum::<f64>();
        let mut sum = 0.0;
        let enough = weights.iter().position(|weight| {
            sum += weight;
            sum >= share
        });
        tokens.truncate(enough.map_or(most, |last| last + 1));
        tokens.sort_unstable();
        tokens
    }
}

/// The tokens that would end the same `size` tokens in a row as the text has already (`NoRepeatNGramLogitsProcessor` in transformers).
pub fn repeated(text: &[u32], size: usize) -> impl Iterator<Item = u32> {
    let end = &text[text.len() - size.saturating_sub(1).min(text.len())..];
    let rows = text.windows(size.max(1)).filter(move |_| size > 0);
    rows.filter(move |row| row[..size - 1] == *end).map(move |row| row[size - 1])
}

fn first_largest(scored: impl Iterator<Item = (f64, u32)>) -> u32 {
    scored.reduce(|best, next| if next.0 > best.0 { next } else { best }).map_or(0, |(_, token)| token)
}

/// Noise by which the largest of the sums is a draw from the softmax (Gumbel 1954).
fn gumbel(seed: u64, position: u64, token: u32) -> f64 {
    let hash = mix(mix(seed ^ mix(position)) ^ u64::from(token));
    // In the middle of one of 2^53 equal parts: never 0, never 1.
    let uniform = ((hash >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
    -(-uniform.ln()).ln()
}

/// SplitMix64 (Steele, Lea and Flood 2014): every bit of the result depends on every bit of the input.
fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGITS: [f32; 5] = [1.0, 3.0, 2.5, 3.0, -1.0];

    fn shares(sampling: &Sampling) -> [f64; 5] {
        const DRAWS: u64 = 20_000;
        let mut counts = [0.0; 5];
        for seed in 0..DRAWS {
            counts[Sampling { seed, ..*sampling }.pick(&LOGITS, &[7; 3]) as usize] += 1.0 / DRAWS as f64;
        }
        counts
    }

    /// The probabilities of these tokens.
    fn expected(tokens: &[usize], temperature: f64) -> [f64; 5] {
        let weight = |token: usize| (f64::from(LOGITS[token]) / temperature).exp();
        let total: f64 = tokens.iter().map(|&token| weight(token)).sum();
        std::array::from_fn(|token| if tokens.contains(&token) { weight(token) / total } else { 0.0 })
    }

    fn close(found: [f64; 5], expected: [f64; 5]) -> bool {
        found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 0.015)
    }

    #[test]
    fn the_likeliest_and_of_equal_ones_the_first() {
        assert_eq!(Sampling::default().pick(&LOGITS, &[]), 1);
    }

    #[test]
    fn draws_have_the_probabilities_of_the_softmax() {
        let warm = Sampling { temperature: 1.5, ..Sampling::default() };
        let found = shares(&warm);
        assert!(close(found, expected(&[0, 1, 2, 3, 4], 1.5)), "{found:?}");
        // The check tells other temperatures and other sets apart.
        assert!(!close(found, expected(&[0, 1, 2, 3, 4], 1.2)) && !close(found, expected(&[0, 1, 2, 3], 1.5)));
        let three = shares(&Sampling { top_k: Some(3), ..warm });
        assert!(close(three, expected(&[1, 2, 3], 1.5)), "{three:?}");
        // Tokens 1 and 3 have 66 % together, and 89 % with token 2.
        for (top_p, tokens) in [(0.64, vec![1, 3]), (0.67, vec![1, 2, 3]), (0.01, vec![1])] {
            let found = shares(&Sampling { top_p, ..warm });
            assert!(close(found, expected(&tokens, 1.5)), "{top_p}: {found:?}");
        }
    }

    #[test]
    fn some_tokens_alone() {
        let some = |bits: u32, sampling: &Sampling| sampling.pick_among(&LOGITS, &[7; 3], Some(&[bits]));
        assert_eq!(some(0b10100, &Sampling::default()), 2);
        assert_eq!(some(0b10000, &Sampling::default()), 4);
        // Tokens 0, 2 and 4 have 18, 80 and 2 % of what is left: top-k and top-p are of these.
        let warm = |seed| Sampling { temperature: 1.0, seed, ..Sampling::default() };
        let shares = |sampling: &dyn Fn(u64) -> Sampling| {
            let mut counts = [0.0; 5];
            (0..20_000).for_each(|seed| counts[some(0b10101, &sampling(seed)) as usize] += 1.0 / 20_000.0);
            counts
        };
        assert!(close(shares(&warm), expected(&[0, 2, 4], 1.0)));
        assert!(!close(shares(&warm), expected(&[0, 1, 2, 3, 4], 1.0)));
        assert!(close(shares(&|seed| Sampling { top_k: Some(2), ..warm(seed) }), expected(&[0, 2], 1.0)));
        assert!(close(shares(&|seed| Sampling { top_p: 0.9, ..warm(seed) }), expected(&[0, 2], 1.0)));
        assert!((0..99).all(|seed| some(0b10000, &Sampling { top_k: Some(3), ..warm(seed) }) == 4));
    }

    #[test]
    fn seeds_and_positions_change_the_draw_and_nothing_else_does() {
        let warm = Sampling { temperature: 1.0, ..Sampling::default() };
        let draw = |seed: u64, before: &[u32]| Sampling { seed, ..warm }.pick(&LOGITS, before);
        let draws: Vec<u32> = (0..40).map(|seed| draw(seed, &[1, 2])).collect();
        assert_eq!(draws, (0..40).map(|seed| draw(seed, &[3, 4])).collect::<Vec<_>>());
        assert_ne!(draws, (0..40).map(|seed| draw(seed, &[1, 2, 3])).collect::<Vec<_>>());
    }

    #[test]
    fn what_was_said_becomes_less_likely() {
        let penalty = Sampling { repetition_penalty: 1.5, ..Sampling::default() };
        assert_eq!(penalty.pick(&LOGITS, &[1]), 3);
        assert_eq!(penalty.pick(&LOGITS, &[1, 3, 3]), 2);
        // A logit below zero falls, and a picture's token is none.
        assert_eq!(penalty.pick(&[-1.0, -1.2], &[0, 0x8000_0000]), 1);
    }

    #[test]
    fn settings_that_mean_nothing_are_refused() {
        let wrong = [
            Sampling { temperature: -1.0, ..Sampling::default() },
            Sampling { temperature: f32::NAN, ..Sampling::default() },
            Sampling { top_k: Some(0), ..Sampling::default() },
            Sampling { top_p: 0.0, ..Sampling::default() },
            Sampling { top_p: 1.1, ..Sampling::default() },
            Sampling { repetition_penalty: 0.0, ..Sampling::default() },
        ];
        assert!(wrong.iter().all(|sampling| sampling.check().is_err()));
        assert!(Sampling::default().check().is_ok());
    }
}
