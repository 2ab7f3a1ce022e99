//! OWL-ViT and OWLv2: CLIP's towers, with other defaults, and boxes of their patches. Published files are nearly empty, so the
//! defaults are the model.

use super::{
    Config, Family, Head, Kind, Preprocessor, ScoreRule, TextPooling, TokenizerFile,
    towers::{Sections, clip_text, clip_text_rule, clip_vision},
};
use crate::error::{Error, Result};

/// `configuration_owlvit.py` and `configuration_owlv2.py` in transformers.
pub fn parse(
    kind: Kind,
    sections: &mut Sections,
    preprocessor: Option<Preprocessor>,
    tokenizer: TokenizerFile,
) -> Result<Config> {
    let patch_size = if kind.family == Family::Owlv2 { 16 } else { 32 };
    let vision = clip_vision(kind, &mut sections.vision, [768, patch_size], "pre_layernorm")?;
    // The highest id, whatever `eos_token_id` says.
    let text = clip_text(&mut sections.text, 16, TextPooling::HighestId)?;
    let embedding = sections.projection.unwrap_or(512);
    if embedding != text.encoder.hidden {
        return Err(Error::BadCheckpoint(format!(
            "config.json: projection_dim: expected {}, which is hidden_size of text_config, for both are compared with patches, found \
             {embedding}",
            text.encoder.hidden
        )));
    }
    Ok(Config {
        family: kind.family,
        head: Head::boxes(kind.family),
        towers: kind.towers,
        embedding,
        projection: true,
        preprocessor: preprocessor.unwrap_or_else(|| Preprocessor::none(vision.image_size)),
        vision,
        text,
        score: ScoreRule::Sigmoid,
        text_rule: clip_text_rule(tokenizer),
    })
}
