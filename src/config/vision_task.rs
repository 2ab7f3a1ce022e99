//! What Florence-2 was trained to be asked: `processing_florence2.py` in transformers.

use serde::Serialize;

use crate::error::{Error, Result};

/// A task, as its token names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum VisionTask {
    /// A caption.
    Caption,
    /// A longer one.
    DetailedCaption,
    /// A paragraph.
    MoreDetailedCaption,
    /// Boxes of things, with names.
    ObjectDetection,
    /// Boxes of regions, with captions.
    DenseRegionCaption,
    /// Boxes alone.
    RegionProposal,
    /// Boxes for the phrases of a caption that is given.
    PhraseGrounding,
    /// Boxes, or polygons, of what is named.
    OpenVocabularyDetection,
    /// Polygons of what is named.
    ReferringSegmentation,
    /// Polygons of what is in a box.
    RegionToSegmentation,
    /// A name of what is in a box.
    RegionToCategory,
    /// A caption of what is in a box.
    RegionToDescription,
    /// The text in a box.
    RegionToOcr,
    /// The text.
    Ocr,
    /// Pieces of text, with quadrilaterals.
    OcrWithRegion,
}

/// What an answer is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerForm {
    /// Words.
    Text,
    /// Words, each with one box or several.
    Boxes,
    /// Boxes without words.
    Proposals,
    /// The same as boxes, but for words that mean no thing.
    Phrases,
    /// Polygons, with words or without.
    Polygons,
    /// Boxes, or polygons where there is one.
    BoxesOrPolygons,
    /// Words, each with four corners.
    Quads,
}

/// What comes with a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskInput {
    /// Nothing.
    None,
    /// Words.
    Words,
    /// A box.
    Region,
}

/// Token, words, what they take the place of `{}` in them, and what is answered.
type Row = (VisionTask, &'static str, &'static str, TaskInput, AnswerForm);

const ROWS: [Row; 15] = {
    use {AnswerForm as A, TaskInput as I, VisionTask as T};
    [
        (T::Caption, "<CAPTION>", "What does the image describe?", I::None, A::Text),
        (T::DetailedCaption, "<DETAILED_CAPTION>", "Describe in detail what is shown in the image.", I::None, A::Text),
        (
            T::MoreDetailedCaption,
            "<MORE_DETAILED_CAPTION>",
            "Describe with a paragraph what is shown in the image.",
            I::None,
            A::Text,
        ),
        (T::ObjectDetection, "<OD>", "Locate the objects with category name in the image.", I::None, A::Boxes),
        (
            T::DenseRegionCaption,
            "<DENSE_REGION_CAPTION>",
            "Locate the objects in the image, with their descriptions.",
            I::None,
            A::Boxes,
        ),
        (T::RegionProposal, "<REGION_PROPOSAL>", "Locate the region proposals in the image.", I::None, A::Proposals),
        (
            T::PhraseGrounding,
            "<CAPTION_TO_PHRASE_GROUNDING>",
            "Locate the phrases in the caption: {}",
            I::Words,
            A::Phrases,
        ),
        (
            T::OpenVocabularyDetection,
            "<OPEN_VOCABULARY_DETECTION>",
            "Locate {} in the image.",
            I::Words,
            A::BoxesOrPolygons,
        ),
        (
            T::ReferringSegmentation,
            "<REFERRING_EXPRESSION_SEGMENTATION>",
            "Locate {} in the image with mask",
            I::Words,
            A::Polygons,
        ),
        (
            T::RegionToSegmentation,
            "<REGION_TO_SEGMENTATION>",
            "What is the polygon mask of region {}",
            I::Region,
            A::Polygons,
        ),
        (T::RegionToCategory, "<REGION_TO_CATEGORY>", "What is the region {}?", I::Region, A::Text),
        (T::RegionToDescription, "<REGION_TO_DESCRIPTION>", "What does the region {} describe?", I::Region, A::Text),
        (T::RegionToOcr, "<REGION_TO_OCR>", "What text is in the region {}?", I::Region, A::Text),
        (T::Ocr, "<OCR>", "What is the text in the image?", I::None, A::Text),
        (T::OcrWithRegion, "<OCR_WITH_REGION>", "What is the text in the image, with regions?", I::None, A::Quads),
    ]
};

/// Places along each side of a picture.
pub const PLACES: f64 = 1000.0;

/// The tokens of a box, in pixels of a picture of this width and height: what a task about a region is told.
#[must_use]
pub fn locations(edges: [f32; 4], (width, height): (u32, u32)) -> String {
    let bin =
        |place: f32, side: u32| (place / (f64::from(side) / PLACES) as f32).floor().clamp(0.0, PLACES as f32 - 1.0);
    let sides = [width, height, width, height];
    edges.into_iter().zip(sides).map(|(place, side)| format!("<loc_{}>", bin(place, side))).collect()
}

impl VisionTask {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        ROWS.iter().map(|row| row.0)
    }

    fn row(self) -> &'static Row {
        ROWS.iter().find(|row| row.0 == self).expect("every task has a row")
    }

    /// What the task is called, such as `object-detection`.
    #[must_use]
    pub fn name(self) -> String {
        serde_json::to_value(self).ok().and_then(|name| name.as_str().map(String::from)).unwrap_or_default()
    }

    /// The reverse of [`VisionTask::name`], or of [`VisionTask::token`].
    ///
    /// # Errors
    /// [`Error::BadInput`] for another word.
    pub fn parse(word: &str) -> Result<Self> {
        Self::all().find(|task| task.token() == word || task.name() == word).ok_or_else(|| {
            let names: Vec<String> = Self::all().map(Self::name).collect();
            Error::BadInput(format!("task: expected {}, found {word:?}", names.join(", ")))
        })
    }

    /// Such as `<OD>`.
    #[must_use]
    pub fn token(self) -> &'static str {
        self.row().1
    }

    /// What the model is asked, with what comes with the task.
    #[must_use]
    pub fn prompt(self, input: &str) -> String {
        self.row().2.replace("{}", input.trim())
    }

    /// What comes with it.
    #[must_use]
    pub fn input(self) -> TaskInput {
        self.row().3
    }

    /// What the answer is made of.
    #[must_use]
    pub fn answer(self) -> AnswerForm {
        self.row().4
    }

    /// The task that a prompt begins with, such as `<OD>`, and what follows it; none of another prompt.
    #[must_use]
    pub fn of_prompt(prompt: &str) -> Option<(Self, &str)> {
        ROWS.iter().find_map(|row| Some((row.0, prompt.strip_prefix(row.1)?.trim())))
    }
}
