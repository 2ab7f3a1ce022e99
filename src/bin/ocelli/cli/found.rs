//! The command line of what finds and cuts out.

use std::{num::NonZeroUsize, path::PathBuf};

use clap::Args;

use super::{Keep, Labels, Over, own};

#[derive(Args)]
pub struct DetectArgs {
    /// The model's folder; ocelli-tiny-find, which knows drawings, if left out.
    #[arg(long, default_value_os_t = own("ocelli-tiny-find"), hide_default_value = true)]
    pub model: PathBuf,
    #[command(flatten)]
    pub ask: Ask,
    /// Scores must be above it; PaliGemma gives none, and this, --nms and --multi-label change nothing.
    #[arg(long, default_value = "0.1", value_name = "SCORE", value_parser = share)]
    pub threshold: f64,
    /// Drop boxes that overlap a better one by a larger IoU, whatever the labels; with --multi-label, only those of the same label.
    #[arg(long, value_name = "IOU", value_parser = share)]
    pub nms: Option<f64>,
    /// Most detections of a picture.
    #[arg(long, value_name = "N")]
    pub top_k: Option<NonZeroUsize>,
    /// Leave boxes as they are beyond the picture's edges.
    #[arg(long)]
    pub no_clip: bool,
    /// Boxes in shares of the picture's sides, 0 to 1, instead of pixels.
    #[arg(long)]
    pub normalized: bool,
    /// All labels of a place in the picture, not its best one.
    #[arg(long)]
    pub multi_label: bool,
}

#[derive(Args)]
pub struct SegmentArgs {
    /// The model's folder; ocelli-tiny-mask, which knows drawings, if left out.
    #[arg(long, default_value_os_t = own("ocelli-tiny-mask"), hide_default_value = true)]
    pub model: PathBuf,
    #[command(flatten)]
    pub ask: Ask,
    /// Scores must be above it for a pixel to be in a mask.
    #[arg(long, default_value = "0.4", value_name = "SCORE", value_parser = share)]
    pub threshold: f64,
    /// A folder for the masks, as PICTURE-INDEX.png, white on black.
    #[arg(long, value_name = "FOLDER")]
    pub masks: Option<PathBuf>,
    /// For one picture: a NumPy file for what the model says, float32 [labels, height, width], at its own size and before the sigmoid.
    #[arg(long, value_name = "OUT.npy")]
    pub logits: Option<PathBuf>,
}

/// Labels, and the pictures that may show them.
#[derive(Args)]
pub struct Ask {
    #[command(flatten)]
    pub labels: Labels,
    /// What each label is put into, such as "a photo of a {}."
    #[arg(long)]
    pub template: Option<String>,
    /// How to keep the weights on the GPU; none keeps them as the file has them.
    #[arg(long, default_value = "none")]
    pub format: Keep,
    /// For one picture: a PNG of it with what was found.
    #[arg(long, value_name = "OUT.png")]
    pub draw: Option<PathBuf>,
    /// A file for what was found as a COCO data set.
    #[arg(long, value_name = "OUT.json")]
    pub coco: Option<PathBuf>,
    /// The pictures: PNG, JPEG, WebP, GIF or BMP.
    #[arg(required = true)]
    pub images: Vec<PathBuf>,
}

#[derive(Args)]
pub struct EvalDetectArgs {
    #[command(flatten)]
    pub over: Over,
    /// plain, openai-7, openai-80, or a JSON file with a list: what each name is put into. A name is the mean of all.
    #[arg(long, value_name = "NAME|FILE", default_value = "openai-7")]
    pub templates: String,
    /// Ask with capitals and punctuation as they are; otherwise texts are small letters, digits and single spaces, as in training.
    #[arg(long)]
    pub as_written: bool,
    /// Most detections of a picture, over all categories.
    #[arg(long, value_name = "N", default_value = "300")]
    pub top_k: NonZeroUsize,
    /// Drop boxes that overlap a better one of the same category by a larger IoU.
    #[arg(long, value_name = "IOU", value_parser = share)]
    pub nms: Option<f64>,
    /// A file for all detections, as the tools of COCO and LVIS read results.
    #[arg(long, value_name = "OUT.json")]
    pub results: Option<PathBuf>,
}

#[derive(Args)]
pub struct EvalSegmentArgs {
    #[command(flatten)]
    pub over: Over,
    /// What each name or phrase is put into, such as "a photo of a {}."
    #[arg(long)]
    pub template: Option<String>,
    /// Scores must be above it for a pixel to be in a mask.
    #[arg(long, default_value = "0.3", value_name = "SCORE", value_parser = share)]
    pub threshold: f64,
}

/// A number from 0 to 1.
pub fn share(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| (0.0..=1.0).contains(number));
    number.ok_or_else(|| format!("expected a number from 0 to 1, found {text:?}"))
}
