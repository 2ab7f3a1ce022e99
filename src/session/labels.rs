//! Pictures against labels.

use super::{Pending, Session, Source};
use crate::{
    backend::{Backend, Executor},
    config::Activation,
    error::{Error, Result},
    gpu::Gpu,
    kernels::{self, ActId, Matmul, MatrixRef, Operand, Rows, Rule, WeightId},
    plan::Plan,
    quant::{Format, pack},
    scores::Score,
    weights::Plane,
};

/// Labels whose embeddings stay on the device, so that a picture costs the same however many there are.
pub struct LabelSet<B: Backend = Gpu> {
    plan: B::Executor,
    /// Bound by the plan; a destroyed buffer must not be.
    _weights: B::Weights,
    images: ActId,
    y: ActId,
    labels: usize,
}

impl<B: Backend> Session<B> {
    /// Scores of each picture against each text, by their embeddings.
    ///
    /// # Errors
    /// [`Error::BadInput`] if there is nothing to compare or lengths differ, [`Error::NotFinite`], or [`Error::Gpu`].
    pub async fn scores(&self, images: &[Vec<f32>], texts: &[Vec<f32>], score: Score) -> Result<Vec<Vec<f32>>> {
        let set = self.compare(images.len(), texts, score)?;
        self.check_dim(images)?;
        set.plan.write(&self.device, set.images, 0, bytemuck::cast_slice(&images.concat()));
        self.read(set.submit(self, 0)).await
    }

    /// Labels by their texts' embeddings.
    ///
    /// # Errors
    /// [`Error::BadInput`] if there is none or one comes from another model, or [`Error::Gpu`].
    pub fn labels(&self, texts: &[Vec<f32>], score: Score) -> Result<LabelSet<B>> {
        self.compare(1, texts, score)
    }

    /// Submits a picture, up to its scores against the labels of a set of this very session: one row.
    ///
    /// # Errors
    /// As [`Session::put_image`].
    pub fn classify(&self, set: &LabelSet<B>, image: &dyn Source<B>) -> Result<Pending<B>> {
        self.put_image(image, 0)?;
        let tower = &self.vision()?.tower;
        tower.plan.run_all(&self.device, 1);
        tower.plan.hand_over(&self.device, tower.output, (&set.plan, set.images), 0);
        Ok(set.submit(self, tower.plan.plan().flops(1)))
    }

    fn compare(&self, pictures: usize, texts: &[Vec<f32>], score: Score) -> Result<LabelSet<B>> {
        if texts.is_empty() || pictures == 0 {
            return Err(Error::BadInput("labels: expected at least one label and one picture, found none".into()));
        }
        self.check_dim(texts)?;
        let (scale, bias, rule) = match score {
            Score::Cosine => (1.0, 0.0, Rule::Identity),
            Score::Logits => (self.logit_scale, self.logit_bias, Rule::Identity),
            Score::Sigmoid => (self.logit_scale, self.logit_bias, Rule::Sigmoid),
            Score::Softmax => (self.logit_scale, self.logit_bias, Rule::Softmax),
        };
        let (dim, labels) = (self.config.embedding, texts.len());
        // The labels are a matrix like any other, and this is one more layer.
        let mut weights = B::Weights::default();
        let mut store = self.device.store(&mut weights);
        store.make_room("labels", Format::F32, labels, dim)?;
        store.write(0, Plane::Values, 0, &pack(Format::F32, &texts.concat(), dim)?.values);
        drop(store);
        let mut plan = Plan::default();
        // One batch holds all pictures: an item is a picture, labels are shared.
        let images = plan.act("images", dim * pictures);
        let cosines = plan.act("cosines", pictures * labels);
        let y = plan.act("scores", pictures * labels);
        let (pictures, rows) = (pictures as u32, labels as u32);
        plan.step(
            "cosines",
            Matmul {
                x: Operand::Act(images),
                weight: MatrixRef { id: WeightId(0), format: Format::F32, rows, cols: dim as u32 },
                bias: None,
                y: cosines,
                rows: Rows::Shared(pictures),
                activation: Activation::None,
                accumulate: false,
                place: None,
            },
        );
        plan.step("scores", kernels::Score { cosines, y, pictures, labels: rows, scale, bias, rule });
        let plan = self.device.compile(plan, &weights, 1)?;
        Ok(LabelSet { plan, _weights: weights, images, y, labels })
    }

    fn check_dim(&self, embeddings: &[Vec<f32>]) -> Result<()> {
        let dim = self.config.embedding;
        match embeddings.iter().find(|e| e.len() != dim) {
            None => Ok(()),
            Some(other) => Err(Error::BadInput(format!(
                "embeddings: expected {dim} numbers, found {}: it comes from another model",
                other.len()
            ))),
        }
    }
}

impl<B: Backend> LabelSet<B> {
    /// `flops`: what was submitted before it.
    fn submit(&self, session: &Session<B>, flops: u64) -> Pending<B> {
        Pending::new(self.plan.submit(&session.device, 1, self.y), self.labels, "score", flops)
    }
}
