//! The picture tower: how a picture is cut, where positions come from, and what becomes of the tokens.

use super::Encoder;

/// How the picture's tokens become one vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VisionPooling {
    /// A class token before the patches, a layer norm before and after the blocks, a projection (CLIP).
    ClassToken,
    /// A learned probe attends to all tokens, then an MLP (SigLIP's `SiglipMultiheadAttentionPoolingHead`).
    AttentionHead,
}

/// How a picture is cut into patches, and where their positions come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patches {
    /// Every picture becomes the same square, cut as a convolution cuts it.
    Square,
    /// A picture keeps its shape, and has as many patches as that gives (NaFlex: `Siglip2VisionEmbeddings`). A patch is a row of
    /// pixels, channels last; the square of positions is resampled to the picture's rows and columns of patches.
    Naflex,
}

/// Where the positions of a square's patches come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PositionSource {
    /// Each patch has its own in the file.
    Stored,
    /// The file has those of a square of so many patches a side, and they are interpolated: bicubic with a = -0.75, half-pixel
    /// centres, no antialiasing, the class token's as it is (`interpolate_pos_encoding` in transformers' `modeling_clipseg.py`).
    Interpolated(usize),
    /// The file has those of a larger square, of so many patches a side, and its top left part is taken: OWLv2 was trained on
    /// pictures that were padded at the bottom and at the right.
    Truncated(usize),
}

/// The picture tower.
#[derive(Debug, Clone, PartialEq)]
pub struct Vision {
    /// Sizes of the transformer blocks.
    pub encoder: Encoder,
    /// Name in the files of the layer norm before the blocks, which CLIP misspells; empty where there is none (SigLIP).
    pub pre_norm: &'static str,
    /// Side of the square that the tower sees, in pixels; with [`Patches::Naflex`] of the square that takes its positions as they are.
    pub image_size: usize,
    /// Side of a patch, in pixels.
    pub patch_size: usize,
    /// How pictures are cut.
    pub patches: Patches,
    /// Where the positions of a square's patches come from.
    pub positions: PositionSource,
    /// How the tokens become one vector.
    pub pooling: VisionPooling,
}

impl Vision {
    /// Patches a side; a rest narrower than a patch is dropped, as a strided convolution does.
    #[must_use]
    pub fn grid(&self) -> usize {
        self.image_size / self.patch_size
    }
    /// Patches a side of the square whose positions are in the file.
    #[must_use]
    pub fn stored_grid(&self) -> usize {
        match self.positions {
            PositionSource::Stored => self.grid(),
            PositionSource::Interpolated(side) | PositionSource::Truncated(side) => side,
        }
    }
    /// Tokens of a square picture: its patches, and the class token if the tower has one.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.tokens_of(self.grid())
    }
    /// Positions that are in the file, the class token's among them.
    #[must_use]
    pub fn stored_positions(&self) -> usize {
        self.tokens_of(self.stored_grid())
    }
    fn tokens_of(&self, grid: usize) -> usize {
        grid * grid + usize::from(self.pooling == VisionPooling::ClassToken)
    }
}
