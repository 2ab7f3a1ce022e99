//! What a model makes of its towers, and so what can be asked of it.

use serde::Serialize;

use super::{Config, Encoder, Family, Generator, Towers};
use crate::error::{Error, Result};

/// What a model makes of its towers.
#[derive(Debug, Clone, PartialEq)]
pub enum Head {
    /// A picture and a text become one vector each, and their cosine is a score (CLIP, SigLIP).
    Contrastive,
    /// Every patch of a picture becomes a box, with a score for every text (OWL-ViT, OWLv2).
    Boxes(Boxes),
    /// A picture and a text become a mask (CLIPSeg).
    Masks(Masks),
    /// Pictures and words become words (SmolVLM, PaliGemma, LLaVA), or words alone do (Llama, Qwen, Gemma).
    Generate(Box<Generator>),
}

/// The heads of a detector: `OwlViTForObjectDetection` and `Owlv2ForObjectDetection` in transformers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Boxes {
    /// Whether a head says of each box how likely it holds any object at all (OWLv2).
    pub objectness: bool,
    /// What a box's numbers, from 0 to 1, are shares of.
    pub scale: BoxScale,
}

/// What a box's numbers are shares of, in pixels of the picture (`_scale_boxes` in transformers' `image_processing_*.py`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BoxScale {
    /// The picture's width and height: it was squashed to a square (OWL-ViT).
    Sides,
    /// The longer of its sides, for all four numbers: it was padded to a square (OWLv2).
    LongerSide,
}

impl BoxScale {
    /// Width and height, in pixels of a picture of this size, of the square that the tower sees.
    #[must_use]
    pub fn extent(self, (width, height): (u32, u32)) -> [f64; 2] {
        match self {
            Self::Sides => [width.into(), height.into()],
            Self::LongerSide => [width.max(height).into(); 2],
        }
    }
}

/// The decoder of a segmenter: `CLIPSegDecoder` in transformers.
#[derive(Debug, Clone, PartialEq)]
pub struct Masks {
    /// The picture tower's blocks whose outputs the decoder sees, counted from 0, ascending. It begins with the last of them,
    /// and the text comes in before its first block.
    pub extract: Vec<usize>,
    /// The decoder's blocks, one for each of `extract`: a layer norm follows attention and MLP, and the MLP's nonlinearity is ReLU.
    pub decoder: Encoder,
    /// Whether a convolution of 3 × 3 and two transposed ones make pixels of tokens, in place of one transposed convolution.
    pub refined: bool,
}

/// What can be asked of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// Scores of labels for a picture.
    Classify,
    /// Vectors of pictures and of texts, to be compared.
    Embed,
    /// Boxes around what words name.
    Detect,
    /// Masks of what words name.
    Segment,
    /// Words that go on from words and pictures.
    Generate,
}

impl Task {
    /// `classify`, `embed`, `detect`, `segment` or `generate`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Classify => "classify",
            Self::Embed => "embed",
            Self::Detect => "detect",
            Self::Segment => "segment",
            Self::Generate => "generate",
        }
    }

    /// The models that do it, by their `model_type`.
    fn families(self) -> &'static str {
        match self {
            Self::Classify | Self::Embed => "clip, siglip or siglip2",
            Self::Detect => "owlvit or owlv2",
            Self::Segment => "clipseg",
            Self::Generate => "smolvlm, paligemma, llava, llava_onevision or florence2",
        }
    }
}

impl Head {
    /// The head of a family with boxes.
    pub(super) fn boxes(family: Family) -> Self {
        let second = family == Family::Owlv2;
        let scale = if second { BoxScale::LongerSide } else { BoxScale::Sides };
        Self::Boxes(Boxes { objectness: second, scale })
    }
}

impl Config {
    /// What can be asked of this model.
    ///
    /// A detector's pictures have no embedding, whatever its files hold: the `visual_projection` of published ones was never
    /// trained, it is as it was initialised.
    #[must_use]
    pub fn tasks(&self) -> &'static [Task] {
        match (&self.head, self.towers) {
            (Head::Contrastive, Towers::Both) => &[Task::Classify, Task::Embed],
            (Head::Contrastive, _) => &[Task::Embed],
            (Head::Boxes(_), _) => &[Task::Detect],
            (Head::Masks(_), _) => &[Task::Segment],
            (Head::Generate(_), _) => &[Task::Generate],
        }
    }

    /// The heads of a detector.
    ///
    /// # Errors
    /// As [`Config::expect`], of a model that does not detect.
    pub fn boxes(&self) -> Result<&Boxes> {
        match &self.head {
            Head::Boxes(boxes) => Ok(boxes),
            _ => Err(self.cannot(Task::Detect)),
        }
    }

    /// What a writing model is made of.
    ///
    /// # Errors
    /// As [`Config::expect`], of a model that does not write.
    pub fn generator(&self) -> Result<&Generator> {
        match &self.head {
            Head::Generate(generator) => Ok(generator),
            _ => Err(self.cannot(Task::Generate)),
        }
    }

    /// Whether it writes where things are, in words ([`crate::found::Locations`]). Such a model has no heads for boxes and masks: what
    /// engines ask of these stays refused, and [`Config::tasks`] has `Generate` alone.
    #[must_use]
    pub fn locates(&self) -> bool {
        matches!(&self.head, Head::Generate(generator) if generator.prompt.locates() && generator.pictures.is_some())
    }

    /// Tokens of the picture in a prompt whose tokens all see each other, so that it is one run; none of other models.
    #[must_use]
    pub fn prompt_run(&self) -> Option<usize> {
        let Head::Generate(generator) = &self.head else { return None };
        generator.pictures.as_ref().filter(|pictures| pictures.prefix).map(|_| self.vision.tokens())
    }

    /// Checks that this can be asked of the model.
    ///
    /// # Errors
    /// [`Error::WrongModel`] that says what can be.
    pub fn expect(&self, task: Task) -> Result<()> {
        if self.tasks().contains(&task) { Ok(()) } else { Err(self.cannot(task)) }
    }

    /// The heads of a detector that says of each box how likely it holds any object at all.
    ///
    /// # Errors
    /// [`Error::WrongModel`], also for models without boxes.
    pub fn expect_objectness(&self) -> Result<&Boxes> {
        let boxes = self.boxes()?;
        if boxes.objectness {
            return Ok(boxes);
        }
        Err(Error::WrongModel(format!(
            "{}: expected a model with a head for objectness, found one without: load owlv2",
            self.family.name()
        )))
    }

    fn cannot(&self, task: Task) -> Error {
        let found: Vec<&str> = self.tasks().iter().map(|task| task.name()).collect();
        Error::WrongModel(format!(
            "{}: expected a model that can {}, found one that can {}: load {}",
            self.family.name(),
            task.name(),
            found.join(" and "),
            task.families()
        ))
    }
}
