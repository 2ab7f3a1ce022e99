//! The files of models that write: their decoders, towers and connectors, with the reference's defaults.

use serde_json::Value;

use super::{
    Config, Connector, Decoder, Encoder, Family, Features, Generator, Head, JsonFiles, Kind, Mask, Pictures,
    PositionSource, Preprocessor, PromptRule, ScoreRule, Text, TextPooling, TokenizerFile, Vision, VisionPooling,
    anyres,
    towers::{Defaults, Sections, clip_text_rule, clip_vision, encoder},
};
use crate::{
    error::{Error, Result},
    json::Object,
};

/// `SiglipVisionConfig` in transformers; `SmolVLMVisionConfig` has other sizes.
const SIGLIP: Defaults =
    Defaults { hidden: 768, intermediate: 3072, layers: 12, heads: 12, activation: "gelu_pytorch_tanh", eps: 1e-6 };

/// The tower of LLaVA-OneVision where its file has none: 384 pixels in patches of 14 (`LlavaOnevisionConfig`).
const ONEVISION: Defaults = Defaults { hidden: 1152, intermediate: 4304, layers: 26, heads: 16, ..SIGLIP };

/// Reads a model that writes.
pub(super) fn parse(
    kind: Kind,
    (root, files): (&mut Object, &JsonFiles),
    sections: &mut Sections,
    preprocessor: Option<Preprocessor>,
    tokenizer: TokenizerFile,
) -> Result<Config> {
    let generation = files.generation;
    let text = &mut sections.text;
    let own_stops = stops(text)?;
    let of_file = generation.map(|file| stops(&mut Object::parse("generation_config.json", file)?)).transpose()?;
    let stops = [of_file, own_stops.into(), Some(stops(root)?)].into_iter().flatten().find(|ids| !ids.is_empty());
    let whole_tie = root.take::<bool>("tie_word_embeddings")?;
    let (usual_decoder, tied) = match kind.family {
        Family::SmolVlm => ("llama", Some(whole_tie.unwrap_or(false))),
        Family::PaliGemma => ("gemma", Some(whole_tie.unwrap_or(true))),
        // Either of them will do (`LlavaConfig.__post_init__`).
        Family::Llava => ("llama", whole_tie.filter(|tied| *tied)),
        Family::LlavaOnevision => ("qwen2", whole_tie.filter(|tied| *tied)),
        // A decoder by itself.
        family => (family.name(), None),
    };
    let model_type = text.take::<String>("model_type")?;
    let decoder_type = model_type.as_deref().unwrap_or(usual_decoder);
    let decoder = Decoder::parse(text, decoder_type, tied)?;
    let (vision, pictures) = match kind.towers.vision() {
        true => {
            let vision = tower(kind, &mut sections.vision)?;
            if vision.patch_size == 0 {
                return refuse(&sections.vision, "patch_size", "at least 1", "0");
            }
            let pictures = pictures(kind.family, root, &vision, decoder.hidden)?;
            (vision, Some(pictures))
        }
        false => (clip_vision(kind, &mut sections.vision, [224, 32], "")?, None),
    };
    let mut preprocessor = preprocessor.unwrap_or_else(|| Preprocessor::none(vision.image_size));
    if let Some(most) = pictures.as_ref().and_then(|pictures| pictures.packed) {
        anyres::check(root, files, &vision, most, &mut preprocessor)?;
    }
    let prompt = match kind.family {
        Family::SmolVlm => PromptRule::SmolVlm,
        Family::PaliGemma => PromptRule::PaliGemma,
        // LLaVA-Interleave is one of Qwen2.
        Family::Llava if decoder_type == "llama" => PromptRule::Llava15,
        Family::Llava | Family::LlavaOnevision => PromptRule::ChatMl,
        _ => PromptRule::Raw,
    };
    let generator = Generator { decoder, pictures, prompt, stops: stops.unwrap_or_default(), seq2seq: None };
    Ok(config(kind, preprocessor, vision, tokenizer, generator))
}

/// What every model that writes has in common: texts are its decoder's.
pub(super) fn config(
    kind: Kind,
    preprocessor: Preprocessor,
    vision: Vision,
    tokenizer: TokenizerFile,
    generator: Generator,
) -> Config {
    let Decoder { hidden, layers, heads, intermediate, activation, eps, vocab, context, .. } = generator.decoder;
    Config {
        family: kind.family,
        towers: kind.towers,
        preprocessor,
        vision,
        text: Text {
            encoder: Encoder { hidden, heads, layers, intermediate, activation, eps },
            vocab,
            tokens: context,
            mask: Mask::Causal,
            pooling: TextPooling::Last,
        },
        embedding: hidden,
        projection: false,
        score: ScoreRule::Softmax,
        text_rule: clip_text_rule(tokenizer),
        head: Head::Generate(Box::new(generator)),
    }
}

/// A number, or a list of them.
fn stops(file: &mut Object) -> Result<Vec<u32>> {
    match file.get("eos_token_id").is_some_and(Value::is_array) {
        true => Ok(file.take("eos_token_id")?.unwrap_or_default()),
        false => Ok(file.take("eos_token_id")?.into_iter().collect()),
    }
}

/// The picture tower: SigLIP's without its head, or CLIP's.
fn tower(kind: Kind, vision: &mut Object) -> Result<Vision> {
    let usual = match kind.family {
        Family::SmolVlm => "smolvlm_vision",
        Family::Llava => "clip_vision_model",
        _ => "siglip_vision_model",
    };
    let none = vision.left().next().is_none();
    let name = vision.take::<String>("model_type")?;
    let (defaults, sides) = match name.as_deref().unwrap_or(usual) {
        _ if none && kind.family == Family::LlavaOnevision => (ONEVISION, [384, 14]),
        "clip_vision_model" => return clip_vision(kind, vision, [224, 32], "pre_layrnorm"),
        "siglip_vision_model" => (SIGLIP, [224, 16]),
        "smolvlm_vision" | "idefics3_vision" | "idefics3" => {
            (Defaults { hidden: 1152, heads: 16, ..SIGLIP }, [224, 32])
        }
        other => {
            let expected = "siglip_vision_model, smolvlm_vision or clip_vision_model";
            return refuse(vision, "model_type", expected, &format!("{other:?}"));
        }
    };
    Ok(Vision {
        encoder: encoder(vision, &defaults)?,
        pre_norm: "",
        image_size: vision.take("image_size")?.unwrap_or(sides[0]),
        patch_size: vision.take("patch_size")?.unwrap_or(sides[1]),
        patches: kind.patches,
        positions: PositionSource::Stored,
        pooling: VisionPooling::AttentionHead,
    })
}

fn pictures(family: Family, root: &mut Object, vision: &Vision, hidden: usize) -> Result<Pictures> {
    let (old, new) = (root.take("image_token_index")?, root.take("image_token_id")?);
    let layers = vision.encoder.layers;
    let last = Features { blocks: layers, post_norm: true };
    let (features, connector, usual, prefix) = match family {
        Family::SmolVlm => {
            let scale: usize = root.take("scale_factor")?.unwrap_or(2);
            if scale == 0 || !vision.grid().is_multiple_of(scale) {
                let expected = format!("a divisor of {} patches a side", vision.grid());
                return refuse(root, "scale_factor", &expected, &scale.to_string());
            }
            (last, Connector::PixelShuffle(scale), 128_257, false)
        }
        Family::PaliGemma => {
            if let Some(dim) = root.take::<usize>("projection_dim")?.filter(|dim| *dim != hidden) {
                return refuse(root, "projection_dim", &format!("{hidden}, as the decoder has it"), &dim.to_string());
            }
            (last, Connector::Linear, 256_000, true)
        }
        Family::LlavaOnevision => (llava(root, vision, -1, "full")?, Connector::Mlp, 151_646, false),
        _ => (llava(root, vision, -2, "default")?, Connector::Mlp, 32_000, false),
    };
    let packed = if family == Family::LlavaOnevision { Some(anyres::most(root)?) } else { None };
    Ok(Pictures { features, connector, token: old.or(new).unwrap_or(usual), prefix, packed, davit: None })
}

/// Which of the tower's hidden states, counted from the embeddings on or from behind, and whether its first token is left out: a class
/// token is, a patch is not. `layer` and `strategy` are the class's own.
fn llava(root: &mut Object, vision: &Vision, layer: i64, strategy: &str) -> Result<Features> {
    let layer = root.take::<Value>("vision_feature_layer")?.unwrap_or(layer.into());
    let layers = vision.encoder.layers as i64;
    let blocks = layer.as_i64().map(|layer| if layer < 0 { layers + 1 + layer } else { layer });
    let Some(blocks) = blocks.filter(|blocks| (0..=layers).contains(blocks)) else {
        return refuse(root, "vision_feature_layer", &format!("one layer of {layers}"), &layer.to_string());
    };
    let class = vision.pooling == VisionPooling::ClassToken;
    let expected = if class { "default" } else { "full" };
    let strategy = root.take::<String>("vision_feature_select_strategy")?.unwrap_or_else(|| strategy.into());
    if strategy != expected {
        return refuse(root, "vision_feature_select_strategy", &format!("{expected} with this tower"), &strategy);
    }
    if root.take::<bool>("multimodal_projector_bias")? == Some(false) {
        return refuse(root, "multimodal_projector_bias", "true", "false");
    }
    match root.take::<String>("projector_hidden_act")?.as_deref() {
        None | Some("gelu") => Ok(Features { blocks: blocks as usize, post_norm: false }),
        Some(other) => refuse(root, "projector_hidden_act", "gelu", other),
    }
}

fn refuse<T>(file: &Object, field: &str, expected: &str, found: &str) -> Result<T> {
    Err(Error::WrongModel(format!("{}: expected {expected}, found {found}", file.label(field))))
}
