//! `ocelli segment`: masks by words.

use std::{collections::HashSet, fs, path::Path};

use ocelli::{
    Result,
    config::Task,
    found::{Bounds, Mask, Rle},
    pictures::Picture,
};
use serde::Serialize;

use crate::{
    ask::{self, Outcome, Row, place},
    bad_input,
    cli::{SegmentArgs, Setup},
    coco::DataSet,
    draw, embed_texts, load_for, npy, png,
    stream::Unreadable,
};

/// What `--json` prints of a picture that could be read.
#[derive(Serialize)]
pub struct Masks {
    /// One for each label, in their order; from a model that writes, one for each thing.
    pub masks: Vec<Found>,
}

#[derive(Serialize)]
pub struct Found {
    pub label: String,
    pub index: usize,
    /// Pixels; none where there is a box alone.
    pub area: Option<usize>,
    /// None if there are no pixels.
    #[serde(rename = "box")]
    pub bounds: Option<Bounds>,
    pub rle: Option<Rle>,
}

pub async fn run(json: bool, setup: &Setup, args: SegmentArgs) -> Result<Vec<Unreadable>> {
    let labels = args.ask.labels.list()?;
    let prompts = args.ask.prompts(&labels)?;
    let session = load_for(Task::Segment, setup, &args.model, args.ask.format.format(), true).await?;
    let side = session.mask_side()?;
    let cut = ask::cut(&session, &labels, &prompts)?;
    let prompts = embed_texts(&session, &prompts).await?;
    let mut data_set = DataSet::new(&labels);
    let each = async |at: usize, picture: Picture| {
        let (width, height) = picture.size();
        let scene = session.look(&picture).await?;
        let logits = session.segment(&scene, &prompts).await?;
        let mask = |logits: &Vec<f32>| Mask::from_logits(logits, side, width, height, args.threshold);
        let masks: Vec<(usize, Mask)> = logits.iter().map(mask).enumerate().collect();
        data_set.picture(&args.ask.images[at], picture.size());
        masks.iter().for_each(|(label, mask)| data_set.masked(*label, mask));
        if let Some(path) = &args.logits {
            npy::write(path, &logits, &[side, side])?;
        }
        args.save(&args.ask.images[at], &picture, &masks, &[])?;
        let row = |(index, mask): &(usize, Mask)| Found {
            label: labels[*index].clone(),
            index: *index,
            area: Some(mask.area()),
            bounds: mask.bounds(),
            rle: Some(mask.rle()),
        };
        Ok(Masks { masks: masks.iter().map(row).collect() })
    };
    let (rows, unreadable) = args.ask.rows(&cut, each).await?;
    args.ask.print(json, &rows, &cut, &data_set, || text(&rows, args.ask.draw.is_some()))?;
    Ok(unreadable)
}

/// For people.
pub fn text(rows: &[Row<Masks>], drawn: bool) -> String {
    let mut text = String::new();
    for Row { image, outcome, .. } in rows {
        // Those that could not be read are named on stderr.
        let Outcome::Found(Masks { masks }) = outcome else { continue };
        text += &format!("{image}\n");
        let width = masks.iter().map(|one| one.label.chars().count()).max().unwrap_or(0);
        for Found { label, index, area, bounds, rle } in masks {
            let share = rle.as_ref().zip(*area).map_or("box alone".into(), |(rle, area)| {
                format!("{:6.2} %", 100.0 * area as f64 / (rle.size[0] * rle.size[1]) as f64)
            });
            let place = bounds.map_or("nothing".into(), |bounds| place(bounds, 0));
            let colour = if drawn { format!("  {}", draw::colour(*index)) } else { String::new() };
            text += &format!("  {label:width$}  {share}  {place}{colour}\n");
        }
    }
    text
}

impl SegmentArgs {
    /// Looks at what can be wrong before the model is opened.
    pub fn check(&self) -> Result<()> {
        self.ask.check()?;
        self.ask.check_one("--logits", self.logits.as_deref())?;
        if let Some(folder) = &self.masks {
            let mut seen = HashSet::new();
            if let Some(again) = self.ask.images.iter().find(|image| !seen.insert(image.file_stem())) {
                return Err(bad_input(format!(
                    "--masks: expected pictures whose names differ, found {} again",
                    again.display()
                )));
            }
            fs::create_dir_all(folder).map_err(|e| bad_input(format!("{}: {e}", folder.display())))?;
        }
        Ok(())
    }

    /// Writes the masks of a picture, alone and over it, as was asked, and what there are boxes alone of; each with its label's place.
    pub fn save(
        &self,
        image: &Path,
        picture: &Picture,
        masks: &[(usize, Mask)],
        boxes: &[(usize, Bounds)],
    ) -> Result<()> {
        if let Some(folder) = &self.masks {
            let stem = image.file_stem().unwrap_or_default().to_string_lossy();
            for (index, (_, mask)) in masks.iter().enumerate() {
                draw::save_mask(mask, &folder.join(format!("{stem}-{index}.png")))?;
            }
        }
        if let Some(path) = &self.ask.draw {
            let mut canvas = draw::canvas(picture);
            masks.iter().for_each(|(label, mask)| draw::tint(&mut canvas, *label, mask));
            boxes.iter().for_each(|(label, bounds)| draw::frame(&mut canvas, *label, *bounds));
            png::save_png(path, canvas)?;
        }
        Ok(())
    }
}
