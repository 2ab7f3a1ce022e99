//! Questions about pictures with the answers of people: Ocelli's manifest, or VQA's two files. `docs/EVALUATION.md` describes both.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use ocelli::Result;
use serde::Deserialize;

use crate::{bad_input, json_file, manifest};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default, rename = "about")]
    _about: String,
    images: Option<PathBuf>,
    questions: Vec<Asked>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    image: PathBuf,
    question: String,
    answers: Vec<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

/// VQA's questions; `data_subtype` is part of the pictures' names.
#[derive(Deserialize)]
struct VqaQuestions {
    data_subtype: String,
    questions: Vec<VqaQuestion>,
}

#[derive(Deserialize)]
struct VqaQuestion {
    question_id: u64,
    image_id: u64,
    question: String,
}

#[derive(Deserialize)]
struct VqaAnnotations {
    annotations: Vec<VqaAnnotation>,
}

#[derive(Deserialize)]
struct VqaAnnotation {
    question_id: u64,
    answers: Vec<VqaAnswer>,
    answer_type: Option<String>,
}

#[derive(Deserialize)]
struct VqaAnswer {
    answer: String,
}

/// A question, and what people say.
#[derive(Clone)]
pub struct Question {
    pub text: String,
    pub answers: Vec<String>,
    pub kind: Option<String>,
}

/// Each picture once, with all that is asked about it, in the order of the file.
pub struct Questions {
    pub images: PathBuf,
    pub files: Vec<PathBuf>,
    pub questions: Vec<Vec<Question>>,
}

impl Questions {
    /// Reads a manifest, or with `answers` VQA's questions; `images` goes before the manifest's own folder.
    pub fn read(path: Option<&Path>, answers: Option<&Path>, images: Option<&Path>) -> Result<Self> {
        let path = path.ok_or_else(|| bad_input("expected --manifest with questions about pictures, found none"))?;
        let bad = |what: String| bad_input(format!("{}: {what}", path.display()));
        let (own, asked) = match answers {
            None => {
                let file: File = manifest::parse(path, "a manifest with `questions`")?;
                (file.images, file.questions)
            }
            Some(answers) => (None, vqa(path, answers)?),
        };
        let images = manifest::folder(path, images, own.as_deref())?;
        if let Some(asked) = asked.iter().find(|asked| asked.answers.is_empty() || asked.question.trim().is_empty()) {
            return Err(bad(format!("{:?}: expected a question with one answer or more, found none", asked.image)));
        }
        let (mut files, mut questions): (Vec<PathBuf>, Vec<Vec<Question>>) = Default::default();
        let mut places = HashMap::new();
        for Asked { image, question: text, answers, kind } in asked {
            let place = *places.entry(image.clone()).or_insert(files.len());
            if place == files.len() {
                files.push(image);
                questions.push(Vec::new());
            }
            questions[place].push(Question { text, answers, kind });
        }
        if files.is_empty() {
            return Err(bad("questions: expected at least one, found none".into()));
        }
        Ok(Self { images, files, questions })
    }

    /// Keeps `limit` pictures with their questions, spread evenly over the list.
    pub fn limit(&mut self, limit: usize) {
        self.files = manifest::spread(&self.files, limit);
        self.questions = manifest::spread(&self.questions, limit);
    }
}

/// Joins VQA's files by the ids of the questions.
fn vqa(questions: &Path, answers: &Path) -> Result<Vec<Asked>> {
    let file: VqaQuestions =
        json_file::read(questions, "VQA's questions, an object of `data_subtype` and `questions`")?;
    let annotations: VqaAnnotations = json_file::read(answers, "VQA's annotations, an object of `annotations`")?;
    let mut by_id: HashMap<u64, VqaAnnotation> =
        annotations.annotations.into_iter().map(|annotation| (annotation.question_id, annotation)).collect();
    let join = |VqaQuestion { question_id, image_id, question }: VqaQuestion| {
        let found = by_id.remove(&question_id);
        let VqaAnnotation { answers: people, answer_type: kind, .. } = found.ok_or_else(|| {
            bad_input(format!("{}: expected answers to question {question_id}, found none", answers.display()))
        })?;
        let image = PathBuf::from(format!("COCO_{}_{image_id:012}.jpg", file.data_subtype));
        Ok(Asked { image, question, answers: people.into_iter().map(|one| one.answer).collect(), kind })
    };
    file.questions.into_iter().map(join).collect()
}
