//! The command line.

mod found;
mod over;
mod written;

use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

use clap::{Args, Parser, Subcommand, ValueEnum};
pub use found::{Ask, DetectArgs, EvalDetectArgs, EvalSegmentArgs, SegmentArgs};
use ocelli::{Result, config::Alpha, quant};

pub use over::{EvalArgs, Over, RecallArgs};
pub use written::{AskArgs, CaptionArgs, Detail, EvalCaptionArgs, EvalVqaArgs, GenerateArgs, Loaded, Script, TaskArgs};

use crate::{bad_input, text_file};

/// Vision language models on your own GPU: CLIP, SigLIP, OWL-ViT, OWLv2, CLIPSeg, SmolVLM, PaliGemma, LLaVA, Florence-2.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
pub struct Cli {
    /// Print JSON for machines instead of text for people.
    #[arg(long, global = true)]
    pub json: bool,
    #[command(flatten)]
    pub setup: Setup,
    #[command(subcommand)]
    pub command: Command,
}

/// How models are loaded, by whichever command.
#[derive(Args)]
pub struct Setup {
    /// What computes: auto takes the GPU, or the CPU where there is no GPU.
    #[arg(long, global = true, value_enum, default_value_t)]
    pub backend: On,
    /// Threads of the CPU; without it, OMP_NUM_THREADS, or as many as there are cores.
    #[arg(long, global = true, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
    /// Which kernels run on a GPU: plain, registers, tiled, sliced, wide, half, dot8; auto measures them once on each device.
    #[arg(long, global = true, default_value = "auto")]
    pub tier: String,
    /// What becomes of transparent pixels: drop shows the colours that they hide; white puts pictures on white, as transformers 5 does.
    #[arg(long, global = true, default_value = "drop", value_parser = Alpha::parse)]
    pub alpha: Alpha,
    /// Most patches of a picture, for NaFlex models, whose pictures keep their shape; their own number if left out.
    #[arg(long, global = true, value_name = "N")]
    pub max_num_patches: Option<usize>,
    /// Side in pixels of the square that OWLv2 or CLIPSeg sees, if not its own: a smaller one is faster and sees less.
    #[arg(long, global = true, value_name = "N")]
    pub canvas: Option<usize>,
    /// Of models that write: room for so many tokens, the prompt's and those that are written; the model's own number, but at most 4096 or what one picture needs, if left out.
    #[arg(long, global = true, value_name = "N")]
    pub context: Option<usize>,
}

/// What computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum On {
    /// The GPU, or the CPU where there is no GPU.
    #[default]
    Auto,
    /// The GPU, also one that is emulated.
    Gpu,
    /// The CPU.
    Cpu,
}

#[derive(Subcommand)]
pub enum Command {
    /// Write a smaller copy of a model folder.
    Quantize {
        /// A Hugging Face folder: config.json, preprocessor_config.json, tokenizer.json, tokenizer_config.json, model.safetensors or pytorch_model.bin or their shards; or open_clip's: open_clip_config.json, tokenizer.json, open_clip_model.safetensors or open_clip_pytorch_model.bin; or OpenAI's ViT-B-32.pt with a tokenizer beside it.
        from: PathBuf,
        /// The folder to write.
        to: PathBuf,
        /// How to store the matrices.
        #[arg(long)]
        format: Target,
        /// Leave out goldens.json, which `verify` needs and which takes minutes for a huge model.
        #[arg(long)]
        no_goldens: bool,
    },
    /// Rank labels for each picture.
    Classify {
        /// The model's folder; ocelli-tiny, which knows drawings, if left out.
        #[arg(long, default_value_os_t = own("ocelli-tiny"), hide_default_value = true)]
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
        /// The model's folder; ocelli-tiny, which knows drawings, if left out.
        #[arg(long, default_value_os_t = own("ocelli-tiny"), hide_default_value = true)]
        model: PathBuf,
        /// How to keep the weights on the GPU; none keeps them as the file has them.
        #[arg(long, default_value = "none")]
        format: Keep,
        #[command(flatten)]
        inputs: Inputs,
        /// With --list: the folder to write; pictures that it has already are skipped.
        #[arg(long, requires = "list", conflicts_with_all = ["images", "text"], value_name = "DIR")]
        out: Option<PathBuf>,
        /// With --list: pictures in a shard, which is what a run that is cut short loses at most.
        #[arg(long, conflicts_with_all = ["images", "text"], value_name = "N", default_value = "1000")]
        shard: NonZeroUsize,
    },
    /// Find things by words: a box for each (OWL-ViT, OWLv2).
    Detect(DetectArgs),
    /// Cut things out by words: a mask for each (CLIPSeg).
    Segment(SegmentArgs),
    /// Go on from pictures and words: SmolVLM, PaliGemma, LLaVA, Florence-2, or a text decoder by itself.
    Generate(GenerateArgs),
    /// Say what pictures show.
    Caption(CaptionArgs),
    /// Ask the same of every picture.
    Ask(AskArgs),
    /// Florence-2's tasks with typed answers: boxes, polygons, quadrilaterals, texts.
    Task(TaskArgs),
    /// Average precision of boxes over annotated pictures, as COCO and LVIS have it.
    EvalDetect(EvalDetectArgs),
    /// How well masks fit over annotated pictures: mean IoU and average precision.
    EvalSegment(EvalSegmentArgs),
    /// How right answers to questions about pictures are, as VQA counts it.
    EvalVqa(EvalVqaArgs),
    /// How near captions are to those of people: BLEU and CIDEr-D.
    EvalCaption(EvalCaptionArgs),
    /// What each format of a model costs: bytes, errors of its matrices, and how far its embeddings, boxes or masks move.
    Compare(CompareArgs),
    /// Zero-shot accuracy over labelled pictures.
    Eval(EvalArgs),
    /// Caption retrieval over pictures with captions: recall at 1, 5 and 10, both ways.
    Recall(RecallArgs),
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
    /// Does this device compute rightly? Every kernel, and every step of a model whose folder has goldens.json.
    Verify {
        /// The model's folder.
        model: PathBuf,
    },
    /// Write a model folder of random weights, for tests and benchmarks.
    #[command(hide = true)]
    Synthesize {
        /// The config.json of the model.
        config: PathBuf,
        /// The folder to write.
        to: PathBuf,
        /// A folder with tokenizer.json and tokenizer_config.json to copy.
        #[arg(long, value_name = "DIR")]
        tokenizer: PathBuf,
        /// How to store the weights.
        #[arg(long, default_value = "f32")]
        dtype: Number,
        /// Seed of the random weights.
        #[arg(long, default_value = "1")]
        seed: u64,
    },
    /// Measure this device: each tier, each kernel, and whole models of published sizes with random weights.
    Bench(BenchArgs),
    /// Embed a picture as often as each line on stdin says, for tools/bench_cpu.py.
    #[command(hide = true)]
    Turns {
        /// The model's folder.
        #[arg(long)]
        model: PathBuf,
        /// How to keep the weights; none keeps them as the file has them.
        #[arg(long, default_value = "none")]
        format: Keep,
        /// Score it against so many labels in place of embedding it, which are random; of several numbers in turns.
        #[arg(long, value_delimiter = ',')]
        labels: Vec<usize>,
        /// The picture.
        image: PathBuf,
    },
    /// The GPU, and what a model needs on it.
    Info {
        /// The model's folder.
        #[arg(long)]
        model: Option<PathBuf>,
    },
}

/// One of the models in the repository that this program was built from.
fn own(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("www/models").join(name)
}

#[derive(Args)]
pub struct BenchArgs {
    /// Models: ocelli-tiny, clip-b32, clip-b16, clip-l14, siglip-b16, so400m, owlvit-b32, owlv2-b16, smolvlm-256m, florence-2-base.
    #[arg(long, value_delimiter = ',', default_value = "siglip-b16")]
    pub models: Vec<String>,
    /// Weight formats: f32, f16, q8, q4.
    #[arg(long, value_delimiter = ',', default_value = "f16,q8,q4")]
    pub formats: Vec<String>,
    /// Batch sizes: pictures or texts in a run.
    #[arg(long, value_delimiter = ',', default_value = "1,8")]
    pub batches: Vec<u32>,
    /// Tiers of a GPU: plain, registers, tiled, sliced, wide, half, dot8, or all; by default the one that autotune chooses.
    #[arg(long, value_delimiter = ',')]
    pub tiers: Vec<String>,
    /// Each step of the picture tower and of the decoder by itself, instead of whole towers.
    #[arg(long)]
    pub steps: bool,
    /// With --steps: only the steps of one block.
    #[arg(long, requires = "steps")]
    pub block_only: bool,
    /// A file for what each line reached of the device's best, which a later run compares with.
    #[arg(long, value_name = "OUT.json")]
    pub ratios: Option<PathBuf>,
    /// Compare with the ratios of an earlier run on this device.
    #[arg(long, value_name = "EARLIER.json")]
    pub against: Option<PathBuf>,
    /// With --against: what part of its earlier ratio a line may lose.
    #[arg(long, value_name = "SHARE", default_value = "0.1", requires = "against", value_parser = found::share)]
    pub tolerance: f64,
}

impl BenchArgs {
    pub fn formats(&self) -> Result<Vec<quant::Format>> {
        let format = |name: &String| {
            quant::Format::from_name(name)
                .ok_or_else(|| bad_input(format!("format: expected f32, f16, q8 or q4, found {name:?}")))
        };
        self.formats.iter().map(format).collect()
    }
}

#[derive(Args)]
pub struct CompareArgs {
    /// The model's folder, not quantised.
    pub model: PathBuf,
    /// Formats to compare with f32.
    #[arg(long, value_delimiter = ',', default_value = "f32,f16,q8,q4", value_name = "FORMATS")]
    pub formats: Vec<Compared>,
    /// Labels, separated by commas (one with commas of its own in double quotes); without any, every tenth of ImageNet's thousand names.
    #[arg(long, conflicts_with = "labels_file")]
    labels: Option<String>,
    /// A file with one label a line.
    #[arg(long)]
    labels_file: Option<PathBuf>,
    /// What each label is put into, such as "a photo of a {}."
    #[arg(long)]
    pub template: Option<String>,
    /// The pictures, at least two.
    #[arg(required = true)]
    pub images: Vec<PathBuf>,
}

impl CompareArgs {
    /// The labels that the user gave, if any.
    pub fn labels(&self) -> Option<Labels> {
        let (labels, labels_file) = (self.labels.clone(), self.labels_file.clone());
        (labels.is_some() || labels_file.is_some()).then_some(Labels { labels, labels_file })
    }
}

#[derive(Args)]
#[group(required = true, multiple = false)]
pub struct Labels {
    /// Labels, separated by commas; one with commas of its own in double quotes.
    #[arg(long)]
    labels: Option<String>,
    /// A file with one label a line.
    #[arg(long)]
    labels_file: Option<PathBuf>,
}

impl Labels {
    /// The labels without surrounding spaces and without empty ones.
    pub fn list(&self) -> Result<Vec<String>> {
        let mut labels = match (&self.labels, &self.labels_file) {
            (Some(text), _) => text_file::comma_separated(text)?,
            (None, Some(path)) => text_file::lines(&text_file::read(path)?).map(Into::into).collect(),
            (None, None) => Vec::new(),
        };
        labels.iter_mut().for_each(|label| *label = label.trim().into());
        labels.retain(|label| !label.is_empty());
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
    /// A file with the path of a picture in each line: for many of them.
    #[arg(long, requires = "out", value_name = "FILE")]
    pub list: Option<PathBuf>,
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
pub enum Number {
    F32,
    F16,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Compared {
    F32,
    F16,
    Q8,
    Q4,
}

impl Compared {
    pub fn format(self) -> quant::Format {
        match self {
            Self::F32 => quant::Format::F32,
            Self::F16 => quant::Format::F16,
            Self::Q8 => quant::Format::Q8,
            Self::Q4 => quant::Format::Q4,
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
