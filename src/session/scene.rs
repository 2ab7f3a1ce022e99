//! A picture that was looked at: what later questions to it need.

use super::{Session, Source, run::check_finite};
use crate::{
    backend::{Backend, Executor},
    config::{Head, Task},
    error::{Error, Result},
    gpu::milliseconds,
    kernels::{ActId, Run},
    model::{self, BOXES, CLASS, OBJECTNESS},
};

/// What the picture tower makes of one picture. It needs no device: it outlives one, and can be sent to another thread.
#[derive(Debug, Clone, PartialEq)]
pub struct Scene {
    /// Width and height of the upright picture in pixels.
    pub size: (u32, u32),
    /// One row a token each. Of a detector: boxes before the sigmoid, `[tokens, 4]`; class embeddings, `[tokens, embedding]`; shift
    /// and scale of the logits, `[tokens, 2]`; and objectness of OWLv2, `[tokens]`. Of a segmenter what its decoder's blocks see.
    pub features: Vec<Vec<f32>>,
    /// Tells it from other pictures.
    fingerprint: u64,
}

impl Scene {
    /// From what [`Scene::size`] and [`Scene::features`] of another were.
    #[must_use]
    pub fn new(size: (u32, u32), features: Vec<Vec<f32>>) -> Self {
        let numbers = features.iter().flatten();
        let fingerprint = numbers.fold(0xcbf2_9ce4_8422_2325, |hash: u64, x| {
            (hash ^ u64::from(x.to_bits())).wrapping_mul(0x0100_0000_01b3).rotate_left(23)
        });
        Self { size, features, fingerprint }
    }

    /// Boxes before the sigmoid, `[tokens, 4]`: center x, center y, width, height.
    #[must_use]
    pub fn boxes(&self) -> &[f32] {
        self.features.get(BOXES).map_or(&[], Vec::as_slice)
    }

    /// Class embeddings, `[tokens, embedding]`, of any length.
    #[must_use]
    pub fn class_embeddings(&self) -> &[f32] {
        self.features.get(CLASS).map_or(&[], Vec::as_slice)
    }

    /// How likely each token's box holds any object at all, as logits; none where the model does not say.
    #[must_use]
    pub fn objectness(&self) -> Option<&[f32]> {
        self.features.get(OBJECTNESS).map(Vec::as_slice)
    }
}

/// The picture tower of a model of which questions are asked.
pub struct Look<B: Backend> {
    pub plan: B::Executor,
    pub pixels: ActId,
    pub tokens: ActId,
    pub features: Vec<ActId>,
}

impl<B: Backend> Look<B> {
    pub fn new(plan: B::Executor, model::Look { pixels, tokens, features, .. }: model::Look) -> Self {
        Self { plan, pixels, tokens, features: features.into_iter().map(|(_, act)| act).collect() }
    }
}

/// Inputs of a plan that hold a scene's features, and whose they are.
#[derive(Debug)]
pub struct Inputs {
    /// Each with its place in [`Scene::features`].
    acts: Vec<(ActId, usize)>,
    holds: std::cell::Cell<Option<u64>>,
}

impl Inputs {
    pub fn new(acts: impl IntoIterator<Item = (ActId, usize)>) -> Self {
        Self { acts: acts.into_iter().collect(), holds: std::cell::Cell::new(None) }
    }

    /// Writes a scene's features, unless they are there.
    ///
    /// # Errors
    /// [`Error::BadInput`] for a scene of another model.
    pub fn fill<B: Backend>(&self, device: &B, plan: &B::Executor, scene: &Scene) -> Result<()> {
        if self.holds.get() == Some(scene.fingerprint) {
            return Ok(());
        }
        let room = |act: ActId| plan.plan().acts()[act.0].item(plan.most());
        let found = |&(act, place): &(ActId, usize)| Some(room(act)) == scene.features.get(place).map(Vec::len);
        if !self.acts.iter().all(found) {
            return Err(stranger());
        }
        for &(act, place) in &self.acts {
            plan.write(device, act, 0, bytemuck::cast_slice(&scene.features[place]));
        }
        self.holds.set(Some(scene.fingerprint));
        Ok(())
    }
}

/// The error of a question about what this model has not looked at.
pub fn stranger() -> Error {
    Error::BadInput(
        "scene: expected one that this model has looked at, found another model's, or another canvas': look again"
            .into(),
    )
}

impl<B: Backend> Session<B> {
    /// Checks that a scene has of each token what a detector says: its data may come from anywhere.
    pub(super) fn check_boxes(&self, scene: &Scene) -> Result<()> {
        let tokens = self.config.vision.grid().pow(2);
        let sound = scene.boxes().len() == 4 * tokens
            && scene.class_embeddings().len() == self.config.embedding * tokens
            && scene.objectness().is_none_or(|objectness| objectness.len() == tokens);
        if sound { Ok(()) } else { Err(stranger()) }
    }

    /// Runs the picture tower once, for any number of questions.
    ///
    /// # Errors
    /// [`Error::BadImage`] for a picture out of bounds, [`Error::WrongModel`] for a model that only embeds, [`Error::NotFinite`],
    /// [`Error::Gpu`], or [`Error::BadInput`] without the picture tower.
    pub async fn look(&self, image: &dyn Source<B>) -> Result<Scene> {
        let Look { plan, features, .. } = self.put_look(image)?;
        let (one, start) = (Run::items(1), milliseconds());
        let bytes = self.device.bytes(plan.submit(&self.device, one, features)).await?;
        self.device.observe(plan.plan().flops(one), milliseconds() - start);
        let mut rest: &[f32] = &bytemuck::pod_collect_to_vec::<u8, f32>(&bytes);
        check_finite(rest, 1, "feature")?;
        let (width, height) = image.size();
        let mut part = |act: &ActId| {
            let (part, after) = rest.split_at(plan.plan().acts()[act.0].size(one));
            rest = after;
            part.to_vec()
        };
        Ok(Scene::new((width as u32, height as u32), features.iter().map(&mut part).collect()))
    }

    /// Makes a picture the next one that is looked at.
    pub(super) fn put_look(&self, image: &dyn Source<B>) -> Result<&Look<B>> {
        if let Some(look) = &self.look {
            self.resize(image, |resized| resized.hand_over(&self.device, (&look.plan, look.pixels), 0))?;
            return Ok(look);
        }
        if !matches!(self.config.head, Head::Boxes(_) | Head::Masks(_)) {
            self.config.expect(Task::Detect)?;
        }
        Err(self.lacks_vision())
    }
}
