//! CLIP (Radford et al. 2021), as `CLIPModel` in transformers' `modeling_clip.py` names and computes it.

use super::{
    block::{Blocks, Linear, Norm},
    embed::Embedding,
    text,
    tower::{Length, Model, TextTower, VisionTower, record_embedding},
};
use crate::{
    config::{Config, Mask, Towers},
    error::Result,
    kernels::{Pictures, Rows},
    plan::Plan,
    weights::Loader,
};

const ONE: Rows = Rows::PerItem(1);

pub fn record(config: &Config, towers: Towers, l: &mut Loader) -> Result<Model> {
    let pair = config.towers == Towers::Both;
    Ok(Model {
        vision: towers.vision().then(|| vision(config, l)).transpose()?,
        text: towers.text().then(|| text(config, l, Length::Unit)).transpose()?,
        logit_scale: pair.then(|| l.scalar("logit_scale")).transpose()?,
        ..Model::default()
    })
}

/// The text tower, also of the families that have CLIP's.
pub fn text(config: &Config, l: &mut Loader, length: Length) -> Result<TextTower> {
    let projection = projection(config, l, "text_projection.weight", config.text.encoder.hidden)?;
    text::record(config, l, projection.as_ref(), length)
}

/// The matrix that makes an embedding of a pooled token, where there is one.
pub fn projection(config: &Config, l: &mut Loader, name: &str, hidden: usize) -> Result<Option<Linear>> {
    let weight = config.projection.then(|| l.matrix(name, &[config.embedding, hidden])).transpose()?;
    Ok(weight.map(|weight| Linear { weight, bias: None }))
}

fn vision(config: &Config, l: &mut Loader) -> Result<VisionTower> {
    let e = &config.vision.encoder;
    let embed = Embedding::load(config, l)?;
    let rows = embed.rows();
    let blocks = Blocks::load(l, "vision_model.encoder", e, rows, Mask::None, true)?;
    let post_norm = Norm::load(l, "vision_model.post_layernorm", e.hidden, e.eps)?;
    let projection = projection(config, l, "visual_projection.weight", e.hidden)?;

    let mut plan = Plan::default();
    let pixels = plan.input("pixels", ONE, embed.side * embed.side);
    let x = plan.scratch("x", rows, e.hidden);
    let s = blocks.stream(&mut plan, x);
    let normed = plan.scratch("pooled.normed", ONE, e.hidden);

    embed.record(&mut plan, config, pixels, Pictures::Squares { size: embed.side as u32, lead: 1 }, s);
    let class = blocks.record_pooled(&mut plan, s, "vision", None);
    plan.step("post_norm", post_norm.record(class, normed, ONE));
    plan.tap("vision.pooled", normed);
    let projection = (projection.as_ref(), config.embedding);
    let embedding = record_embedding(&mut plan, "vision", normed, projection, Length::Unit);
    Ok(VisionTower { plan, pixels, naflex: None, embedding })
}
