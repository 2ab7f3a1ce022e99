//! Rotary position embeddings, on the way of queries, keys and values to attention.

use super::{ActId, Field, Host, Kernel, Operand, Rows, Run, VectorRef, params::params, row_lanes, row_tier, spread};
use crate::{
    gpu::{Shader, Tier, Tuning, wgsl},
    reference,
};

/// y = x·cos + turned(x)·sin for each head, where turned(x) is its second half, negative, and then its first (`apply_rotary_pos_emb` in
/// transformers' `modeling_llama.py`). Token t of an item stands at place past + t.
#[derive(Debug, Clone)]
pub struct Rope {
    /// `[rows, stride]`
    pub x: ActId,
    /// `[rows, (heads + copied) · head_size]`, or a state `[batch, most, (heads + copied) · head_size]`
    pub y: ActId,
    /// `[places, head_size]`: of each place the cosines of half a head, then the sines. None where no head is turned: all go over as
    /// they are, to a state.
    pub table: Option<VectorRef>,
    /// `[head_size]`: each turned head has its RMS norm before, with this weight (Qwen 3, Gemma 3).
    pub norm: Option<VectorRef>,
    /// Of the norm: added to the mean of the squares.
    pub eps: f32,
    /// Of the norm: whether the factor is 1 + weight.
    pub one_plus: bool,
    /// Rows of x: [`Rows::PerToken`].
    pub rows: Rows,
    /// Floats of a row of x.
    pub stride: u32,
    /// Where the first head starts in it.
    pub from: u32,
    /// Heads that are turned.
    pub heads: u32,
    /// Heads after them that go over as they are: values.
    pub copied: u32,
    /// Floats of a head, an even number.
    pub head_size: u32,
    /// y is a state with room for so many tokens an item, and token t goes to row past + t; None: to row t.
    pub most: Option<u32>,
}

params! {
    struct Params {
        rows: u32,
        tokens: u32,
        past: u32,
        item: u32,
        first: u32,
        stride: u32,
        start: u32,
        heads: u32,
        copied: u32,
        head_size: u32,
        eps: f32,
    }
}

impl Rope {
    fn param(&self, run: Run) -> Params {
        let tokens = self.rows.each(run);
        Params {
            rows: self.rows.of(run),
            tokens,
            past: run.past,
            item: self.most.unwrap_or(tokens),
            first: self.most.map_or(0, |_| run.past),
            stride: self.stride,
            start: self.from,
            heads: self.heads,
            copied: self.copied,
            head_size: self.head_size,
            eps: self.eps,
        }
    }
}

impl Kernel for Rope {
    fn variant(&self, tuning: &Tuning, run: Run) -> Tier {
        row_tier(tuning, self.rows.of(run))
    }
    fn shader(&self, tier: Tier) -> Shader {
        Shader::new("rope", wgsl!("rope.wgsl"))
            .and(wgsl!("lib/row_reduce.wgsl"))
            .with("WORKGROUP", row_lanes(tier))
            .with("HAS_NORM", self.norm.is_some())
            .with("ONE_PLUS", self.one_plus)
    }
    fn fields(&self) -> &'static [Field] {
        Params::FIELDS
    }
    fn params(&self, run: Run) -> Vec<u8> {
        bytemuck::bytes_of(&self.param(run)).to_vec()
    }
    fn workgroups(&self, _tier: Tier, run: Run) -> [u32; 3] {
        spread(self.rows.of(run) * (self.heads + self.copied))
    }
    fn operands(&self) -> Vec<Operand> {
        vec![Operand::Act(self.x), self.table.into(), self.norm.into(), Operand::Act(self.y)]
    }
    /// A few operations a number: this is fast enough.
    fn reference(&self, run: Run, host: &mut Host) {
        let p = self.param(run);
        let [tokens, past, item, first] = [p.tokens, p.past, p.item, p.first].map(|n| n as usize);
        let [stride, start, heads, copied, size] =
            [p.stride, p.start, p.heads, p.copied, p.head_size].map(|n| n as usize);
        let (turned, width) = (heads * size, (heads + copied) * size);
        let turns = |table| host.vector_part(table, past * size..(past + tokens) * size);
        let turns = self.table.map_or(Vec::new(), turns);
        let weight = self.norm.map(|norm| host.vector(norm));
        let mut act = host.take(self.y);
        let y: &mut [f32] = bytemuck::cast_slice_mut(&mut act);
        for (row, x) in host.floats(self.x).chunks_exact(stride).take(p.rows as usize).enumerate() {
            let (x, token) = (&x[start..][..width], row % tokens);
            let y = &mut y[(row / tokens * item + first + token) * width..][..width];
            for (x, y) in x[..turned].chunks_exact(size).zip(y.chunks_exact_mut(size)) {
                let head = match &weight {
                    Some(weight) => reference::normed(x, weight, self.eps, self.one_plus),
                    None => x.iter().map(|&x| f64::from(x)).collect(),
                };
                y.copy_from_slice(&reference::rope(&head, &turns[token * size..][..size]));
            }
            y[turned..].copy_from_slice(&x[turned..]);
        }
        host.acts[self.y.0] = act;
    }
}
