//! From what the query plan says of each token to boxes in the picture: `post_process_object_detection` of transformers'
//! `image_processing_owlvit.py`, and what people do after it.

use std::collections::BTreeMap;

use super::bounds::{Bounds, sigmoid};
use crate::config::BoxScale;

/// What a token says of a query.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// Its place in the grid, row by row.
    pub token: u32,
    /// The place of the query among those asked.
    pub label: u32,
    /// Before the sigmoid.
    pub logit: f32,
}

/// A thing that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Detection {
    /// The place of the label among those asked.
    pub label: usize,
    /// The sigmoid of `logit`, 0 to 1.
    pub score: f32,
    /// Orders what is equal as a score.
    pub logit: f32,
    /// Which of the grid has found it.
    pub token: u32,
    /// Where it is.
    pub bounds: Bounds,
}

/// Which detections are wanted, and how their boxes are said.
#[derive(Debug, Clone, PartialEq)]
pub struct DetectOptions {
    /// Scores must be above it.
    pub threshold: f64,
    /// Of each label the threshold that goes before `threshold`; a shorter list says nothing about the rest.
    pub thresholds: Vec<Option<f64>>,
    /// Of each query the label that it stands for: several examples of one thing share a label, and the best of them counts. None
    /// for an example of what is not meant: a token that looks more like it finds nothing. Empty: each query is a label.
    pub owners: Vec<Option<u32>>,
    /// Non-maximum suppression: a box that overlaps a better one by a larger IoU is dropped. With one label a token, whatever the
    /// labels are, so that two names for one thing give one box; with `multi_label`, only among boxes of one label, since all labels
    /// of a token share its box.
    pub nms: Option<f64>,
    /// Most detections, after everything else.
    pub top_k: Option<usize>,
    /// Whether boxes end at the picture's edges.
    pub clip: bool,
    /// Whether boxes are shares of the picture's sides, not pixels.
    pub normalized: bool,
    /// Whether a token may be several things; otherwise it is its best label, the first of equal ones.
    pub multi_label: bool,
}

impl Default for DetectOptions {
    /// As in the reference: scores above 0.1, one label a token, nothing suppressed; but clipped.
    fn default() -> Self {
        Self {
            threshold: 0.1,
            thresholds: Vec::new(),
            owners: Vec::new(),
            nms: None,
            top_k: None,
            clip: true,
            normalized: false,
            multi_label: false,
        }
    }
}

/// Detections, best first; of equal logits the earlier token is first, then the earlier label.
///
/// `boxes`: four numbers a token (centre, width, height) before the sigmoid, `[tokens, 4]`; `size`: width and height of the upright
/// picture in pixels. Scores and boxes are computed in f64.
///
/// # Panics
/// If a hit's token has no box.
#[must_use]
pub fn detections(
    hits: &[Hit],
    boxes: &[f32],
    size: (u32, u32),
    scale: BoxScale,
    options: &DetectOptions,
) -> Vec<Detection> {
    let mut hits = if options.multi_label { labels(hits, options) } else { best(hits, options) };
    hits.retain(|hit| sigmoid(hit.logit) > options.threshold_of(hit.label));
    let first = |a: &Hit, b: &Hit| b.logit.total_cmp(&a.logit).then((a.token, a.label).cmp(&(b.token, b.label)));
    let most = options.top_k.unwrap_or(usize::MAX);
    // Of millions, only those that stay are put in order.
    if options.nms.is_none() && most < hits.len() {
        hits.select_nth_unstable_by(most, first);
        hits.truncate(most);
    }
    hits.sort_unstable_by(first);
    let (width, height) = (f64::from(size.0), f64::from(size.1));
    let place = |hit: &Hit| Detection {
        label: hit.label as usize,
        score: sigmoid(hit.logit) as f32,
        logit: hit.logit,
        token: hit.token,
        bounds: Bounds::of_raw(&boxes[4 * hit.token as usize..][..4], scale.extent(size)),
    };
    // Suppressed as they are, like in the reference: clipped boxes would overlap otherwise.
    let mut found = match options.nms {
        Some(iou) => suppressed(hits.iter().map(place), iou, options.multi_label, most),
        None => hits.iter().map(place).collect(),
    };
    for Detection { bounds, .. } in &mut found {
        if options.clip {
            *bounds = bounds.clipped(width, height);
        }
        if options.normalized {
            *bounds = bounds.shares_of(width, height);
        }
    }
    found
}

impl DetectOptions {
    /// Hits of logits that are not above it change nothing, where every label of every token is asked for.
    #[must_use]
    pub fn least_logit(&self) -> f32 {
        // What is not meant has to be known to the last.
        if self.owners.contains(&None) {
            return f32::NEG_INFINITY;
        }
        let own = self.thresholds.iter().flatten().copied();
        let least = own.fold(self.threshold, f64::min).clamp(0.0, 1.0);
        // A little less, for rounding.
        ((least / (1.0 - least)).ln() - 1e-3) as f32
    }

    fn threshold_of(&self, label: u32) -> f64 {
        self.thresholds.get(label as usize).copied().flatten().unwrap_or(self.threshold)
    }

    /// The label that a query stands for.
    fn owner(&self, query: u32) -> Option<u32> {
        if self.owners.is_empty() { Some(query) } else { self.owners.get(query as usize).copied().flatten() }
    }
}

/// Of each token its best query, as a label.
fn best(hits: &[Hit], options: &DetectOptions) -> Vec<Hit> {
    let mut best: Vec<Option<Hit>> = Vec::new();
    for hit in hits {
        let at = hit.token as usize;
        if best.len() <= at {
            best.resize(at + 1, None);
        }
        let better = |old: &Hit| hit.logit > old.logit || (hit.logit == old.logit && hit.label < old.label);
        if best[at].as_ref().is_none_or(better) {
            best[at] = Some(*hit);
        }
    }
    let owned = |hit: Hit| options.owner(hit.label).map(|label| Hit { label, ..hit });
    best.into_iter().flatten().filter_map(owned).collect()
}

/// Of each token all labels, each by the best of its queries, that are more likely than what is not meant.
fn labels(hits: &[Hit], options: &DetectOptions) -> Vec<Hit> {
    if options.owners.is_empty() {
        return hits.to_vec();
    }
    let mut best: BTreeMap<(u32, Option<u32>), f32> = BTreeMap::new();
    for hit in hits {
        let logit = best.entry((hit.token, options.owner(hit.label))).or_insert(hit.logit);
        *logit = logit.max(hit.logit);
    }
    let meant = |(&(token, label), &logit): (&(u32, Option<u32>), &f32)| {
        let more = best.get(&(token, None)).is_none_or(|&other| logit > other);
        label.filter(|_| more).map(|label| Hit { token, label, logit })
    };
    best.iter().filter_map(meant).collect()
}

/// Greedy: each box, best first, stays unless it overlaps one that has stayed.
fn suppressed(found: impl Iterator<Item = Detection>, iou: f64, by_label: bool, most: usize) -> Vec<Detection> {
    let mut kept: Vec<Detection> = Vec::new();
    for next in found {
        if kept.len() >= most {
            break;
        }
        let rival = |better: &&Detection| !by_label || better.label == next.label;
        if !kept.iter().filter(rival).any(|better| better.bounds.iou(next.bounds) > iou) {
            kept.push(next);
        }
    }
    kept
}
