//! From a picture of any size to the one that the tower sees.

use super::{CropRounding, Tiles};
use crate::error::{Error, Result};

/// How a picture is resized: Pillow's antialiased filters, by the numbers that the JSON files use, and one of scikit-image's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// Lanczos, three lobes wide: number 1 (SmolVLM).
    Lanczos,
    /// Bilinear: number 2.
    Bilinear,
    /// Bicubic with a = -0.5: number 3.
    Bicubic,
    /// Where the picture shrinks, a Gaussian blur; then linear interpolation. Both mirror at the edges, and nothing is rounded to bytes
    /// (`resize` in transformers' `image_processing_pil_owlv2.py`, after `skimage.transform.resize`).
    Smooth,
}

/// What becomes of the picture's shape before the crop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resize {
    /// Both sides are set, the aspect ratio is lost (SigLIP, OWL-ViT, CLIPSeg).
    Squash {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
    },
    /// The shorter side is set, the aspect ratio is kept (CLIP).
    ShortestEdge(usize),
    /// Padded with zeros at the bottom and at the right to a square, which becomes one of this side, in pixels (OWLv2). The zeros are
    /// black, before mean and deviation.
    PadSquare(usize),
    /// As large as so many patches allow, both sides rounded up to whole patches (NaFlex,
    /// `get_image_size_for_max_num_patches` in transformers' `image_processing_siglip2.py`).
    MaxPatches {
        /// Side of a patch in pixels.
        patch: usize,
        /// Most patches of a picture.
        most: usize,
    },
}

/// What becomes of transparent pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Alpha {
    /// Alpha is dropped, and the colours that were hidden show, as by Pillow's `convert("RGB")`.
    #[default]
    Drop,
    /// The picture is put on white, as transformers 5's image processors do (`convert_to_rgb` in `image_transforms.py`).
    White,
}

impl Alpha {
    /// Reads `drop` or `white`.
    ///
    /// # Errors
    /// [`Error::BadInput`] for any other word.
    pub fn parse(name: &str) -> Result<Self> {
        match name {
            "drop" => Ok(Self::Drop),
            "white" => Ok(Self::White),
            _ => Err(Error::BadInput(format!("alpha: expected drop or white, found {name:?}"))),
        }
    }
}

/// Resize, crop, normalise.
#[derive(Debug, Clone, PartialEq)]
pub struct Preprocessor {
    /// The resize rule.
    pub resize: Resize,
    /// The filter of the resize.
    pub filter: Filter,
    /// The squares that the tower sees of a picture.
    pub tiles: Tiles,
    /// Width and height of the centre crop, in pixels; none means the whole resized picture.
    pub crop: Option<(usize, usize)>,
    /// How half a pixel of the crop's start is rounded.
    pub rounding: CropRounding,
    /// The rule for transparency; no file says it.
    pub alpha: Alpha,
    /// The factor of an 8-bit value, applied first: 1/255.
    pub rescale: f32,
    /// Mean of each channel, after the rescale.
    pub mean: [f32; 3],
    /// Standard deviation of each channel.
    pub std: [f32; 3],
}

impl Preprocessor {
    /// In the place of settings that nobody needs: no picture is embedded.
    pub(super) fn none(side: usize) -> Self {
        Self {
            resize: Resize::Squash { width: side, height: side },
            filter: Filter::Bicubic,
            tiles: Tiles::Whole,
            crop: None,
            rounding: CropRounding::default(),
            alpha: Alpha::default(),
            rescale: 1.0 / 255.0,
            mean: [0.0; 3],
            std: [1.0; 3],
        }
    }

    /// Most patches of a picture; none where all pictures have the same number.
    #[must_use]
    pub fn max_patches(&self) -> Option<usize> {
        match self.resize {
            Resize::MaxPatches { most, .. } => Some(most),
            _ => None,
        }
    }

    /// The same rule with another number of patches.
    ///
    /// # Errors
    /// [`Error::BadInput`] for a rule that has none, or beyond what patches of its side allow, at most [`MAX_PATCHES`].
    pub fn with_max_patches(self, most: usize) -> Result<Self> {
        let Resize::MaxPatches { patch, .. } = self.resize else {
            return Err(Error::BadInput(
                "max_num_patches: expected a NaFlex model, found one whose pictures all have the same number of patches"
                    .into(),
            ));
        };
        let bound = most_patches(patch);
        if !(1..=bound).contains(&most) {
            return Err(Error::BadInput(format!("max_num_patches: expected 1 to {bound}, found {most}")));
        }
        Ok(Self { resize: Resize::MaxPatches { patch, most }, ..self })
    }

    /// Most pixels that the tower sees of a picture; none where a kept aspect ratio leaves them open.
    #[must_use]
    pub fn most_pixels(&self) -> Option<usize> {
        match self.resize {
            Resize::MaxPatches { patch, most } => Some(most * patch * patch),
            _ => self.side().map(|(width, height)| width * height),
        }
    }

    /// Width and height of what the tower sees; none where a kept aspect ratio leaves them open.
    #[must_use]
    pub fn side(&self) -> Option<(usize, usize)> {
        match (self.crop, self.resize) {
            (Some(side), _) => Some(side),
            (None, Resize::Squash { width, height }) => Some((width, height)),
            (None, Resize::PadSquare(side)) => Some((side, side)),
            (None, Resize::ShortestEdge(_) | Resize::MaxPatches { .. }) => None,
        }
    }
}

/// Most patches of a NaFlex picture: attention takes the square of them.
pub const MAX_PATCHES: usize = 1 << 14;

/// Most pixels of a NaFlex picture: so its rows and columns are lines of one dispatch.
const MAX_PIXELS: usize = 1 << 23;

/// Most patches that a picture may have, if they are of this side; none if there can be no patches of this side.
pub(super) fn most_patches(patch: usize) -> usize {
    MAX_PIXELS.checked_div(patch.saturating_mul(patch)).unwrap_or(0).min(MAX_PATCHES)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Small patches are bounded by their number, large ones by the pixels of the picture.
    #[test]
    fn most_patches_of_each_size() {
        for (patch, most) in [(7, MAX_PATCHES), (22, MAX_PATCHES), (23, 15_857), (32, 8192), (2896, 1), (2897, 0)] {
            assert_eq!(most_patches(patch), most, "{patch}");
        }
        assert_eq!([most_patches(0), most_patches(usize::MAX)], [0, 0]);
    }
}
