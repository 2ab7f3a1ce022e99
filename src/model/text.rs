//! The text tower, which both families share: rows of the token table, blocks, one token, a projection.

use super::{
    block::{Blocks, Linear, Norm},
    tower::TextTower,
};
use crate::{
    config::Config,
    error::Result,
    kernels::{Assemble, LayerNorm, Normalize, Pick, Rows},
    plan::Plan,
    weights::Loader,
};

/// `CLIPTextTransformer` and `SiglipTextTransformer`; mask and pooling come from the config.
pub fn record(config: &Config, l: &mut Loader, projection: &Linear) -> Result<TextTower> {
    let t = &config.text;
    let dim = t.encoder.hidden;
    let table = l.table("text_model.embeddings.token_embedding.weight", &[t.vocab, dim])?;
    let positions = l.vector("text_model.embeddings.position_embedding.weight", &[t.tokens, dim])?;
    let blocks = Blocks::load(l, "text_model.encoder", &t.encoder, t.tokens, t.mask)?;
    let final_norm = Norm::load(l, "text_model.final_layer_norm", dim, t.encoder.eps)?;

    let mut plan = Plan::default();
    let rows = plan.act("tokens", t.tokens * dim);
    let index = plan.act("index", 1);
    let s = blocks.stream(&mut plan);
    let normed = plan.act("pooled.normed", dim);
    let projected = plan.act("projected", config.embedding);
    let embedding = plan.act("embedding", config.embedding);

    let one = Rows::PerItem(1);
    plan.step("assemble", Assemble { x: rows, positions, y: s.x });
    plan.tap("text.embed", s.x, t.tokens * dim);
    blocks.record(&mut plan, s, "text");
    // The reference normalises all tokens and then takes one; taking one first gives the same numbers.
    let pick = Some(Pick { of: t.tokens as u32, index: Some(index) });
    plan.step("final_norm", LayerNorm { pick, ..final_norm.record(s.x, normed, one) });
    plan.tap("text.pooled", normed, dim);
    plan.step("projection", projection.record(normed, projected, one));
    plan.tap("text.embedding", projected, config.embedding);
    plan.step("normalize", Normalize { x: projected, y: embedding, dim: config.embedding as u32 });
    Ok(TextTower { plan, tokens: rows, index, embedding, table })
}
