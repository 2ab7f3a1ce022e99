//! The Hugging Face files as they are written, with the reference's defaults for what they leave out.

use serde_json::Value;

use super::{
    Activation, Cleaning, Config, Encoder, Family, Mask, Padding, Patches, Preprocessor, ScoreRule, Text, TextPooling,
    TextRule, Vision, VisionPooling,
    check::{Names, check},
    own,
};
use crate::{
    error::{Error, Result},
    json::Object,
};

/// The few fields of `tokenizer_config.json` that change ids.
pub(super) struct TokenizerFile {
    /// `tokenizer_class`, empty if there is none.
    pub class: String,
    /// The token that fills texts up: `"</s>"` or `{"content": "</s>", …}`.
    pub pad_token: Option<String>,
    /// Whether texts are filled up and cut at their end: `padding_side` and `truncation_side`.
    pub sides: [(&'static str, Option<String>); 2],
    do_lower_case: Option<bool>,
    own: Option<TextRule>,
}

/// The defaults of transformers, for fields that a section leaves out.
struct Defaults {
    hidden: usize,
    intermediate: usize,
    layers: usize,
    heads: usize,
    activation: &'static str,
    eps: f32,
}

pub fn parse(config: &[u8], preprocessor: &[u8], tokenizer_config: &[u8]) -> Result<Config> {
    let mut root = Object::parse("config.json", config)?;
    let tokenizer = TokenizerFile::parse(tokenizer_config)?;
    let (family, patches) = match root.take::<String>("model_type")?.as_deref() {
        Some("clip") => (Family::Clip, Patches::Square),
        // SigLIP 2 at fixed resolution, too.
        Some("siglip") => (Family::Siglip, Patches::Square),
        Some("siglip2") => (Family::Siglip, Patches::Naflex),
        other => {
            return Err(Error::WrongModel(format!(
                "config.json: expected model_type \"clip\", \"siglip\" or \"siglip2\", found {}: Ocelli runs these families",
                other.map_or("none".into(), |name| format!("{name:?}"))
            )));
        }
    };
    let mut vision = section(&mut root, "vision_config", "vision_config_dict")?;
    let mut text = section(&mut root, "text_config", "text_config_dict")?;
    let mut built = match family {
        Family::Clip => clip(&mut vision, &mut text, root.take("projection_dim")?, preprocessor, tokenizer)?,
        Family::Siglip => siglip(&mut vision, &mut text, patches, preprocessor, tokenizer)?,
    };
    if let Some(mut own) = root.object(own::KEY)? {
        built.text.mask = own.need("text_mask")?;
        built.text.pooling = own.need("text_pooling")?;
        built.score = own.need("score")?;
    }
    let channels = vision.take::<usize>("num_channels")?.unwrap_or(3);
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

/// One tower's section; every field is optional in published files. Older CLIP checkpoints repeat their settings in a second one,
/// which transformers fills up with defaults before it lets it win, so nothing of the first remains.
fn section(root: &mut Object, name: &str, over: &str) -> Result<Object> {
    let main = root.object(name)?;
    Ok(root.object(over)?.or(main).unwrap_or_default())
}

fn encoder(tower: &mut Object, d: &Defaults) -> Result<Encoder> {
    let name = tower.take::<String>("hidden_act")?;
    let activation = match name.as_deref().unwrap_or(d.activation) {
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
        hidden: tower.take("hidden_size")?.unwrap_or(d.hidden),
        heads: tower.take("num_attention_heads")?.unwrap_or(d.heads),
        layers: tower.take("num_hidden_layers")?.unwrap_or(d.layers),
        intermediate: tower.take("intermediate_size")?.unwrap_or(d.intermediate),
        activation,
        eps: tower.take("layer_norm_eps")?.unwrap_or(d.eps),
    })
}

/// Defaults: `CLIPTextConfig` and `CLIPVisionConfig` in transformers' `configuration_clip.py`.
fn clip(
    vision: &mut Object,
    text: &mut Object,
    projection: Option<usize>,
    preprocessor: &[u8],
    tokenizer: TokenizerFile,
) -> Result<Config> {
    let base = Defaults { hidden: 768, intermediate: 3072, layers: 12, heads: 12, activation: "quick_gelu", eps: 1e-5 };
    Ok(Config {
        family: Family::Clip,
        vision: Vision {
            encoder: encoder(vision, &base)?,
            image_size: vision.take("image_size")?.unwrap_or(224),
            patch_size: vision.take("patch_size")?.unwrap_or(32),
            patches: Patches::Square,
            pooling: VisionPooling::ClassToken,
        },
        text: Text {
            encoder: encoder(text, &Defaults { hidden: 512, intermediate: 2048, heads: 8, ..base })?,
            vocab: text.take("vocab_size")?.unwrap_or(49408),
            tokens: text.take("max_position_embeddings")?.unwrap_or(77),
            mask: Mask::Causal,
            pooling: match text.take("eos_token_id")?.unwrap_or(49407) {
                2 => TextPooling::HighestId,
                id => TextPooling::FirstOf(id),
            },
        },
        embedding: projection.unwrap_or(512),
        score: ScoreRule::Softmax,
        preprocessor: Preprocessor::parse(preprocessor, Family::Clip, Patches::Square)?,
        text_rule: tokenizer.own.unwrap_or_else(|| TextRule {
            cleaning: Cleaning::AsIs,
            byte_fallback: false,
            padding: Padding::Token(tokenizer.pad_token.unwrap_or_else(|| "<|endoftext|>".into())),
        }),
    })
}

/// Defaults: `SiglipTextConfig` and `SiglipVisionConfig` in transformers' `configuration_siglip.py`, and those of
/// `configuration_siglip2.py`.
fn siglip(
    vision: &mut Object,
    text: &mut Object,
    patches: Patches,
    preprocessor: &[u8],
    tokenizer: TokenizerFile,
) -> Result<Config> {
    if vision.take("vision_use_head")? == Some(false) {
        return Err(Error::WrongModel(
            "config.json: vision_use_head: expected true, found false: without the pooling head there is no embedding"
                .into(),
        ));
    }
    let base =
        Defaults { hidden: 768, intermediate: 3072, layers: 12, heads: 12, activation: "gelu_pytorch_tanh", eps: 1e-6 };
    let patch_size = vision.take("patch_size")?.unwrap_or(16);
    let vision = Vision {
        encoder: encoder(vision, &base)?,
        image_size: match patches {
            Patches::Square => vision.take("image_size")?.unwrap_or(224),
            Patches::Naflex => square_side(vision.take("num_patches")?.unwrap_or(256))?.saturating_mul(patch_size),
        },
        patch_size,
        patches,
        pooling: VisionPooling::AttentionHead,
    };
    let text_encoder = encoder(text, &base)?;
    let embedding = text.take("projection_size")?.unwrap_or(text_encoder.hidden);
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
            vocab: text.take("vocab_size")?.unwrap_or(32000),
            tokens: text.take("max_position_embeddings")?.unwrap_or(64),
            mask: Mask::None,
            pooling: TextPooling::Last,
        },
        embedding,
        score: ScoreRule::Sigmoid,
        preprocessor: Preprocessor::parse(preprocessor, Family::Siglip, patches)?,
        text_rule: tokenizer.own.clone().unwrap_or_else(|| siglip_text(tokenizer, patches)),
    })
}

/// How many positions a side: the reference reshapes them to a square.
fn square_side(positions: usize) -> Result<usize> {
    let side = positions.isqrt();
    match side * side == positions {
        true => Ok(side),
        false => Err(Error::BadCheckpoint(format!(
            "config.json: vision_config: num_patches: expected a square number, found {positions}"
        ))),
    }
}

/// SigLIP 2 differs from SigLIP in its tokenizer. Of the checkpoints at fixed resolution nothing but the tokenizer's class tells them
/// apart: `config.json` says "siglip" for both.
fn siglip_text(tokenizer: TokenizerFile, patches: Patches) -> TextRule {
    let second =
        patches == Patches::Naflex || tokenizer.class.starts_with("Gemma") || tokenizer.class.starts_with("Siglip2");
    let cleaning = match tokenizer.do_lower_case {
        // Gemma's own setting does not count: SigLIP 2 was trained on lower case.
        _ if second => Cleaning::Lowercase,
        Some(false) => Cleaning::AsIs,
        _ => Cleaning::Canonical,
    };
    let default = if second { "<pad>" } else { "</s>" };
    TextRule {
        cleaning,
        byte_fallback: true,
        padding: Padding::Token(tokenizer.pad_token.unwrap_or_else(|| default.into())),
    }
}

impl TokenizerFile {
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let mut file = Object::parse("tokenizer_config.json", bytes)?;
        let pad_token = file.take::<Value>("pad_token")?.unwrap_or_default();
        Ok(Self {
            class: file.take("tokenizer_class")?.unwrap_or_default(),
            pad_token: pad_token.as_str().or_else(|| pad_token["content"].as_str()).map(String::from),
            sides: [("padding_side", file.take("padding_side")?), ("truncation_side", file.take("truncation_side")?)],
            do_lower_case: file.take("do_lower_case")?,
            own: file.object(own::KEY)?.map(own::text_rule).transpose()?,
        })
    }
}
