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
    /// (LLaVA-OneVision: `image_processing_pil_llava_onevision.py`).
    Grid {
        /// Widths and heights, in pixels, in the order in which they are tried; of equally good ones the first.
        pinpoints: Vec<[usize; 2]>,
        /// Side of a tile, in pixels.
        side: usize,
        /// The colour that [`Tiles::Centred`] has.
        fill: [u8; 3],
    },
    /// One: the picture in the middle of a square of one colour (`pad_to_square` there).
    Centred {
        /// Side of the square when it was resized, in pixels.
        side: usize,
        /// Red, green and blue around the picture: the mean colour of the pictures that the tower was trained on.
        fill: [u8; 3],
    },
}

/// Longest side of a picture before it is cut, in pixels: `MAX_IMAGE_SIZE` in transformers' `image_processing_pil_smolvlm.py`.
const MAX_SIDE: usize = 4096;

/// Side of a tile of LLaVA-OneVision in pixels, and most of them in a row or a column, where its files say nothing.
const TILE: usize = 384;
const GRID: usize = 6;

impl Tiles {
    /// Reads the settings of an image processor: those of SmolVLM have a `max_image_size`, LLaVA-OneVision's class cuts a `grid`, and all
    /// others see one picture. `mean` is the class's own mean colour.
    pub(super) fn of(file: &mut Object, grid: bool, mean: [f32; 3]) -> Result<Self> {
        if grid {
            let size = file.get("size").cloned().unwrap_or_else(|| json!({ "shortest_edge": TILE }));
            let side = square(&size).filter(|side| (1..=MAX_SIDE).contains(side)).ok_or_else(|| {
                let label = file.label("size");
                Error::BadCheckpoint(format!("{label}: expected a square of 1 to {MAX_SIDE} pixels, found {size}"))
            })?;
            // In f64, as Python has it.
            let of_file = |channel: usize| file.get("image_mean")?.get(channel)?.as_f64();
            let mean = [0, 1, 2].map(|channel| of_file(channel).unwrap_or(mean[channel].into()));
            return Self::grid(file, side, mean);
        }
        let Some(mut tile) = file.object("max_image_size")? else { return Ok(Self::Whole) };
        let side = within(tile.need("longest_edge")?, &tile.label("longest_edge"))?;
        let mut size = file.need_object("size")?;
        let longest_edge = within(size.need("longest_edge")?, &size.label("longest_edge"))?;
        Ok(Self::Split { longest_edge, side, split: file.take("do_image_splitting")?.unwrap_or(true) })
    }

    /// Those of LLaVA-OneVision, with the sizes that a file names.
    pub(super) fn grid(file: &mut Object, side: usize, mean: [f64; 3]) -> Result<Self> {
        Ok(Self::Grid { pinpoints: pinpoints(file, side)?, side, fill: mean.map(|x| (x * 255.0) as u8) })
    }

    /// Side of what the tower sees, in pixels; none where [`super::Resize`] says it.
    #[must_use]
    pub fn side(&self) -> Option<usize> {
        match self {
            Self::Whole => None,
            Self::Split { side, .. } | Self::Grid { side, .. } | Self::Centred { side, .. } => Some(*side),
        }
    }

    /// The same where the tower is to see each picture once (`low`), or where there are `several` in a prompt, of which LLaVA-OneVision
    /// sees each once.
    #[must_use]
    pub fn for_prompt(&self, low: bool, several: bool) -> Self {
        match *self {
            Self::Split { longest_edge, side, .. } if low => Self::Split { longest_edge, side, split: false },
            Self::Grid { side, fill, .. } if low || several => Self::Centred { side, fill },
            _ => self.clone(),
        }
    }

    /// Writes the settings into `preprocessor_config.json`.
    pub(super) fn write(&self, file: &mut Value) {
        match self {
            Self::Whole | Self::Centred { .. } => {}
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

/// The sizes that a file of LLaVA-OneVision names, or those of its class: widths and heights in pixels, in whole tiles.
fn pinpoints(file: &mut Object, side: usize) -> Result<Vec<[usize; 2]>> {
    let usual =
        || (1..=GRID).flat_map(|rows| (1..=GRID).map(move |columns| json!([rows * TILE, columns * TILE]))).collect();
    let list = file.take::<Vec<Value>>("image_grid_pinpoints")?.unwrap_or_else(usual);
    let label = file.label("image_grid_pinpoints");
    let bad =
        |expected: &str, found: &str| Error::BadCheckpoint(format!("{label}: expected {expected}, found {found}"));
    if list.is_empty() {
        return Err(bad("one or more sizes", "none"));
    }
    let expected = format!("height and width in tiles of {side} pixels, at most {MOST_TILES} tiles");
    let tiles = |value: &Value| value.as_u64()?.try_into().ok().filter(|n: &usize| *n > 0 && n.is_multiple_of(side));
    let pinpoint = |value: &Value| match (tiles(&value[0]), tiles(&value[1])) {
        (Some(height), Some(width)) if (height / side).saturating_mul(width / side) <= MOST_TILES => {
            Ok([width, height])
        }
        _ => Err(bad(&expected, &brief(value))),
    };
    list.iter().map(pinpoint).collect()
}

/// The side of a square: `height` and `width`, or `shortest_edge`.
fn square(size: &Value) -> Option<usize> {
    let [height, width] = ["height", "width"].map(|key| size[key].as_u64());
    let side = if height == width { height.or(size["shortest_edge"].as_u64()) } else { None };
    side.map(|side| side as usize)
}

/// Most tiles of a picture: far more than any published model has.
const MOST_TILES: usize = 256;

fn within(side: usize, label: &str) -> Result<usize> {
    match (1..=MAX_SIDE).contains(&side) {
        true => Ok(side),
        false => Err(Error::BadCheckpoint(format!("{label}: expected 1 to {MAX_SIDE} pixels, found {side}"))),
    }
}
