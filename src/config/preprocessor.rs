//! `preprocessor_config.json`: from a picture of any size to the square that the tower sees.

use serde_json::Value;

use super::{CropRounding, Family, Patches, own};
use crate::{
    error::{Error, Result},
    json::Object,
};

/// Pillow's antialiased filters, by the numbers that the JSON files use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// Bilinear: number 2.
    Bilinear,
    /// Bicubic with a = -0.5: number 3.
    Bicubic,
}

/// The size of the picture before the crop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resize {
    /// Both sides are set, the aspect ratio is lost (SigLIP).
    Squash {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
    },
    /// The shorter side is set, the aspect ratio is kept (CLIP).
    ShortestEdge(usize),
    /// As large as so many patches allow, both sides rounded up to whole patches (NaFlex,
    /// `get_image_size_for_max_num_patches` in transformers' `image_processing_siglip2.py`).
    MaxPatches {
        /// Side of a patch in pixels.
        patch: usize,
        /// Most patches of a picture.
        most: usize,
    },
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
    /// The factor of an 8-bit value, applied first: 1/255.
    pub rescale: f32,
    /// Mean of each channel, after the rescale.
    pub mean: [f32; 3],
    /// Standard deviation of each channel.
    pub std: [f32; 3],
}

impl Preprocessor {
    /// Reads the file; defaults are those of `CLIPImageProcessor`, `SiglipImageProcessor` and `Siglip2ImageProcessor`.
    pub(super) fn parse(bytes: &[u8], family: Family, patches: Patches) -> Result<Self> {
        let mut file = Object::parse(NAME, bytes)?;
        let (mean, std) = match family {
            Family::Clip => ([0.481_454_66, 0.457_827_5, 0.408_210_73], [0.268_629_55, 0.261_302_6, 0.275_777_1]),
            Family::Siglip => ([0.5; 3], [0.5; 3]),
        };
        if file.take("do_resize")? == Some(false) || file.take("do_rescale")? == Some(false) {
            return bad("do_resize and do_rescale", "true", "false");
        }
        let usual = if patches == Patches::Naflex { 2 } else { 3 };
        let filter = match file.take::<u32>("resample")?.unwrap_or(usual) {
            2 => Filter::Bilinear,
            3 => Filter::Bicubic,
            other => return bad("resample", "2 (bilinear) or 3 (bicubic)", &other.to_string()),
        };
        let resize = match (file.take::<Value>("size")?, family) {
            _ if patches == Patches::Naflex => Resize::MaxPatches {
                patch: file.take("patch_size")?.unwrap_or(16),
                most: file.take("max_num_patches")?.unwrap_or(256),
            },
            (None, Family::Clip) => Resize::ShortestEdge(224),
            (None, Family::Siglip) => Resize::Squash { width: 224, height: 224 },
            (Some(value), _) => resize(&value)?,
        };
        // NaFlex's image processor has no crop, whatever the file says.
        let crops = patches == Patches::Square && file.take("do_center_crop")?.unwrap_or(family == Family::Clip);
        let crop = match file.take::<Value>("crop_size")? {
            _ if !crops => None,
            None => Some((224, 224)),
            Some(value) => match (side(&value), side(&value["width"]), side(&value["height"])) {
                (Some(n), _, _) => Some((n, n)),
                (_, Some(w), Some(h)) => Some((w, h)),
                _ => return bad("crop_size", "a number or {height, width} from 1 to 8192", &value.to_string()),
            },
        };
        let normalize = file.take("do_normalize")?.unwrap_or(true);
        let std = if normalize { file.take("image_std")?.unwrap_or(std) } else { [1.0; 3] };
        if std.iter().any(|&s| s <= 0.0) {
            return bad("image_std", "positive numbers", &format!("{std:?}"));
        }
        let mean = file.take("image_mean")?.unwrap_or(mean);
        let rescale = file.take("rescale_factor")?.unwrap_or(1.0 / 255.0);
        Ok(Self {
            resize,
            filter,
            crop,
            rounding: own::rounding(file.object(own::KEY)?)?,
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
    /// [`Error::BadInput`] for a rule that has none, or beyond [`MAX_PATCHES`] and [`MAX_PIXELS`].
    pub fn with_max_patches(self, most: usize) -> Result<Self> {
        let Resize::MaxPatches { patch, .. } = self.resize else {
            return Err(Error::BadInput(
                "max_num_patches: expected a NaFlex model, found one whose pictures all have the same number of patches"
                    .into(),
            ));
        };
        if !patches_fit(patch, most) {
            return Err(Error::BadInput(format!("max_num_patches: expected 1 to {MAX_PATCHES}, found {most}")));
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
            (None, Resize::ShortestEdge(_) | Resize::MaxPatches { .. }) => None,
        }
    }
}

const NAME: &str = "preprocessor_config.json";

/// Most patches of a NaFlex picture: attention takes the square of them.
pub const MAX_PATCHES: usize = 1 << 14;

/// Most pixels that a tower sees of a picture.
pub const MAX_PIXELS: usize = 8192 * 8192;

/// Whether so many patches of this side are within bounds.
pub(super) fn patches_fit(patch: usize, most: usize) -> bool {
    (1..=8192).contains(&patch) && (1..=MAX_PATCHES).contains(&most) && most * patch * patch <= MAX_PIXELS
}

fn bad<T>(field: &str, expected: &str, found: &str) -> Result<T> {
    Err(Error::BadCheckpoint(format!("{NAME}: {field}: expected {expected}, found {found}")))
}

/// A side in pixels; the bound keeps tables and products small.
fn side(value: &Value) -> Option<usize> {
    value.as_u64().filter(|n| (1..=8192).contains(n)).map(|n| n as usize)
}

fn resize(value: &Value) -> Result<Resize> {
    // A bare number means the shortest edge, for SigLIP too (`default_to_square=False`).
    if let Some(n) = side(value).or_else(|| side(&value["shortest_edge"])) {
        return Ok(Resize::ShortestEdge(n));
    }
    match (side(&value["width"]), side(&value["height"])) {
        (Some(width), Some(height)) => Ok(Resize::Squash { width, height }),
        _ => bad("size", "{shortest_edge} or {height, width} from 1 to 8192", &value.to_string()),
    }
}
