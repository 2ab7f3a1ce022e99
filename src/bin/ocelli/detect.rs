//! `ocelli detect`: boxes by words.

use ocelli::{
    Result,
    config::Task,
    found::{Bounds, DetectOptions, Detection},
    pictures::Picture,
};
use serde::Serialize;

use crate::{
    ask::{self, Outcome, Row, place},
    cli::{DetectArgs, Setup},
    coco::DataSet,
    draw, embed_texts, load_for, png,
    stream::Unreadable,
};

/// What `--json` prints of a picture that could be read.
#[derive(Serialize)]
pub struct Detections {
    /// Best first.
    pub detections: Vec<Found>,
}

#[derive(Serialize)]
pub struct Found {
    pub label: String,
    pub index: usize,
    /// None from a model that writes.
    pub score: Option<f32>,
    /// Likewise.
    pub token: Option<u32>,
    #[serde(rename = "box")]
    pub bounds: Bounds,
}

pub async fn run(json: bool, setup: &Setup, args: DetectArgs) -> Result<Vec<Unreadable>> {
    let labels = args.ask.labels.list()?;
    let prompts = args.ask.prompts(&labels)?;
    let options = DetectOptions {
        threshold: args.threshold,
        nms: args.nms,
        top_k: args.top_k.map(Into::into),
        clip: !args.no_clip,
        multi_label: args.multi_label,
        ..DetectOptions::default()
    };
    let session = load_for(Task::Detect, setup, &args.model, args.ask.format.format(), true).await?;
    let cut = ask::cut(&session, &labels, &prompts)?;
    let set = session.queries(&embed_texts(&session, &prompts).await?)?;
    let mut data_set = DataSet::new(&labels);
    let each = async |at: usize, picture: Picture| {
        let scene = session.look(&picture).await?;
        let found = session.find(&scene, &set, &options).await?;
        data_set.picture(&args.ask.images[at], picture.size());
        found.iter().for_each(|one| data_set.boxed(one.label, Some(one.score), one.bounds));
        if let Some(path) = &args.ask.draw {
            let mut canvas = draw::canvas(&picture);
            found.iter().rev().for_each(|one| draw::frame(&mut canvas, one.label, one.bounds));
            png::save_png(path, canvas)?;
        }
        let row = |one: Detection| Found {
            label: labels[one.label].clone(),
            index: one.label,
            score: Some(one.score),
            token: Some(one.token),
            bounds: args.bounds(one.bounds, scene.size),
        };
        Ok(Detections { detections: found.into_iter().map(row).collect() })
    };
    let (rows, unreadable) = args.ask.rows(&cut, each).await?;
    args.print(json, &rows, &cut, &data_set)?;
    Ok(unreadable)
}

impl DetectArgs {
    /// A box as it is printed.
    pub fn bounds(&self, bounds: Bounds, (width, height): (u32, u32)) -> Bounds {
        if self.normalized { bounds.shares_of(width.into(), height.into()) } else { bounds }
    }

    pub fn print(&self, json: bool, rows: &[Row<Detections>], cut: &[String], data_set: &DataSet) -> Result<()> {
        let digits = if self.normalized { 4 } else { 1 };
        self.ask.print(json, rows, cut, data_set, || text(rows, self.ask.draw.is_some(), digits))
    }
}

/// For people; `digits` behind the points of boxes.
fn text(rows: &[Row<Detections>], drawn: bool, digits: usize) -> String {
    let mut text = String::new();
    for Row { image, outcome, .. } in rows {
        // Those that could not be read are named on stderr.
        let Outcome::Found(Detections { detections: found }) = outcome else { continue };
        text += &format!("{image}\n");
        let width = found.iter().map(|one| one.label.chars().count()).max().unwrap_or(0);
        for Found { label, index, score, bounds, .. } in found {
            let score = score.map_or(String::new(), |score| format!("{score:7.5}  "));
            let colour = if drawn { format!("  {}", draw::colour(*index)) } else { String::new() };
            text += &format!("  {label:width$}  {score}{}{colour}\n", place(*bounds, digits));
        }
        if found.is_empty() {
            text += "  nothing\n";
        }
    }
    text
}
