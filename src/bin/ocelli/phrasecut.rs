//! PhraseCut's referring expressions (`refer_test.json`): phrases, and the polygons of what they mean.

use std::path::Path;

use ocelli::{Result, found::Mask};
use serde::Deserialize;

use crate::{bad_input, json_file};

/// One phrase about one picture.
#[derive(Deserialize)]
pub struct Phrase {
    pub image_id: u64,
    pub phrase: String,
    /// Of each instance its polygons, of each polygon its points.
    #[serde(rename = "Polygons")]
    polygons: Vec<Vec<Vec<[f64; 2]>>>,
}

/// Reads a file, whose phrases about one picture need not stand together.
pub fn read(path: &Path) -> Result<Vec<Phrase>> {
    let phrases: Vec<Phrase> = json_file::read(path, "PhraseCut's list of `image_id`, `phrase` and `Polygons`")?;
    if phrases.is_empty() {
        return Err(bad_input(format!("{}: expected at least one phrase, found none", path.display())));
    }
    Ok(phrases)
}

impl Phrase {
    /// All that the phrase means, in a picture of this width and height.
    ///
    /// Drawn as COCO draws polygons; the reference's own way (scikit-image's `polygon2mask`) differs by half a pixel along the edges.
    pub fn mask(&self, (width, height): (usize, usize)) -> Result<Mask> {
        let polygons: Vec<Vec<[f64; 2]>> = self.polygons.iter().flatten().cloned().collect();
        Mask::from_polygons(&polygons, width, height)
    }
}
