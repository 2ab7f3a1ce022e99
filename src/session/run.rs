//! Batches through a tower. They overlap: the next one is submitted before the last one's embeddings are waited for.

use super::{Session, Source, table::Table};
use crate::{
    backend::{Backend, Executor},
    config::TextPooling,
    error::{Error, Result, not_finite},
    gpu::{Gpu, milliseconds},
    kernels::ActId,
    text::Tokenize,
};

/// Most pictures or texts in one submission. More would cost memory and hold up the page without being faster.
pub const BATCH: u32 = 8;

pub struct Tower<B: Backend> {
    pub plan: B::Executor,
    pub output: ActId,
}

pub struct VisionTower<B: Backend> {
    pub tower: Tower<B>,
    pub pixels: ActId,
}

pub struct TextTower<B: Backend> {
    pub tower: Tower<B>,
    pub tokens: ActId,
    pub index: ActId,
    pub table: Table,
    /// None where texts come as token ids.
    pub tokenizer: Option<Box<dyn Tokenize>>,
}

/// Numbers that the device is at work on.
pub struct Pending<B: Backend = Gpu> {
    readback: B::Readback,
    /// Numbers in a row.
    dim: usize,
    what: &'static str,
    /// Operations under way, and since when.
    work: (u64, f64),
}

impl<B: Backend> Pending<B> {
    pub(super) fn new(readback: B::Readback, dim: usize, what: &'static str, flops: u64) -> Self {
        Self { readback, dim, what, work: (flops, milliseconds()) }
    }
}

impl<B: Backend> Session<B> {
    /// Most pictures in one [`Session::run_images`].
    ///
    /// # Errors
    /// [`Error::BadInput`] without the picture tower.
    pub fn image_batch(&self) -> Result<usize> {
        Ok(self.vision()?.tower.plan.capacity() as usize)
    }

    /// Makes a picture item `item` of the next run. What was submitted before is not disturbed.
    ///
    /// # Errors
    /// [`Error::BadImage`] for a picture out of bounds, or [`Error::BadInput`] without the picture tower.
    pub fn put_image(&self, image: &dyn Source<B>, item: u32) -> Result<()> {
        let vision = self.vision()?;
        self.resize(image, |pixels| pixels.hand_over(&self.device, (&vision.tower.plan, vision.pixels), item))
    }

    /// Submits the first `items` pictures, of which there is at least one and at most [`Session::image_batch`].
    ///
    /// # Errors
    /// [`Error::BadInput`] without the picture tower.
    pub fn run_images(&self, items: usize) -> Result<Pending<B>> {
        Ok(self.run(&self.vision()?.tower, items))
    }

    /// Waits for numbers.
    ///
    /// # Errors
    /// [`Error::NotFinite`], or [`Error::Gpu`].
    pub async fn read(&self, pending: Pending<B>) -> Result<Vec<Vec<f32>>> {
        let bytes = self.device.bytes(pending.readback).await?;
        let (flops, start) = pending.work;
        self.device.took(flops, milliseconds() - start);
        rows(&bytes, pending.dim, pending.what)
    }

    /// Unit-length embeddings, one a picture.
    ///
    /// # Errors
    /// [`Error::BadImage`] for a picture out of bounds, [`Error::NotFinite`], [`Error::Gpu`], or [`Error::BadInput`] without
    /// the picture tower.
    pub async fn embed_images(&self, images: &[&dyn Source<B>]) -> Result<Vec<Vec<f32>>> {
        self.embed(&self.vision()?.tower, images, |image, item| self.put_image(*image, item)).await
    }

    /// Unit-length embeddings, one a text.
    ///
    /// # Errors
    /// [`Error::BadCheckpoint`] if the tokenizer does not fit the token table, [`Error::NotFinite`], [`Error::Gpu`], or
    /// [`Error::BadInput`] without the text tower.
    pub async fn embed_texts<T: AsRef<str>>(&self, texts: &[T]) -> Result<Vec<Vec<f32>>> {
        let ids = texts.iter().map(|text| self.tokenize(text.as_ref())).collect::<Result<Vec<_>>>()?;
        self.embed_tokens(&ids).await
    }

    /// Unit-length embeddings of texts by their token ids, padding included.
    ///
    /// # Errors
    /// [`Error::BadInput`] for ids that the model does not have or without the text tower, [`Error::NotFinite`], or
    /// [`Error::Gpu`].
    pub async fn embed_tokens(&self, texts: &[Vec<u32>]) -> Result<Vec<Vec<f32>>> {
        self.embed(&self.text()?.tower, texts, |ids, item| self.put_tokens(ids, item)).await
    }

    async fn embed<T>(
        &self,
        tower: &Tower<B>,
        inputs: &[T],
        put: impl Fn(&T, u32) -> Result<()>,
    ) -> Result<Vec<Vec<f32>>> {
        let mut all = Vec::with_capacity(inputs.len());
        let mut before: Option<Pending<B>> = None;
        for chunk in inputs.chunks(tower.plan.capacity() as usize) {
            for (item, input) in (0..).zip(chunk) {
                put(input, item)?;
            }
            if let Some(before) = before.replace(self.run(tower, chunk.len())) {
                all.extend(self.read(before).await?);
            }
        }
        if let Some(last) = before {
            all.extend(self.read(last).await?);
        }
        Ok(all)
    }

    fn run(&self, tower: &Tower<B>, items: usize) -> Pending<B> {
        let (items, flops) = (items as u32, tower.plan.plan().flops(items as u32));
        Pending::new(tower.plan.submit(&self.device, items, tower.output), self.config.embedding, "embedding", flops)
    }

    /// Makes a text item `item` of the next text run.
    pub(super) fn put_tokens(&self, ids: &[u32], item: u32) -> Result<()> {
        let TextTower { tower, tokens, index, table, .. } = self.text()?;
        let (length, vocab) = (self.config.text.tokens, self.config.text.vocab);
        if ids.len() != length || ids.iter().any(|&id| id as usize >= vocab) {
            return Err(Error::BadInput(format!("token ids: expected {length} below {vocab}, found {ids:?}")));
        }
        let rows = table.rows(ids)?;
        tower.plan.write(&self.device, *tokens, item, bytemuck::cast_slice(&rows));
        let place = pool_index(self.config.text.pooling, ids);
        tower.plan.write(&self.device, *index, item, &place.to_le_bytes());
        Ok(())
    }

    pub(super) fn vision(&self) -> Result<&VisionTower<B>> {
        self.vision.as_ref().ok_or_else(|| not_loaded("vision"))
    }

    pub(super) fn text(&self) -> Result<&TextTower<B>> {
        self.text.as_ref().ok_or_else(|| not_loaded("text"))
    }
}

/// Which token the text tower pools.
#[must_use]
pub fn pool_index(rule: TextPooling, ids: &[u32]) -> u32 {
    // Of equal ids the first, as argmax takes it.
    let first = |id: u32| ids.iter().position(|&x| x == id).unwrap_or(0) as u32;
    match rule {
        TextPooling::HighestId => first(ids.iter().copied().max().unwrap_or(0)),
        TextPooling::FirstOf(id) => first(id),
        TextPooling::Last => ids.len() as u32 - 1,
    }
}

/// What was read, row by row. Nobody sees NaN or infinity: every comparison with them is silently wrong.
fn rows(bytes: &[u8], dim: usize, what: &str) -> Result<Vec<Vec<f32>>> {
    let numbers: Vec<f32> = bytemuck::pod_collect_to_vec(bytes);
    if let Some(at) = numbers.iter().position(|x| !x.is_finite()) {
        return Err(Error::NotFinite(format!(
            "{what} {} of {}: expected finite numbers, found {}: the weights are too large for f32, or this GPU computes wrongly",
            at / dim + 1,
            numbers.len() / dim,
            not_finite(numbers[at])
        )));
    }
    Ok(numbers.chunks_exact(dim).map(<[f32]>::to_vec).collect())
}

fn not_loaded(tower: &str) -> Error {
    Error::BadInput(format!(
        "towers: this model was loaded without its {tower} tower: load it with \"both\" or \"{tower}\""
    ))
}
