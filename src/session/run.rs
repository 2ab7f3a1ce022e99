//! Batches through a tower. They overlap: the next one is submitted before the last one's embeddings are waited for.

use super::{Session, Source, table::Table};
use crate::{
    backend::{Backend, Executor},
    config::{Config, Mask, Task, TextPooling, Towers},
    error::{Error, Result},
    gpu::{Gpu, milliseconds},
    kernels::{ActId, Run},
    model, preprocess,
    tokens::Tokenize,
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
    /// None where every picture becomes the same square.
    pub naflex: Option<Naflex>,
}

/// What a tower is told of pictures that keep their shape.
pub struct Naflex {
    pub inputs: model::Naflex,
    /// `[side, side, hidden]`
    pub positions: Vec<f32>,
    /// Side of a patch in pixels.
    pub patch: usize,
    /// Floats of a token.
    pub hidden: usize,
}

/// A run of the picture tower: where pictures keep their shape, room for the most patches that one may have.
#[must_use]
pub fn pictures(config: &Config, items: u32) -> Run {
    Run::tokens(items, config.preprocessor.max_patches().unwrap_or(1) as u32)
}

pub struct TextTower<B: Backend> {
    pub tower: Tower<B>,
    pub tokens: ActId,
    pub index: ActId,
    pub table: Table,
    /// `[tokens, hidden]`
    pub positions: Vec<f32>,
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
        Ok(self.vision()?.tower.plan.most().batch as usize)
    }

    /// Makes a picture item `item` of the next run. What was submitted before is not disturbed.
    ///
    /// # Errors
    /// [`Error::BadImage`] for a picture out of bounds, or [`Error::BadInput`] without the picture tower.
    pub fn put_image(&self, image: &dyn Source<B>, item: u32) -> Result<()> {
        let VisionTower { tower: Tower { plan, .. }, pixels, naflex } = self.vision()?;
        let (width, height) = self.resize(image, |resized| {
            resized.hand_over(&self.device, (plan, *pixels), item);
            resized.seen()
        })?;
        if let Some(Naflex { inputs, positions, patch, hidden }) = naflex {
            let (rows, columns, most) = (height / patch, width / patch, self.pictures(1).tokens as usize);
            let x = preprocess::positions(positions, *hidden, [rows, columns], most);
            plan.write(&self.device, inputs.x, item as usize * x.len(), bytemuck::cast_slice(&x));
            plan.write(&self.device, inputs.columns, item as usize, &(columns as u32).to_le_bytes());
            plan.write(&self.device, inputs.lengths, item as usize, &((rows * columns) as u32).to_le_bytes());
        }
        Ok(())
    }

    /// A run of so many pictures.
    pub(super) fn pictures(&self, items: usize) -> Run {
        pictures(&self.config, items as u32)
    }

    /// Submits the first `items` pictures, of which there is at least one and at most [`Session::image_batch`].
    ///
    /// # Errors
    /// [`Error::BadInput`] without the picture tower.
    pub fn run_images(&self, items: usize) -> Result<Pending<B>> {
        Ok(self.run(&self.vision()?.tower, self.pictures(items)))
    }

    /// Waits for numbers.
    ///
    /// # Errors
    /// [`Error::NotFinite`], or [`Error::Gpu`].
    pub async fn read(&self, pending: Pending<B>) -> Result<Vec<Vec<f32>>> {
        let bytes = self.device.bytes(pending.readback).await?;
        let (flops, start) = pending.work;
        self.device.observe(flops, milliseconds() - start);
        rows(&bytes, pending.dim, pending.what)
    }

    /// Unit-length embeddings, one a picture.
    ///
    /// # Errors
    /// [`Error::BadImage`] for a picture out of bounds, [`Error::NotFinite`], [`Error::Gpu`], or [`Error::BadInput`] without
    /// the picture tower.
    pub async fn embed_images(&self, images: &[&dyn Source<B>]) -> Result<Vec<Vec<f32>>> {
        let tower = &self.vision()?.tower;
        let all: Vec<usize> = (0..images.len()).collect();
        let chunks = all.chunks(tower.plan.most().batch as usize);
        let batches = chunks.map(|items| (self.pictures(items.len()), items.to_vec()));
        self.embed(tower, images.len(), batches, |index, item, _| self.put_image(images[index], item)).await
    }

    /// Embeddings, one a text: of unit length but for CLIPSeg's, which are prompts.
    ///
    /// # Errors
    /// [`Error::BadCheckpoint`] if the tokenizer does not fit the token table, [`Error::NotFinite`], [`Error::Gpu`], or
    /// [`Error::BadInput`] without the text tower.
    pub async fn embed_texts<T: AsRef<str>>(&self, texts: &[T]) -> Result<Vec<Vec<f32>>> {
        let ids = texts.iter().map(|text| self.tokenize(text.as_ref())).collect::<Result<Vec<_>>>()?;
        self.embed_tokens(&ids).await
    }

    /// The same by token ids, padding included.
    ///
    /// # Errors
    /// [`Error::BadInput`] for ids that the model does not have or without the text tower, [`Error::NotFinite`], or
    /// [`Error::Gpu`].
    pub async fn embed_tokens(&self, texts: &[Vec<u32>]) -> Result<Vec<Vec<f32>>> {
        let batches = self.text_batches(texts)?;
        let put = |index: usize, item, run: Run| self.put_tokens(&texts[index], item, run.tokens);
        self.embed(&self.text()?.tower, texts.len(), batches.into_iter(), put).await
    }

    /// Texts that run equally many tokens together, by their places in `texts`.
    fn text_batches(&self, texts: &[Vec<u32>]) -> Result<Vec<(Run, Vec<usize>)>> {
        let most = self.text()?.tower.plan.most().batch as usize;
        let mut lengths: Vec<(u32, usize)> = texts.iter().map(|ids| self.text_length(ids)).zip(0..).collect();
        lengths.sort_unstable();
        let batch = |texts: &[(u32, usize)]| {
            (Run::tokens(texts.len() as u32, texts[0].0), texts.iter().map(|(_, index)| *index).collect())
        };
        Ok(lengths.chunk_by(|a, b| a.0 == b.0).flat_map(|same| same.chunks(most)).map(batch).collect())
    }

    /// How many tokens of a text are run: with a causal mask, those behind the pooled one change nothing. Rounded up to a few
    /// lengths, so that texts share a run.
    fn text_length(&self, ids: &[u32]) -> u32 {
        const STEP: u32 = 8;
        let text = &self.config.text;
        let all = text.tokens as u32;
        match text.mask {
            Mask::None => all,
            Mask::Causal => (pool_index(text.pooling, ids) + 1).next_multiple_of(STEP).min(all),
        }
    }

    /// Runs batches: how large each is, and which of `count` inputs it has. The next one is submitted before the last one is
    /// waited for.
    async fn embed(
        &self,
        tower: &Tower<B>,
        count: usize,
        batches: impl Iterator<Item = (Run, Vec<usize>)>,
        put: impl Fn(usize, u32, Run) -> Result<()>,
    ) -> Result<Vec<Vec<f32>>> {
        let mut all = vec![Vec::new(); count];
        let mut keep = |indices: Vec<usize>, found: Vec<Vec<f32>>| {
            indices.into_iter().zip(found).for_each(|(index, embedding)| all[index] = embedding);
        };
        let mut before: Option<(Vec<usize>, Pending<B>)> = None;
        for (run, indices) in batches {
            for (item, &index) in (0..).zip(&indices) {
                put(index, item, run)?;
            }
            if let Some((indices, pending)) = before.replace((indices, self.run(tower, run))) {
                keep(indices, self.read(pending).await?);
            }
        }
        if let Some((indices, pending)) = before {
            keep(indices, self.read(pending).await?);
        }
        Ok(all)
    }

    fn run(&self, tower: &Tower<B>, run: Run) -> Pending<B> {
        let flops = tower.plan.plan().flops(run);
        Pending::new(tower.plan.submit(&self.device, run, &[tower.output]), self.config.embedding, "embedding", flops)
    }

    /// Makes the first `length` tokens of a text item `item` of the next text run.
    pub(super) fn put_tokens(&self, ids: &[u32], item: u32, length: u32) -> Result<()> {
        let TextTower { tower, tokens, index, table, positions, .. } = self.text()?;
        let (all, vocab) = (self.config.text.tokens, self.config.text.vocab);
        if ids.len() != all || ids.iter().any(|&id| id as usize >= vocab) {
            return Err(Error::BadInput(format!("token ids: expected {all} below {vocab}, found {ids:?}")));
        }
        let mut rows = table.rows(&ids[..length as usize])?;
        rows.iter_mut().zip(positions).for_each(|(x, position)| *x += position);
        tower.plan.write(&self.device, *tokens, item as usize * rows.len(), bytemuck::cast_slice(&rows));
        let place = pool_index(self.config.text.pooling, ids);
        tower.plan.write(&self.device, *index, item as usize, &place.to_le_bytes());
        Ok(())
    }

    pub(super) fn vision(&self) -> Result<&VisionTower<B>> {
        self.config.expect(Task::Embed)?;
        self.vision.as_ref().ok_or_else(|| self.lacks_vision())
    }

    pub(super) fn lacks_vision(&self) -> Error {
        lacks(self.config.towers, Towers::Vision)
    }

    pub(super) fn text(&self) -> Result<&TextTower<B>> {
        if self.config.generator().is_ok() {
            self.config.expect(Task::Embed)?;
        }
        self.text.as_ref().ok_or_else(|| lacks(self.config.towers, Towers::Text))
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

/// What was read, row by row.
fn rows(bytes: &[u8], dim: usize, what: &str) -> Result<Vec<Vec<f32>>> {
    let numbers: Vec<f32> = bytemuck::pod_collect_to_vec(bytes);
    check_finite(&numbers, dim, what)?;
    Ok(numbers.chunks_exact(dim).map(<[f32]>::to_vec).collect())
}

/// Nobody sees NaN or infinity: every comparison with them is silently wrong.
pub(super) fn check_finite(numbers: &[f32], dim: usize, what: &str) -> Result<()> {
    if let Some(at) = numbers.iter().position(|x| !x.is_finite()) {
        return Err(Error::NotFinite(format!(
            "{what} {} of {}: expected finite numbers, found {}: the weights are too large for f32, or this GPU computes wrongly",
            at / dim + 1,
            numbers.len() / dim,
            numbers[at]
        )));
    }
    Ok(())
}

/// The error of a call that needs a tower which is not loaded; `has` are those of the checkpoint.
pub(super) fn lacks(has: Towers, tower: Towers) -> Error {
    let (has, name) = (has.and(tower).map_or(has.name(), |_| ""), tower.name());
    Error::BadInput(match has {
        "" => format!("towers: this model was loaded without its {name} tower: load it with \"both\" or \"{name}\""),
        "vision" => {
            "towers: this checkpoint has the vision tower alone: it embeds pictures, and no texts or labels".into()
        }
        _ => "towers: this checkpoint has the text tower alone: it embeds texts, and no pictures".into(),
    })
}
