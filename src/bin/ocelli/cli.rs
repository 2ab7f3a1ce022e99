//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use ocelli::{Result, quant};

use crate::bad_input;

/// CLIP and SigLIP on your own GPU.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
pub struct Cli {
    /// Print JSON for machines instead of text for people.
    #[arg(long, global = true)]
    pub json: bool,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Write a smaller copy of a model folder.
    Quantize {
        /// A Hugging Face folder: config.json, preprocessor_config.json, tokenizer.json, tokenizer_config.json, model.safetensors.
        from: PathBuf,
        /// The folder to write.
        to: PathBuf,
        /// How to store the matrices.
        #[arg(long)]
        format: Target,
    },
    /// Rank labels for each picture.
    Classify {
        /// The model's folder.
        #[arg(long)]
        model: PathBuf,
        #[command(flatten)]
        labels: Labels,
        /// What each label is put into, such as "a photo of a {}."
        #[arg(long)]
        template: Option<String>,
        /// auto (the model's own rule), softmax, sigmoid, cosine or logits.
        #[arg(long, default_value = "auto")]
        score: String,
        /// How to keep the weights on the GPU; none keeps them as the file has them.
        #[arg(long, default_value = "none")]
        format: Keep,
        /// The pictures: PNG, JPEG, WebP, GIF or BMP.
        #[arg(required = true)]
        images: Vec<PathBuf>,
    },
    /// Unit-length embeddings of pictures or texts.
    Embed {
        /// The model's folder.
        #[arg(long)]
        model: PathBuf,
        /// How to keep the weights on the GPU; none keeps them as the file has them.
        #[arg(long, default_value = "none")]
        format: Keep,
        #[command(flatten)]
        inputs: Inputs,
    },
    /// Token ids exactly as the text tower is fed, padding included.
    Tokenize {
        /// The model's folder.
        #[arg(long)]
        model: PathBuf,
        /// The texts.
        #[arg(required = true)]
        text: Vec<String>,
    },
    /// The 8-bit picture that the tower sees.
    Preprocess {
        /// The model's folder.
        #[arg(long)]
        model: PathBuf,
        /// The picture.
        image: PathBuf,
        /// The PNG to write.
        out: PathBuf,
    },
    /// The GPU, and what a model needs on it.
    Info {
        /// The model's folder.
        #[arg(long)]
        model: Option<PathBuf>,
    },
}

#[derive(Args)]
#[group(required = true, multiple = false)]
pub struct Labels {
    /// Labels, separated by commas.
    #[arg(long)]
    labels: Option<String>,
    /// A file with one label a line.
    #[arg(long)]
    labels_file: Option<PathBuf>,
}

impl Labels {
    /// The labels, trimmed, without empty ones.
    pub fn list(&self) -> Result<Vec<String>> {
        let text = match (&self.labels, &self.labels_file) {
            (Some(text), _) => text.replace(',', "\n"),
            (None, Some(path)) => {
                std::fs::read_to_string(path).map_err(|e| bad_input(format!("{}: {e}", path.display())))?
            }
            (None, None) => String::new(),
        };
        let labels: Vec<String> = text.lines().map(str::trim).filter(|l| !l.is_empty()).map(Into::into).collect();
        if labels.is_empty() {
            return Err(bad_input("labels: expected at least one, found none"));
        }
        Ok(labels)
    }
}

#[derive(Args)]
#[group(required = true, multiple = false)]
pub struct Inputs {
    /// The pictures.
    pub images: Vec<PathBuf>,
    /// A text; may be given several times.
    #[arg(long)]
    pub text: Vec<String>,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Target {
    Q4,
    Q8,
    F16,
}

impl Target {
    pub fn format(self) -> quant::Format {
        match self {
            Self::Q4 => quant::Format::Q4,
            Self::Q8 => quant::Format::Q8,
            Self::F16 => quant::Format::F16,
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Keep {
    None,
    F16,
    Q8,
    Q4,
}

impl Keep {
    pub fn format(self) -> Option<quant::Format> {
        match self {
            Self::None => None,
            Self::F16 => Some(quant::Format::F16),
            Self::Q8 => Some(quant::Format::Q8),
            Self::Q4 => Some(quant::Format::Q4),
        }
    }
}
