//! From pictures and texts to embeddings and scores: the only place where a model, its tokenizer and a GPU meet.

mod choose;
mod example;
mod generate;
mod labels;
mod language;
mod loading;
mod masks;
mod pixels;
mod queries;
mod run;
mod scene;
mod search;
mod sight;
mod table;
#[cfg(not(target_arch = "wasm32"))]
mod writing;

use std::{cell::RefCell, collections::HashMap, ops::Range};

pub use choose::Choosing;
pub use example::Example;
pub use generate::{Finish, Generation, Options, Token};
pub use labels::LabelSet;
use language::Language;
pub use loading::{CONTEXT, LoadOptions, Loading};
use pixels::Pixels;
pub use pixels::{Source, Strip};
pub use queries::QuerySet;
pub use run::{BATCH, Pending, pictures, pool_index};
use run::{TextTower, VisionTower};
pub use scene::Scene;
pub use search::{Found, Searching};
use sight::Sight;
pub use sight::{Cut, View};
use table::Table;
pub use table::TableIn;
#[cfg(not(target_arch = "wasm32"))]
pub use writing::{Choice, Form, Seen, Written};

use crate::{
    backend::{Backend, Executor},
    checkpoint::Checkpoint,
    config::{Config, Head, Towers},
    error::{Error, Result},
    gpu::{Gpu, Tier, Tuning},
    kernels::Run,
    plan::Plan,
    preprocess::{self, Sampling},
    quant::Format,
    tokens::Encoded,
};

/// A loaded model.
pub struct Session<B: Backend = Gpu> {
    /// What the JSON files say.
    pub config: Config,
    /// exp(logit_scale); 1 in a checkpoint of a single tower, which has no cosines.
    pub logit_scale: f32,
    /// 0 for CLIP, or for a single tower.
    pub logit_bias: f32,
    /// SHA-256 in hexadecimal, over the manifest; without one, over the JSON files, the headers of the tensor files, the logit
    /// scale and the logit bias. So trainings of one model that keep its scale are told apart by a manifest alone.
    pub model_hash: String,
    /// How matrices are kept on the device.
    pub format: Format,
    /// The tiers that it computes in.
    pub tuning: Tuning,
    /// Number of weights in the towers that are here.
    pub parameters: u64,
    /// What its user should know of the checkpoint ([`crate::model::note`]); none if all is as usual.
    pub note: Option<String>,
    vision: Option<VisionTower<B>>,
    look: Option<scene::Look<B>>,
    decoder: Option<masks::Decoder<B>>,
    prompter: Option<masks::Prompter<B>>,
    text: Option<TextTower<B>>,
    language: Option<Language<B>>,
    sight: Option<Sight<B>>,
    resizer: RefCell<Option<Pixels<B>>>,
    /// Bound by both plans; a destroyed buffer must not be.
    _weights: B::Weights,
    /// Last, so that buffers go first.
    device: B,
}

impl<B: Backend> Session<B> {
    /// Loads a model, and its tokenizer, from where its checkpoint is.
    ///
    /// # Errors
    /// Whatever is wrong with the checkpoint, or [`crate::Error::Gpu`] if the GPU has no room.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn load(device: B, checkpoint: &Checkpoint, mut options: LoadOptions) -> Result<Self> {
        let writes = checkpoint.config.generator().is_ok();
        if options.towers.text() && checkpoint.towers.text() && options.tokenizer.is_none() && !writes {
            let tokenizer = crate::text::TextEncoder::new(&checkpoint.tokenizer, &checkpoint.config)?;
            options.tokenizer = Some(Box::new(tokenizer));
        }
        let progress = options.progress;
        let mut loading = Loading::new(device, checkpoint, options)?;
        let pieces: Vec<_> = loading.pieces().collect();
        for (index, (file, range)) in pieces.into_iter().enumerate() {
            let bytes = checkpoint.read(file, range)?;
            loading.put(checkpoint, index, &bytes)?;
            if let Some(progress) = progress {
                progress(bytes.len() as u64);
            }
        }
        loading.finish(checkpoint)
    }

    /// The device.
    #[must_use]
    pub fn device(&self) -> &B {
        &self.device
    }

    /// The tier in which most matrix products run, or one that rounds if any of them does.
    #[must_use]
    pub fn tier(&self) -> Tier {
        self.tuning.leading(self.format)
    }

    /// Bytes of the token table, which stays on the CPU.
    #[must_use]
    pub fn table_bytes(&self) -> usize {
        self.text.as_ref().map_or(0, |text| text.table.bytes())
    }

    /// Dispatches for a picture, resize and the tower; 0 without that tower.
    #[must_use]
    pub fn dispatches_per_image(&self) -> usize {
        self.plans()[0].map_or(0, |plan| plan.dispatches() + pixels::DISPATCHES)
    }

    /// Dispatches for a text; 0 without that tower.
    #[must_use]
    pub fn dispatches_per_text(&self) -> usize {
        self.text.as_ref().map_or(0, |text| text.tower.plan.plan().dispatches())
    }

    /// Which towers are here.
    #[must_use]
    pub fn towers(&self) -> Towers {
        match (self.plans()[0], &self.text) {
            (Some(_), None) => Towers::Vision,
            (None, Some(_)) => Towers::Text,
            _ => Towers::Both,
        }
    }

    /// The steps of the picture tower and of the text tower, for reading.
    #[must_use]
    pub fn plans(&self) -> [Option<&Plan>; 2] {
        let embeds = self.vision.as_ref().map(|vision| &vision.tower.plan);
        let vision = embeds.or(self.look.as_ref().map(|look| &look.plan));
        [vision, self.text.as_ref().map(|text| &text.tower.plan)].map(|plan| plan.map(Executor::plan))
    }

    /// The ids that the text tower is fed, padding included.
    ///
    /// # Errors
    /// As [`crate::text::TextEncoder::encode`], or [`crate::Error::BadInput`] without the text tower or its tokenizer.
    pub fn tokenize(&self, text: &str) -> Result<Vec<u32>> {
        Ok(self.encoded(text)?.ids)
    }

    /// The same, and whether the text was longer than the tower takes.
    ///
    /// # Errors
    /// As [`Session::tokenize`].
    pub fn encoded(&self, text: &str) -> Result<Encoded> {
        match &self.text()?.tokenizer {
            Some(tokenizer) => tokenizer.encoded(text),
            None => Err(Error::BadInput("text: expected token ids, found a text: this model has no tokenizer".into())),
        }
    }

    /// The rows of the token table that these token ids need and that were not handed over yet; none if the table is in memory.
    ///
    /// # Errors
    /// [`crate::Error::BadInput`] without the text tower.
    pub fn missing_rows(&self, ids: &[u32]) -> Result<Vec<u32>> {
        Ok(self.text()?.table.missing(ids.iter().copied()))
    }

    /// Where a row of the token table is: the file's place in [`Checkpoint::files`], and bytes of it.
    ///
    /// # Errors
    /// [`crate::Error::BadInput`] without the text tower.
    pub fn row_places(&self, id: u32) -> Result<Vec<(usize, Range<u64>)>> {
        match &self.text()?.table {
            Table::Memory(_) => Ok(Vec::new()),
            Table::File(rows) => Ok(rows.places(id)),
        }
    }

    /// Takes a row of the token table: the bytes of [`Session::row_places`], one after the other.
    ///
    /// # Errors
    /// [`crate::Error::BadCheckpoint`] if they are too few, or a number is not finite.
    pub fn put_row(&self, checkpoint: &Checkpoint, id: u32, bytes: &[u8]) -> Result<()> {
        match &self.text()?.table {
            Table::Memory(_) => Ok(()),
            Table::File(rows) => rows.put(checkpoint, id, bytes),
        }
    }

    /// The picture that the picture tower sees, in 8 bits, RGBA in words, and its width.
    ///
    /// # Errors
    /// [`crate::Error::BadImage`] for a picture out of bounds, or [`crate::Error::Gpu`].
    pub async fn preprocess(&self, image: &dyn Source<B>) -> Result<(Vec<u32>, usize)> {
        let (seen, width) = self.seen(image).await?;
        let floats = self.config.preprocessor.filter.floats();
        Ok((if floats { preprocess::bytes(&seen) } else { seen }, width))
    }

    /// What the picture tower is given, and its width: as words, RGBA, or three f32 from 0 to 255 a pixel ([`preprocess::resize`]).
    ///
    /// # Errors
    /// As [`Session::preprocess`].
    pub async fn seen(&self, image: &dyn Source<B>) -> Result<(Vec<u32>, usize)> {
        let read = |pixels: &Pixels<B>| (pixels.read(&self.device), pixels.seen());
        let (readback, (width, height)) = self.resize(image, read)?;
        let mut seen: Vec<u32> = bytemuck::pod_collect_to_vec(&self.device.bytes(readback).await?);
        seen.truncate(width * height * self.config.preprocessor.filter.words());
        Ok((seen, width))
    }

    /// Named activations of the towers that are here, for one picture and one text, to compare with the reference's; and of what is
    /// asked of the picture by the text.
    ///
    /// # Errors
    /// As [`Session::embed_images`], [`Session::look`] and [`Session::embed_texts`].
    pub async fn taps(&self, image: &dyn Source<B>, tokens: &[u32]) -> Result<HashMap<String, Vec<f32>>> {
        let mut taps = HashMap::new();
        if let Some(vision) = &self.vision {
            self.put_image(image, 0)?;
            taps.extend(vision.tower.plan.taps(&self.device, self.pictures(1)).await?);
        }
        if let Some(tower) = &self.text {
            let all = self.config.text.tokens as u32;
            self.put_tokens(tokens, 0, all)?;
            taps.extend(tower.tower.plan.taps(&self.device, Run::tokens(1, all)).await?);
        }
        if self.look.is_some() {
            let scene = self.look(image).await?;
            taps.extend(self.put_look(image)?.plan.taps(&self.device, Run::items(1)).await?);
            if self.text.is_some() {
                taps.extend(self.taps_of_question(&scene, &self.embed_tokens(&[tokens.to_vec()]).await?).await?);
            }
        }
        Ok(taps)
    }

    /// Named activations of what is asked of a scene, by queries or by at most a batch of prompts.
    ///
    /// # Errors
    /// As [`Session::detect`] and [`Session::segment`].
    pub async fn taps_of_question(&self, scene: &Scene, vectors: &[Vec<f32>]) -> Result<HashMap<String, Vec<f32>>> {
        if matches!(self.config.head, Head::Masks(_)) {
            self.put_prompts(scene, vectors)?;
            return self.decoder()?.plan.taps(&self.device, Run::items(vectors.len() as u32)).await;
        }
        self.queries(vectors)?.taps(&self.device, scene).await
    }

    /// Lets go of what is kept for the next picture or prompt: after an error of the GPU it may be none at all.
    pub fn forget_pictures(&self) {
        self.resizer.take();
        if let Some(language) = &self.language {
            language.forget();
        }
    }

    /// Resizes a picture and passes it on.
    fn resize<T>(&self, image: &dyn Source<B>, then: impl FnOnce(&Pixels<B>) -> T) -> Result<T> {
        let mut slot = self.resizer.borrow_mut();
        let rule = &self.config.preprocessor;
        let pixels = match &mut *slot {
            Some(pixels) => pixels,
            None => {
                // A picture that is out of bounds costs the device nothing.
                Sampling::new(rule, image.size().0, image.size().1)?;
                slot.insert(Pixels::new(&self.device, rule)?)
            }
        };
        pixels.fit(&self.device, rule, image.size())?;
        pixels.run(&self.device, image)?;
        Ok(then(pixels))
    }
}
