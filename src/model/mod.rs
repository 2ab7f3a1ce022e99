//! Every family as plans of kernel steps. No `wgpu`, no quantisation, no files: weights by id, activations by id.

mod bart;
mod block;
mod clip;
mod clipseg;
mod davit;
mod embed;
mod language;
mod owl;
mod pictures;
mod positions;
mod siglip;
mod text;
mod tower;

pub use clipseg::PicturePrompt;
pub use language::{LanguageModel, Reader};
pub use owl::{BOXES, CLASS, EPS, OBJECTNESS, Question, question};
pub use pictures::PictureTokens;
pub use tower::{Decoder, Look, Model, Naflex, TextTower, VisionTower};

use crate::{
    checkpoint::Checkpoint,
    config::{Config, Generator, Head, Towers, VisionPooling, WRITES},
    error::Result,
    quant::{Format, Matrix},
    weights::{self, Entry, HostStore, Loader, Weight},
};

/// Records the towers that are wanted, and in `loader` the weights that they need.
///
/// # Errors
/// As [`Checkpoint::tensor`].
pub fn record(config: &Config, towers: Towers, loader: &mut Loader) -> Result<Model> {
    match (&config.head, config.vision.pooling) {
        (Head::Boxes(boxes), _) => owl::record(config, boxes, towers, loader),
        (Head::Masks(masks), _) => clipseg::record(config, masks, towers, loader),
        (Head::Generate(_), _) if !WRITES => Err(config.family.unbuilt()),
        (Head::Generate(generator), _) => Ok(Model {
            pictures: towers.vision().then(|| pictures(config, generator, loader)).transpose()?,
            language: towers.text().then(|| language(config, generator, loader)).transpose()?,
            ..Model::default()
        }),
        (Head::Contrastive, VisionPooling::ClassToken) => clip::record(config, towers, loader),
        (Head::Contrastive, VisionPooling::AttentionHead) => siglip::record(config, towers, loader),
    }
}

fn pictures(config: &Config, generator: &Generator, loader: &mut Loader) -> Result<PictureTokens> {
    match generator.pictures.as_ref().and_then(|pictures| pictures.davit.as_ref()) {
        Some(_) => davit::record(config, generator, loader),
        None => pictures::record(config, generator, loader),
    }
}

fn language(config: &Config, generator: &Generator, loader: &mut Loader) -> Result<LanguageModel> {
    let room = config.text.tokens;
    match &generator.seq2seq {
        Some(seq2seq) => bart::record(generator, seq2seq, room, loader),
        None => language::record(generator, room, loader),
    }
}

/// Records what makes prompts of pictures, after the rest was recorded; none for a model that takes none.
///
/// # Errors
/// As [`Checkpoint::tensor`].
pub fn picture_prompt(config: &Config, loader: &mut Loader) -> Result<Option<PicturePrompt>> {
    let Head::Masks(masks) = &config.head else { return Ok(None) };
    clipseg::picture_prompt(config, masks, loader).map(Some)
}

/// Every tensor of the whole model, checked against the files' headers.
///
/// # Errors
/// As [`Checkpoint::tensor`].
pub fn entries(checkpoint: &Checkpoint) -> Result<Vec<Entry>> {
    let mut loader = Loader::new(checkpoint, None)?;
    record(&checkpoint.config, checkpoint.config.towers, &mut loader)?;
    if checkpoint.config.towers.vision() {
        picture_prompt(&checkpoint.config, &mut loader)?;
    }
    Ok(loader.entries)
}

/// A word about the checkpoint that its user should know; none if all is as usual.
///
/// Tensors that no part of the model asks for are left out, as in transformers, and it says so: they may be another model's head, or
/// mean that the config is not theirs. What is missing is an error, of the tower that needs it.
#[must_use]
pub fn note(checkpoint: &Checkpoint) -> Option<String> {
    let embeds = checkpoint.config.head == Head::Contrastive;
    let pooler = (embeds && !checkpoint.config.projection).then(|| {
        "config.json: this class of transformers has no projection: an embedding is its pooler_output, of unit length, which is not \
         comparable with embeddings of the whole model"
            .to_string()
    });
    // What the other tower lacks is no matter of this one.
    let surplus = entries(checkpoint).ok().and_then(|_| checkpoint.surplus());
    let notes: Vec<String> = [pooler, surplus].into_iter().flatten().collect();
    (!notes.is_empty()).then(|| notes.join(". "))
}

/// A model with its weights in memory, for the naive reference.
pub struct InMemory {
    /// The plans.
    pub model: Model,
    /// By [`crate::kernels::WeightId`].
    pub weights: Vec<Matrix>,
    /// By [`crate::weights::HostId`].
    pub host: Vec<Matrix>,
}

impl InMemory {
    /// Reads both towers; `format` none keeps the weights as the files have them.
    ///
    /// # Errors
    /// Whatever is wrong with the checkpoint.
    pub fn load(checkpoint: &Checkpoint, format: Option<Format>) -> Result<Self> {
        let mut loader = Loader::new(checkpoint, format)?;
        let model = record(&checkpoint.config, checkpoint.towers, &mut loader)?;
        let read = |weights: &[Weight]| {
            let mut store = HostStore::new(weights);
            weights::read(checkpoint, weights, &mut store).map(|()| store)
        };
        let (mut weights, host) = (read(&loader.weights)?, read(&loader.host)?.weights);
        loader.computed.iter().try_for_each(|computed| computed.put(&host, &mut weights))?;
        Ok(Self { model, weights: weights.weights, host })
    }
}
