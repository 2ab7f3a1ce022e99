//! CLIP (Radford et al. 2021), as `CLIPModel` in transformers' `modeling_clip.py` names and computes it.

use super::{
    block::{Blocks, Linear, Norm},
    text,
    tower::{Model, TextTower, VisionTower, record_embedding},
};
use crate::{
    config::{Config, Mask, Towers},
    error::Result,
    kernels::{Matmul, Patchify, Pictures, Positions, Rows},
    plan::Plan,
    weights::Loader,
};

const ONE: Rows = Rows::PerItem(1);

pub fn record(config: &Config, towers: Towers, l: &mut Loader) -> Result<Model> {
    let pair = config.towers == Towers::Both;
    Ok(Model {
        vision: towers.vision().then(|| vision(config, l)).transpose()?,
        text: towers.text().then(|| text(config, l)).transpose()?,
        logit_scale: pair.then(|| l.scalar("logit_scale")).transpose()?,
        logit_bias: None,
    })
}

fn text(config: &Config, l: &mut Loader) -> Result<TextTower> {
    let projection = projection(config, l, "text_projection.weight", config.text.encoder.hidden)?;
    text::record(config, l, projection.as_ref())
}

/// The matrix that makes an embedding of a pooled token, where there is one.
fn projection(config: &Config, l: &mut Loader, name: &str, hidden: usize) -> Result<Option<Linear>> {
    let weight = config.projection.then(|| l.matrix(name, &[config.embedding, hidden])).transpose()?;
    Ok(weight.map(|weight| Linear { weight, bias: None }))
}

fn vision(config: &Config, l: &mut Loader) -> Result<VisionTower> {
    let v = &config.vision;
    let (dim, tokens, size, patch) = (v.encoder.hidden, v.tokens(), v.image_size, v.patch_size);
    let embed = "vision_model.embeddings";
    let patch_embedding =
        Linear { weight: l.matrix(&format!("{embed}.patch_embedding.weight"), &[dim, 3, patch, patch])?, bias: None };
    let class_token = l.vector(&format!("{embed}.class_embedding"), &[dim])?;
    let positions = l.vector(&format!("{embed}.position_embedding.weight"), &[tokens, dim])?;
    let pre_norm = Norm::load(l, &format!("vision_model.{}", v.pre_norm), dim, v.encoder.eps)?;
    let rows = Rows::PerItem(tokens as u32);
    let blocks = Blocks::load(l, "vision_model.encoder", &v.encoder, rows, Mask::None, true)?;
    let post_norm = Norm::load(l, "vision_model.post_layernorm", dim, v.encoder.eps)?;
    let projection = projection(config, l, "visual_projection.weight", dim)?;

    let mut plan = Plan::default();
    let pixels = plan.input("pixels", ONE, size * size);
    let cut = plan.scratch("patches", rows, 3 * patch * patch);
    let x = plan.scratch("x", rows, dim);
    let s = blocks.stream(&mut plan, x);
    let normed = plan.scratch("pooled.normed", ONE, dim);

    let squares = Pictures::Squares { size: size as u32, lead: 1 };
    plan.step("patchify", Patchify::new([pixels, cut], rows, squares, patch as u32, &config.preprocessor));
    let positions = Some(Positions { class_token: Some(class_token), table: positions });
    plan.step("patch_embedding", Matmul { positions, ..patch_embedding.record(cut, s.normed, rows) });
    plan.tap("vision.embed", s.normed);
    plan.step("pre_norm", pre_norm.record(s.normed, s.x, rows));
    plan.tap("vision.pre_norm", s.x);
    let class = blocks.record_pooled(&mut plan, s, "vision", None);
    plan.step("post_norm", post_norm.record(class, normed, ONE));
    plan.tap("vision.pooled", normed);
    let embedding = record_embedding(&mut plan, "vision", normed, projection.as_ref(), config.embedding);
    Ok(VisionTower { plan, pixels, naflex: None, embedding })
}
