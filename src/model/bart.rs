//! BART (Lewis et al. 2020) as Florence-2 has it, by the names and formulas of transformers' `modeling_bart.py`: an encoder that reads a
//! prompt, and a decoder that attends to it. What the encoder leaves are the keys and values of each of the decoder's cross attentions,
//! states that the two plans share.

use super::{
    block::{Linear, Norm},
    language::{LanguageModel, Reader},
};
use crate::{
    config::{Encoder, Generator, Mask, Seq2Seq},
    error::Result,
    kernels::{
        ActId, AddShared, Attention, Embed, Gather, Keys, Matmul, MatrixRef, Operand, Pick, Place, Queries, Reorder,
        Rope, Rows, Spans, VectorRef,
    },
    plan::Plan,
    weights::{Loader, Usage},
};

const ONE: Rows = Rows::PerItem(1);
const EACH: Rows = Rows::PerToken;
const PREFIX: &str = "model.language_model";

/// Rows of the token table, positions, and a norm behind both.
struct Embedding {
    table: Vec<(MatrixRef, u32)>,
    scale: f32,
    positions: VectorRef,
    offset: u32,
    norm: Norm,
}

impl Embedding {
    fn load(l: &mut Loader, part: &str, g: &Generator, s: &Seq2Seq, table: &[(MatrixRef, u32)]) -> Result<Self> {
        let d = &g.decoder;
        Ok(Self {
            table: table.into(),
            scale: d.embedding_scale,
            positions: l
                .vector(&format!("{PREFIX}.{part}.embed_positions.weight"), &[d.context + s.offset, d.hidden])?,
            offset: s.offset as u32,
            norm: Norm::load(l, &format!("{PREFIX}.{part}.layernorm_embedding"), d.hidden, d.eps)?,
        })
    }

    /// From ids to `y`, through `x`.
    fn record(&self, plan: &mut Plan, ids: ActId, pictures: Option<ActId>, [x, y]: [ActId; 2], dim: usize) {
        for (i, &(table, first)) in self.table.iter().enumerate() {
            let pictures = pictures.filter(|_| i == 0);
            let embed = Embed { ids, table, first, pictures, y: x, rows: EACH, scale: self.scale };
            plan.step(if i == 0 { "embed".into() } else { format!("embed.{i}") }, embed);
        }
        let positions = Operand::Vector(self.positions);
        plan.step("positions", AddShared { x: positions, y: x, rows: EACH, dim: dim as u32, first: self.offset });
        plan.step("embed.norm", self.norm.record(x, y, EACH));
    }
}

/// Sizes of a stack of blocks.
#[derive(Clone, Copy)]
struct Sizes {
    hidden: usize,
    heads: usize,
    intermediate: usize,
}

impl Sizes {
    fn attention(self, q: Queries, kv: Keys, y: ActId, mask: Mask) -> Attention {
        Attention::new(q, kv, y, [self.heads, self.hidden / self.heads].map(|n| n as u32), mask)
    }
}

/// The products around an attention whose queries are those of the same text, and the norm behind it.
struct Attended {
    /// Queries, and of attention to the own text keys and values, too.
    from: Linear,
    out: Linear,
    norm: Norm,
}

impl Attended {
    fn load(l: &mut Loader, [layer, name]: [&str; 2], which: &[&str], hidden: usize, eps: f32) -> Result<Self> {
        let attention = format!("{layer}.{name}");
        Ok(Self {
            from: joined(l, &attention, which, hidden)?,
            out: Linear::load(l, &format!("{attention}.out_proj"), hidden, hidden)?,
            norm: Norm::load(l, &format!("{attention}_layer_norm"), hidden, eps)?,
        })
    }

    /// Records what follows the attention: y = norm(x + out(mixed)).
    fn record(&self, plan: &mut Plan, name: &str, mixed: ActId, [x, y]: [ActId; 2]) {
        plan.step(format!("{name}.out"), self.out.record_residual(mixed, x, EACH));
        plan.step(format!("{name}.norm"), self.norm.record(x, y, EACH));
    }
}

fn joined(l: &mut Loader, attention: &str, which: &[&str], hidden: usize) -> Result<Linear> {
    let each = |what: &str| which.iter().map(|p| format!("{attention}.{p}_proj.{what}")).collect::<Vec<_>>();
    Ok(Linear { weight: l.joined(&each("weight"), &[hidden, hidden])?, bias: Some(l.vectors(&each("bias"), hidden)?) })
}

/// The MLP and the norm behind it.
struct Mlp {
    fc1: Linear,
    fc2: Linear,
    norm: Norm,
}

impl Mlp {
    fn load(l: &mut Loader, layer: &str, s: Sizes, eps: f32) -> Result<Self> {
        Ok(Self {
            fc1: Linear::load(l, &format!("{layer}.fc1"), s.intermediate, s.hidden)?,
            fc2: Linear::load(l, &format!("{layer}.fc2"), s.hidden, s.intermediate)?,
            norm: Norm::load(l, &format!("{layer}.final_layer_norm"), s.hidden, eps)?,
        })
    }

    /// Records y = norm(x + mlp(x)).
    fn record(&self, plan: &mut Plan, name: &str, g: &Generator, wide: ActId, [x, y]: [ActId; 2]) {
        let first = Matmul { activation: g.decoder.activation, ..self.fc1.record(x, wide, EACH) };
        plan.step(format!("{name}.fc1"), first);
        plan.step(format!("{name}.fc2"), self.fc2.record_residual(wide, x, EACH));
        plan.step(format!("{name}.norm"), self.norm.record(x, y, EACH));
    }
}

fn cross_name(layer: usize) -> String {
    format!("block.{layer}.cross")
}

/// Records encoder and decoder, each with room for so many tokens.
///
/// # Errors
/// As [`crate::checkpoint::Checkpoint::tensor`].
pub fn record(generator: &Generator, s: &Seq2Seq, room: usize, l: &mut Loader) -> Result<LanguageModel> {
    let d = &generator.decoder;
    let usage = if d.tied { Usage::Both } else { Usage::Table };
    let table = l.shards(&format!("{PREFIX}.shared.weight"), &[d.vocab, d.hidden], usage)?;
    let mut reader = Plan::default();
    let (ids, pictures) = read(&mut reader, generator, s, &table, room, l)?;
    let first = l.weights.len();
    let mut plan = Plan::default();
    let (lengths, from) = (plan.input("lengths", ONE, 1), plan.input("from", ONE, 1));
    let [next, last, logits] = write(&mut plan, (generator, s), &table, (room, [lengths, from]), l)?;
    l.of_steps(first);
    let reader = Some(Reader { plan: reader, ids, pictures, lengths, from });
    Ok(LanguageModel { plan, ids: next, pictures: None, last, logits, reader })
}

/// Records the encoder: from ids, among them rows of pictures, to keys and values of cross attention.
fn read(
    plan: &mut Plan,
    g: &Generator,
    s: &Seq2Seq,
    table: &[(MatrixRef, u32)],
    room: usize,
    l: &mut Loader,
) -> Result<(ActId, Option<ActId>)> {
    let Encoder { hidden, heads, layers, intermediate, eps, .. } = s.encoder;
    let sizes = Sizes { hidden, heads, intermediate };
    let embedding = Embedding::load(l, "encoder", g, s, table)?;
    let block = |i: usize, l: &mut Loader| {
        let layer = format!("{PREFIX}.encoder.layers.{i}");
        let attended = Attended::load(l, [&layer, "self_attn"], &["q", "k", "v"], hidden, eps)?;
        Ok::<_, crate::Error>((attended, Mlp::load(l, &layer, sizes, eps)?))
    };
    let blocks = (0..layers).map(|i| block(i, l)).collect::<Result<Vec<_>>>()?;
    let cross = |i: usize| joined(l, &format!("{PREFIX}.decoder.layers.{i}.encoder_attn"), &["k", "v"], hidden);
    let cross = (0..g.decoder.layers).map(cross).collect::<Result<Vec<_>>>()?;

    let ids = plan.input("ids", EACH, 1);
    let pictures = g.pictures.is_some().then(|| plan.input("pictures", Rows::Shared(room as u32), hidden));
    let x = plan.scratch("x", EACH, hidden);
    let y = plan.scratch("y", EACH, hidden);
    let qkv = plan.scratch("qkv", EACH, 3 * hidden);
    let mixed = plan.scratch("mixed", EACH, hidden);
    let wide = plan.scratch("wide", EACH, intermediate);
    embedding.record(plan, ids, pictures, [y, x], hidden);
    plan.tap("encoder.embed", x);
    let dim = hidden as u32;
    for (i, (attended, mlp)) in blocks.iter().enumerate() {
        let name = format!("encoder.block.{i}");
        plan.step(format!("{name}.qkv"), attended.from.record(x, qkv, EACH));
        let q = Queries { act: qkv, len: EACH, stride: 3 * dim, index: None };
        let kv = Keys { act: qkv, len: EACH, stride: 3 * dim, k: dim, v: 2 * dim, most: None, lengths: None };
        plan.step(format!("{name}.attention"), sizes.attention(q, kv, mixed, Mask::None));
        attended.record(plan, &name, mixed, [x, y]);
        mlp.record(plan, &format!("{name}.mlp"), g, wide, [y, x]);
        plan.tap(name, x);
    }
    for (i, linear) in cross.iter().enumerate() {
        let state = plan.shared_state(&cross_name(i), room as u32, 2 * hidden);
        plan.step(cross_name(i), linear.record(x, state, EACH));
    }
    Ok((ids, pictures))
}

/// A block of the decoder.
struct Block {
    own: Attended,
    cross: Attended,
    mlp: Mlp,
}

/// Activations of the decoder's blocks.
struct Stream {
    qkv: ActId,
    q: ActId,
    mixed: ActId,
    wide: ActId,
    /// Of a step's attention over many keys.
    spans: ActId,
    /// Tokens of the encoder's prompt.
    lengths: ActId,
    room: u32,
}

impl Block {
    fn load(l: &mut Loader, i: usize, sizes: Sizes, eps: f32) -> Result<Self> {
        let layer = format!("{PREFIX}.decoder.layers.{i}");
        Ok(Self {
            own: Attended::load(l, [&layer, "self_attn"], &["q", "k", "v"], sizes.hidden, eps)?,
            cross: Attended::load(l, [&layer, "encoder_attn"], &["q"], sizes.hidden, eps)?,
            mlp: Mlp::load(l, &layer, sizes, eps)?,
        })
    }

    /// From `x` to `y`, with the keys and values of the text so far in `cache`.
    fn record(&self, plan: &mut Plan, (g, sizes): (&Generator, Sizes), i: usize, s: &Stream, acts: [ActId; 3]) {
        let ([x, y, cache], name, dim) = (acts, format!("block.{i}"), sizes.hidden as u32);
        let head_size = dim / sizes.heads as u32;
        plan.step(format!("{name}.qkv"), self.own.from.record(x, s.qkv, EACH));
        // Keys and values go to the state as they are.
        let keep = Rope {
            x: s.qkv,
            y: cache,
            table: None,
            norm: None,
            eps: 0.0,
            one_plus: false,
            rows: EACH,
            stride: 3 * dim,
            from: dim,
            heads: 0,
            copied: 2 * sizes.heads as u32,
            head_size,
            most: Some(s.room),
        };
        plan.step(format!("{name}.keep"), keep);
        let q = Queries { act: s.qkv, len: EACH, stride: 3 * dim, index: None };
        let kv = Keys { act: cache, len: EACH, stride: 2 * dim, k: 0, v: dim, most: Some(s.room), lengths: None };
        let own = Attention { spans: Spans::Into(s.spans), ..sizes.attention(q, kv, s.mixed, Mask::Causal) };
        plan.step(format!("{name}.attention"), own);
        self.own.record(plan, &name, s.mixed, [x, y]);

        let name_cross = cross_name(i);
        plan.step(format!("{name_cross}.q"), self.cross.from.record(y, s.q, EACH));
        let q = Queries { act: s.q, len: EACH, stride: dim, index: None };
        let act = plan.shared_state(&name_cross, s.room, 2 * sizes.hidden);
        let (len, lengths) = (Rows::Shared(s.room), Some(s.lengths));
        let kv = Keys { act, len, stride: 2 * dim, k: 0, v: dim, most: None, lengths };
        let cross = Attention { spans: Spans::Into(s.spans), ..sizes.attention(q, kv, s.mixed, Mask::None) };
        plan.step(format!("{name_cross}.attention"), cross);
        self.cross.record(plan, &name_cross, s.mixed, [y, x]);

        self.mlp.record(plan, &format!("{name}.mlp"), g, s.wide, [x, y]);
        plan.tap(name, y);
    }
}

/// Records the decoder: its ids, which of them is the last, and its logits.
fn write(
    plan: &mut Plan,
    (g, of): (&Generator, &Seq2Seq),
    table: &[(MatrixRef, u32)],
    (room, [lengths, from]): (usize, [ActId; 2]),
    l: &mut Loader,
) -> Result<[ActId; 3]> {
    let d = &g.decoder;
    let sizes = Sizes { hidden: d.hidden, heads: d.heads, intermediate: d.intermediate };
    let embedding = Embedding::load(l, "decoder", g, of, table)?;
    let blocks = (0..d.layers).map(|i| Block::load(l, i, sizes, d.eps)).collect::<Result<Vec<_>>>()?;
    let head = match d.tied {
        true => table.to_vec(),
        false => l.shards("lm_head.weight", &[d.vocab, d.hidden], Usage::Product)?,
    };
    let bias = match l.has("final_logits_bias") {
        true => Some(l.vector("final_logits_bias", &[1, d.vocab])?),
        false => None,
    };

    let ids = plan.input("ids", EACH, 1);
    let last = plan.input("last", ONE, 1);
    let x = plan.scratch("x", EACH, d.hidden);
    let y = plan.scratch("y", EACH, d.hidden);
    let heads = [d.heads, d.head_size].map(|n| n as u32);
    let s = Stream {
        qkv: plan.scratch("qkv", EACH, 3 * d.hidden),
        q: plan.scratch("q", EACH, d.hidden),
        mixed: plan.scratch("mixed", EACH, d.hidden),
        wide: plan.scratch("wide", EACH, d.intermediate),
        spans: plan.scratch("spans", ONE, Attention::span_words(heads, room as u32)),
        lengths,
        room: room as u32,
    };
    let width = 2 * d.hidden;
    let caches: Vec<ActId> = (0..d.layers).map(|i| plan.state(&format!("block.{i}.kv"), s.room, width)).collect();
    for (i, &state) in caches.iter().enumerate() {
        plan.step(format!("block.{i}.reorder"), Reorder { from, state, most: s.room, dim: width as u32 });
    }
    embedding.record(plan, ids, None, [y, x], d.hidden);
    plan.tap("embed", x);
    let (mut at, mut other) = (x, y);
    for (i, (block, &cache)) in blocks.iter().zip(&caches).enumerate() {
        block.record(plan, (g, sizes), i, &s, [at, other, cache]);
        std::mem::swap(&mut at, &mut other);
    }
    let token = plan.scratch("token", ONE, d.hidden);
    let logits = plan.scratch("logits", ONE, d.vocab);
    plan.step("token", Gather { x: at, index: Some(last), y: token, of: EACH, dim: d.hidden as u32 });
    let of = d.vocab as u32;
    for (i, &(shard, first)) in head.iter().enumerate() {
        let place = if head.len() == 1 { Place::Set } else { Place::Columns { first, of } };
        let product = Matmul { place, ..Matmul::new(token, shard, logits, ONE) };
        plan.step(if i == 0 { "head".into() } else { format!("head.{i}") }, product);
    }
    if let Some(bias) = bias {
        let add = AddShared { x: Operand::Vector(bias), y: logits, rows: ONE, dim: of, first: 0 };
        plan.step("head.bias", add);
    }
    plan.tap("logits", logits);
    plan.step("pick", Pick { x: logits, y: ids, rows: ONE, count: of });
    plan.output("logits", logits);
    Ok([ids, last, logits])
}
