//! OpenAI's own files, which hold a model and no word about it: sizes follow from the tensors' shapes, as in `build_model` of
//! `clip/model.py`, and the rest is the same for all of them.

use serde_json::json;

use super::{Config, open_clip};
use crate::error::{Error, Result};

/// The configuration of the file `name`; `shape` knows the shapes of its tensors.
pub fn parse<'a>(name: &str, shape: &dyn Fn(&str) -> Option<&'a [usize]>) -> Result<Config> {
    let size = |tensor: &str, dimension: usize| -> Result<usize> {
        let found = shape(tensor).and_then(|shape| shape.get(dimension).copied());
        found.ok_or_else(|| {
            Error::WrongModel(format!(
                "{name}: {tensor}: expected a tensor of OpenAI's CLIP with a vision transformer (ViT), found none: another model, or \
                 one of its ResNets, which Ocelli does not run"
            ))
        })
    };
    let layers = |prefix: &str| {
        let there =
            |layer: &usize| shape(&format!("{prefix}transformer.resblocks.{layer}.attn.in_proj_weight")).is_some();
        (0..).take_while(there).count()
    };
    size("visual.proj", 0)?;
    let patch = size("visual.conv1.weight", 3)?;
    let patches = size("visual.positional_embedding", 0)?.saturating_sub(1);
    let width = size("ln_final.weight", 0)?;
    let config = json!({
        "model_cfg": {
            "embed_dim": size("text_projection", 1)?,
            "quick_gelu": true,
            "vision_cfg": {
                "image_size": patches.isqrt().saturating_mul(patch),
                "layers": layers("visual."),
                "width": size("visual.conv1.weight", 0)?,
                "patch_size": patch,
            },
            "text_cfg": {
                "context_length": size("positional_embedding", 0)?,
                "vocab_size": size("token_embedding.weight", 0)?,
                "width": width,
                "heads": width / 64,
                "layers": layers(""),
            },
        },
        "preprocess_cfg": {},
    });
    open_clip::parse(config.to_string().as_bytes(), b"{}")
}
