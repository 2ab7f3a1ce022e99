//! From cosines to scores, and from scores to a ranking.

use serde::Serialize;

use crate::{
    config::ScoreRule,
    error::{Error, Result},
};

/// What a score means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Score {
    /// Probabilities over the labels given: one of them is right, the rest is wrong.
    Softmax,
    /// Each label on its own, 0 to 1; needs a model that was trained so (SigLIP), whose values are small by nature.
    Sigmoid,
    /// Cosine of the angle between the embeddings, -1 to 1.
    Cosine,
    /// scale · cosine + bias, before any of the above.
    Logits,
}

impl Score {
    /// `auto` is the family's own rule.
    ///
    /// # Errors
    /// [`Error::BadInput`] for another word.
    pub fn parse(word: &str, family: ScoreRule) -> Result<Self> {
        Ok(match (word, family) {
            ("softmax", _) | ("auto", ScoreRule::Softmax) => Self::Softmax,
            ("sigmoid", _) | ("auto", ScoreRule::Sigmoid) => Self::Sigmoid,
            ("cosine", _) => Self::Cosine,
            ("logits", _) => Self::Logits,
            _ => {
                return Err(Error::BadInput(format!(
                    "score: expected auto, softmax, sigmoid, cosine or logits, found {word:?}"
                )));
            }
        })
    }
}

impl Score {
    /// Makes scores of a picture's cosines to its labels, with the model's logit scale (not its logarithm) and logit bias.
    pub fn of_cosines(self, cosines: &mut [f32], scale: f32, bias: f32) {
        if self == Self::Cosine {
            return;
        }
        let logits: Vec<f64> = cosines.iter().map(|&c| f64::from(scale) * f64::from(c) + f64::from(bias)).collect();
        let peak = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = logits.iter().map(|logit| (logit - peak).exp()).sum();
        for (score, logit) in cosines.iter_mut().zip(logits) {
            *score = match self {
                Self::Sigmoid => 1.0 / (1.0 + (-logit).exp()),
                Self::Softmax => (logit - peak).exp() / total,
                Self::Logits | Self::Cosine => logit,
            } as f32;
        }
    }
}

/// A label with its score.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ranked {
    /// As given.
    pub label: String,
    /// Its place in the list as given.
    pub index: usize,
    /// See [`Score`].
    pub score: f32,
}

/// Labels with their scores, best first; equal scores stay in the order given.
#[must_use]
pub fn rank(labels: &[String], scores: &[f32]) -> Vec<Ranked> {
    let mut ranked: Vec<Ranked> = labels
        .iter()
        .zip(scores)
        .enumerate()
        .map(|(index, (label, &score))| Ranked { label: label.clone(), index, score })
        .collect();
    ranked.sort_by(|a, b| b.score.total_cmp(&a.score));
    ranked
}

/// Puts a label into a template: `a photo of a {}.`
///
/// # Errors
/// [`Error::BadInput`] if the template has no `{}`.
pub fn fill(template: Option<&str>, label: &str) -> Result<String> {
    match template {
        None => Ok(label.into()),
        Some(t) if t.contains("{}") => Ok(t.replace("{}", label)),
        Some(t) => Err(Error::BadInput(format!("template: expected {{}} where the label goes, found {t:?}"))),
    }
}
