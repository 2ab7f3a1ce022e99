//! Text decoders: Llama, Qwen2, Qwen3 and Gemma 1 to 3, as `modeling_*.py` in transformers names and computes them. One plan serves a
//! prompt and the steps after it: its states are the keys and values of all tokens so far.

use crate::{
    config::{Decoder, Generator, Mask},
    error::Result,
    kernels::{
        ActId, Attention, Embed, Gated, Gather, Keys, Matmul, MatrixRef, Pick, Place, Queries, RmsNorm, Rope, Rows,
        Spans, VectorRef,
    },
    plan::Plan,
    weights::{Loader, Usage},
};

const ONE: Rows = Rows::PerItem(1);
const EACH: Rows = Rows::PerToken;

/// Token ids in, the next token out.
pub struct LanguageModel {
    /// The steps. An item is a text; its tokens are those of a run.
    pub plan: Plan,
    /// Input: `[tokens]`, u32; with the top bit set the place of a row of `pictures`. The token that was picked comes to stand first.
    pub ids: ActId,
    /// Input: `[room, hidden]`, what a connector makes of pictures; none of a model that reads words alone.
    pub pictures: Option<ActId>,
    /// Input: u32, which of a run's tokens the next one follows: the last.
    pub last: ActId,
    /// Output: `[vocab]`, before soft capping.
    pub logits: ActId,
    /// What reads prompts, where this plan does not.
    pub reader: Option<Reader>,
}

/// An encoder: a prompt's ids in, keys and values of cross attention out, in states that it shares with the decoder.
pub struct Reader {
    /// The steps. An item is a prompt.
    pub plan: Plan,
    /// Input: `[tokens]`, as [`LanguageModel::ids`].
    pub ids: ActId,
    /// Input: as [`LanguageModel::pictures`], which is none.
    pub pictures: Option<ActId>,
    /// Input of the decoder: `[batch]`, u32, tokens of the prompt.
    pub lengths: ActId,
    /// Input of the decoder: `[batch]`, u32, which item's keys and values each goes on from, in runs of several.
    pub from: ActId,
}

/// What stands before the tensors' names.
const PREFIX: &str = "model";

/// A norm of RMS.
#[derive(Clone, Copy)]
struct Norm {
    weight: VectorRef,
    eps: f32,
    one_plus: bool,
}

impl Norm {
    fn load(l: &mut Loader, d: &Decoder, name: &str, dim: usize) -> Result<Self> {
        Ok(Self { weight: l.vector(&format!("{name}.weight"), &[dim])?, eps: d.eps, one_plus: d.one_plus })
    }
    fn record(self, x: ActId, y: ActId, rows: Rows) -> RmsNorm {
        RmsNorm { x, weight: self.weight, y, rows, eps: self.eps, one_plus: self.one_plus, accumulate: false }
    }
}

/// One block.
struct Block {
    norm1: Norm,
    qkv: (MatrixRef, Option<VectorRef>),
    /// Of queries and of keys, head by head.
    head_norms: Option<[Norm; 2]>,
    out: MatrixRef,
    norm2: Norm,
    /// Behind attention and behind the MLP.
    post_norms: Option<[Norm; 2]>,
    gate_up: MatrixRef,
    down: MatrixRef,
}

impl Block {
    fn load(l: &mut Loader, d: &Decoder, layer: usize) -> Result<Self> {
        let prefix = format!("{PREFIX}.layers.{layer}");
        let norm = |l: &mut Loader, name: &str| Norm::load(l, d, &format!("{prefix}.{name}"), d.hidden);
        let attn = format!("{prefix}.self_attn");
        let parts = [("q_proj", d.q_width()), ("k_proj", d.kv_width()), ("v_proj", d.kv_width())];
        let matrices = parts.map(|(name, rows)| (format!("{attn}.{name}.weight"), rows));
        let biases = parts.map(|(name, rows)| (format!("{attn}.{name}.bias"), rows));
        let head_norm = |l: &mut Loader, name: &str| Norm::load(l, d, &format!("{attn}.{name}"), d.head_size);
        let mlp = |name: &str| format!("{prefix}.mlp.{name}_proj.weight");
        // With four norms the second one's name means another place.
        let (norm2, post_norms) = match d.post_norms {
            false => (norm(l, "post_attention_layernorm")?, None),
            true => {
                let after = [norm(l, "post_attention_layernorm")?, norm(l, "post_feedforward_layernorm")?];
                (norm(l, "pre_feedforward_layernorm")?, Some(after))
            }
        };
        Ok(Self {
            norm1: norm(l, "input_layernorm")?,
            qkv: (l.stacked(&matrices, d.hidden)?, d.bias.then(|| l.stacked_vectors(&biases)).transpose()?),
            head_norms: match d.head_norms {
                true => Some([head_norm(l, "q_norm")?, head_norm(l, "k_norm")?]),
                false => None,
            },
            out: l.matrix(&format!("{attn}.o_proj.weight"), &[d.hidden, d.q_width()])?,
            norm2,
            post_norms,
            gate_up: l.joined(&[mlp("gate"), mlp("up")], &[d.intermediate, d.hidden])?,
            down: l.matrix(&mlp("down"), &[d.hidden, d.intermediate])?,
        })
    }
}

/// Activations of the blocks, and the tables of their rotations.
struct Stream {
    /// The residual stream, `[tokens, hidden]`
    x: ActId,
    normed: ActId,
    qkv: ActId,
    q: ActId,
    mixed: ActId,
    /// Of a step's attention over many keys.
    spans: ActId,
    /// Gate, then up.
    wide: ActId,
    gated: ActId,
    /// What a norm follows before it is added.
    branch: Option<ActId>,
    /// Of blocks without and with a window.
    tables: [VectorRef; 2],
    /// Room for tokens in the states.
    room: u32,
    mask: Mask,
}

/// Records a decoder with room for so many tokens.
///
/// # Errors
/// As [`crate::checkpoint::Checkpoint::tensor`].
pub fn record(generator: &Generator, room: usize, l: &mut Loader) -> Result<LanguageModel> {
    let d = &generator.decoder;
    let usage = if d.tied { Usage::Both } else { Usage::Table };
    let table = l.shards(&format!("{PREFIX}.embed_tokens.weight"), &[d.vocab, d.hidden], usage)?;
    let first = l.weights.len();
    let blocks = (0..d.layers).map(|layer| Block::load(l, d, layer)).collect::<Result<Vec<_>>>()?;
    l.of_steps(first);
    let norm = Norm::load(l, d, &format!("{PREFIX}.norm"), d.hidden)?;
    let head = if d.tied { table.clone() } else { l.shards("lm_head.weight", &[d.vocab, d.hidden], Usage::Product)? };
    let size = d.head_size;
    let mut rotations = |rope: crate::config::Rope| l.computed("rope", room * size, move || rope.table(room, size));
    let tables = [rotations(d.rope), rotations(d.local_rope)];

    let mut plan = Plan::default();
    let ids = plan.input("ids", EACH, 1);
    let last = plan.input("last", ONE, 1);
    let pictures = generator.pictures.is_some().then(|| plan.input("pictures", Rows::Shared(room as u32), d.hidden));
    let s = Stream {
        x: plan.scratch("x", EACH, d.hidden),
        normed: plan.scratch("normed", EACH, d.hidden),
        qkv: plan.scratch("qkv", EACH, d.q_width() + 2 * d.kv_width()),
        q: plan.scratch("q", EACH, d.q_width()),
        mixed: plan.scratch("mixed", EACH, d.q_width()),
        spans: plan.scratch("spans", ONE, Attention::span_words([d.heads, size].map(|n| n as u32), room as u32)),
        wide: plan.scratch("wide", EACH, 2 * d.intermediate),
        gated: plan.scratch("gated", EACH, d.intermediate),
        branch: d.post_norms.then(|| plan.scratch("branch", EACH, d.hidden)),
        tables,
        room: room as u32,
        // Where all of a prompt sees all of it, the prompt is one run.
        mask: if generator.pictures.as_ref().is_some_and(|p| p.prefix) { Mask::None } else { Mask::Causal },
    };
    for (i, &(table, first)) in table.iter().enumerate() {
        let pictures = pictures.filter(|_| i == 0);
        let embed = Embed { ids, table, first, pictures, y: s.x, rows: EACH, scale: d.embedding_scale };
        plan.step(if i == 0 { "embed".into() } else { format!("embed.{i}") }, embed);
    }
    plan.tap("embed", s.x);
    for (layer, block) in blocks.iter().enumerate() {
        block.record(&mut plan, d, layer, &s);
    }

    let token = plan.scratch("token", ONE, d.hidden);
    let normed = plan.scratch("token.normed", ONE, d.hidden);
    let logits = plan.scratch("logits", ONE, d.vocab);
    plan.step("token", Gather { x: s.x, index: Some(last), y: token, of: EACH, dim: d.hidden as u32 });
    plan.step("norm", norm.record(token, normed, ONE));
    plan.tap("norm", normed);
    let of = d.vocab as u32;
    for (i, &(shard, first)) in head.iter().enumerate() {
        let place = if head.len() == 1 { Place::Set } else { Place::Columns { first, of } };
        let product = Matmul { place, ..Matmul::new(normed, shard, logits, ONE) };
        plan.step(if i == 0 { "head".into() } else { format!("head.{i}") }, product);
    }
    plan.tap("logits", logits);
    plan.step("pick", Pick { x: logits, y: ids, rows: ONE, count: of });
    plan.output("logits", logits);
    Ok(LanguageModel { plan, ids, pictures, last, logits, reader: None })
}

impl Block {
    fn record(&self, plan: &mut Plan, d: &Decoder, layer: usize, s: &Stream) {
        let name = format!("block.{layer}");
        let step = |what: &str| format!("{name}.{what}");
        let size = d.head_size as u32;
        let [heads, kv_heads] = [d.heads, d.kv_heads].map(|n| n as u32);
        let cache = plan.state(&format!("{name}.kv"), s.room, 2 * d.kv_width());
        let window = d.windows[layer];

        plan.step(step("norm1"), self.norm1.record(s.x, s.normed, EACH));
        let (weight, bias) = self.qkv;
        plan.step(step("qkv"), Matmul { bias, ..Matmul::new(s.normed, weight, s.qkv, EACH) });
        let rope = |y, norm: Option<Norm>| Rope {
            x: s.qkv,
            y,
            table: Some(s.tables[usize::from(window.is_some())]),
            norm: norm.map(|norm| norm.weight),
            eps: d.eps,
            one_plus: d.one_plus,
            rows: EACH,
            stride: (heads + 2 * kv_heads) * size,
            from: 0,
            heads,
            copied: 0,
            head_size: size,
            most: None,
        };
        let [q_norm, k_norm] = self.head_norms.map_or([None; 2], |norms| norms.map(Some));
        let keys =
            Rope { from: heads * size, heads: kv_heads, copied: kv_heads, most: Some(s.room), ..rope(cache, k_norm) };
        plan.step(step("rope_q"), rope(s.q, q_norm));
        plan.step(step("rope_kv"), keys);
        let attention = Attention {
            q: Queries { act: s.q, len: EACH, stride: heads * size, index: None },
            kv: Keys {
                act: cache,
                len: EACH,
                stride: 2 * kv_heads * size,
                k: 0,
                v: kv_heads * size,
                most: Some(s.room),
                lengths: None,
            },
            y: s.mixed,
            heads,
            kv_heads,
            head_size: size,
            scale: d.scale,
            cap: d.score_cap,
            window: window.map(|window| window as u32),
            mask: s.mask,
            spans: Spans::Into(s.spans),
            windows: 1,
        };
        plan.step(step("attention"), attention);
        let [after_attention, after_mlp] = self.post_norms.map_or([None; 2], |norms| norms.map(Some));
        record_branch(plan, &step("out"), Matmul::new(s.mixed, self.out, s.x, EACH), after_attention, s);
        plan.step(step("norm2"), self.norm2.record(s.x, s.normed, EACH));
        plan.step(step("gate_up"), Matmul::new(s.normed, self.gate_up, s.wide, EACH));
        let dim = d.intermediate as u32;
        plan.step(step("gated"), Gated { x: s.wide, y: s.gated, rows: EACH, dim, activation: d.activation });
        record_branch(plan, &step("down"), Matmul::new(s.gated, self.down, s.x, EACH), after_mlp, s);
        plan.tap(name, s.x);
    }
}

/// Adds a product to the residual stream, through a norm if there is one.
fn record_branch(plan: &mut Plan, name: &str, product: Matmul, norm: Option<Norm>, s: &Stream) {
    let (Some(norm), Some(branch)) = (norm, s.branch) else {
        plan.step(name, Matmul { place: Place::Add, ..product });
        return;
    };
    plan.step(name, Matmul { y: branch, ..product });
    plan.step(format!("{name}.norm"), RmsNorm { accumulate: true, ..norm.record(branch, s.x, EACH) });
}
