//! Text decoders as data. Llama and SmolLM2, Qwen2, Qwen3 and Gemma 1 to 3 are one machine with different settings, each as
//! `configuration_*.py` and `modeling_*.py` in transformers have it.

use serde_json::Value;

use super::Activation;
use crate::{
    error::{Error, Result},
    json::Object,
};

/// A text decoder: what differs from family to family.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoder {
    /// Floats in a token.
    pub hidden: usize,
    /// Number of transformer blocks.
    pub layers: usize,
    /// Heads of queries, a multiple of `kv_heads`.
    pub heads: usize,
    /// Heads of keys and values; each serves as many heads of queries as the next.
    pub kv_heads: usize,
    /// Floats of a head; `hidden` need not be `heads` times as much.
    pub head_size: usize,
    /// Floats in the MLP's hidden layer.
    pub intermediate: usize,
    /// Rows of the token table.
    pub vocab: usize,
    /// Most tokens that the model was made for.
    pub context: usize,
    /// Epsilon of every RMS norm.
    pub eps: f32,
    /// Norms multiply by 1 + w, and not by w (Gemma).
    pub one_plus: bool,
    /// Norms also follow attention and MLP, before the residual (Gemma 2 and 3).
    pub post_norms: bool,
    /// Each head of queries and of keys is normed before its rotation (Qwen3, Gemma 3).
    pub head_norms: bool,
    /// Queries, keys and values have a bias (Qwen2).
    pub bias: bool,
    /// The nonlinearity of the MLP's gate.
    pub activation: Activation,
    /// What scores are multiplied by: 1 / √head_size, or what the file says.
    pub scale: f32,
    /// Scores s become cap · tanh(s / cap) (Gemma 2).
    pub score_cap: Option<f32>,
    /// The same of logits.
    pub logit_cap: Option<f32>,
    /// In which blocks a token sees no more than so many tokens, itself among them.
    pub windows: Vec<Option<usize>>,
    /// Rotary positions of blocks that see all tokens before them.
    pub rope: Rope,
    /// The same of blocks with a window.
    pub local_rope: Rope,
    /// What rows of the token table are multiplied by: √hidden of Gemma, else 1.
    pub embedding_scale: f32,
    /// Whether the token table is the matrix of the logits, too.
    pub tied: bool,
}

/// Rotary position embeddings (Su et al. 2021): number i of half a head turns by position · theta^(-2i / head size) / factor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rope {
    /// The base of the frequencies.
    pub theta: f32,
    /// Positions are as many times as dense (linear scaling).
    pub factor: f32,
}

impl Rope {
    /// Cosines of half a head, then sines, for each position below `positions`: `[positions, head_size]`. Angles are rounded to f32 at every
    /// step, as in transformers (`LlamaRotaryEmbedding`): far positions would be others without that.
    #[must_use]
    pub fn table(self, positions: usize, head_size: usize) -> Vec<f32> {
        let half = head_size / 2;
        let exponent = |i: usize| f64::from((2 * i) as f32 / head_size as f32);
        let frequency = |i: usize| 1.0 / (f64::from(self.theta).powf(exponent(i)) as f32) / self.factor;
        let frequencies: Vec<f32> = (0..half).map(frequency).collect();
        let row = |position: usize| {
            let angles: Vec<f64> = frequencies.iter().map(|frequency| f64::from(position as f32 * frequency)).collect();
            let cosines: Vec<f32> = angles.iter().map(|angle| angle.cos() as f32).collect();
            cosines.into_iter().chain(angles.into_iter().map(|angle| angle.sin() as f32))
        };
        (0..positions).flat_map(row).collect()
    }
}

/// What a family's class takes where the file says nothing, and what its code does.
struct Usual {
    hidden: usize,
    layers: usize,
    heads: usize,
    kv_heads: Option<usize>,
    head_size: Option<usize>,
    intermediate: usize,
    vocab: usize,
    context: usize,
    gemma: bool,
    post_norms: bool,
    head_norms: bool,
    bias: bool,
    /// Caps of scores and logits.
    caps: [Option<f32>; 2],
}

const LLAMA: Usual = Usual {
    hidden: 4096,
    layers: 32,
    heads: 32,
    kv_heads: None,
    head_size: None,
    intermediate: 11008,
    vocab: 32000,
    context: 2048,
    gemma: false,
    post_norms: false,
    head_norms: false,
    bias: false,
    caps: [None; 2],
};
const QWEN2: Usual =
    Usual { kv_heads: Some(32), intermediate: 22016, vocab: 151_936, context: 32768, bias: true, ..LLAMA };
const QWEN3: Usual = Usual { head_size: Some(128), head_norms: true, bias: false, ..QWEN2 };
const GEMMA: Usual = Usual {
    hidden: 3072,
    layers: 28,
    heads: 16,
    kv_heads: Some(16),
    head_size: Some(256),
    intermediate: 24576,
    vocab: 256_000,
    context: 8192,
    gemma: true,
    ..LLAMA
};
const GEMMA2: Usual = Usual {
    hidden: 2304,
    layers: 26,
    heads: 8,
    kv_heads: Some(4),
    intermediate: 9216,
    post_norms: true,
    caps: [Some(50.0), Some(30.0)],
    ..GEMMA
};
const GEMMA3: Usual = Usual { vocab: 262_208, context: 131_072, head_norms: true, caps: [None; 2], ..GEMMA2 };

impl Decoder {
    /// Reads the decoder's settings; `tied` is what the class of the whole model takes where no file says it.
    ///
    /// # Errors
    /// [`Error::WrongModel`] for what Ocelli does not run, and [`Error::BadCheckpoint`] where a field is of another kind.
    pub(super) fn parse(text: &mut Object, model_type: &str, tied: Option<bool>) -> Result<Self> {
        let usual = match model_type {
            "llama" => LLAMA,
            "qwen2" => QWEN2,
            "qwen3" => QWEN3,
            "gemma" => GEMMA,
            "gemma2" => GEMMA2,
            "gemma3_text" => GEMMA3,
            other => {
                return refuse(text, "model_type", "llama, qwen2, qwen3, gemma, gemma2 or gemma3_text", other);
            }
        };
        for field in ["attention_bias", "mlp_bias"] {
            if text.take::<bool>(field)? == Some(true) {
                return refuse(text, field, "false", "true");
            }
        }
        let hidden = text.take("hidden_size")?.unwrap_or(usual.hidden);
        let layers = text.take("num_hidden_layers")?.unwrap_or(usual.layers);
        let heads = text.take("num_attention_heads")?.unwrap_or(usual.heads);
        let kv_heads = text.take("num_key_value_heads")?.or(usual.kv_heads).unwrap_or(heads);
        let head_size =
            text.take("head_dim")?.or(usual.head_size).unwrap_or_else(|| hidden.checked_div(heads).unwrap_or(0));
        let of_scale: Option<f32> = if usual.post_norms { text.take("query_pre_attn_scalar")? } else { None };
        let of_scale = of_scale.unwrap_or(if usual.post_norms { 256.0 } else { head_size as f32 });
        let [score_cap, logit_cap] = if usual.post_norms { caps(text, &usual)? } else { [None; 2] };
        let (rope, local_rope) = ropes(text, model_type)?;
        let own_tie = text.take("tie_word_embeddings")?;
        let decoder = Self {
            hidden,
            layers,
            heads,
            kv_heads,
            head_size,
            intermediate: text.take("intermediate_size")?.unwrap_or(usual.intermediate),
            vocab: text.take("vocab_size")?.unwrap_or(usual.vocab),
            context: text.take("max_position_embeddings")?.unwrap_or(usual.context),
            eps: text.take("rms_norm_eps")?.unwrap_or(1e-6),
            one_plus: usual.gemma,
            post_norms: usual.post_norms,
            head_norms: usual.head_norms,
            bias: usual.bias,
            activation: activation(text, usual.gemma)?,
            scale: 1.0 / of_scale.sqrt(),
            score_cap,
            logit_cap,
            windows: windows(text, model_type, layers)?,
            rope,
            local_rope,
            embedding_scale: if usual.gemma { (hidden as f32).sqrt() } else { 1.0 },
            tied: tied.or(own_tie).unwrap_or(usual.gemma),
        };
        decoder.check(text)?;
        Ok(decoder)
    }

    fn check(&self, text: &Object) -> Result<()> {
        let sizes = [
            ("hidden_size", self.hidden, 1 << 16),
            ("num_attention_heads", self.heads, 1 << 10),
            ("num_key_value_heads", self.kv_heads, 1 << 10),
            ("head_dim", self.head_size, MAX_HEAD_SIZE),
            ("intermediate_size", self.intermediate, 1 << 18),
            ("vocab_size", self.vocab, 1 << 24),
            ("max_position_embeddings", self.context, 1 << 24),
        ];
        if let Some((field, found, most)) = sizes.into_iter().find(|(_, found, most)| !(1..=*most).contains(found)) {
            return bad(text, field, &format!("1 to {most}"), &found.to_string());
        }
        if self.layers > 1000 {
            return bad(text, "num_hidden_layers", "at most 1000", &self.layers.to_string());
        }
        if !self.heads.is_multiple_of(self.kv_heads) {
            let expected = format!("a multiple of num_key_value_heads, {}", self.kv_heads);
            return bad(text, "num_attention_heads", &expected, &self.heads.to_string());
        }
        if self.head_size > super::MAX_HEAD_SIZE && !self.head_size.is_multiple_of(4) {
            let expected = format!("a multiple of 4 above {}", super::MAX_HEAD_SIZE);
            return bad(text, "head_dim", &expected, &self.head_size.to_string());
        }
        if !self.head_size.is_multiple_of(2) {
            return bad(text, "head_dim", "an even number, for halves are rotated", &self.head_size.to_string());
        }
        Ok(())
    }

    /// Floats of a token's queries.
    #[must_use]
    pub fn q_width(&self) -> usize {
        self.heads * self.head_size
    }

    /// Floats of a token's keys; its values have as many.
    #[must_use]
    pub fn kv_width(&self) -> usize {
        self.kv_heads * self.head_size
    }
}

/// The widest head of a decoder that attention takes.
const MAX_HEAD_SIZE: usize = 256;

/// transformers reads two names, and takes Gemma's old `gelu` for the tanh approximation (`GemmaConfig.__post_init__`).
fn activation(text: &mut Object, gemma: bool) -> Result<Activation> {
    let names = [text.take::<String>("hidden_activation")?, text.take::<String>("hidden_act")?];
    let name = names.into_iter().flatten().next();
    match (name.as_deref(), gemma) {
        (None | Some("gelu_pytorch_tanh" | "gelu"), true) => Ok(Activation::GeluTanh),
        (None | Some("silu"), false) => Ok(Activation::Silu),
        (Some(other), _) => refuse(text, "hidden_act", if gemma { "gelu_pytorch_tanh" } else { "silu" }, other),
    }
}

/// Soft caps of scores and logits: a number, or null for none.
fn caps(text: &mut Object, usual: &Usual) -> Result<[Option<f32>; 2]> {
    let mut caps = usual.caps;
    for (cap, field) in caps.iter_mut().zip(["attn_logit_softcapping", "final_logit_softcapping"]) {
        if text.get(field).is_some() {
            *cap = text.take(field)?;
        }
    }
    Ok(caps)
}

/// Which blocks have a window: by `layer_types`, or else by the family's own rule.
fn windows(text: &mut Object, model_type: &str, layers: usize) -> Result<Vec<Option<usize>>> {
    let types: Option<Value> = text.take("layer_types")?;
    let asked = text.take::<bool>("use_sliding_window")?.unwrap_or(false);
    let window: Option<usize> = text.take("sliding_window")?;
    let from = text.take::<usize>("max_window_layers")?.unwrap_or(28);
    let pattern = text.take::<usize>("sliding_window_pattern")?.unwrap_or(6).max(1);
    let window = match model_type {
        "qwen2" | "qwen3" => asked.then(|| window.unwrap_or(4096)),
        "gemma2" | "gemma3_text" => Some(window.unwrap_or(4096)),
        _ => None,
    };
    let by_rule = |layer: usize| match model_type {
        "gemma2" => layer.is_multiple_of(2),
        "gemma3_text" => !(layer + 1).is_multiple_of(pattern),
        _ => layer >= from,
    };
    let Some(types) = types else {
        return Ok((0..layers).map(|layer| window.filter(|_| by_rule(layer))).collect());
    };
    let named = types.as_array().map(Vec::as_slice).unwrap_or_default();
    if named.len() != layers || named.iter().any(|name| name != "sliding_attention" && name != "full_attention") {
        let expected = format!("{layers} times sliding_attention or full_attention");
        return bad(text, "layer_types", &expected, &types.to_string());
    }
    Ok(named.iter().map(|name| window.filter(|_| name == "sliding_attention")).collect())
}

/// Rotations of blocks without and with a window. Older files have `rope_theta` and `rope_scaling`, newer ones `rope_parameters`, of
/// Gemma 3 one for each kind of block.
fn ropes(text: &mut Object, model_type: &str) -> Result<(Rope, Rope)> {
    let two = model_type == "gemma3_text";
    let old: Option<f32> = text.take("rope_theta")?;
    let old_local: Option<f32> = text.take("rope_local_base_freq")?;
    let scaling = text.object("rope_scaling")?;
    let new = text.object("rope_parameters")?;
    let [global, local] = if two { [1e6, 1e4] } else { [1e4; 2] };
    let (global, local) = (old.unwrap_or(global), old_local.unwrap_or(local));
    if !two {
        let rope = rope(new.or(scaling), global)?;
        return Ok((rope, rope));
    }
    let [full, sliding] = match new {
        Some(mut new) => [new.object("full_attention")?, new.object("sliding_attention")?],
        None => [scaling, None],
    };
    Ok((rope(full, global)?, rope(sliding, local)?))
}

fn rope(settings: Option<Object>, theta: f32) -> Result<Rope> {
    let Some(mut settings) = settings else { return Ok(Rope { theta, factor: 1.0 }) };
    let theta = settings.take("rope_theta")?.unwrap_or(theta);
    let (kind, old_kind) = (settings.take::<String>("rope_type")?, settings.take::<String>("type")?);
    let factor = settings.take::<f32>("factor")?;
    match kind.or(old_kind).as_deref() {
        None | Some("default") => Ok(Rope { theta, factor: 1.0 }),
        Some("linear") => match factor {
            Some(factor) if factor > 0.0 => Ok(Rope { theta, factor }),
            other => bad(&settings, "factor", "a positive number", &format!("{other:?}")),
        },
        Some(other) => refuse(&settings, "rope_type", "default or linear", other),
    }
}

fn refuse<T>(text: &Object, field: &str, expected: &str, found: &str) -> Result<T> {
    Err(Error::WrongModel(format!("{}: expected {expected}, found {found}", text.label(field))))
}

fn bad<T>(text: &Object, field: &str, expected: &str, found: &str) -> Result<T> {
    Err(Error::BadCheckpoint(format!("{}: expected {expected}, found {found}", text.label(field))))
}
