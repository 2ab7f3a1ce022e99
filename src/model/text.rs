//! The text tower, which both families share: rows of the token table, blocks, one token, a projection.

use super::{
    block::{Blocks, Linear, Norm},
    tower::{Length, TextTower, record_embedding},
};
use crate::{config::Config, error::Result, kernels::Rows, plan::Plan, weights::Loader};

/// `CLIPTextTransformer` and `SiglipTextTransformer`; mask and pooling come from the config. `length` is what the output has.
pub fn record(config: &Config, l: &mut Loader, projection: Option<&Linear>, length: Length) -> Result<TextTower> {
    let t = &config.text;
    let dim = t.encoder.hidden;
    let table = l.table("text_model.embeddings.token_embedding.weight", &[t.vocab, dim])?;
    let positions = l.host_vector("text_model.embeddings.position_embedding.weight", &[t.tokens, dim])?;
    let blocks = Blocks::load(l, "text_model.encoder", &t.encoder, Rows::PerToken, t.mask, true)?;
    let final_norm = Norm::load(l, "text_model.final_layer_norm", dim, t.encoder.eps)?;

    let mut plan = Plan::default();
    let one = Rows::PerItem(1);
    let x = plan.input("x", Rows::PerToken, dim);
    let index = plan.input("index", one, 1);
    let s = blocks.stream(&mut plan, x);
    let normed = plan.scratch("pooled.normed", one, dim);

    plan.tap("text.embed", x);
    let token = blocks.record_pooled(&mut plan, s, "text", Some(index));
    // The reference normalises all tokens and then takes one; taking one first gives the same numbers.
    plan.step("final_norm", final_norm.record(token, normed, one));
    plan.tap("text.pooled", normed);
    let embedding = record_embedding(&mut plan, "text", normed, (projection, config.embedding), length);
    Ok(TextTower { plan, tokens: x, index, embedding, table, positions })
}
