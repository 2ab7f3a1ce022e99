//! The command line of evaluations over many pictures.

use std::{num::NonZeroUsize, path::PathBuf};

use clap::Args;

use super::Keep;

#[derive(Args)]
pub struct EvalArgs {
    #[command(flatten)]
    pub over: Over,
    /// plain, openai-7, openai-80, or a JSON file with a list; instead of the manifest's.
    #[arg(long, value_name = "NAME|FILE")]
    pub templates: Option<String>,
    /// An earlier --json result over the same manifest: on how many pictures is the answer the same?
    #[arg(long, value_name = "EARLIER.json")]
    pub same_as: Option<PathBuf>,
}

#[derive(Args)]
pub struct RecallArgs {
    #[command(flatten)]
    pub over: Over,
}

/// Arguments for running a model over many pictures.
#[derive(Args)]
pub struct Over {
    /// The model's folder.
    #[arg(long, value_name = "DIR")]
    pub model: PathBuf,
    /// Which pictures show what: a JSON file as docs/EVALUATION.md describes it.
    #[arg(long, value_name = "FILE", required_unless_present = "images", visible_alias = "annotations")]
    pub manifest: Option<PathBuf>,
    /// The pictures' folder, instead of the manifest's; for eval without a manifest, a folder of folders, one for each class.
    #[arg(long, value_name = "FOLDER")]
    pub images: Option<PathBuf>,
    /// How to keep the weights on the GPU; none keeps them as the file has them.
    #[arg(long, default_value = "none")]
    pub format: Keep,
    /// Pictures decoded at a time; at most twice as many are in memory.
    #[arg(long, default_value = "16", value_name = "N")]
    pub batch: NonZeroUsize,
    /// Use only N pictures, spread evenly over the list.
    #[arg(long, value_name = "N")]
    pub limit: Option<NonZeroUsize>,
    /// No bar on stderr; there is none either if stderr is not a terminal.
    #[arg(long)]
    pub no_progress: bool,
    /// With --json: the file to write everything to; without a file it goes to stdout.
    pub out: Option<PathBuf>,
}
