//! From pictures and texts to embeddings and scores: the only place where a model, its tokenizer and a GPU meet.

mod loading;
mod pixels;
mod table;

use std::{cell::RefCell, collections::HashMap, ops::Range};

pub use loading::Loading;
pub use pixels::{Pixels, Source};
use table::Table;
pub use table::TableIn;

use crate::{
    checkpoint::Checkpoint,
    config::{Config, TextPooling, Towers},
    error::{Error, Result},
    gpu::{Gpu, milliseconds},
    kernels::{ActId, Rule, Similarity},
    plan::{GpuPlan, GpuWeights, Plan},
    preprocess::Sampling,
    quant::Format,
    scores::Score,
    text::TextEncoder,
};

/// Most pictures or texts in one submission. More would cost memory and hold up the page without being faster.
const BATCH: u32 = 8;

/// A loaded model.
pub struct Session {
    /// What the JSON files say.
    pub config: Config,
    /// exp(logit_scale)
    pub logit_scale: f32,
    /// 0 for CLIP.
    pub logit_bias: f32,
    /// How matrices are kept on the GPU.
    pub format: Format,
    /// Number of weights in the towers that are here.
    pub parameters: u64,
    vision: Option<VisionTower>,
    text: Option<TextTower>,
    resizer: RefCell<Option<Pixels>>,
    /// Bound by both plans; a destroyed buffer must not be.
    weights: GpuWeights,
    /// Last, so that buffers go first.
    gpu: Gpu,
}

struct Tower {
    plan: GpuPlan,
    output: ActId,
}

struct VisionTower {
    tower: Tower,
    pixels: ActId,
}

struct TextTower {
    tower: Tower,
    tokens: ActId,
    index: ActId,
    table: Table,
    encoder: TextEncoder,
}

impl Session {
    /// Loads a model from where its checkpoint is. `format` none keeps the weights as the files have them; `progress` is told of
    /// bytes as they are read.
    ///
    /// # Errors
    /// Whatever is wrong with the checkpoint, or [`Error::Gpu`] if the GPU has no room.
    pub fn load(
        gpu: Gpu,
        checkpoint: &Checkpoint,
        towers: Towers,
        format: Option<Format>,
        progress: Option<&dyn Fn(u64)>,
    ) -> Result<Self> {
        let mut loading = Loading::new(gpu, checkpoint, towers, format, TableIn::Memory)?;
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

    fn vision(&self) -> Result<&VisionTower> {
        self.vision.as_ref().ok_or_else(|| not_loaded("vision"))
    }

    fn text(&self) -> Result<&TextTower> {
        self.text.as_ref().ok_or_else(|| not_loaded("text"))
    }

    /// The device.
    #[must_use]
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
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
    /// As [`TextEncoder::encode`], or [`Error::BadInput`] without the text tower.
    pub fn tokenize(&self, text: &str) -> Result<Vec<u32>> {
        self.text()?.encoder.encode(text)
    }

    /// The rows of the token table that these texts need and that were not handed over yet; none if the table is in memory.
    ///
    /// # Errors
    /// As [`Session::tokenize`].
    pub fn missing_rows<T: AsRef<str>>(&self, texts: &[T]) -> Result<Vec<u32>> {
        let text = self.text()?;
        if let Table::Memory(_) = text.table {
            return Ok(Vec::new());
        }
        let ids = texts.iter().map(|t| text.encoder.encode(t.as_ref())).collect::<Result<Vec<_>>>()?;
        Ok(text.table.missing(ids.concat()))
    }

    /// Where a row of the token table is: the file's place in [`Checkpoint::files`], and bytes of it.
    ///
    /// # Errors
    /// [`Error::BadInput`] without the text tower.
    pub fn row_places(&self, id: u32) -> Result<Vec<(usize, Range<u64>)>> {
        match &self.text()?.table {
            Table::Memory(_) => Ok(Vec::new()),
            Table::File(rows) => Ok(rows.places(id)),
        }
    }

    /// Takes a row of the token table: the bytes of [`Session::row_places`], one after the other.
    ///
    /// # Errors
    /// [`Error::BadCheckpoint`] if they are too few, or a number is not finite.
    pub fn put_row(&self, checkpoint: &Checkpoint, id: u32, bytes: &[u8]) -> Result<()> {
        match &self.text()?.table {
            Table::Memory(_) => Ok(()),
            Table::File(rows) => rows.put(checkpoint, id, bytes),
        }
    }

    /// The 8-bit square that the picture tower sees, RGBA in words.
    ///
    /// # Errors
    /// [`Error::BadImage`] for a picture out of bounds, or [`Error::Gpu`].
    pub async fn preprocess(&self, image: &dyn Source) -> Result<Vec<u32>> {
        let resized = self.resize(image, |pixels| pixels.read(&self.gpu))?.bytes(&self.gpu).await?;
        Ok(bytemuck::pod_collect_to_vec(&resized))
    }

    /// Named activations of the towers that are here, for one picture and one text, to compare with the reference's.
    ///
    /// # Errors
    /// As [`Session::embed_images`] and [`Session::embed_texts`].
    pub async fn taps(&self, image: &dyn Source, text: &str) -> Result<HashMap<String, Vec<f32>>> {
        let mut taps = HashMap::new();
        if let Some(vision) = &self.vision {
            self.put_image(image, 0)?;
            taps.extend(vision.tower.plan.run_taps(&self.gpu, 1).await?);
        }
        if let Some(tower) = &self.text {
            self.put_text(text, 0)?;
            taps.extend(tower.tower.plan.run_taps(&self.gpu, 1).await?);
        }
        Ok(taps)
    }

    /// Unit-length embeddings, one a picture.
    ///
    /// # Errors
    /// [`Error::BadImage`] for a picture out of bounds, [`Error::NotFinite`], [`Error::Gpu`], or [`Error::BadInput`] without
    /// the picture tower.
    pub async fn embed_images(&self, images: &[&dyn Source]) -> Result<Vec<Vec<f32>>> {
        let tower = &self.vision()?.tower;
        let mut all = Vec::with_capacity(images.len());
        for chunk in images.chunks(tower.plan.capacity() as usize) {
            for (item, image) in (0..).zip(chunk) {
                self.put_image(*image, item)?;
            }
            all.extend(self.run(tower, chunk.len()).await?);
        }
        Ok(all)
    }

    /// Unit-length embeddings, one a text.
    ///
    /// # Errors
    /// [`Error::BadCheckpoint`] if the tokenizer does not fit the token table, [`Error::NotFinite`], [`Error::Gpu`], or
    /// [`Error::BadInput`] without the text tower.
    pub async fn embed_texts<T: AsRef<str>>(&self, texts: &[T]) -> Result<Vec<Vec<f32>>> {
        let tower = &self.text()?.tower;
        let mut all = Vec::with_capacity(texts.len());
        for chunk in texts.chunks(tower.plan.capacity() as usize) {
            for (item, text) in (0..).zip(chunk) {
                self.put_text(text.as_ref(), item)?;
            }
            all.extend(self.run(tower, chunk.len()).await?);
        }
        Ok(all)
    }

    /// Scores of each picture against each text, by their embeddings.
    ///
    /// # Errors
    /// [`Error::BadInput`] if there is nothing to compare or lengths differ, [`Error::NotFinite`], or [`Error::Gpu`].
    pub async fn scores(&self, images: &[Vec<f32>], texts: &[Vec<f32>], score: Score) -> Result<Vec<Vec<f32>>> {
        let dim = self.config.embedding;
        if texts.is_empty() || images.is_empty() {
            return Err(Error::BadInput("labels: expected at least one label and one picture, found none".into()));
        }
        if let Some(other) = images.iter().chain(texts).find(|e| e.len() != dim) {
            return Err(Error::BadInput(format!(
                "embeddings: expected {dim} numbers, found {}: it comes from another model",
                other.len()
            )));
        }
        let (scale, bias, rule) = match score {
            Score::Cosine => (1.0, 0.0, Rule::Identity),
            Score::Logits => (self.logit_scale, self.logit_bias, Rule::Identity),
            Score::Sigmoid => (self.logit_scale, self.logit_bias, Rule::Sigmoid),
            Score::Softmax => (self.logit_scale, self.logit_bias, Rule::Softmax),
        };
        let mut plan = Plan::default();
        // One batch holds all pictures: an item is a picture, labels are shared and belong to the first.
        let (pictures, labels) = (images.len() as u32, texts.len() as u32);
        let x = plan.act("images", dim * images.len());
        let l = plan.act("labels", dim * texts.len());
        let y = plan.act("scores", images.len() * texts.len());
        let kernel = Similarity { images: x, texts: l, y, pictures, labels, dim: dim as u32, scale, bias, rule };
        plan.step("similarity", kernel);
        let plan = GpuPlan::new(&self.gpu, plan, &self.weights, 1)?;
        plan.write(&self.gpu, x, 0, bytemuck::cast_slice(&images.concat()));
        plan.write(&self.gpu, l, 0, bytemuck::cast_slice(&texts.concat()));
        let bytes = plan.submit(&self.gpu, 1, y).bytes(&self.gpu).await?;
        rows(&bytes, texts.len(), "score")
    }

    async fn run(&self, tower: &Tower, items: usize) -> Result<Vec<Vec<f32>>> {
        let start = milliseconds();
        let bytes = tower.plan.submit(&self.gpu, items as u32, tower.output).bytes(&self.gpu).await?;
        self.gpu.took(tower.plan.plan().flops(items as u32), milliseconds() - start);
        rows(&bytes, self.config.embedding, "embedding")
    }

    /// Makes a picture item `item` of the next vision run.
    fn put_image(&self, image: &dyn Source, item: u32) -> Result<()> {
        let vision = self.vision()?;
        let input = vision.tower.plan.buffer(vision.pixels);
        self.resize(image, |pixels| pixels.hand_over(&self.gpu, input, item))
    }

    /// Makes a text item `item` of the next text run.
    fn put_text(&self, text: &str, item: u32) -> Result<()> {
        let TextTower { tower, tokens, index, table, encoder } = self.text()?;
        let ids = encoder.encode(text)?;
        let rows = table.rows(&ids)?;
        tower.plan.write(&self.gpu, *tokens, item, bytemuck::cast_slice(&rows));
        let place = pool_index(self.config.text.pooling, &ids);
        tower.plan.write(&self.gpu, *index, item, &place.to_le_bytes());
        Ok(())
    }

    /// Resizes a picture and passes the square on.
    fn resize<T>(&self, image: &dyn Source, then: impl FnOnce(&Pixels) -> T) -> Result<T> {
        let (width, height) = image.size();
        let mut slot = self.resizer.borrow_mut();
        // Frames of a video and pictures of one camera have one size: keep the last one's tables and buffers.
        if slot.as_ref().is_none_or(|p| p.size() != (width, height)) {
            let sampling = Sampling::new(&self.config.preprocessor, width, height)?;
            *slot = None;
            *slot = Some(Pixels::new(&self.gpu, (width, height), &sampling)?);
        }
        let pixels = slot.as_ref().expect("made above");
        pixels.run(&self.gpu, image)?;
        Ok(then(pixels))
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
