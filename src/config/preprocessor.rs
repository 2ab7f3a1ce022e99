//! `preprocessor_config.json`: from a picture of any size to the square that the tower sees.

use serde_json::Value;

use super::{CropRounding, Family, own};
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
    /// Reads the file; defaults are those of `CLIPImageProcessor` and `SiglipImageProcessor`.
    pub(super) fn parse(bytes: &[u8], family: Family) -> Result<Self> {
        let mut file = Object::parse(NAME, bytes)?;
        let (mean, std) = match family {
            Family::Clip => ([0.481_454_66, 0.457_827_5, 0.408_210_73], [0.268_629_55, 0.261_302_6, 0.275_777_1]),
            Family::Siglip => ([0.5; 3], [0.5; 3]),
        };
        if file.take("do_resize")? == Some(false) || file.take("do_rescale")? == Some(false) {
            return bad("do_resize and do_rescale", "true", "false");
        }
        let filter = match file.take::<u32>("resample")?.unwrap_or(3) {
            2 => Filter::Bilinear,
            3 => Filter::Bicubic,
            other => return bad("resample", "2 (bilinear) or 3 (bicubic)", &other.to_string()),
        };
        let resize = match (file.take::<Value>("size")?, family) {
            (None, Family::Clip) => Resize::ShortestEdge(224),
            (None, Family::Siglip) => Resize::Squash { width: 224, height: 224 },
            (Some(value), _) => resize(&value)?,
        };
        let crops = file.take("do_center_crop")?.unwrap_or(family == Family::Clip);
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
            alpha: Alpha::default(),
            rescale,
            mean: if normalize { mean } else { [0.0; 3] },
            std,
        })
    }

    /// Width and height of what the tower sees; none where a kept aspect ratio leaves them open.
    #[must_use]
    pub fn side(&self) -> Option<(usize, usize)> {
        match (self.crop, self.resize) {
            (Some(side), _) => Some(side),
            (None, Resize::Squash { width, height }) => Some((width, height)),
            (None, Resize::ShortestEdge(_)) => None,
        }
    }
}

const NAME: &str = "preprocessor_config.json";

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
