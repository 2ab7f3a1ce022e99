//! The transformer block that all four towers share: pre-norm, joined q/k/v, MLP, seven dispatches.

use crate::{
    config::{Activation, Encoder, Mask},
    error::Result,
    kernels::{ActId, Attention, Keys, LayerNorm, Matmul, MatrixRef, Operand, Queries, Rows, VectorRef},
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
        LayerNorm { x, weight: self.weight, bias: self.bias, y, rows, eps: self.eps, pick: None }
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
        Matmul { x: x.into(), weight, bias, y, rows, activation: Activation::None, accumulate: false, place: None }
    }
    /// y += x·Wᵀ + b
    pub fn record_residual(&self, x: impl Into<Operand>, y: ActId, rows: Rows) -> Matmul {
        Matmul { accumulate: true, ..self.record(x, y, rows) }
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

/// One block.
#[derive(Debug)]
pub struct Block {
    norm1: Norm,
    qkv: Linear,
    out: Linear,
    norm2: Norm,
    mlp: Mlp,
}

impl Block {
    fn load(l: &mut Loader, prefix: &str, e: &Encoder) -> Result<Self> {
        let attn = format!("{prefix}.self_attn");
        let each = |what: &str| ["q", "k", "v"].map(|p| format!("{attn}.{p}_proj.{what}"));
        Ok(Self {
            norm1: Norm::load(l, &format!("{prefix}.layer_norm1"), e.hidden, e.eps)?,
            qkv: Linear {
                weight: l.joined(&each("weight"), &[e.hidden, e.hidden])?,
                bias: Some(l.vectors(&each("bias"), e.hidden)?),
            },
            out: Linear::load(l, &format!("{attn}.out_proj"), e.hidden, e.hidden)?,
            norm2: Norm::load(l, &format!("{prefix}.layer_norm2"), e.hidden, e.eps)?,
            mlp: Mlp::load(l, &format!("{prefix}.mlp"), e)?,
        })
    }
}

/// A stack of blocks and the activations that they share.
#[derive(Debug)]
pub struct Blocks {
    blocks: Vec<Block>,
    encoder: Encoder,
    tokens: u32,
    mask: Mask,
}

/// Activations of a stack: `x` is the residual stream, the rest is scratch.
#[derive(Debug, Clone, Copy)]
pub struct Stream {
    /// `[batch, tokens, hidden]`
    pub x: ActId,
    /// `[batch, tokens, hidden]`
    pub normed: ActId,
    /// `[batch, tokens, 3 · hidden]`
    pub qkv: ActId,
    /// `[batch, tokens, hidden]`
    pub mixed: ActId,
    /// `[batch, tokens, intermediate]`
    pub wide: ActId,
}

impl Blocks {
    pub fn load(l: &mut Loader, prefix: &str, e: &Encoder, tokens: usize, mask: Mask) -> Result<Self> {
        let blocks =
            (0..e.layers).map(|i| Block::load(l, &format!("{prefix}.layers.{i}"), e)).collect::<Result<_>>()?;
        Ok(Self { blocks, encoder: e.clone(), tokens: tokens as u32, mask })
    }

    /// Makes room for the stack.
    pub fn stream(&self, plan: &mut Plan) -> Stream {
        let (tokens, e) = (self.tokens as usize, &self.encoder);
        Stream {
            x: plan.act("x", tokens * e.hidden),
            normed: plan.act("normed", tokens * e.hidden),
            qkv: plan.act("qkv", tokens * 3 * e.hidden),
            mixed: plan.act("mixed", tokens * e.hidden),
            wide: plan.act("wide", tokens * e.intermediate),
        }
    }

    /// Records all blocks on `s.x`. Taps are named `<tower>.block.N`.
    pub fn record(&self, plan: &mut Plan, s: Stream, tower: &str) {
        let rows = Rows::PerItem(self.tokens);
        let hidden = self.encoder.hidden as u32;
        let words = (self.tokens * hidden) as usize;
        for (i, block) in self.blocks.iter().enumerate() {
            let name = format!("{tower}.block.{i}");
            plan.step(format!("{name}.norm1"), block.norm1.record(s.x, s.normed, rows));
            plan.step(format!("{name}.qkv"), block.qkv.record(s.normed, s.qkv, rows));
            plan.tap(format!("{name}.qkv"), s.qkv, 3 * words);
            plan.step(
                format!("{name}.attention"),
                Attention {
                    q: Queries { act: s.qkv, len: self.tokens, stride: 3 * hidden, shared: false },
                    kv: Keys { act: s.qkv, len: self.tokens, stride: 3 * hidden, k: hidden, v: 2 * hidden },
                    y: s.mixed,
                    heads: self.encoder.heads as u32,
                    head_size: hidden / self.encoder.heads as u32,
                    mask: self.mask,
                },
            );
            plan.tap(format!("{name}.mixed"), s.mixed, words);
            plan.step(format!("{name}.out"), block.out.record_residual(s.mixed, s.x, rows));
            plan.step(format!("{name}.norm2"), block.norm2.record(s.x, s.normed, rows));
            block.mlp.record(plan, &name, [s.normed, s.wide, s.x], rows);
            plan.tap(name, s.x, words);
        }
    }
}
