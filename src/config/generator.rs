//! Models that write: a text decoder, and where it has one, a picture tower whose features come in among the tokens.

use super::{Davit, Decoder, Encoder, PromptRule};

/// What a writing model is made of, but for the picture tower itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Generator {
    /// The text decoder.
    pub decoder: Decoder,
    /// How pictures come in; none of a model that reads words alone.
    pub pictures: Option<Pictures>,
    /// How it is spoken to.
    pub prompt: PromptRule,
    /// Tokens that end a text, as far as the files say: `eos_token_id` of `generation_config.json`, or else of `config.json`.
    pub stops: Vec<u32>,
    /// What reads the prompt, where that is not the decoder; none where prompt and answer are one text.
    pub seq2seq: Option<Seq2Seq>,
}

/// An encoder that reads prompts, and how a decoder goes on from it (BART).
#[derive(Debug, Clone, PartialEq)]
pub struct Seq2Seq {
    /// The blocks that read a prompt: a layer norm follows attention and MLP, and each token sees all of them.
    pub encoder: Encoder,
    /// Rows of the tables of positions before that of the first token.
    pub offset: usize,
    /// What every text of the decoder begins with, and what is no part of it.
    pub start: Vec<u32>,
    /// How texts are searched for, as the files have it.
    pub search: Search,
}

/// A search for the likeliest text: so many beginnings of texts go on side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Search {
    /// Texts side by side; 1 takes the likeliest token each time.
    pub beams: usize,
    /// No text has the same so many tokens in a row twice; 0 allows all.
    pub no_repeat_ngram: usize,
    /// Whether it ends as soon as so many texts have ended, and not when none that goes on could become better.
    pub early: bool,
    /// The token that a text has last if it has as many as it may.
    pub last: Option<u32>,
}

impl Search {
    /// Most texts side by side.
    pub const MOST: usize = 16;
}

/// How a picture's features become tokens of the decoder.
#[derive(Debug, Clone, PartialEq)]
pub struct Pictures {
    /// What is taken of the picture tower.
    pub features: Features,
    /// From features to tokens.
    pub connector: Connector,
    /// The id that stands for a picture's token in a prompt.
    pub token: u32,
    /// Whether all of a prompt sees all of it, and not only what comes before (PaliGemma).
    pub prefix: bool,
    /// How many squares of tokens are kept of a picture's tiles, about, where they are packed into one grid (LLaVA-OneVision:
    /// `anyres_max_9` is 9); none where each tile's tokens follow those of the one before.
    pub packed: Option<usize>,
    /// The tower, where it is none of [`super::Config::vision`]'s blocks: of that there are the last stage's sizes.
    pub davit: Option<Davit>,
}

/// What is taken of the picture tower: one row a patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Features {
    /// Blocks that are run.
    pub blocks: usize,
    /// Whether the norm that follows the last block is applied.
    pub post_norm: bool,
}

/// From features to tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connector {
    /// One layer (`PaliGemmaMultiModalProjector`).
    Linear,
    /// Two layers with GELU between them (`LlavaMultiModalProjector`).
    Mlp,
    /// A square of so many tokens a side becomes one, then a layer without bias (`SmolVLMConnector`).
    PixelShuffle(usize),
    /// Learned positions, and the first row of a table of cosines, are added; the mean of all goes in front; then a layer without bias
    /// and a layer norm (`Florence2MultiModalProjector`).
    MeanAndGrid {
        /// Places along a side of the features' grid.
        grid: usize,
        /// Rows of each table of positions.
        positions: usize,
    },
}
