//! From pictures and texts to embeddings and scores: the only place where a model, its tokenizer and a GPU meet.

mod labels;
mod loading;
mod pixels;
mod run;
mod table;

use std::{cell::RefCell, collections::HashMap, ops::Range};

pub use labels::LabelSet;
pub use loading::{LoadOptions, Loading};
use pixels::Pixels;
pub use pixels::{Source, Strip};
pub use run::{BATCH, Pending, pictures, pool_index};
use run::{TextTower, VisionTower};
use table::Table;
pub use table::TableIn;

use crate::{
    backend::{Backend, Executor},
    checkpoint::Checkpoint,
    config::{Config, Towers},
    error::{Error, Result},
    gpu::{Gpu, Tier, Tuning},
    kernels::Run,
    plan::Plan,
    preprocess::Sampling,
    quant::Format,
    text::{Encoded, TextEncoder, Tokenize},
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
    text: Option<TextTower<B>>,
    resizer: RefCell<Option<Pixels<B>>>,
    /// Bound by both plans; a destroyed buffer must not be.
    _weights: B::Weights,
    /// Last, so that buffers go first.
    device: B,
}

impl<B: Backend> Session<B> {
    /// Loads a model from where its checkpoint is.
    ///
    /// # Errors
    /// Whatever is wrong with the checkpoint, or [`crate::Error::Gpu`] if the GPU has no room.
    pub fn load(device: B, checkpoint: &Checkpoint, mut options: LoadOptions) -> Result<Self> {
        if options.towers.text() && checkpoint.towers.text() && options.tokenizer.is_none() {
            let tokenizer = TextEncoder::new(&checkpoint.tokenizer, &checkpoint.config)?;
            options.tokenizer = Some(Box::new(tokenizer) as Box<dyn Tokenize>);
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
        self.vision.as_ref().map_or(0, |vision| vision.tower.plan.plan().dispatches() + pixels::DISPATCHES)
    }

    /// Dispatches for a text; 0 without that tower.
    #[must_use]
    pub fn dispatches_per_text(&self) -> usize {
        self.text.as_ref().map_or(0, |text| text.tower.plan.plan().dispatches())
    }

    /// Which towers are here.
    #[must_use]
    pub fn towers(&self) -> Towers {
        match (&self.vision, &self.text) {
            (Some(_), None) => Towers::Vision,
            (None, Some(_)) => Towers::Text,
            _ => Towers::Both,
        }
    }

    /// The steps of the picture tower and of the text tower, for reading.
    #[must_use]
    pub fn plans(&self) -> [Option<&Plan>; 2] {
        [self.vision.as_ref().map(|v| v.tower.plan.plan()), self.text.as_ref().map(|t| t.tower.plan.plan())]
    }

    /// The ids that the text tower is fed, padding included.
    ///
    /// # Errors
    /// As [`TextEncoder::encode`], or [`crate::Error::BadInput`] without the text tower or its tokenizer.
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

    /// The 8-bit picture that the picture tower sees, RGBA in words, and its width.
    ///
    /// # Errors
    /// [`crate::Error::BadImage`] for a picture out of bounds, or [`crate::Error::Gpu`].
    pub async fn preprocess(&self, image: &dyn Source<B>) -> Result<(Vec<u32>, usize)> {
        let read = |pixels: &Pixels<B>| (pixels.read(&self.device), pixels.seen());
        let (readback, (width, height)) = self.resize(image, read)?;
        let mut seen: Vec<u32> = bytemuck::pod_collect_to_vec(&self.device.bytes(readback).await?);
        seen.truncate(width * height);
        Ok((seen, width))
    }

    /// Named activations of the towers that are here, for one picture and one text, to compare with the reference's.
    ///
    /// # Errors
    /// As [`Session::embed_images`] and [`Session::embed_texts`].
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
        Ok(taps)
    }

    /// Lets go of the buffers that are kept for the next picture: after an error of the GPU they may be none at all.
    pub fn forget_pictures(&self) {
        self.resizer.take();
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
