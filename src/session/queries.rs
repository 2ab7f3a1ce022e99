//! Boxes of a scene by queries, or of whatever is there: what a detector is asked.

use std::collections::HashMap;

use super::{
    Scene, Session,
    run::check_finite,
    scene::{Inputs, stranger},
};
use crate::{
    backend::{Backend, Executor},
    config::Task,
    error::{Error, Result},
    found::{DetectOptions, Detection, Hit, detections},
    gpu::Gpu,
    kernels::{ActId, Run},
    model::{Question, question},
};

/// Queries that stay on the device, so that a scene costs the same however many there are.
pub struct QuerySet<B: Backend = Gpu> {
    plan: B::Executor,
    /// Bound by the plan; a destroyed buffer must not be.
    _weights: B::Weights,
    inputs: Inputs,
    logits: ActId,
    best: ActId,
    labels: usize,
}

const ONE: Run = Run { batch: 1, tokens: 1, past: 0 };

impl<B: Backend> Session<B> {
    /// Queries by their vectors: unit ones of texts, means of several, or of an example picture. They are taken as they are, not
    /// brought to unit length: the mean of several texts answers with the mean of their cosines.
    ///
    /// # Errors
    /// [`Error::BadInput`] if there is none or one comes from another model, [`Error::WrongModel`], or [`Error::Gpu`].
    pub fn queries(&self, vectors: &[Vec<f32>]) -> Result<QuerySet<B>> {
        self.config.expect(Task::Detect)?;
        if vectors.is_empty() {
            return Err(Error::BadInput("queries: expected at least one, found none".into()));
        }
        self.check_dim(vectors)?;
        check_finite(&vectors.concat(), self.config.embedding, "query")?;
        let (weights, matrix) = self.matrix_of("queries", vectors)?;
        let grid = self.config.vision.grid() as u32;
        let Question { plan, inputs, logits, best } = question(matrix, grid * grid);
        self.device.capacity(&plan, ONE)?;
        let states = &mut B::States::default();
        let plan = self.device.compile(plan, &weights, &self.tuning, ONE, states)?;
        let inputs = Inputs::new(inputs);
        Ok(QuerySet { plan, _weights: weights, inputs, logits, best, labels: vectors.len() })
    }

    /// What is found of the queries in a scene, best first.
    ///
    /// # Errors
    /// As [`Session::detect`].
    pub async fn find(&self, scene: &Scene, set: &QuerySet<B>, options: &DetectOptions) -> Result<Vec<Detection>> {
        let scale = self.config.boxes()?.scale;
        self.check_boxes(scene)?;
        let hits = match options.multi_label {
            true => self.detect_all(scene, set, options.least_logit()).await?,
            false => self.detect(scene, set).await?,
        };
        Ok(detections(&hits, scene.boxes(), scene.size, scale, options))
    }

    /// Of every token the label that it is most like, the first of equal ones.
    ///
    /// # Errors
    /// [`Error::BadInput`] for a scene of another model, [`Error::NotFinite`], or [`Error::Gpu`].
    pub async fn detect(&self, scene: &Scene, set: &QuerySet<B>) -> Result<Vec<Hit>> {
        let words = self.ask(scene, set, set.best).await?;
        let hits: Vec<Hit> = (0..)
            .zip(words.chunks_exact(2))
            .map(|(token, best)| Hit { token, label: best[0], logit: f32::from_bits(best[1]) })
            .collect();
        check_finite(&hits.iter().map(|hit| hit.logit).collect::<Vec<_>>(), 1, "logit")?;
        Ok(hits)
    }

    /// Every label of every token whose logit is above `least`.
    ///
    /// # Errors
    /// As [`Session::detect`].
    pub async fn detect_all(&self, scene: &Scene, set: &QuerySet<B>, least: f32) -> Result<Vec<Hit>> {
        let words = self.ask(scene, set, set.logits).await?;
        let logits: &[f32] = bytemuck::cast_slice(&words);
        check_finite(logits, set.labels, "logit")?;
        let hit = |(at, &logit): (usize, &f32)| {
            let (token, label) = ((at / set.labels) as u32, (at % set.labels) as u32);
            (logit > least).then_some(Hit { token, label, logit })
        };
        Ok(logits.iter().enumerate().filter_map(hit).collect())
    }

    /// What is there whatever it is, best first, by how likely each box holds any object at all: detections of one label. It costs no
    /// question, the picture tower has said it.
    ///
    /// # Errors
    /// [`Error::WrongModel`] for a model that does not say (OWL-ViT), [`Error::BadInput`] for a scene of another model, or
    /// [`Error::NotFinite`].
    pub fn objects(&self, scene: &Scene, options: &DetectOptions) -> Result<Vec<Detection>> {
        let scale = self.config.expect_objectness()?.scale;
        self.check_boxes(scene)?;
        let logits = scene.objectness().ok_or_else(stranger)?;
        check_finite(logits, 1, "objectness")?;
        let hits: Vec<Hit> = (0..).zip(logits).map(|(token, &logit)| Hit { token, label: 0, logit }).collect();
        Ok(detections(&hits, scene.boxes(), scene.size, scale, options))
    }

    async fn ask(&self, scene: &Scene, set: &QuerySet<B>, answer: ActId) -> Result<Vec<u32>> {
        set.inputs.fill(&self.device, &set.plan, scene)?;
        let readback = set.plan.submit(&self.device, ONE, &[answer]);
        Ok(bytemuck::pod_collect_to_vec(&self.device.bytes(readback).await?))
    }
}

impl<B: Backend> QuerySet<B> {
    pub(super) async fn taps(&self, device: &B, scene: &Scene) -> Result<HashMap<String, Vec<f32>>> {
        self.inputs.fill(device, &self.plan, scene)?;
        self.plan.taps(device, ONE).await
    }

    /// Number of queries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels
    }
    /// Never: a set has at least one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels == 0
    }
}
