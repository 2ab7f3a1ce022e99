//! OWL-ViT and OWLv2 (Minderer et al. 2022, 2023), as `OwlViTForObjectDetection` and `Owlv2ForObjectDetection` in transformers name and
//! compute them: every patch of a picture has a box, and a class embedding that is compared with queries.

use super::{
    block::{Blocks, Linear, Norm},
    clip,
    embed::Embedding,
    tower::{Length, Look, Model},
};
use crate::{
    config::{Activation, Boxes, Config, Mask, Towers},
    error::Result,
    kernels::{
        ActId, Best, ClassHead, LayerNorm, Matmul, MatrixRef, Normalize, Pictures, Place, Positions, Rows, VectorRef,
    },
    plan::Plan,
    weights::Loader,
};

/// Place of the boxes in [`Look::features`]: before the sigmoid, `[tokens, 4]`.
pub const BOXES: usize = 0;
/// Place of the class embeddings, `[tokens, embedding]`.
pub const CLASS: usize = 1;
/// Place of the logits' shift and scale, `[tokens, 2]`.
const SCALE: usize = 2;
/// Place of the objectness, `[tokens, 1]`, where there is one.
pub const OBJECTNESS: usize = 3;

/// What the reference adds to a class embedding's length before it divides by it.
pub const EPS: f32 = 1e-6;

pub fn record(config: &Config, boxes: &Boxes, towers: Towers, l: &mut Loader) -> Result<Model> {
    Ok(Model {
        look: towers.vision().then(|| look(config, boxes, l)).transpose()?,
        text: towers.text().then(|| clip::text(config, l, Length::Unit)).transpose()?,
        ..Model::default()
    })
}

/// Three layers with GELU between them, on each patch (`Owlv2BoxPredictionHead`).
struct Head {
    name: &'static str,
    dense: [Linear; 3],
}

impl Head {
    fn load(l: &mut Loader, name: &'static str, dim: usize, outputs: usize) -> Result<Self> {
        let mut dense = |i, outputs| Linear::load(l, &format!("{name}.dense{i}"), outputs, dim);
        Ok(Self { name, dense: [dense(0, dim)?, dense(1, dim)?, dense(2, outputs)?] })
    }

    /// From `x` to `y`, with `wide` between the layers. Its last layer is returned, for what is still to be added.
    fn record(&self, plan: &mut Plan, x: ActId, [first, second]: [ActId; 2], y: ActId, rows: Rows) -> Matmul {
        let (activation, [one, two, three]) = (Activation::Gelu, &self.dense);
        plan.step(format!("{}.dense0", self.name), Matmul { activation, ..one.record(x, first, rows) });
        plan.step(format!("{}.dense1", self.name), Matmul { activation, ..two.record(first, second, rows) });
        three.record(second, y, rows)
    }
}

/// The reference's `compute_box_bias`, in f32 as it is there, for close to 1 its rounding shows: `[grid², 4]`, x fastest. A box begins
/// at the far corner of its patch, as large as a patch.
fn box_bias(grid: usize) -> Vec<f32> {
    let log_odds = |x: f32| {
        let (x, rest) = (x + 1e-4, 1e-4 - x);
        (f64::from(x).ln() as f32) - (f64::from(rest).ln_1p() as f32)
    };
    let at = |i: usize| log_odds((i + 1) as f32 / grid as f32);
    let size = log_odds(1.0 / grid as f32);
    (0..grid * grid).flat_map(|patch| [at(patch % grid), at(patch / grid), size, size]).collect()
}

/// What is said of each patch.
struct Heads {
    boxes: Head,
    bias: VectorRef,
    class: Linear,
    scale: Linear,
    objectness: Option<Head>,
}

impl Heads {
    fn load(config: &Config, boxes: &Boxes, grid: usize, l: &mut Loader) -> Result<Self> {
        let dim = config.vision.encoder.hidden;
        let both = |what: &str| ["shift", "scale"].map(|which| format!("class_head.logit_{which}.{what}"));
        Ok(Self {
            boxes: Head::load(l, "box_head", dim, 4)?,
            bias: l.computed("box_bias", 4 * grid * grid, move || box_bias(grid)),
            class: Linear::load(l, "class_head.dense0", config.embedding, dim)?,
            scale: Linear { weight: l.joined(&both("weight"), &[1, dim])?, bias: Some(l.vectors(&both("bias"), 1)?) },
            objectness: boxes.objectness.then(|| Head::load(l, "objectness_head", dim, 1)).transpose()?,
        })
    }

    /// From `x`, `[batch, patches, hidden]`, to features by name, with two times as much between.
    fn record(&self, plan: &mut Plan, x: ActId, wide: [ActId; 2], patches: Rows) -> Vec<(String, ActId)> {
        let mut features = Vec::new();
        let mut feature = |plan: &mut Plan, name: &str, words: u32| {
            let act = plan.scratch(name, patches, words as usize);
            plan.output(name, act);
            features.push((name.to_string(), act));
            act
        };
        let y = feature(plan, "boxes", 4);
        let place = Place::Positions(Positions { class_token: None, table: self.bias });
        let last = self.boxes.record(plan, x, wide, y, patches);
        plan.step("box_head.dense2", Matmul { place, ..last });
        plan.tap("box.biased", y);
        let y = feature(plan, "class", self.class.weight.rows);
        plan.step("class_head.dense0", self.class.record(x, y, patches));
        plan.tap("class_embeds", y);
        let y = feature(plan, "scale", 2);
        plan.step("class_head.scale", self.scale.record(x, y, patches));
        plan.tap("shift and scale", y);
        if let Some(head) = &self.objectness {
            let y = feature(plan, "objectness", 1);
            let last = head.record(plan, x, wide, y, patches);
            plan.step("objectness_head.dense2", last);
            plan.tap("objectness", y);
        }
        features
    }
}

fn look(config: &Config, boxes: &Boxes, l: &mut Loader) -> Result<Look> {
    let e = &config.vision.encoder;
    let embed = Embedding::load(config, l)?;
    let (rows, patches) = (embed.rows(), Rows::PerItem((embed.grid * embed.grid) as u32));
    let blocks = Blocks::load(l, "vision_model.encoder", e, rows, Mask::None, false)?;
    let post_norm = Norm::load(l, "vision_model.post_layernorm", e.hidden, e.eps)?;
    let merged_norm = Norm::load(l, "layer_norm", e.hidden, e.eps)?;
    let heads = Heads::load(config, boxes, embed.grid, l)?;

    let mut plan = Plan::default();
    let (filter, size, lead) = (config.preprocessor.filter, embed.side as u32, 1);
    let pictures = if filter.floats() { Pictures::Floats { size, lead } } else { Pictures::Squares { size, lead } };
    let pixels = plan.input("pixels", Rows::PerItem(1), filter.words() * embed.side * embed.side);
    let x = plan.scratch("x", rows, e.hidden);
    let s = blocks.stream(&mut plan, x);
    embed.record(&mut plan, config, pixels, pictures, s);
    blocks.record(&mut plan, s, "vision");
    plan.step("post_norm", post_norm.record(s.x, s.normed, rows));
    plan.tap("vision.post_norm", s.normed);
    let merged = plan.scratch("merged", patches, e.hidden);
    plan.step("merge", LayerNorm { merge: true, ..merged_norm.record(s.normed, merged, patches) });
    plan.tap("merged", merged);
    // The residual stream is not needed any more.
    let features = heads.record(&mut plan, merged, [s.normed, s.x], patches);
    Ok(Look { plan, pixels, tokens: x, features })
}

/// What is asked of a scene: how much each of its tokens is like each of some queries.
pub struct Question {
    /// The steps.
    pub plan: Plan,
    /// Inputs, class embeddings `[tokens, embedding]` and their shift and scale `[tokens, 2]`: each with its place in
    /// [`super::Look::features`].
    pub inputs: [(ActId, usize); 2],
    /// Output: `[tokens, labels]`
    pub logits: ActId,
    /// Output: `[tokens, 2]`, of each token the best label, u32, and its logit.
    pub best: ActId,
}

/// Records a question with `labels` `[labels, embedding]`, of so many tokens.
#[must_use]
pub fn question(labels: MatrixRef, tokens: u32) -> Question {
    let (rows, dim, count) = (Rows::PerItem(tokens), labels.cols, labels.rows);
    let mut plan = Plan::default();
    let class = plan.input("class", rows, dim as usize);
    let scale = plan.input("scale", rows, 2);
    let unit = plan.scratch("unit", rows, dim as usize);
    let cos = plan.scratch("cos", rows, count as usize);
    let logits = plan.scratch("logits", rows, count as usize);
    let best = plan.scratch("best", rows, 2);
    plan.step("normalize", Normalize { x: class, y: unit, dim, rows, eps: EPS });
    plan.step("cos", Matmul::new(unit, labels, cos, rows));
    plan.tap("cos", cos);
    plan.step("class_head", ClassHead { cos, scale, y: logits, labels: count, rows });
    plan.tap("logits", logits);
    plan.step("best", Best { x: logits, y: best, labels: count, rows });
    plan.output("logits", logits);
    plan.output("best", best);
    Question { plan, inputs: [(class, CLASS), (scale, SCALE)], logits, best }
}
