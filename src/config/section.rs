//! One object of `open_clip_config.json`: every setting in it is either used, known to change nothing, or refused by name.

use serde_json::Value;

use super::Activation;
use crate::{
    error::{Error, Result},
    json::{Field, Object, shown},
};

/// Settings that change nothing: for training, for parts that other settings switch on, or beside a stored number.
const IDLE: [&str; 20] = [
    "init_logit_scale",
    "nonscalar_logit_scale",
    "cast_dtype",
    "output_dict",
    // Where the text tower's tensors are is seen from their names.
    "custom_text",
    "patch_dropout",
    "output_tokens",
    "attn_pooler_queries",
    "attn_pooler_heads",
    // The positions are stored, however they were made.
    "pos_embed_type",
    // One token is pooled: a norm before and after are the same.
    "final_ln_after_pool",
    "timm_model_pretrained",
    "timm_proj_bias",
    "timm_drop",
    "timm_drop_path",
    // The mask of padding, which this would belong to, cannot be switched on in the file.
    "pad_id",
    "hf_model_pretrained",
    "hf_proj_type",
    "hf_pooler_type",
    // The picture's size is the tower's.
    "size",
];

/// Settings that must be off, which they are by default.
const OFF: [&str; 14] = [
    "multimodal_cfg",
    "ls_init_value",
    "attentional_pool",
    "no_ln_pre",
    "block_type",
    "qk_norm",
    "scaled_cosine_attn",
    "scale_heads",
    "scale_attn_inner",
    "scale_attn",
    "scale_fc",
    "embed_cls",
    "hf_model_name",
    "tokenizer_mode",
];

/// One object of the file. What nobody asked for is found at the end.
pub struct Section(Object);

impl Section {
    /// The whole file.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self> {
        Object::parse(file, bytes).map(Self)
    }

    /// An object that must be there.
    pub fn need_section(&mut self, key: &str) -> Result<Self> {
        self.0.need_object(key).map(Self)
    }

    /// A field that must be there.
    pub fn need<T: Field>(&mut self, key: &str) -> Result<T> {
        self.0.need(key)
    }

    /// A field as it is.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    /// What nobody took.
    pub fn left(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.left()
    }

    /// An object; an empty one if it is left out.
    pub fn section(&mut self, key: &str) -> Result<Self> {
        Ok(Self(self.0.object(key)?.unwrap_or_else(|| self.0.empty(key))))
    }

    pub fn take<T: Field>(&mut self, key: &str) -> Result<Option<T>> {
        self.0.take(key)
    }

    /// A side in pixels: a number, or two that are equal.
    pub fn side(&mut self, key: &str, default: usize) -> Result<usize> {
        match self.take::<Value>(key)? {
            None => Ok(default),
            Some(value) => match (value.as_u64(), value.as_array().map(Vec::as_slice)) {
                (Some(n), _) => Ok(n as usize),
                (_, Some([a, b])) if a == b && a.is_u64() => Ok(a.as_u64().expect("asked before") as usize),
                _ => self.refuse(key, "a number of pixels, or two that are equal", &value),
            },
        }
    }

    /// One of some words.
    pub fn word<T: Copy>(&mut self, key: &str, default: T, known: &[(&str, T)]) -> Result<T> {
        let Some(value) = self.take::<Value>(key)? else { return Ok(default) };
        match known.iter().find(|(word, _)| value == *word) {
            Some((_, meaning)) => Ok(*meaning),
            None => {
                let words: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
                self.refuse(key, &words.join(" or "), &value)
            }
        }
    }

    /// Layer norms: `norm_kwargs`, of which only `eps` is run.
    pub fn eps(&mut self) -> Result<f32> {
        let mut norm = self.section("norm_kwargs")?;
        let eps = norm.take("eps")?.unwrap_or(1e-5);
        norm.finish()?;
        Ok(eps)
    }

    /// The nonlinearity: `act_kwargs` refines exact gelu (`torch.nn.GELU`); quick_gelu takes nothing.
    pub fn activation(&mut self, quick: bool) -> Result<Activation> {
        if quick {
            return match self.take::<Value>("act_kwargs")? {
                Some(value) if value != Value::Object(Default::default()) => {
                    self.refuse("act_kwargs", "nothing beside quick_gelu", &value)
                }
                _ => Ok(Activation::QuickGelu),
            };
        }
        let mut act = self.section("act_kwargs")?;
        let known = [("none", Activation::Gelu), ("tanh", Activation::GeluTanh)];
        let activation = act.word("approximate", Activation::Gelu, &known)?;
        act.finish()?;
        Ok(activation)
    }

    /// `int(width * mlp_ratio)`, as Python cuts it off.
    pub fn intermediate(&mut self, width: usize) -> Result<usize> {
        Ok((width as f64 * self.take::<f64>("mlp_ratio")?.unwrap_or(4.0)) as usize)
    }

    pub fn label(&self, key: &str) -> String {
        self.0.label(key)
    }

    pub fn refuse<T>(&self, key: &str, expected: &str, found: &Value) -> Result<T> {
        Err(Error::WrongModel(format!("{}: expected {expected}, found {}", self.label(key), shown(found))))
    }

    /// What is left must change nothing, or be off.
    pub fn finish(self) -> Result<()> {
        for (key, value) in self.left() {
            if IDLE.contains(&key) {
                continue;
            }
            let off = [Value::Bool(false), "".into(), Value::Object(Default::default())];
            match OFF.contains(&key) {
                true if off.contains(value) => {}
                true => return self.refuse(key, "none: Ocelli does not run this part of open_clip", value),
                false => return self.refuse(key, "no such field: Ocelli knows those of open_clip 3.3", value),
            }
        }
        Ok(())
    }
}
