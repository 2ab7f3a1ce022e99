//! Models that write: a text decoder, and where it has one, a picture tower whose features come in among the tokens.

use super::{Decoder, PromptRule};

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
}
