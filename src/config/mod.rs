//! What a checkpoint's JSON files say, as enums and numbers. Everything in which CLIP and SigLIP differ is decided here,
//! once; no other module compares a model's name.

mod check;
mod hf;
mod kind;
mod open_clip;
#[cfg(not(target_arch = "wasm32"))]
mod openai;
mod own;
mod preprocessor;
mod section;
mod timm;
mod tokenizer_files;
mod write;

use serde::{Deserialize, Serialize};

use crate::error::Result;

pub use check::MAX_HEAD_SIZE;
use hf::TokenizerFile;
pub use hf::names_a_processor;
pub use kind::Kind;
pub use preprocessor::{Alpha, Filter, MAX_PATCHES, Preprocessor, Resize, has_image_processor};
pub use tokenizer_files::{TOKENIZER_FILES, TokenizerFiles};

/// The two families, for display. Code asks the fields of [`Config`] instead. SigLIP 2 belongs to SigLIP's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Radford et al. 2021, `CLIPModel` in transformers.
    Clip,
    /// Zhai et al. 2023, `SiglipModel` in transformers.
    Siglip,
}

impl Family {
    /// `clip` or `siglip`, as `model_type` spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Clip => "clip",
            Self::Siglip => "siglip",
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
}

/// The sizes of a stack of transformer blocks (pre-norm, both towers of both families).
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

/// How the picture's tokens become one vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VisionPooling {
    /// A class token before the patches, a layer norm before and after the blocks, a projection (CLIP).
    ClassToken,
    /// A learned probe attends to all tokens, then an MLP (SigLIP's `SiglipMultiheadAttentionPoolingHead`).
    AttentionHead,
}

/// How a picture is cut into patches, and where their positions come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patches {
    /// Every picture becomes the same square, cut as a convolution cuts it, and every patch has a position of its own.
    Square,
    /// A picture keeps its shape, and has as many patches as that gives (NaFlex: `Siglip2VisionEmbeddings`). A patch is a row of
    /// pixels, channels last; the square of positions is resampled to the picture's rows and columns of patches.
    Naflex,
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

/// The picture tower.
#[derive(Debug, Clone, PartialEq)]
pub struct Vision {
    /// Sizes of the transformer blocks.
    pub encoder: Encoder,
    /// Side of the square that the tower sees, in pixels; with [`Patches::Naflex`] of the square that takes its positions as they are.
    pub image_size: usize,
    /// Side of a patch, in pixels.
    pub patch_size: usize,
    /// How pictures are cut.
    pub patches: Patches,
    /// How the tokens become one vector.
    pub pooling: VisionPooling,
}

impl Vision {
    /// Patches a side; a rest narrower than a patch is dropped, as a strided convolution does.
    #[must_use]
    pub fn grid(&self) -> usize {
        self.image_size / self.patch_size
    }
    /// Tokens of a square picture: its patches, and the class token if the tower has one. As many positions are stored.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.grid() * self.grid() + usize::from(self.pooling == VisionPooling::ClassToken)
    }
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

/// How a text is cleaned before `tokenizer.json` is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cleaning {
    /// No cleaning: `tokenizer.json` does all of it (CLIP).
    AsIs,
    /// Lowercase, strip ASCII punctuation, collapse spaces (SigLIP, `SiglipTokenizer.canonicalize_text`).
    Canonical,
    /// Lowercase (SigLIP 2, `Siglip2Tokenizer`).
    Lowercase,
    /// What open_clip does to any text: repairs of `ftfy`, HTML's entities, and one of three rules.
    OpenClip(OpenClipCleaning),
}

/// open_clip's rules (`get_clean_fn` in its `tokenizer.py`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OpenClipCleaning {
    /// Single spaces: the default where the tokenizer is Hugging Face's.
    Whitespace,
    /// Single spaces, lowercase: the default of open_clip's own tokenizer.
    Lower,
    /// `_` becomes a space, strip ASCII punctuation, lowercase, single spaces (SigLIP).
    Canonicalize,
}

/// What pads a text to the tower's length.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Padding {
    /// A token, by its name in the vocabulary.
    Token(String),
    /// An id, whatever it stands for (open_clip's own tokenizer fills up with 0).
    Id(u32),
}

/// What the reference tokenizer does before and after `tokenizer.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextRule {
    /// Cleaning of the text before `tokenizer.json`.
    pub cleaning: Cleaning,
    /// Use the vocabulary's 256 byte pieces for unknown characters, which the published JSON leaves off.
    pub byte_fallback: bool,
    /// What pads the ids to the tower's length.
    pub padding: Padding,
}

/// A whole model, as its JSON files describe it.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// For display; see [`Family`].
    pub family: Family,
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
}

impl Config {
    /// Reads `config.json`, `preprocessor_config.json` and `tokenizer_config.json`; what they leave out has the
    /// reference's default (`configuration_clip.py`, `configuration_siglip.py`, `image_processing_*.py`).
    ///
    /// # Errors
    /// As [`Config::from_files`].
    pub fn parse(config: &[u8], preprocessor: &[u8], tokenizer_config: &[u8]) -> Result<Self> {
        let (preprocessor, tokenizer_config) = (Some(preprocessor), Some(tokenizer_config));
        Self::from_files(&JsonFiles { config, preprocessor, processor: None, tokenizer_config })
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
