//! The transformer block that all four towers share: pre-norm, joined q/k/v, MLP, seven dispatches.

use std::ops::Range;

use crate::{
    config::{Activation, Encoder, Mask},
    error::Result,
    kernels::{ActId, Attention, Gather, Keys, LayerNorm, Matmul, MatrixRef, Operand, Place, Queries, Rows, VectorRef},
    plan::Plan,
    weights::Loader,
};

/// Weight and bias of a layer norm.
#[derive(Debug, Clone, Copy)]
pub struct Norm {
    weight: VectorRef,
    bias: VectorRef,
    eps: f32,
}

impl Norm {
    pub fn load(l: &mut Loader, prefix: &str, dim: usize, eps: f32) -> Result<Self> {
        Ok(Self {
            weight: l.vector(&format!("{prefix}.weight"), &[dim])?,
            bias: l.vector(&format!("{prefix}.bias"), &[dim])?,
            eps,
        })
    }
    pub fn record(&self, x: ActId, y: ActId, rows: Rows) -> LayerNorm {
        LayerNorm { x, weight: self.weight, bias: self.bias, y, rows, eps: self.eps, merge: false }
    }
}

/// A matrix and its bias.
#[derive(Debug, Clone, Copy)]
pub struct Linear {
    pub weight: MatrixRef,
    pub bias: Option<VectorRef>,
}

impl Linear {
    pub fn load(l: &mut Loader, prefix: &str, outputs: usize, inputs: usize) -> Result<Self> {
        Ok(Self {
            weight: l.matrix(&format!("{prefix}.weight"), &[outputs, inputs])?,
            bias: Some(l.vector(&format!("{prefix}.bias"), &[outputs])?),
        })
    }
    /// y = x·Wᵀ + b
    pub fn record(&self, x: impl Into<Operand>, y: ActId, rows: Rows) -> Matmul {
        let Self { weight, bias } = *self;
        Matmul { bias, ..Matmul::new(x, weight, y, rows) }
    }
    /// y += x·Wᵀ + b
    pub fn record_residual(&self, x: impl Into<Operand>, y: ActId, rows: Rows) -> Matmul {
        Matmul { place: Place::Add, ..self.record(x, y, rows) }
    }
}

/// The two layers of an MLP.
#[derive(Debug)]
pub struct Mlp {
    fc1: Linear,
    fc2: Linear,
    activation: Activation,
}

impl Mlp {
    pub fn load(l: &mut Loader, prefix: &str, e: &Encoder) -> Result<Self> {
        Ok(Self {
            fc1: Linear::load(l, &format!("{prefix}.fc1"), e.intermediate, e.hidden)?,
            fc2: Linear::load(l, &format!("{prefix}.fc2"), e.hidden, e.intermediate)?,
            activation: e.activation,
        })
    }
    /// y += mlp(x), with `wide` between the layers.
    pub fn record(&self, plan: &mut Plan, label: &str, [x, wide, y]: [ActId; 3], rows: Rows) {
        plan.step(format!("{label}.fc1"), Matmul { activation: self.activation, ..self.fc1.record(x, wide, rows) });
        plan.step(format!("{label}.fc2"), self.fc2.record_residual(wide, y, rows));
    }
}

/// The projections of a block's attention.
#[derive(Debug)]
enum Projections {
    /// `[3 · hidden, hidden]`: one product gives all three.
    Joined(Linear),
    /// `[hidden, hidden]` and `[2 · hidden, hidden]`: queries of one token, keys and values of all.
    Split { q: Linear, kv: Linear },
}

/// One block.
#[derive(Debug)]
struct Block {
    norm1: Norm,
    projections: Projections,
    out: Linear,
    norm2: Norm,
    mlp: Mlp,
}

impl Block {
    fn load(l: &mut Loader, prefix: &str, e: &Encoder, pooled: bool) -> Result<Self> {
        let attn = format!("{prefix}.self_attn");
        let joined = |l: &mut Loader, which: &[&str]| {
            let each = |what: &str| which.iter().map(|p| format!("{attn}.{p}_proj.{what}")).collect::<Vec<_>>();
            Ok::<_, crate::Error>(Linear {
                weight: l.joined(&each("weight"), &[e.hidden, e.hidden])?,
                bias: Some(l.vectors(&each("bias"), e.hidden)?),
            })
        };
        Ok(Self {
            norm1: Norm::load(l, &format!("{prefix}.layer_norm1"), e.hidden, e.eps)?,
            projections: match pooled {
                false => Projections::Joined(joined(l, &["q", "k", "v"])?),
                true => Projections::Split { q: joined(l, &["q"])?, kv: joined(l, &["k", "v"])? },
            },
            out: Linear::load(l, &format!("{attn}.out_proj"), e.hidden, e.hidden)?,
            norm2: Norm::load(l, &format!("{prefix}.layer_norm2"), e.hidden, e.eps)?,
            mlp: Mlp::load(l, &format!("{prefix}.mlp"), e)?,
        })
    }
}

impl Block {
    /// Records what follows the attention: y += out(mixed), and y += mlp(norm2(y)).
    fn record_rest(&self, plan: &mut Plan, name: &str, [mixed, y, normed, wide]: [ActId; 4], rows: Rows) {
        plan.tap(format!("{name}.mixed"), mixed);
        plan.step(format!("{name}.out"), self.out.record_residual(mixed, y, rows));
        plan.step(format!("{name}.norm2"), self.norm2.record(y, normed, rows));
        self.mlp.record(plan, name, [normed, wide, y], rows);
        plan.tap(name, y);
    }
}

/// A stack of blocks over tokens.
#[derive(Debug)]
pub struct Blocks {
    blocks: Vec<Block>,
    /// Number of the first one.
    first: usize,
    encoder: Encoder,
    rows: Rows,
    mask: Mask,
}

/// Activations of a stack: `x` is the residual stream, the rest is scratch.
#[derive(Debug, Clone, Copy)]
pub struct Stream {
    /// `[batch, tokens, hidden]`
    pub x: ActId,
    /// `[batch, tokens, hidden]`
    pub normed: ActId,
    /// `[batch, tokens, 3 · hidden]`; of a pooled block keys and values alone, `[batch, tokens, 2 · hidden]`
    qkv: ActId,
    /// `[batch, tokens, hidden]`
    mixed: ActId,
    /// `[batch, tokens, intermediate]`
    wide: ActId,
    /// `[batch]`, how many tokens of an item are there; the rest is padding. None: all.
    pub lengths: Option<ActId>,
}

impl Blocks {
    /// Where only one token of the last block is `pooled`, that block's weights are kept so that the others cost nothing there
    /// but their keys and values.
    pub fn load(l: &mut Loader, prefix: &str, e: &Encoder, rows: Rows, mask: Mask, pooled: bool) -> Result<Self> {
        Self::load_some(l, prefix, e, 0..e.layers, (rows, mask, pooled))
    }

    /// As [`Blocks::load`], of these blocks alone.
    pub fn load_some(
        l: &mut Loader,
        prefix: &str,
        e: &Encoder,
        which: Range<usize>,
        (rows, mask, pooled): (Rows, Mask, bool),
    ) -> Result<Self> {
        let first = which.start;
        let block = |i| Block::load(l, &format!("{prefix}.layers.{i}"), e, pooled && i + 1 == which.end);
        let blocks = which.clone().map(block).collect::<Result<_>>()?;
        Ok(Self { blocks, first, encoder: e.clone(), rows, mask })
    }

    /// Makes room beside the residual stream.
    pub fn stream(&self, plan: &mut Plan, x: ActId) -> Stream {
        let (rows, e) = (self.rows, &self.encoder);
        Stream {
            x,
            normed: plan.scratch("normed", rows, e.hidden),
            qkv: plan.scratch("qkv", rows, 3 * e.hidden),
            mixed: plan.scratch("mixed", rows, e.hidden),
            wide: plan.scratch("wide", rows, e.intermediate),
            lengths: None,
        }
    }

    fn attention(&self, q: Queries, kv: Keys, y: ActId) -> Attention {
        let heads = self.encoder.heads as u32;
        Attention::new(q, kv, y, [heads, self.encoder.hidden as u32 / heads], self.mask)
    }

    /// Records what all tokens attend to, from `x` to `s.mixed`.
    fn record_attention(&self, plan: &mut Plan, name: &str, qkv: &Linear, x: ActId, s: Stream) {
        let (rows, hidden) = (self.rows, self.encoder.hidden as u32);
        plan.step(format!("{name}.qkv"), qkv.record(x, s.qkv, rows));
        plan.tap(format!("{name}.qkv"), s.qkv);
        let q = Queries { act: s.qkv, len: rows, stride: 3 * hidden, index: None };
        let kv = Keys {
            act: s.qkv,
            len: rows,
            stride: 3 * hidden,
            k: hidden,
            v: 2 * hidden,
            most: None,
            lengths: s.lengths,
        };
        plan.step(format!("{name}.attention"), self.attention(q, kv, s.mixed));
    }

    /// Records on `s.x` the blocks that every token goes through: all of them, or of a pooled stack all but the last. Taps are
    /// named `<tower>.block.N`.
    pub fn record(&self, plan: &mut Plan, s: Stream, tower: &str) {
        self.record_each(plan, s, tower, |_, _| ());
    }

    /// As [`Blocks::record`]; `after` may record what follows block N, and leaves `s.x` as it is.
    pub fn record_each(&self, plan: &mut Plan, s: Stream, tower: &str, mut after: impl FnMut(&mut Plan, usize)) {
        for (i, block) in (self.first..).zip(&self.blocks) {
            let Projections::Joined(qkv) = &block.projections else { break };
            let name = format!("{tower}.block.{i}");
            plan.step(format!("{name}.norm1"), block.norm1.record(s.x, s.normed, self.rows));
            self.record_attention(plan, &name, qkv, s.normed, s);
            block.record_rest(plan, &name, [s.mixed, s.x, s.normed, s.wide], self.rows);
            after(plan, i);
        }
    }

    /// Records block `i` on `s.x` with its norms after the sums (`CLIPSegDecoderLayer`): x = norm1(x + attention(x)), then
    /// x = norm2(x + mlp(x)).
    pub fn record_post_norm(&self, plan: &mut Plan, s: Stream, name: &str, i: usize) {
        let (block, rows) = (&self.blocks[i], self.rows);
        let Projections::Joined(qkv) = &block.projections else { unreachable!("loaded for all tokens") };
        self.record_attention(plan, name, qkv, s.x, s);
        plan.step(format!("{name}.out"), block.out.record_residual(s.mixed, s.x, rows));
        plan.step(format!("{name}.norm1"), block.norm1.record(s.x, s.normed, rows));
        block.mlp.record(plan, name, [s.normed, s.wide, s.normed], rows);
        plan.step(format!("{name}.norm2"), block.norm2.record(s.normed, s.x, rows));
        plan.tap(name, s.x);
    }

    /// Records all blocks on `s.x`, the last one for the token of each item that `index` says, or else the first. That token,
    /// `[batch, hidden]`, is returned; the numbers are those of [`Blocks::record`].
    pub fn record_pooled(&self, plan: &mut Plan, s: Stream, tower: &str, index: Option<ActId>) -> ActId {
        self.record(plan, s, tower);
        let (one, e) = (Rows::PerItem(1), &self.encoder);
        let hidden = e.hidden as u32;
        let token = plan.scratch("token", one, e.hidden);
        let gather = Gather { x: s.x, index, y: token, of: self.rows, dim: hidden };
        let Some((i, block @ Block { norm1, projections: Projections::Split { q, kv }, .. })) =
            (self.first..).zip(&self.blocks).last()
        else {
            plan.step(format!("{tower}.token"), gather);
            return token;
        };
        let name = format!("{tower}.block.{i}");
        let normed = plan.scratch("token.normed", one, e.hidden);
        let query = plan.scratch("token.q", one, e.hidden);
        let mixed = plan.scratch("token.mixed", one, e.hidden);
        let wide = plan.scratch("token.wide", one, e.intermediate);
        plan.step(format!("{name}.norm1"), norm1.record(s.x, s.normed, self.rows));
        plan.step(format!("{name}.kv"), kv.record(s.normed, s.qkv, self.rows));
        plan.step(format!("{name}.token"), gather);
        plan.step(format!("{name}.token.norm1"), norm1.record(token, normed, one));
        plan.step(format!("{name}.q"), q.record(normed, query, one));
        plan.tap(format!("{name}.q"), query);
        let queries = Queries { act: query, len: one, stride: hidden, index };
        let keys =
            Keys { act: s.qkv, len: self.rows, stride: 2 * hidden, k: 0, v: hidden, most: None, lengths: s.lengths };
        plan.step(format!("{name}.attention"), self.attention(queries, keys, mixed));
        block.record_rest(plan, &name, [mixed, token, normed, wide], one);
        token
    }
}
