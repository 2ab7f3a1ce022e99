//! CLIPSeg (Lüddecke and Ecker 2022), as `CLIPSegForImageSegmentation` in transformers' `modeling_clipseg.py` names and computes it:
//! a narrow decoder on activations of CLIP's picture tower, which a prompt modulates.

use super::{
    block::{Blocks, Linear, Norm},
    clip,
    embed::Embedding,
    tower::{Decoder, Length, Look, Model, record_embedding},
};
use crate::{
    config::{Activation, Config, Mask, Masks, Towers},
    error::Result,
    kernels::{ActId, AddShared, Matmul, Modulate, Pictures, Place, Rows, Shuffle, Taps, Unfold},
    plan::Plan,
    weights::Loader,
};

const ONE: Rows = Rows::PerItem(1);

pub fn record(config: &Config, masks: &Masks, towers: Towers, l: &mut Loader) -> Result<Model> {
    Ok(Model {
        look: towers.vision().then(|| look(config, masks, l)).transpose()?,
        decoder: towers.vision().then(|| decoder(config, masks, l)).transpose()?,
        text: towers.text().then(|| clip::text(config, l, Length::Projected)).transpose()?,
        ..Model::default()
    })
}

/// The blocks up to the last one that the decoder sees, and after each that it sees the narrow copy for it.
fn look(config: &Config, masks: &Masks, l: &mut Loader) -> Result<Look> {
    let e = &config.vision.encoder;
    let embed = Embedding::load(config, l)?;
    let rows = embed.rows();
    let blocks = Blocks::load_some(l, "vision_model.encoder", e, 0..seen(masks), (rows, Mask::None, false))?;
    let reduce = |i: usize| Linear::load(l, &format!("decoder.reduces.{i}"), masks.decoder.hidden, e.hidden);
    let reduces = (0..masks.extract.len()).map(reduce).collect::<Result<Vec<_>>>()?;

    let mut plan = Plan::default();
    let pixels = plan.input("pixels", ONE, embed.side * embed.side);
    let x = plan.scratch("x", rows, e.hidden);
    let s = blocks.stream(&mut plan, x);
    let reduced = |i| (reduced_name(i), plan.scratch(&reduced_name(i), rows, masks.decoder.hidden));
    let features: Vec<(String, ActId)> = (0..reduces.len()).map(reduced).collect();
    let pictures = Pictures::Squares { size: embed.side as u32, lead: 1 };
    embed.record(&mut plan, config, pixels, pictures, s);
    blocks.record_each(&mut plan, s, "vision", |plan, block| {
        // The decoder begins with the deepest.
        let places = masks.extract.iter().rev().zip(reduces.iter().zip(&features));
        for (_, (reduce, (name, act))) in places.filter(|(extract, _)| **extract == block) {
            plan.step(name, reduce.record(s.x, *act, rows));
            plan.tap(name, *act);
        }
    });
    features.iter().for_each(|(name, act)| plan.output(name, *act));
    Ok(Look { plan, pixels, tokens: x, features })
}

/// Blocks of the picture tower up to the last one that the decoder sees.
fn seen(masks: &Masks) -> usize {
    masks.extract.iter().max().map_or(0, |last| last + 1)
}

/// From what the look plan leaves to a prompt: what a picture says, as a text would say it.
pub struct PicturePrompt {
    /// The steps.
    pub plan: Plan,
    /// Input: `[1, tokens, hidden]`, what [`Look::tokens`] holds.
    pub tokens: ActId,
    /// Output: `[1, embedding]`.
    pub prompt: ActId,
}

/// Records the rest of the picture tower.
///
/// # Errors
/// As [`crate::checkpoint::Checkpoint::tensor`].
pub fn picture_prompt(config: &Config, masks: &Masks, l: &mut Loader) -> Result<PicturePrompt> {
    let e = &config.vision.encoder;
    let rows = Rows::PerItem(config.vision.tokens() as u32);
    let which = seen(masks)..e.layers;
    let blocks = Blocks::load_some(l, "vision_model.encoder", e, which, (rows, Mask::None, true))?;
    let post_norm = Norm::load(l, "vision_model.post_layernorm", e.hidden, e.eps)?;
    let projection = clip::projection(config, l, "visual_projection.weight", e.hidden)?;
    let mut plan = Plan::default();
    let tokens = plan.input("x", rows, e.hidden);
    let s = blocks.stream(&mut plan, tokens);
    let normed = plan.scratch("pooled.normed", ONE, e.hidden);
    let class = blocks.record_pooled(&mut plan, s, "vision", None);
    plan.step("post_norm", post_norm.record(class, normed, ONE));
    plan.tap("vision.pooled", normed);
    let projection = (projection.as_ref(), config.embedding);
    let prompt = record_embedding(&mut plan, "vision", normed, projection, Length::Projected);
    Ok(PicturePrompt { plan, tokens, prompt })
}

fn reduced_name(i: usize) -> String {
    format!("reduce.{i}")
}

/// A transposed convolution whose stride is its side.
struct Transposed {
    linear: Linear,
    side: usize,
    activation: Activation,
}

impl Transposed {
    fn load(l: &mut Loader, prefix: &str, shape: [usize; 3], activation: Activation) -> Result<Self> {
        let weight = l.transposed_convolution(&format!("{prefix}.weight"), shape)?;
        let bias = Some(l.vector(&format!("{prefix}.bias"), &[shape[1]])?);
        Ok(Self { linear: Linear { weight, bias }, side: shape[2], activation })
    }

    /// From the last `grid²` rows of each item of x to `[batch, (grid · side)², outputs]`.
    fn record(&self, x: ActId, y: ActId, rows: Rows, [lead, grid]: [usize; 2]) -> Matmul {
        let shuffle = Shuffle { lead: lead as u32, grid: grid as u32, kernel: self.side as u32 };
        Matmul { activation: self.activation, place: Place::Shuffle(shuffle), ..self.linear.record(x, y, rows) }
    }
}

/// The layers between the decoder's tokens and a mask.
struct Upscale {
    /// 3×3, of the refined ones alone.
    convolution: Option<Linear>,
    transposed: Vec<Transposed>,
}

impl Upscale {
    fn load(l: &mut Loader, masks: &Masks, patch: usize) -> Result<Self> {
        let (name, dim) = ("decoder.transposed_convolution", masks.decoder.hidden);
        if !masks.refined {
            let only = Transposed::load(l, name, [dim, 1, patch], Activation::None)?;
            return Ok(Self { convolution: None, transposed: vec![only] });
        }
        let (convolution, side) = (format!("{name}.0"), patch / 4);
        let convolution = Linear {
            weight: l.matrix(&format!("{convolution}.weight"), &[dim, dim, 3, 3])?,
            bias: Some(l.vector(&format!("{convolution}.bias"), &[dim])?),
        };
        let first = Transposed::load(l, &format!("{name}.2"), [dim, dim / 2, side], Activation::Relu)?;
        let second = Transposed::load(l, &format!("{name}.4"), [dim / 2, 1, side], Activation::None)?;
        Ok(Self { convolution: Some(convolution), transposed: vec![first, second] })
    }

    /// From the decoder's tokens, `[batch, 1 + grid², dim]`, to masks and their side.
    fn record(&self, plan: &mut Plan, mut x: ActId, grid: usize, dim: usize) -> (ActId, usize) {
        let (mut grid, mut lead) = (grid, 1);
        let rows = |grid: usize, lead: usize| Rows::PerItem((lead + grid * grid) as u32);
        if let Some(convolution) = &self.convolution {
            let patches = rows(grid, 0);
            let around = plan.scratch("around", patches, 9 * dim);
            let y = plan.scratch("conv3", patches, dim);
            let taps = Taps::AROUND;
            let unfold = Unfold { x, y: around, grid: grid as u32, dim: dim as u32, lead: lead as u32, taps };
            plan.step("unfold", unfold);
            let relu = Activation::Relu;
            plan.step("conv3", Matmul { activation: relu, ..convolution.record(around, y, patches) });
            plan.tap("conv3", y);
            (x, lead) = (y, 0);
        }
        for (i, layer) in self.transposed.iter().enumerate() {
            let channels = layer.linear.weight.rows as usize / (layer.side * layer.side);
            let name = if i + 1 == self.transposed.len() { "masks".into() } else { format!("up{}", i + 1) };
            let y = plan.scratch(&name, rows(grid * layer.side, 0), channels);
            plan.step(name.as_str(), layer.record(x, y, rows(grid, lead), [lead, grid]));
            plan.tap(name, y);
            (x, lead, grid) = (y, 0, grid * layer.side);
        }
        (x, grid)
    }
}

fn decoder(config: &Config, masks: &Masks, l: &mut Loader) -> Result<Decoder> {
    let (e, patch) = (&masks.decoder, config.vision.patch_size);
    let (dim, grid, tokens) = (e.hidden, config.vision.grid(), config.vision.tokens());
    let rows = Rows::PerItem(tokens as u32);
    let both = |what: &str| ["mul", "add"].map(|which| format!("decoder.film_{which}.{what}"));
    let film = Linear {
        weight: l.joined(&both("weight"), &[dim, config.embedding])?,
        bias: Some(l.vectors(&both("bias"), dim)?),
    };
    let blocks = Blocks::load(l, "decoder", e, rows, Mask::None, false)?;
    let upscale = Upscale::load(l, masks, patch)?;

    let mut plan = Plan::default();
    let condition = plan.input("condition", ONE, config.embedding);
    let shared = Rows::Shared(tokens as u32);
    let reduced: Vec<ActId> = (0..masks.extract.len()).map(|i| plan.input(&reduced_name(i), shared, dim)).collect();
    let by = plan.scratch("film", ONE, 2 * dim);
    let x = plan.scratch("x", rows, dim);
    let s = blocks.stream(&mut plan, x);
    plan.step("film", film.record(condition, by, ONE));
    let (tokens, width) = (tokens as u32, dim as u32);
    for (i, &reduced) in reduced.iter().enumerate() {
        if i == 0 {
            plan.step("modulate", Modulate { x: reduced, by, y: x, tokens, dim: width });
            plan.tap("film", x);
        } else {
            let add = AddShared { x: reduced.into(), y: x, rows, dim: width, first: 0 };
            plan.step(format!("decoder.{i}.add"), add);
        }
        blocks.record_post_norm(&mut plan, s, &format!("decoder.{i}"), i);
    }
    let (logits, side) = upscale.record(&mut plan, x, grid, dim);
    plan.output("logits", logits);
    Ok(Decoder { plan, condition, reduced, logits, side })
}
