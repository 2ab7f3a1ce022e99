//! Pictures against labels.

use super::{Pending, Session, Source, run::check_finite};
use crate::{
    backend::{Backend, Executor},
    error::{Error, Result},
    gpu::Gpu,
    kernels::{ActId, Matmul, MatrixRef, Rows, Run, WeightId},
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
    cosines: ActId,
    labels: usize,
}

impl<B: Backend> Session<B> {
    /// Scores of each picture against each text, by their embeddings.
    ///
    /// # Errors
    /// [`Error::BadInput`] if there is nothing to compare or lengths differ, [`Error::NotFinite`], or [`Error::Gpu`].
    pub async fn scores(&self, images: &[Vec<f32>], texts: &[Vec<f32>], score: Score) -> Result<Vec<Vec<f32>>> {
        let set = self.compare(images.len(), texts)?;
        self.check_dim(images)?;
        set.plan.write(&self.device, set.images, 0, bytemuck::cast_slice(&images.concat()));
        let readback = set.plan.submit(&self.device, Run::items(1), &[set.cosines]);
        let mut rows = self.read(Pending::new(readback, set.labels, "cosine", 0)).await?;
        let (scale, bias) = (self.logit_scale, self.logit_bias);
        rows.iter_mut().for_each(|cosines| score.of_cosines(cosines, scale, bias));
        check_finite(&rows.concat(), texts.len(), "score")?;
        Ok(rows)
    }

    /// Labels by their texts' embeddings.
    ///
    /// # Errors
    /// [`Error::BadInput`] if there is none or one comes from another model, or [`Error::Gpu`].
    pub fn labels(&self, texts: &[Vec<f32>]) -> Result<LabelSet<B>> {
        self.compare(1, texts)
    }

    /// Submits a picture, up to its cosines to the labels of a set of this very session: one row.
    ///
    /// # Errors
    /// As [`Session::put_image`].
    pub fn classify(&self, set: &LabelSet<B>, image: &dyn Source<B>) -> Result<Pending<B>> {
        self.put_image(image, 0)?;
        let tower = &self.vision()?.tower;
        let one = self.pictures(1);
        let (into, then) = ((&set.plan, set.images), (Run::items(1), &[set.cosines][..]));
        let readback = tower.plan.submit_through(&self.device, one, tower.output, into, then);
        Ok(Pending::new(readback, set.labels, "cosine", tower.plan.plan().flops(one)))
    }

    fn compare(&self, pictures: usize, texts: &[Vec<f32>]) -> Result<LabelSet<B>> {
        if texts.is_empty() || pictures == 0 {
            return Err(Error::BadInput("labels: expected at least one label and one picture, found none".into()));
        }
        self.check_dim(texts)?;
        let (dim, labels) = (self.config.embedding, texts.len());
        let (weights, weight) = self.matrix_of("labels", texts)?;
        let mut plan = Plan::default();
        let pictures = Rows::Shared(pictures as u32);
        let images = plan.input("images", pictures, dim);
        let cosines = plan.scratch("cosines", pictures, labels);
        plan.output("cosines", cosines);
        plan.step("cosines", Matmul::new(images, weight, cosines, pictures));
        let states = &mut B::States::default();
        let plan = self.device.compile(plan, &weights, &self.tuning, Run::items(1), states)?;
        Ok(LabelSet { plan, _weights: weights, images, cosines, labels })
    }

    /// Embeddings on the device: a matrix like any other, for one more layer.
    pub(super) fn matrix_of(&self, label: &str, embeddings: &[Vec<f32>]) -> Result<(B::Weights, MatrixRef)> {
        let (rows, dim) = (embeddings.len(), self.config.embedding);
        let mut weights = B::Weights::default();
        let mut store = self.device.store(&mut weights);
        store.make_room(label, Format::F32, rows, dim)?;
        store.write(0, Plane::Values, 0, &pack(Format::F32, &embeddings.concat(), dim)?.values);
        drop(store);
        Ok((weights, MatrixRef { id: WeightId(0), format: Format::F32, rows: rows as u32, cols: dim as u32 }))
    }

    pub(super) fn check_dim(&self, embeddings: &[Vec<f32>]) -> Result<()> {
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
