//! What a tokenizer is made of, whichever file it was read from.

use tokenizers::{AddedToken, ModelWrapper};

use super::{
    decoder::Decoder,
    steps::{Normalizers, PreTokenizers, Template},
};

/// What a tokenizer is made of.
pub struct Parts {
    pub model: ModelWrapper,
    /// The model's token for what it does not know.
    pub unk: Option<u32>,
    pub normalizers: Normalizers,
    pub pre_tokenizers: PreTokenizers,
    pub template: Template,
    pub added: Vec<AddedToken>,
    /// Or why ids cannot become text again; a model that only takes texts needs none.
    pub decoder: std::result::Result<Decoder, String>,
}
