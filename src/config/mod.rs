//! What a checkpoint's JSON files say, as enums and numbers. Everything in which the families differ is decided here,
//! once; no other module compares a model's name.

mod anyres;
mod canvas;
mod check;
mod clipseg;
mod davit;
mod decoder;
mod florence;
mod generator;
mod head;
mod hf;
mod image_processor;
mod kind;
mod open_clip;
#[cfg(not(target_arch = "wasm32"))]
mod openai;
mod owl;
mod own;
mod preprocessor;
mod prompt_rule;
mod section;
mod text_rule;
mod tiles;
mod timm;
mod tokenizer_config;
mod tokenizer_files;
mod towers;
mod vision;
mod vision_task;
mod write;
mod writes;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

pub use davit::{Davit, Stage};
pub use decoder::{Decoder, Rope};
pub use generator::{Connector, Features, Generator, Pictures, Search, Seq2Seq};
pub use head::{BoxScale, Boxes, Head, Masks, Task};
pub use image_processor::has_image_processor;
pub use kind::Kind;
pub use preprocessor::{Alpha, Filter, MAX_PATCHES, Preprocessor, Resize};
pub use prompt_rule::{PromptRule, chat_template};
pub use text_rule::{Cleaning, OpenClipCleaning, Padding, TextRule};
pub use tiles::Tiles;
use tokenizer_config::TokenizerFile;
pub use tokenizer_config::names_a_processor;
pub use tokenizer_files::{TOKENIZER_FILES, TokenizerFiles};
pub use vision::{Patches, PositionSource, Vision, VisionPooling};
pub use vision_task::{AnswerForm, PLACES, TaskInput, VisionTask, locations};

/// The widest head that the attention kernel keeps in registers.
pub const MAX_HEAD_SIZE: usize = 128;

/// Whether this build has models that write: the feature `writing`. What only they need hangs on it, and without it the linker drops that.
pub const WRITES: bool = cfg!(feature = "writing");

/// The families, for display. Code asks the fields of [`Config`] instead. SigLIP 2 belongs to SigLIP's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Radford et al. 2021, `CLIPModel` in transformers.
    Clip,
    /// Zhai et al. 2023, `SiglipModel` in transformers.
    Siglip,
    /// Minderer et al. 2022, `OwlViTForObjectDetection` in transformers.
    OwlVit,
    /// Minderer et al. 2023, `Owlv2ForObjectDetection` in transformers.
    Owlv2,
    /// Lüddecke and Ecker 2022, `CLIPSegForImageSegmentation` in transformers.
    ClipSeg,
    /// Touvron et al. 2023, `LlamaForCausalLM` in transformers; SmolLM2 is one.
    Llama,
    /// Yang et al. 2024, `Qwen2ForCausalLM` in transformers.
    Qwen2,
    /// Yang et al. 2025, `Qwen3ForCausalLM` in transformers.
    Qwen3,
    /// Gemma Team 2024, `GemmaForCausalLM` in transformers.
    Gemma,
    /// Gemma Team 2024, `Gemma2ForCausalLM` in transformers.
    Gemma2,
    /// Gemma Team 2025, `Gemma3ForCausalLM` in transformers: texts alone.
    Gemma3,
    /// Marafioti et al. 2025, `SmolVLMForConditionalGeneration` in transformers; and Idefics3, which it grew out of.
    SmolVlm,
    /// Beyer et al. 2024, `PaliGemmaForConditionalGeneration` in transformers.
    PaliGemma,
    /// Liu et al. 2023, `LlavaForConditionalGeneration` in transformers.
    Llava,
    /// Li et al. 2024, `LlavaOnevisionForConditionalGeneration` in transformers.
    LlavaOnevision,
    /// Xiao et al. 2023, `Florence2ForConditionalGeneration` in transformers, and the remote code of that name.
    Florence2,
}

impl Family {
    /// `clip`, `siglip`, `owlvit` and so on, as `model_type` spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Clip => "clip",
            Self::Siglip => "siglip",
            Self::OwlVit => "owlvit",
            Self::Owlv2 => "owlv2",
            Self::ClipSeg => "clipseg",
            Self::Llama => "llama",
            Self::Qwen2 => "qwen2",
            Self::Qwen3 => "qwen3",
            Self::Gemma => "gemma",
            Self::Gemma2 => "gemma2",
            Self::Gemma3 => "gemma3_text",
            Self::SmolVlm => "smolvlm",
            Self::PaliGemma => "paligemma",
            Self::Llava => "llava",
            Self::LlavaOnevision => "llava_onevision",
            Self::Florence2 => "florence2",
        }
    }
    /// Whether its models write.
    #[must_use]
    pub fn generates(self) -> bool {
        !matches!(self, Self::Clip | Self::Siglip | Self::OwlVit | Self::Owlv2 | Self::ClipSeg)
    }
    /// The error where this is a family that writes, and the build has none.
    pub(crate) fn unbuilt(self) -> Error {
        Error::WrongModel(format!(
            "config.json: model_type: expected one of a model that does not write, found {:?}: this build of Ocelli does not write, load it \
             with Vlm.load of ocelli/vlm",
            self.name()
        ))
    }
    /// What stands before the names of the towers' tensors in a file of a larger model: transformers' `base_model_prefix`.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        match self {
            Self::ClipSeg => "clip",
            other => other.name(),
        }
    }
}

/// Which towers are loaded. A page that only embeds pictures needs no text tower, and a search box no picture tower.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Towers {
    /// Pictures and texts.
    #[default]
    Both,
    /// Pictures alone.
    Vision,
    /// Texts alone.
    Text,
}

impl Towers {
    /// Is the picture tower wanted?
    #[must_use]
    pub fn vision(self) -> bool {
        self != Self::Text
    }
    /// Is the text tower wanted?
    #[must_use]
    pub fn text(self) -> bool {
        self != Self::Vision
    }
    /// `both`, `vision` or `text`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Both => "both",
            Self::Vision => "vision",
            Self::Text => "text",
        }
    }
    /// Those that both have; none if there are none.
    #[must_use]
    pub fn and(self, other: Self) -> Option<Self> {
        match (self.vision() && other.vision(), self.text() && other.text()) {
            (true, true) => Some(Self::Both),
            (true, false) => Some(Self::Vision),
            (false, true) => Some(Self::Text),
            (false, false) => None,
        }
    }
    /// The reverse of [`Towers::name`].
    ///
    /// # Errors
    /// [`crate::Error::BadInput`] for another word.
    pub fn parse(word: &str) -> Result<Self> {
        let found = [Self::Both, Self::Vision, Self::Text].into_iter().find(|towers| towers.name() == word);
        found.ok_or_else(|| crate::Error::BadInput(format!("towers: expected both, vision or text, found {word:?}")))
    }
}

/// The nonlinearity of the MLP (`ACT2FN` in transformers' `activations.py`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Activation {
    /// The identity: x.
    None,
    /// x · sigmoid(1.702 x): OpenAI's CLIP.
    QuickGelu,
    /// x · Φ(x), with the error function: LAION's CLIP.
    Gelu,
    /// The tanh approximation of [`Activation::Gelu`]: SigLIP.
    GeluTanh,
    /// max(x, 0): CLIPSeg's decoder.
    Relu,
    /// x · sigmoid(x): the gate of Llama's MLP.
    Silu,
}

/// The sizes of a stack of transformer blocks.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoder {
    /// Floats in a token.
    pub hidden: usize,
    /// Number of attention heads; `hidden` is a multiple of it.
    pub heads: usize,
    /// Number of transformer blocks.
    pub layers: usize,
    /// Floats in the MLP's hidden layer.
    pub intermediate: usize,
    /// The MLP's nonlinearity.
    pub activation: Activation,
    /// Epsilon of every layer norm.
    pub eps: f32,
}

/// Which tokens a token attends to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mask {
    /// Every token of the text.
    None,
    /// The token itself and the tokens before it.
    Causal,
}

/// Which text token becomes the vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TextPooling {
    /// The highest id: what transformers does when the config says `eos_token_id: 2` (`CLIPTextTransformer.forward`).
    HighestId,
    /// The first position that holds this id.
    FirstOf(u32),
    /// The last position, padding or not (SigLIP).
    Last,
}

/// The text tower.
#[derive(Debug, Clone, PartialEq)]
pub struct Text {
    /// Sizes of the transformer blocks.
    pub encoder: Encoder,
    /// Rows of the token table, one for each token id.
    pub vocab: usize,
    /// Tokens of a text, padding included.
    pub tokens: usize,
    /// Which tokens a token attends to.
    pub mask: Mask,
    /// Which token becomes the vector.
    pub pooling: TextPooling,
}

/// How cosines become scores by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ScoreRule {
    /// softmax(scale · cos) over the labels.
    Softmax,
    /// sigmoid(scale · cos + bias) of each label alone.
    Sigmoid,
}

/// Where the centre crop starts if as many pixels cannot go on both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CropRounding {
    /// Half a pixel is rounded down (`center_crop` in transformers' `image_transforms.py`).
    #[default]
    Down,
    /// Half a pixel is rounded to the even side (`center_crop` in torchvision, which open_clip uses).
    HalfEven,
}

/// A whole model, as its JSON files describe it.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// For display; see [`Family`].
    pub family: Family,
    /// What the model makes of its towers.
    pub head: Head,
    /// The towers that the checkpoint has. What is said below of a tower that is not there means nothing.
    pub towers: Towers,
    /// The picture tower.
    pub vision: Vision,
    /// The text tower.
    pub text: Text,
    /// Length of both embeddings.
    pub embedding: usize,
    /// Whether a projection makes embeddings of CLIP's pooled tokens. `CLIPVisionModel` and `CLIPTextModel` have none: their
    /// embedding is transformers' `pooler_output`.
    pub projection: bool,
    /// The family's default score.
    pub score: ScoreRule,
    /// How pixels become the square that the tower sees.
    pub preprocessor: Preprocessor,
    /// How a text becomes token ids.
    pub text_rule: TextRule,
}

/// What the JSON files of a folder in transformers' format hold.
#[derive(Debug, Clone, Copy, Default)]
pub struct JsonFiles<'a> {
    /// `config.json`.
    pub config: &'a [u8],
    /// `preprocessor_config.json`, which a text tower alone does not need.
    pub preprocessor: Option<&'a [u8]>,
    /// `processor_config.json`, in which transformers 5 keeps the same, under `image_processor`.
    pub processor: Option<&'a [u8]>,
    /// `tokenizer_config.json`, which some folders do without.
    pub tokenizer_config: Option<&'a [u8]>,
    /// `generation_config.json`, of models that write, which some folders do without.
    pub generation: Option<&'a [u8]>,
}

impl Config {
    /// Reads `config.json`, `preprocessor_config.json` and `tokenizer_config.json`; what they leave out has the
    /// reference's default (`configuration_*.py`, `image_processing_*.py`).
    ///
    /// # Errors
    /// As [`Config::from_files`].
    pub fn parse(config: &[u8], preprocessor: &[u8], tokenizer_config: &[u8]) -> Result<Self> {
        let (preprocessor, tokenizer_config) = (Some(preprocessor), Some(tokenizer_config));
        Self::from_files(&JsonFiles { config, preprocessor, tokenizer_config, ..JsonFiles::default() })
    }

    /// Reads whichever files a folder has. Where settings of the image processor are in both files, those of
    /// `processor_config.json` count, as in transformers 5 (`get_image_processor_dict`).
    ///
    /// # Errors
    /// [`crate::Error::BadCheckpoint`] where a file cannot be understood, [`crate::Error::WrongModel`] for another architecture.
    pub fn from_files(files: &JsonFiles) -> Result<Self> {
        hf::parse(files)
    }

    /// Reads `open_clip_config.json`, and `tokenizer_config.json` where the tokenizer is Hugging Face's; what they leave out
    /// has open_clip's default (`CLIPTextCfg`, `CLIPVisionCfg`, `PreprocessCfg` in open_clip 3.3).
    ///
    /// # Errors
    /// [`crate::Error::BadCheckpoint`] where a file cannot be understood, [`crate::Error::WrongModel`], with the field's name,
    /// for what Ocelli does not run.
    pub fn parse_open_clip(open_clip_config: &[u8], tokenizer_config: &[u8]) -> Result<Self> {
        open_clip::parse(open_clip_config, tokenizer_config)
    }

    /// Of a file that OpenAI published, by the shapes of its tensors.
    ///
    /// # Errors
    /// [`crate::Error::WrongModel`] if they are not those of a CLIP with a vision transformer.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn of_openai<'a>(name: &str, shape: &dyn Fn(&str) -> Option<&'a [usize]>) -> Result<Self> {
        openai::parse(name, shape)
    }

    /// `config.json`, `preprocessor_config.json` and `tokenizer_config.json` from which [`Config::parse`] makes this config
    /// again. What transformers has no word for stands under the key `ocelli`.
    #[must_use]
    pub fn to_files(&self) -> [String; 3] {
        write::files(self)
    }
}
