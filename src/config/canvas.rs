//! Squares of another size than the config's.

use super::{Config, Head, MAX_PATCHES, PositionSource, Resize};
use crate::error::{Error, Result};

impl Config {
    /// The same model for squares of `side` pixels: smaller is faster. OWLv2 sees at most its own square, CLIPSeg any; both in
    /// whole patches.
    ///
    /// # Errors
    /// [`Error::BadInput`] for another side, or for a model that sees one size alone.
    pub fn with_canvas(mut self, side: usize) -> Result<Self> {
        let stored = self.vision.stored_grid();
        let patch = self.vision.patch_size;
        let (most, resize, positions) = match (&self.head, self.preprocessor.resize) {
            (Head::Boxes(_), Resize::PadSquare(_)) => {
                (stored * patch, Resize::PadSquare(side), PositionSource::Truncated(stored))
            }
            (Head::Masks(_), _) => (
                MAX_PATCHES.isqrt() * patch,
                Resize::Squash { width: side, height: side },
                PositionSource::Interpolated(stored),
            ),
            _ => {
                return Err(Error::BadInput(format!(
                    "canvas: expected a model that sees pictures of several sizes (owlv2 or clipseg), found {}, which sees {} pixels",
                    self.family.name(),
                    self.vision.image_size
                )));
            }
        };
        if side < patch || side > most || !side.is_multiple_of(patch) {
            return Err(Error::BadInput(format!("canvas: expected a multiple of {patch} up to {most}, found {side}")));
        }
        self.vision.image_size = side;
        self.vision.positions = if side / patch == stored { PositionSource::Stored } else { positions };
        (self.preprocessor.resize, self.preprocessor.crop) = (resize, None);
        Ok(self)
    }
}
