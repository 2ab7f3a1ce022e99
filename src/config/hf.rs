//! The Hugging Face files as they are written, with the reference's defaults for what they leave out.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{
    Activation, Cleaning, Config, Encoder, Family, Mask, Padding, Preprocessor, ScoreRule, Text, TextPooling, TextRule,
    Vision, VisionPooling,
    check::{Names, check},
};
use crate::error::{Error, Result};

#[derive(Deserialize)]
struct Root {
    model_type: Option<String>,
    text_config: Option<Map<String, Value>>,
    vision_config: Option<Map<String, Value>>,
    /// Older CLIP checkpoints repeat their settings here, and transformers lets these win.
    text_config_dict: Option<Map<String, Value>>,
    vision_config_dict: Option<Map<String, Value>>,
    projection_dim: Option<usize>,
    ocelli: Option<OwnModel>,
}

/// What Ocelli adds to `config.json`, for models whose own files say more than transformers' can (see `write`).
#[derive(Serialize, Deserialize)]
pub(super) struct OwnModel {
    pub text_mask: Mask,
    pub text_pooling: TextPooling,
    pub score: ScoreRule,
}

/// What Ocelli adds to `tokenizer_config.json`.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct OwnText {
    pub cleaning: Cleaning,
    pub byte_fallback: bool,
    pub padding: Padding,
}

/// One tower's section; every field is optional in published files.
#[derive(Deserialize)]
struct Tower {
    hidden_size: Option<usize>,
    intermediate_size: Option<usize>,
    num_hidden_layers: Option<usize>,
    num_attention_heads: Option<usize>,
    hidden_act: Option<String>,
    layer_norm_eps: Option<f32>,
    image_size: Option<usize>,
    patch_size: Option<usize>,
    num_channels: Option<usize>,
    vision_use_head: Option<bool>,
    vocab_size: Option<usize>,
    max_position_embeddings: Option<usize>,
    eos_token_id: Option<u32>,
    projection_size: Option<usize>,
}

/// The few fields of `tokenizer_config.json` that change ids.
#[derive(Deserialize, Default)]
pub struct TokenizerFile {
    tokenizer_class: Option<String>,
    do_lower_case: Option<bool>,
    pad_token: Option<Value>,
    padding_side: Option<String>,
    truncation_side: Option<String>,
    ocelli: Option<OwnText>,
}

/// What transformers assumes where a section is silent.
struct Defaults {
    hidden: usize,
    intermediate: usize,
    layers: usize,
    heads: usize,
    activation: &'static str,
    eps: f32,
}

pub fn json<T: DeserializeOwned>(file: &str, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes)
        .map_err(|e| Error::BadCheckpoint(format!("{file}: not the JSON that was expected: {e}")))
}

pub fn parse(config: &[u8], preprocessor: &[u8], tokenizer_config: &[u8]) -> Result<Config> {
    let root: Root = json("config.json", config)?;
    let tokenizer: TokenizerFile = json("tokenizer_config.json", tokenizer_config)?;
    let family = match root.model_type.as_deref() {
        Some("clip") => Family::Clip,
        Some("siglip") => Family::Siglip,
        Some("siglip2") => {
            return Err(Error::WrongModel(
                "config.json: expected model_type \"siglip\", found \"siglip2\": of SigLIP 2, Ocelli runs the checkpoints of fixed \
                 resolution, such as siglip2-base-patch16-224, and not NaFlex"
                    .into(),
            ));
        }
        other => {
            return Err(Error::WrongModel(format!(
                "config.json: expected model_type \"clip\" or \"siglip\", found {}: Ocelli runs these two families",
                other.map_or("none".into(), |name| format!("{name:?}"))
            )));
        }
    };
    let vision = section(root.vision_config, root.vision_config_dict, "vision_config")?;
    let text = section(root.text_config, root.text_config_dict, "text_config")?;
    let mut built = match family {
        Family::Clip => clip(&vision, &text, root.projection_dim, preprocessor, &tokenizer)?,
        Family::Siglip => siglip(&vision, &text, preprocessor, &tokenizer)?,
    };
    if let Some(own) = root.ocelli {
        built.text.mask = own.text_mask;
        built.text.pooling = own.text_pooling;
        built.score = own.score;
    }
    let channels = vision.num_channels.unwrap_or(3);
    if channels != 3 {
        return Err(Error::BadCheckpoint(format!(
            "config.json: vision_config: num_channels: expected 3, found {channels}"
        )));
    }
    check(&built, &NAMES)?;
    Ok(built)
}

const NAMES: Names = Names {
    file: "config.json",
    sections: ["vision_config", "text_config"],
    hidden: "hidden_size",
    heads: ["num_attention_heads"; 2],
    layers: "num_hidden_layers",
    intermediate: "intermediate_size",
    eps: "layer_norm_eps",
    vocab: "vocab_size",
    tokens: "max_position_embeddings",
    embedding: "projection",
};

fn section(main: Option<Map<String, Value>>, over: Option<Map<String, Value>>, name: &str) -> Result<Tower> {
    // transformers fills the second section up with defaults before it wins, so nothing of the first remains.
    let mut fields = over.or(main).unwrap_or_default();
    fields.retain(|_, value| !value.is_null());
    serde_json::from_value(Value::Object(fields)).map_err(|e| Error::BadCheckpoint(format!("config.json: {name}: {e}")))
}

fn encoder(tower: &Tower, d: &Defaults) -> Result<Encoder> {
    let name = tower.hidden_act.as_deref().unwrap_or(d.activation);
    let activation = match name {
        "quick_gelu" => Activation::QuickGelu,
        "gelu" => Activation::Gelu,
        "gelu_pytorch_tanh" => Activation::GeluTanh,
        other => {
            return Err(Error::WrongModel(format!(
                "config.json: hidden_act: expected quick_gelu, gelu or gelu_pytorch_tanh, found {other:?}"
            )));
        }
    };
    Ok(Encoder {
        hidden: tower.hidden_size.unwrap_or(d.hidden),
        heads: tower.num_attention_heads.unwrap_or(d.heads),
        layers: tower.num_hidden_layers.unwrap_or(d.layers),
        intermediate: tower.intermediate_size.unwrap_or(d.intermediate),
        activation,
        eps: tower.layer_norm_eps.unwrap_or(d.eps),
    })
}

/// Defaults: `CLIPTextConfig` and `CLIPVisionConfig` in transformers' `configuration_clip.py`.
fn clip(
    vision: &Tower,
    text: &Tower,
    projection: Option<usize>,
    preprocessor: &[u8],
    tokenizer: &TokenizerFile,
) -> Result<Config> {
    let base = Defaults { hidden: 768, intermediate: 3072, layers: 12, heads: 12, activation: "quick_gelu", eps: 1e-5 };
    Ok(Config {
        family: Family::Clip,
        vision: Vision {
            encoder: encoder(vision, &base)?,
            image_size: vision.image_size.unwrap_or(224),
            patch_size: vision.patch_size.unwrap_or(32),
            pooling: VisionPooling::ClassToken,
        },
        text: Text {
            encoder: encoder(text, &Defaults { hidden: 512, intermediate: 2048, heads: 8, ..base })?,
            vocab: text.vocab_size.unwrap_or(49408),
            tokens: text.max_position_embeddings.unwrap_or(77),
            mask: Mask::Causal,
            pooling: match text.eos_token_id.unwrap_or(49407) {
                2 => TextPooling::HighestId,
                id => TextPooling::FirstOf(id),
            },
        },
        embedding: projection.unwrap_or(512),
        score: ScoreRule::Softmax,
        preprocessor: Preprocessor::parse(preprocessor, Family::Clip)?,
        text_rule: tokenizer.own().unwrap_or_else(|| TextRule {
            cleaning: Cleaning::AsIs,
            byte_fallback: false,
            padding: Padding::Token(tokenizer.pad_token().unwrap_or("<|endoftext|>").into()),
        }),
    })
}

/// Defaults: `SiglipTextConfig` and `SiglipVisionConfig` in transformers' `configuration_siglip.py`.
fn siglip(vision: &Tower, text: &Tower, preprocessor: &[u8], tokenizer: &TokenizerFile) -> Result<Config> {
    if vision.vision_use_head == Some(false) {
        return Err(Error::WrongModel(
            "config.json: vision_use_head: expected true, found false: without the pooling head there is no embedding"
                .into(),
        ));
    }
    let base =
        Defaults { hidden: 768, intermediate: 3072, layers: 12, heads: 12, activation: "gelu_pytorch_tanh", eps: 1e-6 };
    let vision = Vision {
        encoder: encoder(vision, &base)?,
        image_size: vision.image_size.unwrap_or(224),
        patch_size: vision.patch_size.unwrap_or(16),
        pooling: VisionPooling::AttentionHead,
    };
    let text_encoder = encoder(text, &base)?;
    let embedding = text.projection_size.unwrap_or(text_encoder.hidden);
    if embedding != vision.encoder.hidden {
        return Err(Error::BadCheckpoint(format!(
            "config.json: the text tower projects to {embedding}, the vision tower to {}: expected the same",
            vision.encoder.hidden
        )));
    }
    Ok(Config {
        family: Family::Siglip,
        vision,
        text: Text {
            encoder: text_encoder,
            vocab: text.vocab_size.unwrap_or(32000),
            tokens: text.max_position_embeddings.unwrap_or(64),
            mask: Mask::None,
            pooling: TextPooling::Last,
        },
        embedding,
        score: ScoreRule::Sigmoid,
        preprocessor: Preprocessor::parse(preprocessor, Family::Siglip)?,
        text_rule: tokenizer.own().unwrap_or_else(|| siglip_text(tokenizer)),
    })
}

/// SigLIP 2 differs from SigLIP in its tokenizer, and nothing but the tokenizer's class tells them apart: `config.json` says
/// "siglip" for both.
fn siglip_text(tokenizer: &TokenizerFile) -> TextRule {
    let class = tokenizer.class();
    let second = class.starts_with("Gemma") || class.starts_with("Siglip2");
    let cleaning = match tokenizer.do_lower_case {
        // Gemma's own setting does not count: SigLIP 2 was trained on lower case.
        _ if second => Cleaning::Lowercase,
        Some(false) => Cleaning::AsIs,
        _ => Cleaning::Canonical,
    };
    let padding = Padding::Token(tokenizer.pad_token().unwrap_or(if second { "<pad>" } else { "</s>" }).into());
    TextRule { cleaning, byte_fallback: true, padding }
}

impl TokenizerFile {
    fn own(&self) -> Option<TextRule> {
        self.ocelli.clone().map(|OwnText { cleaning, byte_fallback, padding }| TextRule {
            cleaning,
            byte_fallback,
            padding,
        })
    }

    /// Whether texts are filled up and cut at their end: `padding_side` and `truncation_side`.
    pub(super) fn sides(&self) -> [(&'static str, Option<&str>); 2] {
        [("padding_side", self.padding_side.as_deref()), ("truncation_side", self.truncation_side.as_deref())]
    }

    /// `tokenizer_class`, empty if there is none.
    pub(super) fn class(&self) -> &str {
        self.tokenizer_class.as_deref().unwrap_or_default()
    }

    /// `"</s>"` or `{"content": "</s>", …}`.
    pub(super) fn pad_token(&self) -> Option<&str> {
        let value = self.pad_token.as_ref()?;
        value.as_str().or_else(|| value.get("content")?.as_str())
    }
}
