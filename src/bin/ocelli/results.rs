//! What `ocelli eval`, `recall` and the `eval-` commands find, as `--json` writes it; `docs/EVALUATION.md` describes it.

use serde::{Deserialize, Serialize};

use crate::{
    metrics::{Agreement, Share},
    output,
    stream::Unreadable,
    vqa::YesNo,
};

/// Of `ocelli eval`.
#[derive(Serialize)]
pub struct Evaluation {
    pub command: &'static str,
    #[serde(flatten)]
    pub run: output::Run,
    pub template_set: String,
    pub templates: Vec<String>,
    pub top1: Share,
    pub top5: Share,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub same_as: Option<SameAs>,
    pub confusions: Vec<Confused>,
    pub classes: Vec<ClassRow>,
    pub unreadable: Vec<Unreadable>,
    /// Other files in the classes' folders.
    pub passed_over: usize,
    pub results: Vec<PictureRow>,
}

#[derive(Serialize)]
pub struct Confused {
    pub truth: String,
    pub predicted: String,
    pub count: usize,
}

#[derive(Serialize, Deserialize)]
pub struct ClassRow {
    pub label: String,
    pub pictures: usize,
    pub top1: usize,
    pub top5: usize,
}

#[derive(Serialize, Deserialize)]
pub struct PictureRow {
    pub file: String,
    pub class: String,
    /// The place of the class, from 1.
    pub rank: usize,
    /// Best first.
    pub top: Vec<Scored>,
}

#[derive(Serialize, Deserialize)]
pub struct Scored {
    pub class: String,
    pub cosine: f32,
}

/// The comparison with an earlier result, over the pictures that both have.
#[derive(Serialize)]
pub struct SameAs {
    pub file: String,
    #[serde(flatten)]
    pub agreement: Agreement,
    pub only_here: usize,
    pub only_there: usize,
}

/// Of `ocelli recall`.
#[derive(Serialize)]
pub struct Retrieval {
    pub command: &'static str,
    #[serde(flatten)]
    pub run: output::Run,
    pub captions: usize,
    pub text_to_image: Recall,
    pub image_to_text: Recall,
    pub unreadable: Vec<Unreadable>,
    pub results: Vec<CaptionsRow>,
}

#[derive(Serialize)]
pub struct Recall {
    pub at_1: Share,
    pub at_5: Share,
    pub at_10: Share,
}

impl Recall {
    pub fn new(ranks: &[usize]) -> Self {
        let [at_1, at_5, at_10] = [1, 5, 10].map(|k| Share::within(k, ranks));
        Self { at_1, at_5, at_10 }
    }
}

#[derive(Serialize)]
pub struct CaptionsRow {
    pub file: String,
    /// The place of its best caption among all, from 1.
    pub rank: usize,
    pub captions: Vec<Caption>,
}

#[derive(Serialize)]
pub struct Caption {
    pub text: String,
    /// The place of its picture among all, from 1.
    pub rank: usize,
}

/// Of `ocelli eval-detect`.
#[derive(Serialize)]
pub struct DetectionScores {
    pub command: &'static str,
    #[serde(flatten)]
    pub run: output::Run,
    /// coco or lvis: what counts.
    pub rule: &'static str,
    pub template_set: String,
    pub templates: Vec<String>,
    pub top_k: usize,
    pub nms: Option<f64>,
    /// Means over categories that are in some picture; none if there is no such category.
    pub ap: Option<f64>,
    pub ap50: Option<f64>,
    pub ap75: Option<f64>,
    /// By how many pictures of the training set show a category, as LVIS has it.
    #[serde(flatten)]
    pub by_frequency: Option<ByFrequency>,
    pub categories: Vec<CategoryPrecision>,
    pub unreadable: Vec<Unreadable>,
}

#[derive(Serialize)]
pub struct ByFrequency {
    pub ap_rare: Option<f64>,
    pub ap_common: Option<f64>,
    pub ap_frequent: Option<f64>,
}

#[derive(Serialize)]
pub struct CategoryPrecision {
    pub id: u64,
    pub name: String,
    /// How many are in the pictures.
    pub things: usize,
    pub ap: Option<f64>,
    pub ap50: Option<f64>,
}

/// Of `ocelli eval-segment`.
#[derive(Serialize)]
pub struct SegmentationScores {
    pub command: &'static str,
    #[serde(flatten)]
    pub run: output::Run,
    /// coco: a group is a category. phrasecut: a group is a phrase in a picture.
    pub layout: &'static str,
    pub prompts: usize,
    pub threshold: f64,
    /// The mean of the groups' IoU at the threshold.
    pub miou: f64,
    /// The threshold at which that mean is highest, of 0.02, 0.04 …, and the mean there.
    pub best_threshold: f64,
    pub best_miou: f64,
    /// IoU over all pixels of all prompts.
    pub foreground_iou: f64,
    pub ap: f64,
    /// Of COCO's layout.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<CategoryOverlap>,
    pub unreadable: Vec<Unreadable>,
}

#[derive(Serialize)]
pub struct CategoryOverlap {
    pub name: String,
    /// That show it.
    pub pictures: usize,
    pub iou: f64,
}

/// Of `ocelli eval-vqa`.
#[derive(Serialize)]
pub struct Answers {
    pub command: &'static str,
    #[serde(flatten)]
    pub run: output::Run,
    pub template: Option<String>,
    pub questions: usize,
    /// By VQA's rule, over the questions that enough people have answered; none if there is none.
    pub accuracy: Option<f64>,
    /// How many these are.
    pub counted: usize,
    /// Answers that one of the people gave.
    pub exact: Share,
    /// Of the questions whose usual answer is yes or no.
    pub yes_no: Option<YesNo>,
    /// By the types that the manifest names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<KindRow>,
    pub unreadable: Vec<Unreadable>,
    pub results: Vec<AnswerRow>,
}

#[derive(Serialize)]
pub struct KindRow {
    #[serde(rename = "type")]
    pub kind: String,
    pub accuracy: Option<f64>,
    pub exact: Share,
}

#[derive(Serialize)]
pub struct AnswerRow {
    pub image: String,
    pub question: String,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    pub answer: String,
    pub accuracy: Option<f64>,
    pub exact: bool,
    /// What is true, and what was said.
    #[serde(skip)]
    pub yes_no: Option<(bool, Option<bool>)>,
}

/// Of `ocelli eval-caption`.
#[derive(Serialize)]
pub struct CaptionScores {
    pub command: &'static str,
    #[serde(flatten)]
    pub run: output::Run,
    pub prompt: String,
    /// Of people.
    pub captions: usize,
    /// BLEU-1 to BLEU-4, from 0 to 1.
    pub bleu: [f64; 4],
    /// From 0 to 10; none of one picture.
    pub cider_d: Option<f64>,
    pub unreadable: Vec<Unreadable>,
    pub results: Vec<WordingRow>,
}

#[derive(Serialize)]
pub struct WordingRow {
    pub file: String,
    pub caption: String,
    pub cider_d: f64,
}
