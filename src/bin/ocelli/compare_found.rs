//! `ocelli compare` of a detector or a segmenter: what each format costs in boxes or in masks.

use std::path::Path;

use ocelli::{
    Checkpoint, Result,
    backend::Backend,
    config::Task,
    found::{Bounds, DetectOptions, Mask},
    pictures::Picture,
    quant::Format,
};
use serde::Serialize;

use crate::{
    ask::BATCH,
    bad_input,
    cli::{CompareArgs, Setup},
    count_bar,
    device::Session,
    embed_texts, load_for,
    metrics::{Share, top},
    output,
    spread::{Spread, Weights, between, percent},
    stream::{self, Unreadable},
};

/// Boxes of a label that are compared: those that f32 finds best.
const BEST: usize = 20;
/// Pixels whose score is above it are in a mask, as in `ocelli segment`.
const THRESHOLD: f64 = 0.4;

/// The result, as `--json` writes it.
#[derive(Serialize)]
struct Report<'a> {
    command: &'static str,
    version: &'static str,
    model: String,
    family: &'static str,
    adapter: String,
    pictures: usize,
    labels: usize,
    formats: Vec<Row>,
    /// Pictures that could not be read, and are left out.
    unreadable: &'a [Unreadable],
}

#[derive(Serialize)]
struct Row {
    #[serde(flatten)]
    weights: Weights,
    #[serde(flatten)]
    cost: Cost,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Cost {
    /// Of each label's boxes that f32 finds best in a picture.
    Boxes {
        /// What is missing from an IoU of 1 with the box that the same token gives in f32.
        boxes: Spread,
        /// Of pairs of such boxes the share that stands the other way round.
        ranks: Spread,
        /// Labels and pictures whose best box is that of the same token.
        first: Share,
    },
    Masks {
        /// What is missing from an IoU of 1 with the mask in f32.
        masks: Spread,
        /// Distances of all logits of a picture from those in f32, as shares of the mean distance between two pictures.
        logits: Spread,
    },
}

/// What one format answers to a picture.
enum Answer {
    Boxes {
        /// Of each token, in shares of the picture.
        bounds: Vec<Bounds>,
        /// Of each label, of each token.
        logits: Vec<Vec<f32>>,
    },
    /// Of each label, a square.
    Masks(Vec<Vec<f32>>),
}

pub async fn run(
    json: bool,
    setup: &Setup,
    args: CompareArgs,
    checkpoint: &Checkpoint,
    labels: &[String],
    prompts: &[String],
) -> Result<Vec<Unreadable>> {
    let task = if checkpoint.config.tasks().contains(&Task::Detect) { Task::Detect } else { Task::Segment };
    let answers = async |format| {
        let session = load_for(task, setup, &args.model, Some(format), true).await?;
        let prompts = embed_texts(&session, prompts).await?;
        let mut all = Vec::new();
        let each = async |_: usize, picture: Picture| {
            all.push(match task {
                Task::Detect => boxes(&session, &picture, &prompts).await?,
                _ => Answer::Masks(session.segment(&session.look(&picture).await?, &prompts).await?),
            });
            Ok(())
        };
        let bar = count_bar("pictures", args.images.len(), true);
        let unreadable = stream::each_file(Path::new(""), &args.images, BATCH, &bar, each).await?;
        bar.finish_and_clear();
        Ok::<_, ocelli::Error>((all, unreadable, session.device().name()))
    };
    let (truth, unreadable, adapter) = answers(Format::F32).await?;
    let read = |at: &usize| unreadable.iter().all(|picture| picture.at != *at);
    let files: Vec<String> =
        (0..args.images.len()).filter(read).map(|at| args.images[at].display().to_string()).collect();
    if let ([], [Unreadable { file, reason, .. }, ..]) = (&files[..], &unreadable[..]) {
        return Err(bad_input(format!("pictures: expected at least one that can be read: {file}: {reason}")));
    }
    let mut formats = Vec::new();
    for format in args.formats.iter().map(|format| format.format()) {
        // Computed again for f32 too: it must come out as nothing.
        let (found, ..) = answers(format).await?;
        formats.push(Row { weights: Weights::of(checkpoint, format)?, cost: cost(&files, labels, &found, &truth)? });
    }
    let report = Report {
        command: "compare",
        version: env!("CARGO_PKG_VERSION"),
        model: args.model.display().to_string(),
        family: checkpoint.config.family.name(),
        adapter,
        pictures: files.len(),
        labels: labels.len(),
        formats,
        unreadable: &unreadable,
    };
    output::result(json, None, &report, || table(&report))?;
    Ok(unreadable)
}

async fn boxes(session: &Session, picture: &Picture, prompts: &[Vec<f32>]) -> Result<Answer> {
    let scene = session.look(picture).await?;
    let set = session.queries(prompts)?;
    let mut logits = vec![Vec::new(); prompts.len()];
    for hit in session.detect_all(&scene, &set, f32::NEG_INFINITY).await? {
        logits[hit.label as usize].push(hit.logit);
    }
    let every = DetectOptions { threshold: -1.0, clip: false, normalized: true, ..DetectOptions::default() };
    let mut found = session.find(&scene, &set, &every).await?;
    found.sort_unstable_by_key(|one| one.token);
    Ok(Answer::Boxes { bounds: found.into_iter().map(|one| one.bounds).collect(), logits })
}

fn cost(files: &[String], labels: &[String], found: &[Answer], truth: &[Answer]) -> Result<Cost> {
    let (mut lost, mut ranks, mut first) = (Vec::new(), Vec::new(), 0);
    let mut squares: [Vec<Vec<f32>>; 2] = [Vec::new(), Vec::new()];
    for (file, pair) in files.iter().zip(found.iter().zip(truth)) {
        let name = |label: usize| format!("{file}: {}", labels[label]);
        match pair {
            (Answer::Boxes { bounds, logits }, Answer::Boxes { bounds: true_bounds, logits: true_logits }) => {
                for (label, (logits, true_logits)) in logits.iter().zip(true_logits).enumerate() {
                    let best = top(true_logits, BEST);
                    let missing = best.iter().map(|&token| missing(bounds[token], true_bounds[token]));
                    lost.extend(missing.map(|missing| (name(label), missing)));
                    ranks.push((name(label), swapped(logits, &best)));
                    first += usize::from(top(logits, 1) == best[..1]);
                }
            }
            (Answer::Masks(logits), Answer::Masks(true_logits)) => {
                let masks = logits.iter().zip(true_logits).map(|(one, other)| 1.0 - iou(one, other));
                lost.extend(masks.enumerate().map(|(label, missing)| (name(label), missing)));
                [logits, true_logits].into_iter().zip(&mut squares).for_each(|(all, to)| to.push(all.concat()));
            }
            _ => unreachable!("one model has one head"),
        }
    }
    let [logits, true_logits] = squares;
    let lost = Spread::of(lost.into_iter());
    if true_logits.is_empty() {
        let first = Share::new(first, ranks.len());
        return Ok(Cost::Boxes { boxes: lost, ranks: Spread::of(ranks.into_iter()), first });
    }
    let unit = between("pictures", &true_logits)?;
    Ok(Cost::Masks { masks: lost, logits: Spread::moved(files, &logits, &true_logits, unit) })
}

/// What is missing from an IoU of 1; nothing between equal boxes, whose IoU is rounded.
fn missing(a: Bounds, b: Bounds) -> f64 {
    if a == b { 0.0 } else { (1.0 - a.iou(b)).max(0.0) }
}

/// Of pairs of tokens, best first, the share that has the other order in these logits.
fn swapped(logits: &[f32], best: &[usize]) -> f64 {
    let pairs = best.iter().enumerate().flat_map(|(at, &a)| best[at + 1..].iter().map(move |&b| (a, b)));
    let (mut count, mut wrong) = (0, 0);
    for (a, b) in pairs {
        count += 1;
        wrong += usize::from(logits[a] < logits[b]);
    }
    f64::from(wrong as u32) / f64::from(count.max(1))
}

/// Intersection over union of two masks of logits; 1 where both are empty.
fn iou(a: &[f32], b: &[f32]) -> f64 {
    let side = a.len().isqrt();
    let [a, b] = [a, b].map(|logits| Mask::from_logits(logits, side, side, side, THRESHOLD).bits);
    let count = |of: fn(bool, bool) -> bool| a.iter().zip(&b).filter(|(a, b)| of(**a, **b)).count() as f64;
    let either = count(|a, b| a | b);
    if either == 0.0 { 1.0 } else { count(|a, b| a & b) / either }
}

fn table(report: &Report) -> String {
    let Report { model, family, pictures, labels, formats, .. } = report;
    let mut text = format!("model     {model} ({family})\n");
    text += &format!("asked     {pictures} pictures, {labels} labels\n");
    text += "matrices  RMS error, relative to the RMS of the weights\n";
    let (heads, note) = match formats.first().map(|row| &row.cost) {
        Some(Cost::Masks { .. }) => (
            ["masks", "worst", "logits", "worst", ""],
            format!(
                "masks     what is missing from an IoU of 1 with the mask in f32, at a threshold of {THRESHOLD}\n\
                 logits    distance from those in f32, as a share of that between two pictures\n\n"
            ),
        ),
        _ => (
            ["boxes", "worst", "ranks", "worst", "same first"],
            format!(
                "boxes     what is missing from an IoU of 1 with the same token's box in f32, for each label's best {BEST}\n\
                 ranks     of pairs of these, the share that stands the other way round\n\n"
            ),
        ),
    };
    text += &note;
    let line = |format: &str, bytes: &str, [a, b]: [String; 2], [c, d, e, f, same]: [String; 5]| {
        format!("{format:6} {bytes:>10}  {a:>9} {b:>9}  {c:>9} {d:>9}  {e:>9} {f:>9}  {same:>12}").trim_end().to_owned()
            + "\n"
    };
    text += &line("", "", ["matrices", "worst"].map(Into::into), heads.map(Into::into));
    for Row { weights: Weights { format, bytes, matrices }, cost } in formats {
        let (one, other, same) = match cost {
            Cost::Boxes { boxes, ranks, first } => (boxes, ranks, format!("{} of {}", first.right, first.of)),
            Cost::Masks { masks, logits } => (masks, logits, String::new()),
        };
        let of = |spread: &Spread| [spread.mean, spread.worst].map(percent);
        let ([a, b], [c, d]) = (of(one), of(other));
        text += &line(format, &output::mega(*bytes), of(matrices), [a, b, c, d, same]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        // Three pairs, of which the first two are swapped.
        assert_eq!(swapped(&[1.0, 2.0, 0.0], &[0, 1, 2]), 1.0 / 3.0);
        assert_eq!(swapped(&[3.0, 2.0, 0.0], &[0, 1, 2]), 0.0);
        assert_eq!(swapped(&[1.0], &[0]), 0.0);
        // One pixel of three is in both.
        assert_eq!(iou(&[9.0, 9.0, -9.0, -9.0], &[9.0, -9.0, 9.0, -9.0]), 1.0 / 3.0);
        assert_eq!(iou(&[-9.0; 4], &[-9.0; 4]), 1.0);

        let unit = |x: f64| Bounds { x, y: 0.0, width: 1.0, height: 1.0 };
        let answer = |second: f64, logits: [f32; 2]| Answer::Boxes {
            bounds: vec![unit(0.0), unit(second)],
            logits: vec![logits.to_vec()],
        };
        let names = ["a".to_owned()];
        let (truth, found) = (answer(5.0, [2.0, 1.0]), answer(5.5, [1.0, 2.0]));
        let Ok(Cost::Boxes { boxes, ranks, first }) = cost(&names, &names, &[found], &[truth]) else { panic!("boxes") };
        // The second box has moved by half of its width: an IoU of 1/3.
        assert!((boxes.worst - 2.0 / 3.0).abs() < 1e-12 && (boxes.mean - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!((ranks.worst, first.right, boxes.worst_name.as_str()), (1.0, 0, "a: a"));
    }
}
