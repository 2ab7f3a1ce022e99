//! Attention of few queries over many keys, on a GPU: a workgroup takes some of a head's keys, and a second step joins what they leave. One
//! workgroup for a head would leave most of a large GPU idle.

use super::{
    ActId, Attention, Field, Host, Kernel, Operand, Run,
    attention_shape::{SPAN, TAIL},
    params::params,
    row_tier, spread,
};
use crate::{
    gpu::{Shader, Tier, Tuning, wgsl},
    reference,
};

/// y\[s\] = Σ exp(score − peak)·v over the keys of span s, with the peak of their scores and Σ exp(score − peak); nothing in runs
/// that are not split.
#[derive(Debug, Clone)]
pub struct AttentionSpans {
    /// The whole, whose output stays as it is.
    pub of: Attention,
    /// `[batch, q.len, heads, spans, head_size + 4]`: sums, peak, total, and two zeros
    pub y: ActId,
}

impl Kernel for AttentionSpans {
    fn variant(&self, tuning: &Tuning, run: Run) -> Tier {
        row_tier(tuning, self.of.q.len.of(run))
    }
    fn shader(&self, tier: Tier) -> Shader {
        self.of.row_shader(tier, true)
    }
    fn fields(&self) -> &'static [Field] {
        Attention::FIELDS
    }
    fn params(&self, run: Run) -> Vec<u8> {
        self.of.params_of_spans(run, self.of.spans_of(run), SPAN)
    }
    fn workgroups(&self, _: Tier, run: Run) -> [u32; 3] {
        spread(self.of.rows(run) * self.of.spans_of(run))
    }
    fn operands(&self) -> Vec<Operand> {
        let mut operands = self.of.operands();
        operands.pop();
        operands.push(self.y.into());
        operands
    }
    fn reference(&self, run: Run, host: &mut Host) {
        let spans = [self.of.spans_of(run), SPAN].map(|n| n as usize);
        let (q, kv) = (host.floats(self.of.q.act), host.floats(self.of.kv.act));
        let y = reference::attention_spans(&self.of.heads(run, host), spans, q, kv);
        host.store(self.y, &y);
    }
}

/// y = Σ exp(peak\[s\] − peak)·x\[s\] / Σ exp(peak\[s\] − peak)·total\[s\] over spans s; nothing in runs that are not split.
#[derive(Debug, Clone)]
pub struct AttentionJoin {
    /// As [`AttentionSpans::y`]
    pub x: ActId,
    /// The whole, whose output this writes.
    pub of: Attention,
}

params! {
    struct Params {
        rows: u32,
        spans: u32,
    }
}

impl Kernel for AttentionJoin {
    fn shader(&self, _: Tier) -> Shader {
        Shader::new("attention_join", wgsl!("attention_join.wgsl")).with("HEAD4", self.of.head_size / 4)
    }
    fn fields(&self) -> &'static [Field] {
        Params::FIELDS
    }
    fn params(&self, run: Run) -> Vec<u8> {
        bytemuck::bytes_of(&Params { rows: self.of.rows(run), spans: self.of.spans_of(run) }).to_vec()
    }
    fn workgroups(&self, _: Tier, run: Run) -> [u32; 3] {
        let vectors = self.of.rows(run) * self.of.head_size / 4;
        spread(if self.of.spans_of(run) > 0 { vectors.div_ceil(64) } else { 0 })
    }
    fn operands(&self) -> Vec<Operand> {
        vec![self.x.into(), self.of.y.into()]
    }
    fn reference(&self, run: Run, host: &mut Host) {
        let [rows, spans, size] = [self.of.rows(run), self.of.spans_of(run), self.of.head_size].map(|n| n as usize);
        if spans == 0 {
            return;
        }
        let words = rows * spans * (size + TAIL as usize);
        let y = reference::attention_join(&host.floats(self.x)[..words], spans, size);
        host.store(self.of.y, &y);
    }
}
