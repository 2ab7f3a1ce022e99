//! Attention, and its shape.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::{each, softmax};

/// The shape of an attention, in tokens and floats: what `shaders/lib/attention_shape.wgsl` has as parameters.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Heads {
    /// Items.
    pub batch: usize,
    /// Heads of a query token.
    pub heads: usize,
    /// Heads of a key token; as many queries' heads, one after the other, share each.
    pub kv_heads: usize,
    /// Floats of a head.
    pub size: usize,
    /// Queries of an item.
    pub q_len: usize,
    /// Keys of an item.
    pub kv_len: usize,
    /// Floats between two query tokens.
    pub q_stride: usize,
    /// Floats between two items' queries; 0 where all items share them.
    pub q_item: usize,
    /// Floats between two key tokens.
    pub kv_stride: usize,
    /// Floats between two items' keys.
    pub kv_item: usize,
    /// Where keys start in a token.
    pub k: usize,
    /// Where values start in a token.
    pub v: usize,
    /// What products of queries and keys are multiplied by.
    pub scale: f32,
    /// Scores become cap · tanh(score / cap).
    pub cap: Option<f32>,
    /// Of the keys up to its own place a query sees the last so many. Narrows [`Seen::UpTo`] alone.
    pub window: Option<usize>,
    /// Which keys a query sees.
    pub seen: Seen,
}

/// Which keys a query sees.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Seen {
    /// All of them.
    All,
    /// The first so many of each item: the rest is padding.
    First(Vec<usize>),
    /// Those up to its own place; of each item the place of its first query among the keys.
    UpTo(Vec<usize>),
}

impl Heads {
    /// Which keys query `i` of an item sees.
    #[must_use]
    pub fn keys_seen(&self, item: usize, i: usize) -> Range<usize> {
        match &self.seen {
            Seen::All => 0..self.kv_len,
            Seen::First(lengths) => 0..lengths[item],
            Seen::UpTo(first) => {
                let end = first[item] + i + 1;
                end - self.window.map_or(end, |window| window.min(end))..end
            }
        }
    }

    /// Where in the keys, or in the values, of a token those that a head reads start.
    #[must_use]
    pub fn shared(&self, head: usize) -> usize {
        head / (self.heads / self.kv_heads) * self.size
    }

    /// Floats of the output, `[batch, q_len, heads, size]`.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.batch * self.q_len * self.heads * self.size
    }

    /// Some of the keys' heads by themselves, with their values and with the queries that read them, each without what lies between
    /// them.
    #[must_use]
    pub fn some(&self, own: Range<usize>, q: &[f32], kv: &[f32]) -> (Self, Vec<f32>, Vec<f32>) {
        let each = self.heads / self.kv_heads;
        let (q_width, kv_width) = (own.len() * each * self.size, own.len() * self.size);
        let (q_start, kv_start) = (own.start * each * self.size, own.start * self.size);
        let some = Self {
            heads: own.len() * each,
            kv_heads: own.len(),
            q_stride: q_width,
            q_item: if self.q_item == 0 { 0 } else { self.q_len * q_width },
            kv_stride: 2 * kv_width,
            kv_item: self.kv_len * 2 * kv_width,
            k: 0,
            v: kv_width,
            ..self.clone()
        };
        let items = if self.q_item == 0 { 1 } else { self.batch };
        let mut queries = Vec::with_capacity(items * self.q_len * q_width);
        let mut keys = Vec::with_capacity(self.batch * some.kv_item);
        for token in (0..items).flat_map(|item| (0..self.q_len).map(move |i| item * self.q_item + i * self.q_stride)) {
            queries.extend(&q[token + q_start..][..q_width]);
        }
        for token in
            (0..self.batch).flat_map(|item| (0..self.kv_len).map(move |j| item * self.kv_item + j * self.kv_stride))
        {
            keys.extend(&kv[token + self.k + kv_start..][..kv_width]);
            keys.extend(&kv[token + self.v + kv_start..][..kv_width]);
        }
        (some, queries, keys)
    }
}

/// Queries, keys and values of a head.
struct Head<'a> {
    shape: &'a Heads,
    query: &'a [f32],
    /// The item's, from the head's first float on.
    kv: &'a [f32],
}

impl<'a> Head<'a> {
    fn new(shape: &'a Heads, [item, i, head]: [usize; 3], q: &'a [f32], kv: &'a [f32]) -> Self {
        let query = &q[item * shape.q_item + i * shape.q_stride + head * shape.size..][..shape.size];
        Self { shape, query, kv: &kv[item * shape.kv_item + shape.shared(head)..] }
    }

    fn part(&self, j: usize, offset: usize) -> &[f32] {
        &self.kv[j * self.shape.kv_stride + offset..][..self.shape.size]
    }

    fn score(&self, j: usize) -> f64 {
        let products = self.query.iter().zip(self.part(j, self.shape.k)).map(|(&q, &k)| f64::from(q) * f64::from(k));
        let score = products.sum::<f64>() * f64::from(self.shape.scale);
        self.shape.cap.map_or(score, |cap| f64::from(cap) * (score / f64::from(cap)).tanh())
    }

    /// Values of some keys by the share of each.
    fn mixed(&self, keys: Range<usize>, shares: &[f64]) -> impl Iterator<Item = f32> {
        (0..self.shape.size).map(move |d| {
            let value = |j: usize| f64::from(self.part(j, self.shape.v)[d]);
            keys.clone().zip(shares).map(|(j, share)| share * value(j)).sum::<f64>() as f32
        })
    }
}

/// `shaders/attention.wgsl`
#[must_use]
pub fn attention(shape: &Heads, q: &[f32], kv: &[f32]) -> Vec<f32> {
    let Heads { heads, size, q_len, kv_len, .. } = *shape;
    each(shape.batch * q_len, 2 * kv_len * heads * size, |row| {
        let (b, i) = (row / q_len, row % q_len);
        let seen = shape.keys_seen(b, i);
        let mut y = Vec::with_capacity(heads * size);
        for h in 0..heads {
            let head = Head::new(shape, [b, i, h], q, kv);
            let shares = softmax(&seen.clone().map(|j| head.score(j)).collect::<Vec<_>>());
            y.extend(head.mixed(seen.clone(), &shares));
        }
        y
    })
    .concat()
}

/// `shaders/attention_row.wgsl`, split: of each query and head so many spans of so many keys, `[.., spans, size + 4]`.
#[must_use]
pub fn attention_spans(shape: &Heads, [spans, span]: [usize; 2], q: &[f32], kv: &[f32]) -> Vec<f32> {
    let mut y = Vec::new();
    for at in 0..shape.batch * shape.q_len * shape.heads * spans {
        let (row, h, place) = (at / spans / shape.heads, at / spans % shape.heads, at % spans);
        let (b, i) = (row / shape.q_len, row % shape.q_len);
        let (seen, head) = (shape.keys_seen(b, i), Head::new(shape, [b, i, h], q, kv));
        let start = seen.start + place * span;
        let keys = start.min(seen.end)..(start + span).min(seen.end);
        let scores: Vec<f64> = keys.clone().map(|j| head.score(j)).collect();
        // Of no key, so low that the span has no part.
        let peak = scores.iter().copied().fold(f64::from(HIDDEN), f64::max);
        let shares: Vec<f64> = scores.iter().map(|score| (score - peak).exp()).collect();
        y.extend(head.mixed(keys, &shares));
        y.extend([peak as f32, shares.iter().sum::<f64>() as f32, 0.0, 0.0]);
    }
    y
}

/// Below every score.
const HIDDEN: f32 = -3.0e38;

/// `shaders/attention_join.wgsl`: x is `[rows, spans, size + 4]`
#[must_use]
pub fn attention_join(x: &[f32], spans: usize, size: usize) -> Vec<f32> {
    let mut y = Vec::new();
    for row in x.chunks_exact(spans * (size + 4)) {
        let tails: Vec<&[f32]> = row.chunks_exact(size + 4).map(|span| &span[size..]).collect();
        let peak = tails.iter().map(|tail| tail[0]).fold(f32::NEG_INFINITY, f32::max);
        let shares: Vec<f64> = tails.iter().map(|tail| f64::from(tail[0] - peak).exp()).collect();
        let total: f64 = shares.iter().zip(&tails).map(|(share, tail)| share * f64::from(tail[1])).sum();
        let sum = |d: usize| {
            row.chunks_exact(size + 4).zip(&shares).map(move |(span, share)| share * f64::from(span[d])).sum::<f64>()
        };
        y.extend((0..size).map(|d| (sum(d) / total) as f32));
    }
    y
}
