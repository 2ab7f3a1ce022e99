//! Multi-head attention with a streaming softmax.

use std::ops::Range;

use super::{
    ActId, Field, Host, Kernel, Operand, Rows, Run,
    params::params,
    row_lanes, spread,
    stretch::{ByRows, stretches},
};
#[cfg(not(feature = "wasm-gpu"))]
use super::{Part, Work, part::share};
use crate::{
    config::{Mask, WRITES},
    gpu::{Shader, Tier, Tuning, wgsl},
    quant::Format,
    reference::{self, Heads, Seen},
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
    /// `[batch, len, stride]`, or a state `[batch, most, stride]`
    pub act: ActId,
    /// Tokens of an item.
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

/// Queries of an item from which on a workgroup takes 64 of them: fewer would leave many of the last one's idle.
const LONG: u32 = 512;

/// Queries of an item below which, over a state, a workgroup takes one of them: tiles would be all but empty.
const FEW: u32 = 8;

/// The widest head that is kept in registers.
const NARROW: u32 = 128;

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
    }
}

impl Attention {
    /// Softmax(q·kᵀ / √head_size)·v: every head has keys and values of its own.
    #[must_use]
    pub fn new(q: Queries, kv: Keys, y: ActId, [heads, head_size]: [u32; 2], mask: Mask) -> Self {
        let scale = 1.0 / (head_size as f32).sqrt();
        Self { q, kv, y, heads, kv_heads: heads, head_size, mask, scale, cap: None, window: None }
    }

    /// Whether there are so few queries, as in a step of a decoder, that keys and values are read where they are.
    fn few(&self, run: Run) -> bool {
        WRITES && self.kv.most.is_some() && self.count(run) < FEW
    }

    /// For some queries of each item.
    fn param(&self, run: Run, queries: &Range<u32>) -> Params {
        let q_len = self.q.len.each(run);
        let kv_len = self.kv.len.each(run) + self.kv.most.map_or(0, |_| run.past);
        Params {
            batch: run.batch,
            heads: self.heads,
            head_size: self.head_size,
            q_len,
            kv_len,
            q_stride: self.q.stride,
            q_item: if matches!(self.q.len, Rows::Shared(_)) { 0 } else { q_len * self.q.stride },
            kv_stride: self.kv.stride,
            kv_item: self.kv.most.unwrap_or(kv_len) * self.kv.stride,
            k_offset: self.kv.k,
            v_offset: self.kv.v,
            scale: self.scale,
            cap: self.cap.unwrap_or_default(),
            first: queries.start,
            count: queries.end - queries.start,
        }
    }

    /// The same for those that compute it on the CPU.
    fn heads(&self, run: Run, host: &Host) -> Heads {
        let p = self.param(run, &(0..self.count(run)));
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
}

impl Kernel for Attention {
    /// Those but the plain one load whole vectors.
    fn variant(&self, tuning: &Tuning, run: Run) -> Tier {
        let numbers = [self.head_size, self.q.stride, self.kv.stride, self.kv.k, self.kv.v];
        let by_row = self.few(run) || WRITES && self.head_size > NARROW;
        match tuning.at(self.q.len.of(run), Format::F32) {
            Tier::Plain => Tier::Plain,
            _ if !numbers.iter().all(|n| n.is_multiple_of(4)) => Tier::Plain,
            Tier::Registers if by_row => Tier::Serial,
            _ if by_row => Tier::Vector,
            tier @ (Tier::Registers | Tier::Tiled) => tier,
            _ if self.count(run) < LONG => Tier::Tiled,
            _ => Tier::Wide,
        }
    }
    fn shader(&self, tier: Tier) -> Shader {
        let shape = wgsl!("lib/attention_shape.wgsl");
        let head4 = self.head_size / 4;
        let shader = match tier {
            Tier::Plain => Shader::new("attention", wgsl!("attention.wgsl")),
            Tier::Registers => Shader::new("attention_registers", wgsl!("attention_registers.wgsl")),
            Tier::Vector | Tier::Serial if WRITES => Shader::new("attention_row", wgsl!("attention_row.wgsl"))
                .with("WORKGROUP", row_lanes(tier))
                .with("HEAD4", head4),
            _ => {
                // As many keys as fit into 16 KiB.
                let (name, queries, keys) = match (tier, head4) {
                    (Tier::Wide, ..=16) => ("attention_wide", 64u32, 24u32),
                    (Tier::Wide, _) => ("attention_wide", 64, 16),
                    (_, ..=24) => ("attention_tiled", 16, 32),
                    _ => ("attention_tiled", 16, 16),
                };
                Shader::new(name, wgsl!("attention_tiled.wgsl"))
                    .with("HEAD4", head4)
                    .with("KEYS", keys)
                    .with("QUERIES", queries)
                    .with("WORKGROUP", queries * 4)
                    .with("TILE", head4 * keys)
                    .with("SHARES", queries * keys)
            }
        };
        let causal = self.mask == Mask::Causal;
        let padded = !causal && self.kv.lengths.is_some();
        shader
            .and(shape)
            .with("CAUSAL", causal)
            .with("HAS_INDEX", causal && self.q.index.is_some())
            .with("HAS_LENGTHS", padded)
            .with("HAS_CAP", self.cap.is_some())
            .with("WINDOW", self.window.unwrap_or(0))
            .with("GROUP", self.heads / self.kv_heads)
    }
    fn fields(&self) -> &'static [Field] {
        Params::FIELDS
    }
    fn params(&self, run: Run) -> Vec<u8> {
        self.params_of(run, &(0..self.count(run)))
    }
    fn workgroups(&self, tier: Tier, run: Run) -> [u32; 3] {
        self.workgroups_of(tier, run, self.count(run))
    }
    fn operands(&self) -> Vec<Operand> {
        let index = self.q.index.or(self.kv.lengths).map_or(Operand::Nothing, Operand::Act);
        vec![Operand::Act(self.q.act), Operand::Act(self.kv.act), index, Operand::Act(self.y)]
    }
    fn flops(&self, run: Run) -> u64 {
        let p = self.param(run, &(0..self.count(run)));
        let keys = self.window.map_or(p.kv_len, |window| window.min(p.kv_len));
        4 * u64::from(p.batch) * u64::from(p.q_len) * u64::from(keys) * u64::from(self.heads * self.head_size)
    }
    fn cut(&self, run: Run, most: u64) -> Vec<Box<dyn Kernel>> {
        stretches(self, run, most)
    }
    fn reference(&self, run: Run, host: &mut Host) {
        let y = reference::attention(&self.heads(run, host), host.floats(self.q.act), host.floats(self.kv.act));
        host.store(self.y, &y);
    }
    // The file for the GPU runs no plans on the CPU.
    #[cfg(not(feature = "wasm-gpu"))]
    fn cpu(&self, run: Run, host: &mut Host) {
        self.own_part(run, host, 1);
    }
    /// Each engine has some of the keys' heads, with the queries that read them. A few queries are not worth sending all keys.
    #[cfg(not(feature = "wasm-gpu"))]
    fn parts<'a>(&self, run: Run, host: &'a Host, engines: usize) -> Vec<(usize, Part<'a>)> {
        if self.few(run) {
            return Vec::new();
        }
        let all = self.heads(run, host);
        let (q, kv) = (host.floats(self.q.act), host.floats(self.kv.act));
        let part = |engine| {
            let own = share(all.kv_heads, engines, engine);
            (!own.is_empty()).then(|| {
                let (heads, q, kv) = all.some(own, q, kv);
                (engine, Part { work: Work::Attention(heads), inputs: [q.into(), kv.into()] })
            })
        };
        (1..engines).filter_map(part).collect()
    }
    #[cfg(not(feature = "wasm-gpu"))]
    fn own_part(&self, run: Run, host: &mut Host, engines: usize) {
        let mut shape = self.heads(run, host);
        let (numbers, stride) = (shape.outputs(), shape.heads * shape.size);
        // They are the first ones.
        let (each, own) = (shape.heads / shape.kv_heads, share(shape.kv_heads, engines, 0).len());
        (shape.heads, shape.kv_heads) = (own * each, own);
        let mut act = host.take(self.y);
        let y = &mut bytemuck::cast_slice_mut(&mut act)[..numbers];
        let attention = if self.few(run) { crate::cpu::attention_row } else { crate::cpu::attention };
        attention(host.threads, &shape, host.floats(self.q.act), host.floats(self.kv.act), y, stride);
        host.acts[self.y.0] = act;
    }
    #[cfg(not(feature = "wasm-gpu"))]
    fn join(&self, _: Run, host: &mut Host, engines: usize, parts: &[(usize, Vec<f32>)]) {
        let (kv_heads, width) = (self.kv_heads as usize, (self.heads * self.head_size) as usize);
        // Floats of the queries that share a head of keys.
        let each = width / kv_heads;
        let y: &mut [f32] = bytemuck::cast_slice_mut(&mut host.acts[self.y.0]);
        for (engine, part) in parts {
            let own = share(kv_heads, engines, *engine);
            for (y, part) in y.chunks_exact_mut(width).zip(part.chunks_exact(own.len() * each)) {
                y[own.start * each..own.end * each].copy_from_slice(part);
            }
        }
    }
}

/// Queries, the same of each item.
impl ByRows for Attention {
    fn count(&self, run: Run) -> u32 {
        self.q.len.each(run)
    }
    fn params_of(&self, run: Run, queries: &Range<u32>) -> Vec<u8> {
        bytemuck::bytes_of(&self.param(run, queries)).to_vec()
    }
    fn workgroups_of(&self, tier: Tier, run: Run, queries: u32) -> [u32; 3] {
        let heads = run.batch * self.heads;
        match tier {
            Tier::Plain => spread((heads * queries).div_ceil(64)),
            // 4 invocations with 4 queries each
            Tier::Registers => spread((heads * queries.div_ceil(4)).div_ceil(4)),
            Tier::Vector | Tier::Serial => spread(heads * queries),
            Tier::Wide => spread(heads * queries.div_ceil(64)),
            _ => spread(heads * queries.div_ceil(16)),
        }
    }
    fn words_of(&self, run: Run, queries: &Range<u32>) -> (ActId, Vec<Range<usize>>) {
        let width = self.heads * self.head_size;
        let word = |item: u32, query: u32| ((item * self.count(run) + query) * width) as usize;
        (self.y, (0..run.batch).map(|item| word(item, queries.start)..word(item, queries.end)).collect())
    }
}
