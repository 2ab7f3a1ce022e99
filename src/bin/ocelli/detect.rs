//! `ocelli detect`: boxes by words.

use ocelli::{
    Result,
    config::Task,
    found::{Bounds, DetectOptions, Detection},
};
use serde::Serialize;

use crate::{
    ask::{self, Outcome, Row, place},
    cli::{DetectArgs, Setup},
    coco::DataSet,
    draw, embed_texts, load_for,
    picture::{self, Picture},
    stream::Unreadable,
};

/// What `--json` prints of a picture that could be read.
#[derive(Serialize)]
struct Detections {
    /// Best first.
    detections: Vec<Found>,
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
    let cut = ask::cut(&session, &labels, &prompts)?;
    let set = session.queries(&embed_texts(&session, &prompts).await?)?;
    let mut data_set = DataSet::new(&labels);
    let each = async |at: usize, picture: Picture| {
        let scene = session.look(&picture).await?;
        let found = session.find(&scene, &set, &options).await?;
        data_set.picture(&args.ask.images[at], picture.size());
        found.iter().for_each(|one| data_set.boxed(one.label, one.score, one.bounds));
        if let Some(path) = &args.ask.draw {
            let mut canvas = draw::canvas(&picture);
            found.iter().rev().for_each(|one| draw::frame(&mut canvas, one.label, one.bounds));
            picture::save_png(path, canvas)?;
        }
        let [width, height] = [scene.size.0, scene.size.1].map(f64::from);
        let row = |one: Detection| Found {
            label: labels[one.label].clone(),
            index: one.label,
            score: one.score,
            token: one.token,
            bounds: if args.normalized { one.bounds.shares_of(width, height) } else { one.bounds },
        };
        Ok(Detections { detections: found.into_iter().map(row).collect() })
    };
    let (rows, unreadable) = args.ask.rows(&cut, each).await?;
    let digits = if args.normalized { 4 } else { 1 };
    args.ask.print(json, &rows, &cut, &data_set, || text(&rows, args.ask.draw.is_some(), digits))?;
    Ok(unreadable)
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
            let colour = if drawn { format!("  {}", draw::colour(*index)) } else { String::new() };
            text += &format!("  {label:width$}  {score:7.5}  {}{colour}\n", place(*bounds, digits));
        }
        if found.is_empty() {
            text += "  nothing\n";
        }
    }
    text
}
