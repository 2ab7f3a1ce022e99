//! What was found in a picture: logits and raw boxes to detections, mask logits to masks. Pure: no device, no session.

mod bounds;
mod detections;
mod mask;
mod outline;
mod raster;
mod rle;

pub use bounds::Bounds;
pub use detections::{DetectOptions, Detection, Hit, detections};
pub use mask::{Mask, upsample};
pub use raster::FARTHEST;
pub use rle::Rle;
