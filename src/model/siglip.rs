//! SigLIP (Zhai et al. 2023), as `SiglipModel` in transformers' `modeling_siglip.py` names and computes it.

use super::{
    block::{Blocks, Linear, Mlp, Norm},
    text,
    tower::{Length, Model, Naflex, TextTower, VisionTower, record_embedding},
};
use crate::{
    config::{Config, Encoder, Mask, Patches, Towers},
    error::Result,
    kernels::{
        ActId, Attention, Keys, Matmul, Operand, Patchify, Pictures, Place, Positions, Queries, Rows, VectorRef,
    },
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
        logit_bias: pair.then(|| l.scalar("logit_bias")).transpose()?,
        ..Model::default()
    })
}

fn text(config: &Config, l: &mut Loader) -> Result<TextTower> {
    let projection = Linear::load(l, "text_model.head", config.embedding, config.text.encoder.hidden)?;
    text::record(config, l, Some(&projection), Length::Unit)
}

/// A learned probe attends to all tokens, then an MLP with a residual (`SiglipMultiheadAttentionPoolingHead`).
struct PoolingHead {
    probe: VectorRef,
    q: Linear,
    kv: Linear,
    out: Linear,
    norm: Norm,
    mlp: Mlp,
}

impl PoolingHead {
    fn load(l: &mut Loader, e: &Encoder) -> Result<Self> {
        let (d, name) = (e.hidden, "vision_model.head");
        let (weight, bias) = (format!("{name}.attention.in_proj_weight"), format!("{name}.attention.in_proj_bias"));
        Ok(Self {
            probe: l.vector(&format!("{name}.probe"), &[1, 1, d])?,
            q: Linear {
                weight: l.matrix_part(&weight, &[3 * d, d], 0..d)?,
                bias: Some(l.vector_part(&bias, 3 * d, 0..d)?),
            },
            kv: Linear {
                weight: l.matrix_part(&weight, &[3 * d, d], d..3 * d)?,
                bias: Some(l.vector_part(&bias, 3 * d, d..3 * d)?),
            },
            out: Linear::load(l, &format!("{name}.attention.out_proj"), d, d)?,
            norm: Norm::load(l, &format!("{name}.layernorm"), d, e.eps)?,
            mlp: Mlp::load(l, &format!("{name}.mlp"), e)?,
        })
    }

    /// From all tokens, `[batch, tokens, hidden]`, of which an item has its `lengths`, to one vector an item, which is returned.
    fn record(&self, plan: &mut Plan, e: &Encoder, (all, lengths): (ActId, Option<ActId>), rows: Rows) -> ActId {
        let d = e.hidden as u32;
        let probe = Rows::Shared(1);
        let q = plan.scratch("head.q", probe, e.hidden);
        let kv = plan.scratch("head.kv", rows, 2 * e.hidden);
        let mixed = plan.scratch("head.mixed", ONE, e.hidden);
        let pooled = plan.scratch("head.pooled", ONE, e.hidden);
        let normed = plan.scratch("head.normed", ONE, e.hidden);
        let wide = plan.scratch("head.wide", ONE, e.intermediate);
        plan.once("head.q", self.q.record(Operand::Vector(self.probe), q, probe));
        plan.step("head.kv", self.kv.record(all, kv, rows));
        let q = Queries { act: q, len: probe, stride: d, index: None };
        let kv = Keys { act: kv, len: rows, stride: 2 * d, k: 0, v: d, most: None, lengths };
        let heads = e.heads as u32;
        plan.step("head.attention", Attention::new(q, kv, mixed, [heads, d / heads], Mask::None));
        plan.step("head.out", self.out.record(mixed, pooled, ONE));
        plan.step("head.norm", self.norm.record(pooled, normed, ONE));
        self.mlp.record(plan, "head", [normed, wide, pooled], ONE);
        pooled
    }
}

fn vision(config: &Config, l: &mut Loader) -> Result<VisionTower> {
    let v = &config.vision;
    let (dim, tokens, size, patch) = (v.encoder.hidden, v.tokens(), v.image_size, v.patch_size);
    let embed = "vision_model.embeddings";
    let naflex = v.patches == Patches::Naflex;
    let kernel: &[usize] = if naflex { &[dim, 3 * patch * patch] } else { &[dim, 3, patch, patch] };
    let patch_embedding = Linear {
        weight: l.matrix(&format!("{embed}.patch_embedding.weight"), kernel)?,
        bias: Some(l.vector(&format!("{embed}.patch_embedding.bias"), &[dim])?),
    };
    let (name, shape) = (format!("{embed}.position_embedding.weight"), [tokens, dim]);
    let (stored, resampled) = match naflex {
        false => (Some(l.vector(&name, &shape)?), None),
        true => (None, Some(l.host_vector(&name, &shape)?)),
    };
    let rows = if naflex { Rows::PerToken } else { Rows::PerItem(tokens as u32) };
    // The head attends to all tokens of the last block.
    let blocks = Blocks::load(l, "vision_model.encoder", &v.encoder, rows, Mask::None, false)?;
    let post_norm = Norm::load(l, "vision_model.post_layernorm", dim, v.encoder.eps)?;
    let head = PoolingHead::load(l, &v.encoder)?;

    let mut plan = Plan::default();
    let cut = plan.scratch("patches", rows, 3 * patch * patch);
    // Positions that vary from picture to picture come in where the patches are added to them.
    let (pixels, x) = match naflex {
        false => (plan.input("pixels", ONE, size * size), plan.scratch("x", rows, dim)),
        true => (plan.input("pixels", rows, patch * patch), plan.input("x", rows, dim)),
    };
    let naflex = resampled.map(|positions| {
        let (columns, lengths) = (plan.input("columns", ONE, 1), plan.input("lengths", ONE, 1));
        Naflex { columns, lengths, x, positions }
    });
    let mut s = blocks.stream(&mut plan, x);
    s.lengths = naflex.map(|n| n.lengths);

    let pictures = match naflex {
        None => Pictures::Squares { size: size as u32, lead: 0 },
        Some(Naflex { columns, lengths, .. }) => Pictures::Naflex { columns, lengths },
    };
    plan.step("patchify", Patchify::new([pixels, cut], rows, pictures, patch as u32, &config.preprocessor));
    let embedded = match stored {
        Some(table) => {
            let place = Place::Positions(Positions { class_token: None, table });
            Matmul { place, ..patch_embedding.record(cut, s.x, rows) }
        }
        None => patch_embedding.record_residual(cut, s.x, rows),
    };
    plan.step("patch_embedding", embedded);
    plan.tap("vision.embed", s.x);
    blocks.record(&mut plan, s, "vision");
    plan.step("post_norm", post_norm.record(s.x, s.normed, rows));
    let pooled = head.record(&mut plan, &v.encoder, (s.normed, s.lengths), rows);
    plan.tap("vision.pooled", pooled);
    let embedding = record_embedding(&mut plan, "vision", pooled, (None, dim), Length::Unit);
    Ok(VisionTower { plan, pixels, naflex, embedding })
}
