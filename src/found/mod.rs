//! What was found in a picture: logits and raw boxes to detections, mask logits to masks, words to both. Pure: no device, no session.

mod bounds;
mod detections;
mod locations;
mod mask;
mod mask_decoder;
mod outline;
mod raster;
mod regions;
mod rle;

pub use bounds::Bounds;
pub use detections::{DetectOptions, Detection, Hit, detections};
pub use locations::{Located, Locations};
pub use mask::{Mask, upsample};
pub use mask_decoder::{CODES, MaskDecoder, Square};
pub use raster::FARTHEST;
pub use regions::{Answer, Region, Shape, parse};
pub use rle::Rle;
