//! PhraseCut's referring expressions (`refer_test.json`): phrases, and the polygons of what they mean.

use std::{fs::File, io::BufReader, path::Path};

use ocelli::{Result, found::Mask};
use serde::Deserialize;

use crate::bad_input;

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
    let bad = |what: String| bad_input(format!("{}: {what}", path.display()));
    let file = File::open(path).map_err(|e| bad(e.to_string()))?;
    let phrases: Vec<Phrase> = serde_json::from_reader(BufReader::new(file))
        .map_err(|e| bad(format!("expected PhraseCut's list of `image_id`, `phrase` and `Polygons`, found: {e}")))?;
    if phrases.is_empty() { Err(bad("expected at least one phrase, found none".into())) } else { Ok(phrases) }
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
