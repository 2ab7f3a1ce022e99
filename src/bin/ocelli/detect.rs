//! `ocelli detect`: boxes by words.

use std::path::{Path, PathBuf};

use ocelli::{
    Result,
    config::{BoxScale, Head, Task},
    found::{Bounds, DetectOptions, Detection, detections},
    scores::fill,
};
use serde::Serialize;

use crate::{
    bad_input,
    cli::{Ask, DetectArgs, Setup},
    coco::{self, DataSet},
    count_bar,
    device::Session,
    draw, embed_texts, load_for, output,
    picture::Picture,
    stream::{self, Unreadable},
};

/// Pictures decoded at a time; looking at one takes longer.
pub const BATCH: usize = 2;

/// What `--json` prints of a picture.
#[derive(Serialize)]
struct Row {
    image: String,
    /// Labels whose texts are longer than the model takes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cut: Vec<String>,
    #[serde(flatten)]
    outcome: Outcome,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    /// Best first.
    Detections(Vec<Found>),
    /// Why the picture could not be read.
    Error(String),
}

#[derive(Serialize)]
struct Found {
    label: String,
    index: usize,
    score: f32,
    token: u32,
    #[serde(rename = "box")]
    bounds: Bounds,
}

pub async fn run(json: bool, setup: &Setup, args: DetectArgs) -> Result<Vec<Unreadable>> {
    let labels = args.ask.labels.list()?;
    let prompts = args.ask.prompts(&labels)?;
    args.ask.check()?;
    let options = DetectOptions {
        threshold: args.threshold,
        nms: args.nms,
        top_k: args.top_k.map(Into::into),
        clip: !args.no_clip,
        multi_label: args.multi_label,
        ..DetectOptions::default()
    };
    let session = load_for(Task::Detect, setup, &args.ask.model, args.ask.format.format(), true).await?;
    let scale = scale(&session);
    let cut = cut(&session, &labels, &prompts)?;
    let set = session.queries(&embed_texts(&session, &prompts).await?)?;
    let mut all: Vec<Option<Vec<Found>>> = args.ask.images.iter().map(|_| None).collect();
    let mut data_set = DataSet::new(&labels);
    let each = async |at: usize, picture: Picture| {
        let scene = session.look(&picture).await?;
        let hits = match args.multi_label {
            true => session.detect_all(&scene, &set, options.least_logit()).await?,
            false => session.detect(&scene, &set).await?,
        };
        let found = detections(&hits, scene.boxes(), scene.size, scale, &options);
        data_set.picture(&args.ask.images[at], picture.size());
        found.iter().for_each(|one| data_set.boxed(one.label, one.score, one.bounds));
        if let Some(path) = &args.ask.draw {
            let mut canvas = draw::canvas(&picture);
            found.iter().rev().for_each(|one| draw::frame(&mut canvas, one.label, one.bounds));
            draw::save(&canvas, path)?;
        }
        let [width, height] = [scene.size.0, scene.size.1].map(f64::from);
        let row = |one: Detection| Found {
            label: labels[one.label].clone(),
            index: one.label,
            score: one.score,
            token: one.token,
            bounds: if args.normalized { one.bounds.shares_of(width, height) } else { one.bounds },
        };
        all[at] = Some(found.into_iter().map(row).collect());
        Ok(())
    };
    let bar = count_bar("pictures", args.ask.images.len(), true);
    let unreadable = stream::each_file(Path::new(""), &args.ask.images, BATCH, &bar, each).await?;
    bar.finish_and_clear();
    if let Some(path) = &args.ask.coco {
        coco::write(path, &data_set)?;
    }
    let rows = rows(&args.ask.images, all, &unreadable, &cut);
    if json {
        output::print_json(&rows)?;
    } else {
        note_cut(&cut);
        output::print(&text(&rows, args.ask.draw.is_some(), if args.normalized { 4 } else { 1 }))?;
    }
    Ok(unreadable)
}

fn rows(images: &[PathBuf], all: Vec<Option<Vec<Found>>>, unreadable: &[Unreadable], cut: &[String]) -> Vec<Row> {
    let mut left_out = unreadable.iter();
    let row = |(image, found): (&PathBuf, Option<Vec<Found>>)| Row {
        image: image.display().to_string(),
        cut: cut.to_vec(),
        outcome: match found {
            Some(found) => Outcome::Detections(found),
            None => Outcome::Error(left_out.next().map(|picture| picture.reason.clone()).unwrap_or_default()),
        },
    };
    images.iter().zip(all).map(row).collect()
}

/// For people; `digits` behind the points of boxes.
fn text(rows: &[Row], drawn: bool, digits: usize) -> String {
    let mut text = String::new();
    for Row { image, outcome, .. } in rows {
        // Those that could not be read are named on stderr.
        let Outcome::Detections(found) = outcome else { continue };
        text += &format!("{image}\n");
        let width = found.iter().map(|one| one.label.chars().count()).max().unwrap_or(0);
        for Found { label, index, score, bounds, .. } in found {
            let colour = if drawn { format!("  {}", draw::colour(*index)) } else { String::new() };
            text += &format!("  {label:width$}  {score:7.5}  {}{colour}\n", place(*bounds, digits));
        }
        if found.is_empty() {
            text += "  nothing\n";
        }
    }
    text
}

/// A box for people.
pub fn place(Bounds { x, y, width, height }: Bounds, digits: usize) -> String {
    format!("{width:.digits$} × {height:.digits$} at {x:.digits$}, {y:.digits$}")
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

/// Tells people of such labels; `--json` has them.
pub fn note_cut(cut: &[String]) {
    for label in cut {
        eprintln!("ocelli: note: {label:?}: this is longer than the model takes, and its end is left out");
    }
}

impl Ask {
    /// The labels in their template.
    pub fn prompts(&self, labels: &[String]) -> Result<Vec<String>> {
        labels.iter().map(|label| fill(self.template.as_deref(), label)).collect()
    }

    /// Looks at what can be wrong before the model is loaded.
    pub fn check(&self) -> Result<()> {
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
}

/// How a detector's boxes become pixels.
pub fn scale(session: &Session) -> BoxScale {
    match &session.config.head {
        Head::Boxes(boxes) => boxes.scale,
        _ => unreachable!("`load_for` takes detectors only"),
    }
}
