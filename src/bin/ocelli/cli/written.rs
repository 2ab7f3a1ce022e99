//! The command line of what writes.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use ocelli::{
    Result,
    config::VisionTask,
    sampling::Sampling,
    session::{self, Form},
};

use super::{Keep, Over, own};

#[derive(Args)]
pub struct GenerateArgs {
    /// The model's folder.
    #[arg(long, value_name = "DIR")]
    pub model: PathBuf,
    #[command(flatten)]
    pub loaded: Loaded,
    /// A picture for the prompt; may be given several times.
    #[arg(long = "image", value_name = "F")]
    pub images: Vec<PathBuf>,
    #[command(flatten)]
    pub script: Script,
    #[command(flatten)]
    pub length: Length,
    #[command(flatten)]
    pub form: FormArgs,
    /// A NumPy file for the logits from which each token was chosen, float32 [tokens, vocabulary].
    #[arg(long, value_name = "OUT.npy", conflicts_with_all = ["choices", "choice"])]
    pub logits: Option<PathBuf>,
}

#[derive(Args)]
pub struct CaptionArgs {
    /// The model's folder; ocelli-tiny-ask, which knows drawings, if left out.
    #[arg(long, value_name = "DIR", default_value_os_t = own("ocelli-tiny-ask"), hide_default_value = true)]
    pub model: PathBuf,
    #[command(flatten)]
    pub loaded: Loaded,
    #[command(flatten)]
    pub length: Length,
    /// The pictures: PNG, JPEG, WebP, GIF or BMP.
    #[arg(required = true)]
    pub images: Vec<PathBuf>,
}

#[derive(Args)]
pub struct AskArgs {
    /// What is asked of every picture.
    #[arg(long)]
    pub question: String,
    #[command(flatten)]
    pub form: FormArgs,
    #[command(flatten)]
    pub all: CaptionArgs,
}

/// What the answer may be.
#[derive(Args)]
pub struct FormArgs {
    /// Answer with one of these, separated by commas; --json has the probability of each.
    #[arg(long, value_name = "A,B", conflicts_with_all = ["choice", "pattern", "ignore_eos"])]
    choices: Option<String>,
    /// The same for one of them, which may have commas; may be given several times.
    #[arg(long, value_name = "A", conflicts_with_all = ["pattern", "ignore_eos"])]
    choice: Vec<String>,
    /// A regular expression that the whole answer matches: JavaScript's, with the flag u, without look-around and references.
    #[arg(long, value_name = "RE")]
    pattern: Option<String>,
}

impl FormArgs {
    pub fn form(&self) -> Form {
        match (&self.pattern, &self.choices) {
            (Some(pattern), _) => Form::Pattern(pattern.clone()),
            (_, Some(list)) => Form::OneOf(list.split(',').map(|choice| choice.trim().into()).collect()),
            _ if !self.choice.is_empty() => Form::OneOf(self.choice.clone()),
            _ => Form::Any,
        }
    }
}

/// How a model that writes is kept, and how pictures come to it.
#[derive(Args, Clone, Copy)]
pub struct Loaded {
    /// How to keep the weights on the device; none keeps them as the file has them.
    #[arg(long, default_value = "none")]
    pub format: Keep,
    /// How closely to look at pictures: low sees each as one square, which is faster; high cuts it into tiles where the model does; auto is
    /// low on the CPU and high on a GPU.
    #[arg(long, value_enum, default_value_t)]
    pub detail: Detail,
}

#[derive(Args)]
pub struct EvalVqaArgs {
    #[command(flatten)]
    pub over: Over,
    /// VQA's annotations, where the manifest is VQA's file of questions.
    #[arg(long, value_name = "FILE")]
    pub answers: Option<PathBuf>,
    /// What each question is put into, such as "{} Answer with one word or phrase."
    #[arg(long)]
    pub template: Option<String>,
    #[command(flatten)]
    pub brief: Brief,
}

#[derive(Args)]
pub struct EvalCaptionArgs {
    #[command(flatten)]
    pub over: Over,
    /// What to ask of every picture, instead of the model's own request for a caption.
    #[arg(long)]
    pub prompt: Option<String>,
    #[command(flatten)]
    pub brief: Brief,
}

/// How answers are written that are counted: the likeliest token always comes next.
#[derive(Args)]
pub struct Brief {
    /// How closely to look at pictures, as for `ocelli ask`.
    #[arg(long, value_enum, default_value_t)]
    pub detail: Detail,
    /// Most tokens to write.
    #[arg(long, value_name = "N", default_value = "64")]
    pub max_tokens: usize,
}

impl Brief {
    /// How the model of an evaluation is loaded.
    pub fn loaded(&self, over: &Over) -> Loaded {
        Loaded { format: over.format, detail: self.detail }
    }
}

/// How closely pictures are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Detail {
    /// One square.
    Low,
    /// Low on the CPU, high on a GPU.
    #[default]
    Auto,
    /// As the model's files say.
    High,
}

/// What the model goes on from.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub struct Script {
    /// A question or a request, which the model's own template is put around.
    #[arg(long)]
    pub prompt: Option<String>,
    /// The prompt as the model reads it, special tokens written out and <image> where pictures go.
    #[arg(long)]
    pub raw: Option<String>,
    /// A JSON file with a conversation: [{"role": "user", "content": "…" or [{"type": "text", "text": "…"}, {"type": "image"}]}, …]
    #[arg(long, value_name = "F.json")]
    pub messages: Option<PathBuf>,
}

/// How long, and how tokens are chosen.
#[derive(Args)]
pub struct Length {
    /// Most tokens to write.
    #[arg(long, value_name = "N", default_value = "256")]
    pub max_tokens: usize,
    /// 0 takes the likeliest token; larger numbers vary more.
    #[arg(long, value_name = "X", default_value = "0")]
    pub temperature: f32,
    /// Choose among the N likeliest tokens.
    #[arg(long, value_name = "N")]
    pub top_k: Option<usize>,
    /// Choose among the likeliest tokens whose probabilities add up to this.
    #[arg(long, value_name = "P", default_value = "1")]
    pub top_p: f32,
    /// Above 1, what the text has already becomes less likely.
    #[arg(long, value_name = "X", default_value = "1")]
    pub repetition_penalty: f32,
    /// Another seed gives another text; the same one gives the same on every device.
    #[arg(long, value_name = "S", default_value = "0")]
    pub seed: u64,
    /// Of Florence-2: texts that go on side by side in a search for the likeliest one; as many as its files say if left out, 1 takes
    /// token by token.
    #[arg(long, value_name = "N")]
    pub beams: Option<usize>,
    /// Go on where the model would end.
    #[arg(long)]
    pub ignore_eos: bool,
}

#[derive(Args)]
pub struct TaskArgs {
    /// The model's folder.
    #[arg(long, value_name = "DIR")]
    pub model: PathBuf,
    #[command(flatten)]
    pub loaded: Loaded,
    /// What Florence-2 is asked: caption, detailed-caption, more-detailed-caption, object-detection, dense-region-caption,
    /// region-proposal, phrase-grounding, open-vocabulary-detection, referring-segmentation, region-to-segmentation, region-to-category,
    /// region-to-description, region-to-ocr, ocr or ocr-with-region; or by its token, such as <OD>.
    #[arg(long, value_parser = VisionTask::parse)]
    pub task: VisionTask,
    /// The words that come with the task: a caption whose phrases are located, or what is looked for.
    #[arg(long, conflicts_with = "region")]
    pub text: Option<String>,
    /// The box that comes with the task, in pixels of the picture: left, top, right and bottom edge.
    #[arg(long, value_name = "L,T,R,B", value_parser = edges)]
    pub region: Option<[f32; 4]>,
    /// Most tokens to write.
    #[arg(long, value_name = "N", default_value = "1000")]
    pub max_tokens: usize,
    /// Texts that go on side by side in a search for the likeliest one; as many as the model's files say if left out, 1 takes token by
    /// token.
    #[arg(long, value_name = "N")]
    pub beams: Option<usize>,
    /// The pictures: PNG, JPEG, WebP, GIF or BMP.
    #[arg(required = true)]
    pub images: Vec<PathBuf>,
}

/// Four numbers with commas between.
fn edges(text: &str) -> std::result::Result<[f32; 4], String> {
    let numbers: Option<Vec<f32>> = text.split(',').map(|number| number.trim().parse().ok()).collect();
    let edges = numbers
        .and_then(|numbers| numbers.try_into().ok())
        .filter(|edges: &[f32; 4]| edges.iter().all(|edge| edge.is_finite()));
    edges.ok_or_else(|| "expected left, top, right and bottom edge in pixels, such as 10,20,300,200".into())
}

impl Length {
    /// As a session takes it, but for tokens that end a text.
    pub fn options(&self) -> Result<session::Options> {
        let Self { temperature, top_k, top_p, repetition_penalty, seed, beams, .. } = *self;
        let sampling = Sampling { temperature, top_k, top_p, repetition_penalty, seed, ..Sampling::default() };
        sampling.check()?;
        Ok(session::Options { max_tokens: Some(self.max_tokens), sampling, beams, ..session::Options::default() })
    }
}
