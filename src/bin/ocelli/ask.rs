//! What `ocelli detect` and `ocelli segment` share: labels are asked of pictures, and each picture becomes a row of the answer.

use std::path::{Path, PathBuf};

use ocelli::{Result, found::Bounds, pictures::Picture, scores::fill};
use serde::Serialize;

use crate::{
    bad_input,
    cli::Ask,
    coco::DataSet,
    count_bar,
    device::Session,
    json_file, output,
    stream::{self, Unreadable},
};

/// Pictures decoded at a time; looking at one takes longer.
pub const BATCH: usize = 2;

/// What `--json` prints of a picture.
#[derive(Serialize)]
pub struct Row<T> {
    pub image: String,
    /// Labels whose texts are longer than the model takes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cut: Vec<String>,
    #[serde(flatten)]
    pub outcome: Outcome<T>,
}

#[derive(Serialize)]
#[serde(untagged)]
pub enum Outcome<T> {
    /// What was found, under its own name.
    Found(T),
    /// Why the picture could not be read.
    Unreadable { error: String },
}

impl Ask {
    /// The labels in their template.
    pub fn prompts(&self, labels: &[String]) -> Result<Vec<String>> {
        labels.iter().map(|label| fill(self.template.as_deref(), label)).collect()
    }

    /// Looks at what can be wrong before the model is opened.
    pub fn check(&self) -> Result<()> {
        self.prompts(&self.labels.list()?)?;
        self.check_one("--draw", self.draw.as_deref())?;
        self.coco.as_deref().map_or(Ok(()), output::check_file)
    }

    /// Whether there is one picture, if an option writes a file about it, and whether that file can be written.
    pub fn check_one(&self, option: &str, file: Option<&Path>) -> Result<()> {
        let Some(file) = file else { return Ok(()) };
        match self.images.len() {
            1 => output::check_file(file),
            count => Err(bad_input(format!("{option}: expected one picture, found {count}"))),
        }
    }

    /// Hands each picture to `each`, with its place; a row for every one, and those that could not be read.
    pub async fn rows<T>(
        &self,
        cut: &[String],
        mut each: impl AsyncFnMut(usize, Picture) -> Result<T>,
    ) -> Result<(Vec<Row<T>>, Vec<Unreadable>)> {
        let mut all: Vec<Option<T>> = self.images.iter().map(|_| None).collect();
        let keep = async |at: usize, picture: Picture| {
            all[at] = Some(each(at, picture).await?);
            Ok(())
        };
        let bar = count_bar("pictures", self.images.len(), true);
        let unreadable = stream::each_file(Path::new(""), &self.images, BATCH, &bar, keep).await?;
        bar.finish_and_clear();
        let mut left_out = unreadable.iter();
        let row = |(image, found): (&PathBuf, Option<T>)| Row {
            image: image.display().to_string(),
            cut: cut.to_vec(),
            outcome: match found {
                Some(found) => Outcome::Found(found),
                None => Outcome::Unreadable {
                    error: left_out.next().map(|picture| picture.reason.clone()).unwrap_or_default(),
                },
            },
        };
        let rows = self.images.iter().zip(all).map(row).collect();
        Ok((rows, unreadable))
    }

    /// Writes the data set, if it was asked for, and prints JSON for machines or text for people.
    pub fn print<T: Serialize>(
        &self,
        json: bool,
        rows: &[Row<T>],
        cut: &[String],
        data_set: &DataSet,
        text: impl Fn() -> String,
    ) -> Result<()> {
        if let Some(path) = &self.coco {
            json_file::write(path, data_set)?;
        }
        if json {
            return output::print_json(&rows);
        }
        for label in cut {
            eprintln!("ocelli: note: {label:?}: this is longer than the model takes, and its end is left out");
        }
        output::print(&text())
    }
}

/// The labels whose texts the model does not see to the end.
pub fn cut(session: &Session, labels: &[String], prompts: &[String]) -> Result<Vec<String>> {
    let mut cut = Vec::new();
    for (label, prompt) in labels.iter().zip(prompts) {
        if session.encoded(prompt)?.cut {
            cut.push(label.clone());
        }
    }
    Ok(cut)
}

/// A box for people.
pub fn place(Bounds { x, y, width, height }: Bounds, digits: usize) -> String {
    format!("{width:.digits$} × {height:.digits$} at {x:.digits$}, {y:.digits$}")
}
