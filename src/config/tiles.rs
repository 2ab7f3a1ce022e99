//! How one picture becomes several that the tower sees, each a square: its tiles, and the whole.

use serde_json::{Value, json};

use crate::{
    error::{Error, Result},
    json::{Object, brief},
};

/// The squares that the tower sees of a picture.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Tiles {
    /// One: the whole picture, as [`super::Resize`] says.
    #[default]
    Whole,
    /// The picture is enlarged or reduced to `longest_edge`, stretched to whole tiles and cut into them; the whole picture comes last
    /// (SmolVLM and Idefics3: `image_processing_pil_smolvlm.py` in transformers).
    Split {
        /// The longer side of the picture before it is cut, in pixels.
        longest_edge: usize,
        /// Side of a tile, in pixels.
        side: usize,
        /// Whether it is cut at all. If not, the whole picture is all.
        split: bool,
    },
    /// The picture is fitted into the best of these sizes, padded with black and cut; the whole picture comes first
    /// (LLaVA-OneVision and LLaVA-NeXT: `image_processing_pil_llava_onevision.py`).
    Grid {
        /// Widths and heights, in pixels, in the order in which they are tried; of equally good ones the first.
        pinpoints: Vec<[usize; 2]>,
        /// Side of a tile, in pixels.
        side: usize,
    },
}

/// Longest side of a picture before it is cut, in pixels: `MAX_IMAGE_SIZE` in transformers' `image_processing_pil_smolvlm.py`.
const MAX_SIDE: usize = 4096;

impl Tiles {
    /// Reads the settings of an image processor: those of SmolVLM have a `max_image_size`, those of LLaVA-OneVision
    /// `image_grid_pinpoints`, and all others see one picture.
    pub(super) fn of(file: &mut Object) -> Result<Self> {
        if let Some(mut tile) = file.object("max_image_size")? {
            let side = within(tile.need("longest_edge")?, &tile.label("longest_edge"))?;
            let mut size = file.need_object("size")?;
            let longest_edge = within(size.need("longest_edge")?, &size.label("longest_edge"))?;
            return Ok(Self::Split { longest_edge, side, split: file.take("do_image_splitting")?.unwrap_or(true) });
        }
        let Some(list) = file.take::<Vec<Value>>("image_grid_pinpoints")? else { return Ok(Self::Whole) };
        let size = file.get("size").cloned().unwrap_or_default();
        let side = ["height", "shortest_edge"].iter().find_map(|key| size[key].as_u64()).unwrap_or(0) as usize;
        let side = within(side, &file.label("size"))?;
        let whole = |value: &Value| {
            let side_of = |value: &Value| value.as_u64().map(|n| n as usize);
            let [height, width] = [side_of(&value[0])?, side_of(&value[1])?];
            let fits = |n: usize| (side..=MAX_PINPOINT).contains(&n) && n.is_multiple_of(side);
            (fits(height) && fits(width)).then_some([width, height])
        };
        let pinpoint = |value: &Value| {
            let label = file.label("image_grid_pinpoints");
            let expected = format!("expected height and width in tiles of {side} pixels, at most {MAX_PINPOINT}");
            whole(value).ok_or_else(|| Error::BadCheckpoint(format!("{label}: {expected}, found {}", brief(value))))
        };
        let pinpoints: Vec<_> = list.iter().map(pinpoint).collect::<Result<_>>()?;
        if pinpoints.is_empty() {
            let label = file.label("image_grid_pinpoints");
            return Err(Error::BadCheckpoint(format!("{label}: expected one or more sizes, found none")));
        }
        Ok(Self::Grid { pinpoints, side })
    }

    /// Side of what the tower sees, in pixels; none where [`super::Resize`] says it.
    #[must_use]
    pub fn side(&self) -> Option<usize> {
        match self {
            Self::Whole => None,
            Self::Split { side, .. } | Self::Grid { side, .. } => Some(*side),
        }
    }

    /// The same, but the whole picture is all that the tower sees.
    #[must_use]
    pub fn whole(&self) -> Self {
        match self {
            Self::Split { longest_edge, side, .. } => {
                Self::Split { longest_edge: *longest_edge, side: *side, split: false }
            }
            _ => Self::Whole,
        }
    }

    /// Writes the settings into `preprocessor_config.json`.
    pub(super) fn write(&self, file: &mut Value) {
        match self {
            Self::Whole => {}
            Self::Split { longest_edge, side, split } => {
                file["size"] = json!({ "longest_edge": longest_edge });
                file["max_image_size"] = json!({ "longest_edge": side });
                file["do_image_splitting"] = (*split).into();
            }
            Self::Grid { pinpoints, .. } => {
                let list: Vec<_> = pinpoints.iter().map(|[width, height]| [height, width]).collect();
                file["image_grid_pinpoints"] = json!(list);
            }
        }
    }
}

/// Longest side of a grid of tiles, in pixels.
const MAX_PINPOINT: usize = 8192;

fn within(side: usize, label: &str) -> Result<usize> {
    match (1..=MAX_SIDE).contains(&side) {
        true => Ok(side),
        false => Err(Error::BadCheckpoint(format!("{label}: expected 1 to {MAX_SIDE} pixels, found {side}"))),
    }
}
