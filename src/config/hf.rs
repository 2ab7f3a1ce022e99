//! The Hugging Face files as they are written, with the reference's defaults for what they leave out.

use super::{
    Cleaning, Config, Family, Head, JsonFiles, Kind, Mask, Padding, Patches, PositionSource, Preprocessor, ScoreRule,
    Text, TextPooling, TextRule, TokenizerFile, Towers, Vision, VisionPooling, WRITES,
    check::{Names, check},
    clipseg, florence, owl, own,
    towers::{Defaults, Sections, clip_text, clip_text_pooling, clip_text_rule, clip_vision, encoder},
    writes,
};
use crate::{
    error::{Error, Result},
    json::Object,
};

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
        family if !WRITES => return Err(family.unbuilt()),
        Family::Florence2 => florence::parse(kind, (&mut root, files), &mut sections, preprocessor, tokenizer)?,
        _ => writes::parse(kind, (&mut root, files), &mut sections, preprocessor, tokenizer)?,
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
