//! Multi-head attention with a streaming softmax.

use std::ops::Range;

use super::{
    ActId, Attention, AttentionJoin, AttentionSpans, Field, Host, Kernel, Operand, Run, Spans, spread,
    stretch::{ByRows, stretches},
};
#[cfg(not(feature = "wasm-gpu"))]
use super::{Part, Work, part::share};
use crate::{
    config::WRITES,
    gpu::{Shader, Tier, Tuning, wgsl},
    quant::Format,
    reference,
};

/// Queries of an item from which on a workgroup takes 64 of them: fewer would leave many of the last one's idle.
const LONG: u32 = 512;
/// The widest head that is kept in registers.
const NARROW: u32 = 128;
impl Kernel for Attention {
    /// Those but the plain one load whole vectors.
    fn variant(&self, tuning: &Tuning, run: Run) -> Tier {
        let by_row = self.few(run) || WRITES && self.head_size > NARROW;
        match tuning.at(self.q.len.of(run), Format::F32) {
            Tier::Plain => Tier::Plain,
            _ if !self.whole_vectors() => Tier::Plain,
            Tier::Registers if by_row => Tier::Serial,
            _ if by_row => Tier::Vector,
            tier @ (Tier::Registers | Tier::Tiled) => tier,
            _ if self.count(run) < LONG => Tier::Tiled,
            _ => Tier::Wide,
        }
    }
    fn shader(&self, tier: Tier) -> Shader {
        let head4 = self.head_size / 4;
        let shader = match tier {
            Tier::Plain => Shader::new("attention", wgsl!("attention.wgsl")),
            Tier::Registers => Shader::new("attention_registers", wgsl!("attention_registers.wgsl")),
            Tier::Vector | Tier::Serial if WRITES => return self.row_shader(tier, false),
            _ => {
                let (name, [lanes, quads]) =
                    if tier == Tier::Wide { ("attention_wide", [4, 16]) } else { ("attention_tiled", [8, 8]) };
                let (row, workgroup) = (head4 | 1, quads * lanes);
                // As many as fit into 16 KiB, which are 1,024 vectors, beside their shares and a vector of each invocation.
                let keys = ((1024 - workgroup - quads) / (row + quads)).min(32) / 8 * 8;
                Shader::new(name, wgsl!("attention_tiled.wgsl"))
                    .with("HEAD4", head4)
                    .with("ROW", row)
                    .with("KEYS", keys)
                    .with("QUADS", quads)
                    .with("LANES", lanes)
                    .with("WORKGROUP", workgroup)
                    .with("TILE", keys * row)
                    .with("SHARES", quads * (keys + 1))
            }
        };
        self.shaped(shader)
    }
    fn fields(&self) -> &'static [Field] {
        Self::FIELDS
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
        4 * u64::from(self.rows(run)) * u64::from(self.most_seen(run)) * u64::from(self.head_size)
    }
    fn cut(&self, run: Run, most: u64) -> Vec<Box<dyn Kernel>> {
        stretches(self, run, most)
    }
    fn split(&self) -> Vec<Box<dyn Kernel>> {
        match self.spans {
            Spans::Into(sums) if WRITES => vec![
                Box::new(AttentionSpans { of: self.clone(), y: sums }),
                Box::new(AttentionJoin { of: self.clone(), x: sums }),
                // The last, because in the plain tier it does all by itself.
                Box::new(Self { spans: Spans::Left, ..self.clone() }),
            ],
            _ => Vec::new(),
        }
    }
    fn reference(&self, run: Run, host: &mut Host) {
        if self.leaves(run) {
            return;
        }
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
        self.q_len(run)
    }
    fn params_of(&self, run: Run, queries: &Range<u32>) -> Vec<u8> {
        self.params_of_some(run, queries)
    }
    fn workgroups_of(&self, tier: Tier, run: Run, queries: u32) -> [u32; 3] {
        let heads = self.items(run) * self.heads;
        if tier != Tier::Plain && self.leaves(run) {
            return spread(0);
        }
        match tier {
            Tier::Plain => spread((heads * queries).div_ceil(64)),
            // 4 invocations with 4 queries each
            Tier::Registers => spread((heads * queries.div_ceil(4)).div_ceil(4)),
            Tier::Vector | Tier::Serial => spread(heads * queries),
            Tier::Wide => spread(heads * queries.div_ceil(64)),
            _ => spread(heads * queries.div_ceil(32)),
        }
    }
    fn words_of(&self, run: Run, queries: &Range<u32>) -> (ActId, Vec<Range<usize>>) {
        let width = self.heads * self.head_size;
        let word = |item: u32, query: u32| ((item * self.count(run) + query) * width) as usize;
        (self.y, (0..self.items(run)).map(|item| word(item, queries.start)..word(item, queries.end)).collect())
    }
}
