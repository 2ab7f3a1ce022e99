//! Batches through a tower. They overlap: the next one is submitted before the last one's embeddings are waited for.

use super::{Session, Source, table::Table};
use crate::{
    config::TextPooling,
    error::{Error, Result},
    gpu::{Readback, milliseconds},
    kernels::ActId,
    plan::GpuPlan,
    text::TextEncoder,
};

/// Most pictures or texts in one submission. More would cost memory and hold up the page without being faster.
pub const BATCH: u32 = 8;

pub struct Tower {
    pub plan: GpuPlan,
    pub output: ActId,
}

pub struct VisionTower {
    pub tower: Tower,
    pub pixels: ActId,
}

pub struct TextTower {
    pub tower: Tower,
    pub tokens: ActId,
    pub index: ActId,
    pub table: Table,
    pub encoder: TextEncoder,
}

/// Numbers that the GPU is at work on.
pub struct Pending {
    readback: Readback,
    /// Numbers in a row.
    dim: usize,
    what: &'static str,
    /// Operations under way, and since when.
    work: (u64, f64),
}

impl Pending {
    pub(super) fn new(readback: Readback, dim: usize, what: &'static str, flops: u64) -> Self {
        Self { readback, dim, what, work: (flops, milliseconds()) }
    }
}

impl Session {
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
    pub fn put_image(&self, image: &dyn Source, item: u32) -> Result<()> {
        let vision = self.vision()?;
        let input = vision.tower.plan.buffer(vision.pixels);
        self.resize(image, |pixels| pixels.hand_over(&self.gpu, input, item))
    }

    /// Submits the first `items` pictures, of which there is at least one and at most [`Session::image_batch`].
    ///
    /// # Errors
    /// [`Error::BadInput`] without the picture tower.
    pub fn run_images(&self, items: usize) -> Result<Pending> {
        Ok(self.run(&self.vision()?.tower, items))
    }

    /// Waits for numbers.
    ///
    /// # Errors
    /// [`Error::NotFinite`], or [`Error::Gpu`].
    pub async fn read(&self, pending: Pending) -> Result<Vec<Vec<f32>>> {
        let bytes = pending.readback.bytes(&self.gpu).await?;
        let (flops, start) = pending.work;
        self.gpu.took(flops, milliseconds() - start);
        rows(&bytes, pending.dim, pending.what)
    }

    /// Unit-length embeddings, one a picture.
    ///
    /// # Errors
    /// [`Error::BadImage`] for a picture out of bounds, [`Error::NotFinite`], [`Error::Gpu`], or [`Error::BadInput`] without
    /// the picture tower.
    pub async fn embed_images(&self, images: &[&dyn Source]) -> Result<Vec<Vec<f32>>> {
        self.embed(&self.vision()?.tower, images, |image, item| self.put_image(*image, item)).await
    }

    /// Unit-length embeddings, one a text.
    ///
    /// # Errors
    /// [`Error::BadCheckpoint`] if the tokenizer does not fit the token table, [`Error::NotFinite`], [`Error::Gpu`], or
    /// [`Error::BadInput`] without the text tower.
    pub async fn embed_texts<T: AsRef<str>>(&self, texts: &[T]) -> Result<Vec<Vec<f32>>> {
        self.embed(&self.text()?.tower, texts, |text, item| self.put_text(text.as_ref(), item)).await
    }

    async fn embed<T>(
        &self,
        tower: &Tower,
        inputs: &[T],
        put: impl Fn(&T, u32) -> Result<()>,
    ) -> Result<Vec<Vec<f32>>> {
        let mut all = Vec::with_capacity(inputs.len());
        let mut before: Option<Pending> = None;
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

    fn run(&self, tower: &Tower, items: usize) -> Pending {
        let (items, flops) = (items as u32, tower.plan.plan().flops(items as u32));
        Pending::new(tower.plan.submit(&self.gpu, items, tower.output), self.config.embedding, "embedding", flops)
    }

    /// Makes a text item `item` of the next text run.
    pub(super) fn put_text(&self, text: &str, item: u32) -> Result<()> {
        let TextTower { tower, tokens, index, table, encoder } = self.text()?;
        let ids = encoder.encode(text)?;
        let rows = table.rows(&ids)?;
        tower.plan.write(&self.gpu, *tokens, item, bytemuck::cast_slice(&rows));
        let place = pool_index(self.config.text.pooling, &ids);
        tower.plan.write(&self.gpu, *index, item, &place.to_le_bytes());
        Ok(())
    }

    pub(super) fn vision(&self) -> Result<&VisionTower> {
        self.vision.as_ref().ok_or_else(|| not_loaded("vision"))
    }

    pub(super) fn text(&self) -> Result<&TextTower> {
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
            numbers[at]
        )));
    }
    Ok(numbers.chunks_exact(dim).map(<[f32]>::to_vec).collect())
}

fn not_loaded(tower: &str) -> Error {
    Error::BadInput(format!(
        "towers: this model was loaded without its {tower} tower: load it with \"both\" or \"{tower}\""
    ))
}
