//! The Hugging Face files as they are written, with the reference's defaults for what they leave out.

use serde_json::Value;

use super::{
    Activation, Cleaning, Config, Encoder, Family, Head, JsonFiles, Kind, Mask, Padding, Patches, PositionSource,
    Preprocessor, ScoreRule, Text, TextPooling, TextRule, Towers, Vision, VisionPooling,
    check::{Names, check},
    clipseg, owl, own,
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

/// The two towers' settings, and the length of CLIP's embeddings.
pub(super) struct Sections {
    pub vision: Object,
    pub text: Object,
    pub projection: Option<usize>,
}

pub fn parse(files: &JsonFiles) -> Result<Config> {
    let mut root = Object::parse("config.json", files.config)?;
    let kind = Kind::of(&mut root)?;
    let tokenizer = TokenizerFile::parse(files.tokenizer_config.unwrap_or(b"{}"))?;
    let preprocessor = Preprocessor::of(files, kind)?;
    let own = root.object(own::KEY)?;
    let mut sections = Sections::of(&mut root, kind)?;
    let mut built = match kind.family {
        Family::Clip => clip(kind, &mut sections, preprocessor, tokenizer)?,
        Family::Siglip => siglip(kind, &mut sections, preprocessor, tokenizer)?,
        Family::OwlVit | Family::Owlv2 => owl::parse(kind, &mut sections, preprocessor, tokenizer)?,
        Family::ClipSeg => clipseg::parse(kind, &mut sections, &mut root, preprocessor, tokenizer)?,
    };
    if let Some(mut own) = own {
        built.text.mask = own.need("text_mask")?;
        built.text.pooling = own.need("text_pooling")?;
        built.score = own.need("score")?;
    }
    let channels = sections.vision.take::<usize>("num_channels")?.unwrap_or(3);
    if channels != 3 {
        return Err(Error::BadCheckpoint(format!(
            "{}: expected 3, found {channels}",
            sections.vision.label("num_channels")
        )));
    }
    check(&built, &NAMES)?;
    Ok(built)
}

impl Sections {
    /// A single tower's settings, and its length of embeddings, are its own.
    fn of(root: &mut Object, kind: Kind) -> Result<Self> {
        let old = !matches!(kind.family, Family::OwlVit | Family::Owlv2);
        let (mut vision, mut text) = match (kind.flat, kind.towers) {
            (true, Towers::Text) => (Object::default(), std::mem::take(root)),
            (true, _) => (std::mem::take(root), Object::default()),
            (false, _) => (section(root, "vision_config", old)?, section(root, "text_config", old)?),
        };
        let of = match (kind.flat, kind.towers) {
            (false, Towers::Both) => root,
            (_, Towers::Text) => &mut text,
            _ => &mut vision,
        };
        let projection = of.take("projection_dim")?;
        Ok(Self { vision, text, projection })
    }
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

/// One tower's section; every field is optional in published files. Older checkpoints of some families (`old`) repeat their settings
/// in a second one, which transformers fills up with defaults before it lets it win, so nothing of the first remains.
fn section(root: &mut Object, name: &str, old: bool) -> Result<Object> {
    let main = root.object(name)?;
    let over = if old { root.object(&format!("{name}_dict"))? } else { None };
    Ok(over.or(main).unwrap_or_default())
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

/// The blocks of CLIP's towers, which OWL-ViT and CLIPSeg share.
const CLIP: Defaults =
    Defaults { hidden: 768, intermediate: 3072, layers: 12, heads: 12, activation: "quick_gelu", eps: 1e-5 };

/// CLIP's picture tower, with what families call otherwise: defaults of the picture's side and of the patch's, and a name.
pub(super) fn clip_vision(
    kind: Kind,
    vision: &mut Object,
    [image_size, patch_size]: [usize; 2],
    pre_norm: &'static str,
) -> Result<Vision> {
    Ok(Vision {
        encoder: encoder(vision, &CLIP)?,
        pre_norm,
        image_size: vision.take("image_size")?.unwrap_or(image_size),
        patch_size: vision.take("patch_size")?.unwrap_or(patch_size),
        patches: kind.patches,
        positions: PositionSource::Stored,
        pooling: VisionPooling::ClassToken,
    })
}

/// CLIP's text tower; `tokens` is the default of its length.
pub(super) fn clip_text(text: &mut Object, tokens: usize, pooling: TextPooling) -> Result<Text> {
    Ok(Text {
        encoder: encoder(text, &Defaults { hidden: 512, intermediate: 2048, heads: 8, ..CLIP })?,
        vocab: text.take("vocab_size")?.unwrap_or(49408),
        tokens: text.take("max_position_embeddings")?.unwrap_or(tokens),
        mask: Mask::Causal,
        pooling,
    })
}

pub(super) fn clip_text_pooling(text: &mut Object) -> Result<TextPooling> {
    Ok(match text.take("eos_token_id")?.unwrap_or(49407) {
        2 => TextPooling::HighestId,
        id => TextPooling::FirstOf(id),
    })
}

pub(super) fn clip_text_rule(tokenizer: TokenizerFile) -> TextRule {
    let pad_token = tokenizer.pad_token.unwrap_or_else(|| "<|endoftext|>".into());
    let padding = Padding::Token(pad_token);
    tokenizer.own.unwrap_or(TextRule { cleaning: Cleaning::AsIs, byte_fallback: false, padding })
}

/// Defaults: `CLIPTextConfig` and `CLIPVisionConfig` in transformers' `configuration_clip.py`.
fn clip(
    kind: Kind,
    sections: &mut Sections,
    preprocessor: Option<Preprocessor>,
    tokenizer: TokenizerFile,
) -> Result<Config> {
    let vision = clip_vision(kind, &mut sections.vision, [224, 32], "pre_layrnorm")?;
    let pooling = clip_text_pooling(&mut sections.text)?;
    let text = clip_text(&mut sections.text, 77, pooling)?;
    let pooled = if kind.towers.vision() { &vision.encoder } else { &text.encoder };
    Ok(Config {
        family: kind.family,
        head: Head::Contrastive,
        towers: kind.towers,
        embedding: if kind.projection { sections.projection.unwrap_or(512) } else { pooled.hidden },
        projection: kind.projection,
        preprocessor: preprocessor.unwrap_or_else(|| Preprocessor::none(vision.image_size)),
        vision,
        text,
        score: ScoreRule::Softmax,
        text_rule: clip_text_rule(tokenizer),
    })
}

/// Defaults: `SiglipTextConfig` and `SiglipVisionConfig` in transformers' `configuration_siglip.py`, and those of
/// `configuration_siglip2.py`.
fn siglip(
    kind: Kind,
    Sections { vision, text, .. }: &mut Sections,
    preprocessor: Option<Preprocessor>,
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
        pre_norm: "",
        image_size: match kind.patches {
            Patches::Square => vision.take("image_size")?.unwrap_or(224),
            Patches::Naflex => square_side(vision.take("num_patches")?.unwrap_or(256))?.saturating_mul(patch_size),
        },
        patch_size,
        patches: kind.patches,
        positions: PositionSource::Stored,
        pooling: VisionPooling::AttentionHead,
    };
    let text_encoder = encoder(text, &base)?;
    let projected = text.take("projection_size")?.unwrap_or(text_encoder.hidden);
    let embedding = if kind.towers.text() { projected } else { vision.encoder.hidden };
    if kind.towers == Towers::Both && embedding != vision.encoder.hidden {
        return Err(Error::BadCheckpoint(format!(
            "config.json: the text tower projects to {embedding}, the vision tower to {}: expected the same",
            vision.encoder.hidden
        )));
    }
    Ok(Config {
        family: kind.family,
        head: Head::Contrastive,
        towers: kind.towers,
        preprocessor: preprocessor.unwrap_or_else(|| Preprocessor::none(vision.image_size)),
        vision,
        text: Text {
            encoder: text_encoder,
            vocab: text.take("vocab_size")?.unwrap_or(32000),
            tokens: text.take("max_position_embeddings")?.unwrap_or(64),
            mask: Mask::None,
            pooling: TextPooling::Last,
        },
        embedding,
        projection: true,
        score: ScoreRule::Sigmoid,
        text_rule: tokenizer.own.clone().unwrap_or_else(|| siglip_text(tokenizer, kind.patches)),
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

/// Whether transformers 5 saved this `tokenizer_config.json` as part of a processor, and so a `processor_config.json` beside it.
#[must_use]
pub fn names_a_processor(tokenizer_config: &[u8]) -> bool {
    let file = serde_json::from_slice::<Value>(tokenizer_config).unwrap_or_default();
    // Version 4 wrote no backend, and the image processor into preprocessor_config.json.
    file["processor_class"].is_string() && file["backend"].is_string()
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
