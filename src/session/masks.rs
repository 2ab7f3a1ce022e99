//! Masks of a scene by prompts: what a segmenter is asked.

use super::{Scene, Session, Source, run::check_finite, scene::Inputs};
use crate::{
    backend::{Backend, Executor},
    config::Task,
    error::{Error, Result},
    gpu::milliseconds,
    kernels::{ActId, Run},
    model,
};

/// What makes masks of features.
pub struct Decoder<B: Backend> {
    pub plan: B::Executor,
    pub inputs: Inputs,
    pub condition: ActId,
    pub logits: ActId,
    pub side: usize,
}

impl<B: Backend> Decoder<B> {
    pub fn new(plan: B::Executor, part: model::Decoder) -> Self {
        let model::Decoder { condition, reduced, logits, side, .. } = part;
        Self { plan, inputs: Inputs::new(reduced.into_iter().zip(0..)), condition, logits, side }
    }
}

/// The rest of the picture tower, from the last block that the decoder sees to what a picture says.
pub struct Prompter<B: Backend> {
    pub plan: B::Executor,
    pub tokens: ActId,
    pub prompt: ActId,
}

impl<B: Backend> Session<B> {
    /// Side of a mask in pixels, as the model makes it.
    ///
    /// # Errors
    /// [`Error::WrongModel`], or [`Error::BadInput`] without the picture tower.
    pub fn mask_side(&self) -> Result<usize> {
        Ok(self.decoder()?.side)
    }

    /// One mask a prompt, `[side, side]` logits in the model's own resolution. Prompts are embeddings of texts, as
    /// [`Session::embed_texts`] gives them.
    ///
    /// # Errors
    /// [`Error::BadInput`] for a scene or a prompt of another model or without the picture tower,
    /// [`Error::WrongModel`], [`Error::NotFinite`], or [`Error::Gpu`].
    pub async fn segment(&self, scene: &Scene, prompts: &[Vec<f32>]) -> Result<Vec<Vec<f32>>> {
        let Decoder { plan, logits, side, .. } = self.decoder()?;
        self.check_dim(prompts)?;
        let mut masks = Vec::with_capacity(prompts.len());
        for prompts in prompts.chunks(plan.most().batch as usize) {
            self.put_prompts(scene, prompts)?;
            let (run, start) = (Run::items(prompts.len() as u32), milliseconds());
            let bytes = self.device.bytes(plan.submit(&self.device, run, &[*logits])).await?;
            self.device.observe(plan.plan().flops(run), milliseconds() - start);
            let numbers: Vec<f32> = bytemuck::pod_collect_to_vec(&bytes);
            check_finite(&numbers, side * side, "mask")?;
            masks.extend(numbers.chunks_exact(side * side).map(<[f32]>::to_vec));
        }
        Ok(masks)
    }

    /// A prompt that is a picture: for best results an object cut out, before a dark background.
    ///
    /// # Errors
    /// [`Error::BadInput`] if the model was not loaded for it, and as [`Session::look`].
    pub async fn picture_prompt(&self, image: &dyn Source<B>) -> Result<Vec<f32>> {
        self.decoder()?;
        let Some(Prompter { plan, tokens, prompt }) = &self.prompter else {
            return Err(Error::BadInput(
                "prompts: expected texts, found a picture, for which this model was not loaded: load it with picturePrompts".into(),
            ));
        };
        let look = self.put_look(image)?;
        let one = Run::items(1);
        look.plan.run_all(&self.device, one);
        look.plan.hand_over(&self.device, look.tokens, (plan, *tokens), 0);
        let bytes = self.device.bytes(plan.submit(&self.device, one, &[*prompt])).await?;
        let numbers: Vec<f32> = bytemuck::pod_collect_to_vec(&bytes);
        check_finite(&numbers, numbers.len(), "prompt")?;
        Ok(numbers)
    }

    /// Makes a scene and prompts, at most a batch, those of the next run.
    pub(super) fn put_prompts(&self, scene: &Scene, prompts: &[Vec<f32>]) -> Result<()> {
        let Decoder { plan, inputs, condition, .. } = self.decoder()?;
        inputs.fill(&self.device, plan, scene)?;
        plan.write(&self.device, *condition, 0, bytemuck::cast_slice(&prompts.concat()));
        Ok(())
    }

    pub(super) fn decoder(&self) -> Result<&Decoder<B>> {
        self.config.expect(Task::Segment)?;
        self.decoder.as_ref().ok_or_else(|| self.lacks_vision())
    }
}
