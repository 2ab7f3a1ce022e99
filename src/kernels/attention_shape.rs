//! What an attention is: where its queries and keys are, and which of them see which. `shaders/lib/attention_shape.wgsl` has its
//! parameters.

use std::ops::Range;

use super::{ActId, Field, Host, Rows, Run, params::params, row_lanes};
use crate::{
    config::{Mask, WRITES},
    gpu::{Shader, Tier, wgsl},
    reference::{Heads, Seen},
};

/// Where queries are: in each token of `act`, heads side by side from the token's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queries {
    /// `[batch or 1, len, stride]`
    pub act: ActId,
    /// Tokens of an item; `Shared` is one set of queries for all items (a learned probe).
    pub len: Rows,
    /// Floats in a token.
    pub stride: u32,
    /// `[batch]`, u32: the place of an item's first query among the keys, for [`Mask::Causal`]. None: the last query has the
    /// last place.
    pub index: Option<ActId>,
}

/// Where keys and values are: in each token of `act`, heads side by side from these offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keys {
    /// `[batch or 1, len, stride]`, or a state `[batch, most, stride]`
    pub act: ActId,
    /// Tokens of an item; `Shared` is one set of keys for all items, of which each sees as many as `lengths` says.
    pub len: Rows,
    /// Floats in a token.
    pub stride: u32,
    /// Where keys start in a token.
    pub k: u32,
    /// Where values start in a token.
    pub v: u32,
    /// `act` is a state with room for so many tokens an item, and holds what earlier runs left before this run's tokens.
    pub most: Option<u32>,
    /// `[batch]`, u32: how many of an item's tokens are there, at least one; the rest is padding, which no query sees. None: all.
    /// Not together with [`Mask::Causal`].
    pub lengths: Option<ActId>,
}

/// Queries of an item below which, over a state, a workgroup takes one of them: tiles would be all but empty.
pub(super) const FEW: u32 = 8;

/// Keys above which they are split.
const MANY: u32 = 256;
/// Keys of a span.
pub(super) const SPAN: u32 = 128;
/// Floats after a span's sums: its peak, its total, and two that make the vector whole.
pub(super) const TAIL: u32 = 4;

/// What becomes of many keys of few queries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spans {
    /// They are never split.
    Whole,
    /// [`super::Kernel::split`] splits them; their sums find room here: `[batch, span_words]`, see [`Attention::span_words`].
    Into(ActId),
    /// They are left to [`super::AttentionSpans`] and [`super::AttentionJoin`], which come before; but not in the plain tier.
    Left,
}

/// y = softmax(cap(q·kᵀ · scale))·v for each head.
#[derive(Debug, Clone)]
pub struct Attention {
    /// Queries.
    pub q: Queries,
    /// Keys and values.
    pub kv: Keys,
    /// `[batch, q.len, heads · head_size]`
    pub y: ActId,
    /// Heads of a query token.
    pub heads: u32,
    /// Heads of a key token, a divisor of `heads`: head h reads number h / (heads / kv_heads).
    pub kv_heads: u32,
    /// Floats of a head: at most 256.
    pub head_size: u32,
    /// Which keys a query sees.
    pub mask: Mask,
    /// What products of queries and keys are multiplied by.
    pub scale: f32,
    /// Scores become cap · tanh(score / cap). None: they stay as they are.
    pub cap: Option<f32>,
    /// Of the keys that [`Mask::Causal`] shows a query sees the last so many, its own among them; other masks are not narrowed.
    /// None: all.
    pub window: Option<u32>,
    /// Whether many keys of few queries are split.
    pub spans: Spans,
    /// Parts of an item that see nothing of each other, of as many consecutive tokens each: a picture's windows. 1: all is one.
    pub windows: u32,
}

params! {
    struct Params {
        batch: u32,
        heads: u32,
        head_size: u32,
        q_len: u32,
        kv_len: u32,
        q_stride: u32,
        q_item: u32,
        kv_stride: u32,
        kv_item: u32,
        k_offset: u32,
        v_offset: u32,
        scale: f32,
        cap: f32,
        first: u32,
        count: u32,
        spans: u32,
        span: u32,
    }
}

impl Attention {
    /// What the shaders read as `params`.
    pub(super) const FIELDS: &'static [Field] = Params::FIELDS;

    /// Softmax(q·kᵀ / √head_size)·v: every head has keys and values of its own.
    #[must_use]
    pub fn new(q: Queries, kv: Keys, y: ActId, [heads, head_size]: [u32; 2], mask: Mask) -> Self {
        let scale = 1.0 / (head_size as f32).sqrt();
        Self {
            q,
            kv,
            y,
            heads,
            kv_heads: heads,
            head_size,
            mask,
            scale,
            cap: None,
            window: None,
            spans: Spans::Whole,
            windows: 1,
        }
    }

    /// Items of a run, each window one of its own.
    pub(super) fn items(&self, run: Run) -> u32 {
        run.batch * self.windows
    }

    /// Queries of such an item.
    pub(super) fn q_len(&self, run: Run) -> u32 {
        self.q.len.each(run) / self.windows
    }

    /// Whether there are so few queries, as in a step of a decoder, that keys and values are read where they are.
    pub(super) fn few(&self, run: Run) -> bool {
        let kept = self.kv.most.is_some() || matches!(self.kv.len, Rows::Shared(_));
        WRITES && kept && self.q_len(run) < FEW
    }

    /// Keys of an item.
    pub(super) fn kv_len(&self, run: Run) -> u32 {
        self.kv.len.each(run) / self.windows + self.kv.most.map_or(0, |_| run.past)
    }

    /// Whether shaders may load four numbers at a time.
    pub(super) fn whole_vectors(&self) -> bool {
        [self.head_size, self.q.stride, self.kv.stride, self.kv.k, self.kv.v].iter().all(|n| n.is_multiple_of(4))
    }

    /// All queries of a run, with so many spans of their keys.
    pub(super) fn params_of_spans(&self, run: Run, spans: u32, span: u32) -> Vec<u8> {
        bytemuck::bytes_of(&Params { spans, span, ..self.param(run, &(0..self.q_len(run))) }).to_vec()
    }

    /// `attention_row.wgsl`
    pub(super) fn row_shader(&self, tier: Tier, split: bool) -> Shader {
        let shader = Shader::new("attention_row", wgsl!("attention_row.wgsl"))
            .and(wgsl!("lib/row_reduce.wgsl"))
            .with("WORKGROUP", row_lanes(tier))
            .with("HEAD4", self.head_size / 4)
            .with("SPLIT", split);
        self.shaped(shader)
    }

    /// With the shape that all of its shaders have.
    pub(super) fn shaped(&self, shader: Shader) -> Shader {
        let causal = self.mask == Mask::Causal;
        let padded = !causal && self.kv.lengths.is_some();
        shader
            .and(wgsl!("lib/attention_shape.wgsl"))
            .with("CAUSAL", causal)
            .with("HAS_INDEX", causal && self.q.index.is_some())
            .with("HAS_LENGTHS", padded)
            .with("HAS_CAP", self.cap.is_some())
            .with("WINDOW", self.window.unwrap_or(0))
            .with("GROUP", self.heads / self.kv_heads)
    }

    /// For some queries of each item.
    fn param(&self, run: Run, queries: &Range<u32>) -> Params {
        let q_len = self.q_len(run);
        let kv_len = self.kv_len(run);
        let shared = |len: Rows| matches!(len, Rows::Shared(_));
        Params {
            batch: self.items(run),
            heads: self.heads,
            head_size: self.head_size,
            q_len,
            kv_len,
            q_stride: self.q.stride,
            q_item: if shared(self.q.len) { 0 } else { q_len * self.q.stride },
            kv_stride: self.kv.stride,
            kv_item: if shared(self.kv.len) { 0 } else { self.kv.most.unwrap_or(kv_len) * self.kv.stride },
            k_offset: self.kv.k,
            v_offset: self.kv.v,
            scale: self.scale,
            cap: self.cap.unwrap_or_default(),
            first: queries.start,
            count: queries.end - queries.start,
            spans: 1,
            span: kv_len,
        }
    }

    /// The same for those that compute it on the CPU.
    pub(super) fn heads(&self, run: Run, host: &Host) -> Heads {
        let p = self.param(run, &(0..self.q_len(run)));
        let [batch, heads, size, q_len, kv_len, q_stride, q_item, kv_stride, kv_item, k, v] = [
            p.batch,
            p.heads,
            p.head_size,
            p.q_len,
            p.kv_len,
            p.q_stride,
            p.q_item,
            p.kv_stride,
            p.kv_item,
            p.k_offset,
            p.v_offset,
        ]
        .map(|n| n as usize);
        let numbers = |act: ActId| host.acts[act.0][..batch].iter().map(|&i| i as usize).collect::<Vec<_>>();
        let seen = match (self.mask, self.q.index) {
            (Mask::None, _) => self.kv.lengths.map_or(Seen::All, |lengths| Seen::First(numbers(lengths))),
            (Mask::Causal, None) => Seen::UpTo(vec![kv_len - q_len; batch]),
            (Mask::Causal, Some(index)) => Seen::UpTo(numbers(index)),
        };
        let (kv_heads, window) = (self.kv_heads as usize, self.window.map(|window| window as usize));
        let (scale, cap) = (self.scale, self.cap);
        Heads {
            batch,
            heads,
            kv_heads,
            size,
            q_len,
            kv_len,
            q_stride,
            q_item,
            kv_stride,
            kv_item,
            k,
            v,
            scale,
            cap,
            window,
            seen,
        }
    }

    /// Words of an item that the spans of at most so many keys fill.
    #[must_use]
    pub fn span_words([heads, head_size]: [u32; 2], keys: u32) -> usize {
        ((FEW - 1) * heads * keys.div_ceil(SPAN) * (head_size + TAIL)) as usize
    }

    /// Keys that a query sees at most.
    pub(super) fn most_seen(&self, run: Run) -> u32 {
        let window = self.window.filter(|_| self.mask == Mask::Causal);
        window.unwrap_or(u32::MAX).min(self.kv_len(run))
    }

    /// Spans of the keys that a query sees; 0 in a run that is not split.
    pub(super) fn spans_of(&self, run: Run) -> u32 {
        let keys = self.most_seen(run);
        if self.few(run) && self.whole_vectors() && keys > MANY { keys.div_ceil(SPAN) } else { 0 }
    }

    /// Whether others do it.
    pub(super) fn leaves(&self, run: Run) -> bool {
        self.spans == Spans::Left && self.spans_of(run) > 0
    }

    /// Heads of all queries.
    pub(super) fn rows(&self, run: Run) -> u32 {
        self.items(run) * self.q_len(run) * self.heads
    }

    /// The `Params` of a run for some queries of each item.
    pub(super) fn params_of_some(&self, run: Run, queries: &Range<u32>) -> Vec<u8> {
        bytemuck::bytes_of(&self.param(run, queries)).to_vec()
    }
}
