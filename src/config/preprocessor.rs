//! The image processor's settings, in `preprocessor_config.json` or `processor_config.json`: from a picture of any size to the square that the tower sees.

use serde_json::Value;

use super::{CropRounding, JsonFiles, Kind, own, usual::Usual};
use crate::{
    error::{Error, Result},
    json::Object,
};

/// How a picture is resized: Pillow's antialiased filters, by the numbers that the JSON files use, and one of scikit-image's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
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
    /// Reads whichever file has the settings; none if neither is there.
    pub(super) fn of(files: &JsonFiles, kind: Kind) -> Result<Option<Self>> {
        let nested = match files.processor {
            Some(processor) => Object::parse(PROCESSOR, processor)?.object(NESTED)?,
            None => None,
        };
        match (nested, files.preprocessor) {
            (Some(settings), _) => Self::parse(settings, kind).map(Some),
            (None, Some(preprocessor)) => Self::parse(Object::parse(NAME, preprocessor)?, kind).map(Some),
            (None, None) => Ok(None),
        }
    }

    /// In the place of settings that nobody needs: no picture is embedded.
    pub(super) fn none(side: usize) -> Self {
        Self {
            resize: Resize::Squash { width: side, height: side },
            filter: Filter::Bicubic,
            crop: None,
            rounding: CropRounding::default(),
            alpha: Alpha::default(),
            rescale: 1.0 / 255.0,
            mean: [0.0; 3],
            std: [1.0; 3],
        }
    }

    /// Reads the settings; defaults are those of transformers' image processor for the family.
    fn parse(mut file: Object, Kind { family, patches, .. }: Kind) -> Result<Self> {
        let usual = Usual::of(family, patches);
        usual.check_class(&mut file)?;
        // Early files of OWL-ViT call the second of them so.
        let old = if usual.old_rescale { file.take("rescale")? } else { None };
        for (field, flag) in [
            ("do_resize", file.take("do_resize")?),
            ("do_rescale", file.take("do_rescale")?),
            ("rescale", old),
            ("do_pad", if usual.pads() { file.take("do_pad")? } else { None }),
        ] {
            if flag == Some(false) {
                return bad(&file, field, "true", "false");
            }
        }
        let filter = usual.filter(&mut file)?;
        let resize = usual.resize(&mut file)?;
        let crop = usual.crop(&mut file)?;
        let normalize = file.take("do_normalize")?.unwrap_or(true);
        let std = if normalize { file.take("image_std")?.unwrap_or(usual.std) } else { [1.0; 3] };
        if std.iter().any(|&s| s <= 0.0) {
            return bad(&file, "image_std", "positive numbers", &format!("{std:?}"));
        }
        let mean = file.take("image_mean")?.unwrap_or(usual.mean);
        let rescale = file.take("rescale_factor")?.unwrap_or(1.0 / 255.0);
        Ok(Self {
            resize,
            filter,
            crop,
            rounding: own::rounding(file.object(own::KEY)?)?,
            alpha: Alpha::default(),
            rescale,
            mean: if normalize { mean } else { [0.0; 3] },
            std,
        })
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

const NAME: &str = "preprocessor_config.json";
/// Where transformers 5 keeps what belongs to pictures and what belongs to texts together.
const PROCESSOR: &str = "processor_config.json";
/// The pictures' part of it.
const NESTED: &str = "image_processor";

/// Most patches of a NaFlex picture: attention takes the square of them.
pub const MAX_PATCHES: usize = 1 << 14;

/// Most pixels of a NaFlex picture: so its rows and columns are lines of one dispatch.
const MAX_PIXELS: usize = 1 << 23;

/// Most patches that a picture may have, if they are of this side; none if there can be no patches of this side.
pub(super) fn most_patches(patch: usize) -> usize {
    MAX_PIXELS.checked_div(patch.saturating_mul(patch)).unwrap_or(0).min(MAX_PATCHES)
}

/// Whether `processor_config.json` has an image processor's settings; those of transformers 4 have none.
#[must_use]
pub fn has_image_processor(processor: &[u8]) -> bool {
    serde_json::from_slice::<Value>(processor).is_ok_and(|processor| processor[NESTED].is_object())
}

pub(super) fn bad<T>(file: &Object, field: &str, expected: &str, found: &str) -> Result<T> {
    Err(Error::BadCheckpoint(format!("{}: expected {expected}, found {found}", file.label(field))))
}

/// A side in pixels; the bound keeps tables and products small.
pub(super) fn side(value: &Value) -> Option<usize> {
    value.as_u64().filter(|n| (1..=8192).contains(n)).map(|n| n as usize)
}

/// Width and height, as an object or, in files of the time of feature extractors, as a list that begins with the height
/// (`convert_to_size_dict` in transformers).
pub(super) fn sides(value: &Value) -> Option<(usize, usize)> {
    let (width, height) = match value.as_array().map(Vec::as_slice) {
        Some([height, width]) => (width, height),
        _ => (&value["width"], &value["height"]),
    };
    side(width).zip(side(height))
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
