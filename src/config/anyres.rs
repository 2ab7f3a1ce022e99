//! LLaVA-OneVision's settings of tiles and of what is kept of them ("anyres"). They stand in three files: `config.json`, the image
//! processor's, and `processor_config.json`. transformers takes each from where it is needed, and stops at a picture where they differ.

use serde_json::Value;

use super::{JsonFiles, Preprocessor, Tiles, Vision, VisionPooling};
use crate::{
    error::{Error, Result},
    json::{Object, brief},
};

const KEPT: &str = "vision_aspect_ratio";
const PREFIX: &str = "anyres_max_";

/// How many squares of tokens are kept of a picture's tiles, about: 9 where `config.json` says nothing.
pub(super) fn most(root: &mut Object) -> Result<usize> {
    let Some(word) = root.take::<String>(KEPT)? else { return Ok(9) };
    let most = word.strip_prefix(PREFIX).and_then(|number| number.parse().ok());
    most.filter(|most| (1..=1024).contains(most)).ok_or_else(|| {
        let label = root.label(KEPT);
        Error::WrongModel(format!("{label}: expected {PREFIX} and a number from 1 to 1024, found {word:?}"))
    })
}

/// Checks that the files agree. Without an image processor's file, tiles are as `config.json` has them.
pub(super) fn check(
    root: &mut Object,
    files: &JsonFiles,
    vision: &Vision,
    most: usize,
    rule: &mut Preprocessor,
) -> Result<()> {
    let own = Tiles::grid(root, vision.image_size, rule.mean.map(f64::from))?;
    match (&own, &rule.tiles) {
        (Tiles::Grid { pinpoints: own, .. }, Tiles::Grid { pinpoints: theirs, .. }) if own != theirs => {
            return Err(Error::BadCheckpoint(format!(
                "{}: expected the sizes of the image processor's file, in their order, found others",
                root.label("image_grid_pinpoints")
            )));
        }
        (_, Tiles::Grid { .. }) => {}
        _ => rule.tiles = own,
    }
    let Some(processor) = files.processor else { return Ok(()) };
    let mut processor = Object::parse("processor_config.json", processor)?;
    let strategy = if vision.pooling == VisionPooling::ClassToken { "default" } else { "full" };
    for (field, expected) in [
        (KEPT, Value::from(format!("{PREFIX}{most}"))),
        ("vision_feature_select_strategy", strategy.into()),
        ("num_image_tokens", vision.tokens().into()),
    ] {
        let Some(found) = processor.take::<Value>(field)?.filter(|found| *found != expected) else { continue };
        let (label, found) = (processor.label(field), brief(&found));
        return Err(Error::BadCheckpoint(format!(
            "{label}: expected {expected}, as config.json has it, found {found}"
        )));
    }
    Ok(())
}
