//! From pixels to tokens of a decoder: a picture tower, and a connector that leads out of it.

use super::{
    block::{Blocks, Linear, Norm},
    embed::Embedding,
};
use crate::{
    config::{Activation, Config, Connector, Generator, Mask},
    error::Result,
    kernels::{ActId, Matmul, Pictures, PixelShuffle, Rows},
    plan::Plan,
    weights::{HostId, Loader},
};

const ONE: Rows = Rows::PerItem(1);

/// Pixels in, tokens of a decoder out.
pub struct PictureTokens {
    /// The steps; an item is a picture, or a tile of one.
    pub plan: Plan,
    /// Input: `[batch, size, size]` RGBA words.
    pub pixels: ActId,
    /// Output: `[batch, tokens, hidden]`, the hidden size of the decoder.
    pub rows: ActId,
    /// Tokens of an item.
    pub tokens: usize,
    /// Tokens of an item's grid, each way.
    pub side: usize,
    /// What ends a row of tokens where they are packed into a grid, `[hidden]`.
    pub newline: Option<HostId>,
}

/// From features to tokens.
struct Layers {
    /// Side of the square of features that becomes a token.
    scale: usize,
    first: Linear,
    /// After GELU.
    second: Option<Linear>,
}

impl Layers {
    fn load(l: &mut Loader, connector: Connector, [features, hidden]: [usize; 2]) -> Result<Self> {
        let layer = |l: &mut Loader, name: &str, inputs: usize| {
            Linear::load(l, &format!("multi_modal_projector.{name}"), hidden, inputs)
        };
        Ok(match connector {
            Connector::MeanAndGrid { .. } => unreachable!("it leads out of another tower"),
            Connector::Linear => Self { scale: 1, first: layer(l, "linear", features)?, second: None },
            Connector::Mlp => {
                let (first, second) = (layer(l, "linear_1", features)?, layer(l, "linear_2", hidden)?);
                Self { scale: 1, first, second: Some(second) }
            }
            Connector::PixelShuffle(scale) => {
                let shape = [hidden, features * scale * scale];
                let weight = l.matrix("connector.modality_projection.proj.weight", &shape)?;
                Self { scale, first: Linear { weight, bias: None }, second: None }
            }
        })
    }

    /// From x to tokens, `[batch, tokens, hidden]`.
    fn record(&self, plan: &mut Plan, x: ActId, y: ActId, rows: Rows) {
        let Some(second) = &self.second else {
            plan.step("connector", self.first.record(x, y, rows));
            return;
        };
        let wide = plan.scratch("connector.wide", rows, self.first.weight.rows as usize);
        let first = Matmul { activation: Activation::Gelu, ..self.first.record(x, wide, rows) };
        plan.step("connector.1", first);
        plan.step("connector.2", second.record(wide, y, rows));
    }
}

/// Records the picture tower up to the features, and the connector.
///
/// # Errors
/// As [`crate::checkpoint::Checkpoint::tensor`].
pub fn record(config: &Config, generator: &Generator, l: &mut Loader) -> Result<PictureTokens> {
    let (e, hidden) = (&config.vision.encoder, generator.decoder.hidden);
    let pictures = generator.pictures.as_ref().expect("a model with a picture tower says what becomes of pictures");
    let embed = Embedding::load(config, l)?;
    let (rows, lead, grid) = (embed.rows(), embed.lead(), embed.grid);
    let which = 0..pictures.features.blocks;
    let blocks = Blocks::load_some(l, "vision_model.encoder", e, which, (rows, Mask::None, false))?;
    let post_norm = match pictures.features.post_norm {
        true => Some(Norm::load(l, "vision_model.post_layernorm", e.hidden, e.eps)?),
        false => None,
    };
    let connector = Layers::load(l, pictures.connector, [e.hidden, hidden])?;
    let newline = match pictures.packed {
        Some(_) => Some(l.host_vector("image_newline", &[hidden])?),
        None => None,
    };

    let mut plan = Plan::default();
    let pixels = plan.input("pixels", ONE, embed.side * embed.side);
    let x = plan.scratch("x", rows, e.hidden);
    let s = blocks.stream(&mut plan, x);
    let squares = Pictures::Squares { size: embed.side as u32, lead: lead as u32 };
    embed.record(&mut plan, config, pixels, squares, s);
    blocks.record(&mut plan, s, "vision");
    let mut features = x;
    if let Some(norm) = &post_norm {
        plan.step("post_norm", norm.record(x, s.normed, rows));
        features = s.normed;
    }
    let scale = connector.scale;
    let side = grid / scale;
    let each = Rows::PerItem(side.pow(2) as u32);
    // The class token is left out.
    if lead == 0 {
        plan.tap("tower", features);
    }
    if scale > 1 || lead > 0 {
        let y = plan.scratch("squares", each, e.hidden * scale * scale);
        let [grid, scale, lead, dim] = [grid, scale, lead, e.hidden].map(|n| n as u32);
        plan.step("squares", PixelShuffle { x: features, y, grid, scale, lead, dim });
        features = y;
    }
    if lead > 0 {
        plan.tap("tower", features);
    }
    let out = plan.scratch("picture", each, hidden);
    connector.record(&mut plan, features, out, each);
    plan.tap("picture", out);
    plan.output("picture", out);
    Ok(PictureTokens { plan, pixels, rows: out, tokens: side.pow(2), side, newline })
}
