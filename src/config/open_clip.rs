//! `open_clip_config.json` as open_clip 3.3 reads it (`factory.py`, `model.py`), with its defaults for what is left out.

use serde_json::Value;

use super::{
    Alpha, Cleaning, Config, CropRounding, Encoder, Family, Filter, Head, Mask, OpenClipCleaning, Padding, Patches,
    PositionSource, Preprocessor, Resize, ScoreRule, Text, TextPooling, TextRule, Tiles, TokenizerFile, Towers, Vision,
    VisionPooling,
    check::{Names, check},
    section::Section,
    timm::{self, Tower},
};
use crate::error::{Error, Result};

const FILE: &str = "open_clip_config.json";

pub fn parse(config: &[u8], tokenizer_config: &[u8]) -> Result<Config> {
    let mut root = Section::parse(FILE, config)?;
    let tokenizer = TokenizerFile::parse(tokenizer_config)?;
    let mut model = root.need_section("model_cfg")?;
    let mut vision = model.section("vision_cfg")?;
    let mut text = model.section("text_cfg")?;
    let preprocess = root.section("preprocess_cfg")?;

    let embedding = model.need("embed_dim")?;
    let quick = model.take("quick_gelu")?.unwrap_or(false);
    let logit_bias = model.take::<Value>("init_logit_bias")?.is_some();
    model.finish()?;
    let (family, tower) = vision_tower(&mut vision, embedding, quick)?;
    vision.finish()?;
    let text_rule = text_rule(&mut text, &tokenizer)?;
    let proj_bias = text.take("proj_bias")?.unwrap_or(false);
    let text = text_tower(text, quick)?;
    // The plans are those of transformers' models: its CLIP has neither of these biases, its SigLIP has both.
    let siglip = family == Family::Siglip;
    for (field, found) in [("text_cfg.proj_bias", proj_bias), ("model_cfg.init_logit_bias", logit_bias)] {
        if found != siglip {
            let tower = if siglip { "one with timm's SigLIP tower" } else { "none with open_clip's own picture tower" };
            let found = if found { "one" } else { "none" };
            return Err(Error::WrongModel(format!("{FILE}: {field}: expected {tower}, found {found}")));
        }
    }
    let built = Config {
        family,
        head: Head::Contrastive,
        towers: Towers::Both,
        preprocessor: preprocessor(preprocess, tower.image_size)?,
        vision: tower,
        text,
        embedding,
        projection: true,
        score: if logit_bias { ScoreRule::Sigmoid } else { ScoreRule::Softmax },
        text_rule,
    };
    check(&built, &NAMES)?;
    Ok(built)
}

const NAMES: Names = Names {
    file: FILE,
    sections: ["vision_cfg", "text_cfg"],
    hidden: "width",
    heads: ["width / head_width", "heads"],
    layers: "layers",
    intermediate: "width * mlp_ratio",
    eps: "norm_kwargs.eps",
    vocab: "text_cfg.vocab_size",
    tokens: "text_cfg.context_length",
    embedding: "model_cfg.embed_dim",
};

/// `_build_vision_tower` in open_clip's `model.py`.
fn vision_tower(v: &mut Section, embedding: usize, quick: bool) -> Result<(Family, Vision)> {
    let image_size = v.side("image_size", 224)?;
    if let Some(name) = v.take::<String>("timm_model_name")?.filter(|name| !name.is_empty()) {
        let Tower { encoder, patch_size } = timm::siglip(&name, image_size, v)?;
        v.word("timm_pool", None, &[("map", Some(()))])?.ok_or_else(|| missing(v, "timm_pool", "map"))?;
        v.word("timm_proj", None, &[("none", Some(()))])?.ok_or_else(|| missing(v, "timm_proj", "none"))?;
        if encoder.hidden != embedding {
            let what = format!("the width of {name}, {}, as nothing projects", encoder.hidden);
            return Err(Error::BadCheckpoint(format!(
                "{FILE}: model_cfg.embed_dim: expected {what}, found {embedding}"
            )));
        }
        // Of open_clip's own tower.
        for idle in ["pool_type", "norm_kwargs"] {
            v.take::<Value>(idle)?;
        }
        return Ok((Family::Siglip, square(encoder, [image_size, patch_size], "", VisionPooling::AttentionHead)));
    }
    if let Some(blocks) = v.get("layers").filter(|value| value.is_array()) {
        return v.refuse("layers", "the number of a vision transformer's blocks", blocks);
    }
    v.word("pool_type", (), &[("tok", ())])?;
    for idle in ["timm_pool", "timm_proj"] {
        v.take::<Value>(idle)?;
    }
    let hidden = v.take("width")?.unwrap_or(768);
    let encoder = Encoder {
        hidden,
        heads: hidden.checked_div(v.take("head_width")?.unwrap_or(64)).unwrap_or(0),
        layers: v.take("layers")?.unwrap_or(12),
        intermediate: v.intermediate(hidden)?,
        activation: v.activation(quick)?,
        eps: v.eps()?,
    };
    let patch_size = v.side("patch_size", 16)?;
    Ok((Family::Clip, square(encoder, [image_size, patch_size], "pre_layrnorm", VisionPooling::ClassToken)))
}

fn square(
    encoder: Encoder,
    [image_size, patch_size]: [usize; 2],
    pre_norm: &'static str,
    pooling: VisionPooling,
) -> Vision {
    let (patches, positions) = (Patches::Square, PositionSource::Stored);
    Vision { encoder, pre_norm, image_size, patch_size, patches, positions, pooling }
}

fn missing(section: &Section, key: &str, expected: &str) -> Error {
    Error::WrongModel(format!("{}: expected {expected:?}, found none", section.label(key)))
}

/// `_build_text_tower` in open_clip's `model.py`.
fn text_tower(mut t: Section, quick: bool) -> Result<Text> {
    let hidden = t.take("width")?.unwrap_or(512);
    let encoder = Encoder {
        hidden,
        heads: t.take("heads")?.unwrap_or(8),
        layers: t.take("layers")?.unwrap_or(12),
        intermediate: t.intermediate(hidden)?,
        activation: t.activation(quick)?,
        eps: t.eps()?,
    };
    t.word("proj_type", (), &[("linear", ())])?;
    let eos = t.take("eos_id")?.unwrap_or(2);
    let pooling = [("argmax", TextPooling::HighestId), ("eos", TextPooling::FirstOf(eos)), ("last", TextPooling::Last)];
    let text = Text {
        encoder,
        vocab: t.take("vocab_size")?.unwrap_or(49408),
        tokens: t.take("context_length")?.unwrap_or(77),
        mask: if t.take("no_causal_mask")?.unwrap_or(false) { Mask::None } else { Mask::Causal },
        pooling: t.word("pool_type", TextPooling::HighestId, &pooling)?,
    };
    t.finish()?;
    Ok(text)
}

/// `get_tokenizer` in open_clip's `factory.py`: Hugging Face's tokenizer if the file names one, else its own.
fn text_rule(t: &mut Section, tokenizer: &TokenizerFile) -> Result<TextRule> {
    let mut options = t.section("tokenizer_kwargs")?;
    let hugging_face = t.take::<String>("hf_tokenizer_name")?.is_some_and(|name| !name.is_empty());
    let default = if hugging_face { OpenClipCleaning::Whitespace } else { OpenClipCleaning::Lower };
    let known = [
        ("whitespace", OpenClipCleaning::Whitespace),
        ("lower", OpenClipCleaning::Lower),
        ("canonicalize", OpenClipCleaning::Canonicalize),
    ];
    let cleaning = Cleaning::OpenClip(options.word("clean", default, &known)?);
    if options.take("strip_sep_token")? == Some(true) {
        return options.refuse("strip_sep_token", "false", &true.into());
    }
    if let Some((key, value)) = options.left().next() {
        return options.refuse(key, "clean alone", value);
    }
    let padding = if hugging_face { padding(tokenizer)? } else { Padding::Id(0) };
    Ok(TextRule { cleaning, byte_fallback: false, padding })
}

fn padding(tokenizer: &TokenizerFile) -> Result<Padding> {
    for (key, side) in &tokenizer.sides {
        let side = side.as_deref();
        // Gemma's texts are filled up on the left unless the file says otherwise.
        let left = *key == "padding_side" && side.is_none() && tokenizer.class.starts_with("Gemma");
        if left || side.is_some_and(|side| side != "right") {
            let found = side.map_or("none, which is left for Gemma".into(), |side| format!("{side:?}"));
            return Err(Error::WrongModel(format!("tokenizer_config.json: {key}: expected \"right\", found {found}")));
        }
    }
    match &tokenizer.pad_token {
        Some(token) => Ok(Padding::Token(token.clone())),
        None => Err(Error::BadCheckpoint(
            "tokenizer_config.json: pad_token: expected the token that fills texts up, found none".into(),
        )),
    }
}

/// `image_transform` for inference in open_clip's `transform.py`.
///
/// open_clip resizes first and converts to RGB then, which gives other pixels for palettes (nearest neighbour) and for alpha
/// (premultiplied). Ocelli converts first, as it does for every model.
fn preprocessor(mut p: Section, image_size: usize) -> Result<Preprocessor> {
    let squash = p.word("resize_mode", false, &[("shortest", false), ("squash", true)])?;
    // "random" is for training, and bicubic otherwise.
    let filters = [("bicubic", Filter::Bicubic), ("bilinear", Filter::Bilinear), ("random", Filter::Bicubic)];
    let filter = p.word("interpolation", Filter::Bicubic, &filters)?;
    p.word("mode", (), &[("RGB", ())])?;
    p.take::<Value>("fill_color")?;
    let mut three = |key: &str, default: [f32; 3]| -> Result<[f32; 3]> {
        match p.get(key).is_some_and(Value::is_number) {
            true => Ok([p.need(key)?; 3]),
            false => Ok(p.take(key)?.unwrap_or(default)),
        }
    };
    let mean = three("mean", [0.481_454_66, 0.457_827_5, 0.408_210_73])?;
    let std = three("std", [0.268_629_54, 0.261_302_6, 0.275_777_1])?;
    if std.iter().any(|&s| s <= 0.0) {
        return Err(Error::BadCheckpoint(format!("{}: expected positive numbers, found {std:?}", p.label("std"))));
    }
    p.finish()?;
    Ok(Preprocessor {
        resize: match squash {
            true => Resize::Squash { width: image_size, height: image_size },
            false => Resize::ShortestEdge(image_size),
        },
        filter,
        tiles: Tiles::Whole,
        crop: (!squash).then_some((image_size, image_size)),
        rounding: CropRounding::HalfEven,
        alpha: Alpha::default(),
        rescale: 1.0 / 255.0,
        mean,
        std,
    })
}
