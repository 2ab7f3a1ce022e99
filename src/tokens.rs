//! Token ids between a tokenizer and a model. In the browser the two are different wasm files, so neither knows the other.

use crate::error::Result;

/// The bit of an id that stands for a row of the pictures' tokens: the other bits are the row, counted over all pictures of a prompt.
pub const PICTURE: u32 = 1 << 31;

/// A text as the tower is fed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// As many token ids as the tower takes, padding included.
    pub ids: Vec<u32>,
    /// Whether the text has more: its end is not among them, but for EOS.
    pub cut: bool,
}

/// What makes token ids of a text. A trait, so that a build whose tokenizer is elsewhere does not carry one.
pub trait Tokenize {
    /// As [`crate::text::TextEncoder::encoded`].
    ///
    /// # Errors
    /// As [`crate::text::TextEncoder::encode`].
    fn encoded(&self, text: &str) -> Result<Encoded>;
}

/// How a picture was cut, and how many tokens became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Rows of tiles; 0 where the whole picture is all.
    pub rows: usize,
    /// Columns of tiles; 0 where the whole picture is all.
    pub columns: usize,
    /// Tokens of all tiles, in the order in which the tower sees them.
    pub tokens: usize,
}
