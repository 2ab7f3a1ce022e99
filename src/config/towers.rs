//! The towers in `config.json`: their sections, and what several families have in common.

use super::{
    Activation, Cleaning, Encoder, Family, Kind, Mask, Padding, PositionSource, Text, TextPooling, TextRule,
    TokenizerFile, Towers, Vision, VisionPooling,
};
use crate::{
    error::{Error, Result},
    json::Object,
};

/// The two towers' settings, and the length of CLIP's embeddings.
pub(super) struct Sections {
    pub vision: Object,
    pub text: Object,
    pub projection: Option<usize>,
}

impl Sections {
    /// A single tower's settings, and its length of embeddings, are its own.
    pub fn of(root: &mut Object, kind: Kind) -> Result<Self> {
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

/// One tower's section; every field is optional in published files. Older checkpoints of some families (`old`) repeat their settings
/// in a second one, which transformers fills up with defaults before it lets it win, so nothing of the first remains.
fn section(root: &mut Object, name: &str, old: bool) -> Result<Object> {
    let main = root.object(name)?;
    let over = if old { root.object(&format!("{name}_dict"))? } else { None };
    Ok(over.or(main).unwrap_or_default())
}

/// The defaults of transformers, for fields that a section leaves out.
pub(super) struct Defaults {
    pub hidden: usize,
    pub intermediate: usize,
    pub layers: usize,
    pub heads: usize,
    pub activation: &'static str,
    pub eps: f32,
}

pub(super) fn encoder(tower: &mut Object, d: &Defaults) -> Result<Encoder> {
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
