//! CLIP (Radford et al. 2021), as `CLIPModel` in transformers' `modeling_clip.py` names and computes it.

use super::{
    block::{Blocks, Linear, Norm},
    text,
    tower::{Model, TextTower, VisionTower},
};
use crate::{
    config::{Config, Mask, Towers},
    error::Result,
    kernels::{LayerNorm, Matmul, Normalize, Patchify, Pick, Place, Rows},
    plan::Plan,
    weights::Loader,
};

const ONE: Rows = Rows::PerItem(1);

pub fn record(config: &Config, towers: Towers, l: &mut Loader) -> Result<Model> {
    Ok(Model {
        vision: towers.vision().then(|| vision(config, l)).transpose()?,
        text: towers.text().then(|| text(config, l)).transpose()?,
        logit_scale: l.scalar("logit_scale")?,
        logit_bias: None,
    })
}

fn text(config: &Config, l: &mut Loader) -> Result<TextTower> {
    let weight = l.matrix("text_projection.weight", &[config.embedding, config.text.encoder.hidden])?;
    text::record(config, l, &Linear { weight, bias: None })
}

fn vision(config: &Config, l: &mut Loader) -> Result<VisionTower> {
    let v = &config.vision;
    let (dim, tokens, size, patch) = (v.encoder.hidden, v.tokens(), v.image_size, v.patch_size);
    let embed = "vision_model.embeddings";
    let patch_embedding =
        Linear { weight: l.matrix(&format!("{embed}.patch_embedding.weight"), &[dim, 3, patch, patch])?, bias: None };
    let class_token = l.vector(&format!("{embed}.class_embedding"), &[dim])?;
    let positions = l.vector(&format!("{embed}.position_embedding.weight"), &[tokens, dim])?;
    // The reference spells it so.
    let pre_norm = Norm::load(l, "vision_model.pre_layrnorm", dim, v.encoder.eps)?;
    let blocks = Blocks::load(l, "vision_model.encoder", &v.encoder, tokens, Mask::None)?;
    let post_norm = Norm::load(l, "vision_model.post_layernorm", dim, v.encoder.eps)?;
    let projection = Linear { weight: l.matrix("visual_projection.weight", &[config.embedding, dim])?, bias: None };

    let mut plan = Plan::default();
    let pixels = plan.act("pixels", size * size);
    let cut = plan.act("patches", tokens * 3 * patch * patch);
    let s = blocks.stream(&mut plan);
    let normed = plan.act("pooled.normed", dim);
    let projected = plan.act("projected", config.embedding);
    let embedding = plan.act("embedding", config.embedding);

    let sides = [size as u32, patch as u32, 1];
    plan.step("patchify", Patchify::new(pixels, cut, sides, &config.preprocessor));
    let rows = Rows::PerItem(tokens as u32);
    let place = Some(Place { class_token: Some(class_token), positions });
    plan.step("patch_embedding", Matmul { place, ..patch_embedding.record(cut, s.normed, rows) });
    plan.tap("vision.embed", s.normed, tokens * dim);
    plan.step("pre_norm", pre_norm.record(s.normed, s.x, rows));
    plan.tap("vision.pre_norm", s.x, tokens * dim);
    blocks.record(&mut plan, s, "vision");
    let pick = Some(Pick { of: tokens as u32, index: None });
    plan.step("post_norm", LayerNorm { pick, ..post_norm.record(s.x, normed, ONE) });
    plan.tap("vision.pooled", normed, dim);
    plan.step("projection", projection.record(normed, projected, ONE));
    plan.tap("vision.embedding", projected, config.embedding);
    plan.step("normalize", Normalize { x: projected, y: embedding, dim: config.embedding as u32 });
    Ok(VisionTower { plan, pixels, embedding })
}
