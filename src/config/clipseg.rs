//! CLIPSeg: CLIP's towers, of which the picture tower may see other squares than its positions are of, and a decoder.

use super::{
    Activation, Config, Encoder, Head, Kind, Masks, PositionSource, Preprocessor, ScoreRule, TokenizerFile, Vision,
    towers::{Sections, clip_text, clip_text_pooling, clip_text_rule, clip_vision},
};
use crate::{
    error::{Error, Result},
    json::Object,
};

/// `configuration_clipseg.py` in transformers.
pub fn parse(
    kind: Kind,
    sections: &mut Sections,
    root: &mut Object,
    preprocessor: Option<Preprocessor>,
    tokenizer: TokenizerFile,
) -> Result<Config> {
    let mut vision = clip_vision(kind, &mut sections.vision, [224, 32], "pre_layrnorm")?;
    if let Some(preprocessor) = &preprocessor {
        see(&mut vision, preprocessor)?;
    }
    let pooling = clip_text_pooling(&mut sections.text)?;
    let text = clip_text(&mut sections.text, 77, pooling)?;
    Ok(Config {
        family: kind.family,
        head: Head::Masks(masks(root, &vision)?),
        towers: kind.towers,
        embedding: sections.projection.unwrap_or(512),
        projection: true,
        preprocessor: preprocessor.unwrap_or_else(|| Preprocessor::none(vision.image_size)),
        vision,
        text,
        score: ScoreRule::Sigmoid,
        text_rule: clip_text_rule(tokenizer),
    })
}

/// The tower sees what the image processor makes; `image_size` of config.json says how many positions are stored.
fn see(vision: &mut Vision, preprocessor: &Preprocessor) -> Result<()> {
    let side = match preprocessor.side() {
        Some((width, height)) if width == height => width,
        Some((width, height)) => return not_square(&format!("{width} × {height} pixels")),
        None => return not_square("only the shortest edge"),
    };
    // A patch of no pixels is refused later.
    let grid = |side: usize| side.checked_div(vision.patch_size).unwrap_or(0);
    if grid(side) != grid(vision.image_size) {
        vision.positions = PositionSource::Interpolated(grid(vision.image_size));
    }
    vision.image_size = side;
    Ok(())
}

fn not_square<T>(found: &str) -> Result<T> {
    Err(Error::BadCheckpoint(format!(
        "preprocessor_config.json: size: expected a square, for masks are squares, found {found}"
    )))
}

/// The decoder's activation is ReLU, whatever `decoder_hidden_act` says.
fn masks(root: &mut Object, vision: &Vision) -> Result<Masks> {
    let reduce = root.take("reduce_dim")?.unwrap_or(64);
    let extract: Vec<usize> = root.take("extract_layers")?.unwrap_or_else(|| vec![3, 6, 9]);
    let conditional: usize = root.take("conditional_layer")?.unwrap_or(0);
    let masks = Masks {
        decoder: Encoder {
            hidden: reduce,
            heads: root.take("decoder_num_attention_heads")?.unwrap_or(4),
            layers: extract.len(),
            intermediate: root.take("decoder_intermediate_size")?.unwrap_or(2048),
            activation: Activation::Relu,
            eps: vision.encoder.eps,
        },
        refined: root.take("use_complex_transposed_convolution")?.unwrap_or(false),
        extract,
    };
    let wrong = |field: &str, expected: String, found: String| {
        Err(Error::WrongModel(format!("config.json: {field}: expected {expected}, found {found}")))
    };
    let (layers, extract) = (vision.encoder.layers, &masks.extract);
    if extract.is_empty() || !extract.is_sorted_by(|a, b| a < b) || extract.iter().any(|&block| block >= layers) {
        let expected = format!("ascending numbers of blocks below {layers}");
        return wrong("extract_layers", expected, format!("{extract:?}"));
    }
    if conditional != 0 {
        let expected = "0, as every published CLIPSeg has it".to_string();
        return wrong("conditional_layer", expected, conditional.to_string());
    }
    if masks.refined && (vision.patch_size < 4 || reduce < 2) {
        let expected = "patches of at least 4 pixels and reduce_dim of at least 2".to_string();
        return wrong("use_complex_transposed_convolution", expected, format!("{} and {reduce}", vision.patch_size));
    }
    Ok(masks)
}
