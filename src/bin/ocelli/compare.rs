//! `ocelli compare`: what each format of one model costs, in bytes and in what its answers lose. Here of embeddings; of boxes and masks
//! in `compare_found.rs`.

use ocelli::{Checkpoint, Result, backend::Backend, config::Task, quant::Format, scores::fill};
use serde::{Deserialize, Serialize};

use crate::{
    bad_input,
    cli::{CompareArgs, Setup},
    compare_found, embed_images, embed_texts, load_for,
    metrics::{Share, dot, top},
    output,
    spread::{Spread, Weights, between, percent},
    stream::Unreadable,
};

/// ImageNet's names, of which every tenth is asked for if nobody names labels.
const IMAGENET: &str = include_str!("../../../data/imagenet.json");
const EVERY: usize = 10;

/// The result, as `--json` writes it.
#[derive(Serialize)]
struct Report {
    command: &'static str,
    version: &'static str,
    model: String,
    family: &'static str,
    adapter: String,
    pictures: usize,
    labels: usize,
    /// What distances are shares of: the mean distance between two pictures and between two labels, in f32.
    between: Between,
    formats: Vec<Row>,
    /// Pictures that could not be read, and are left out.
    unreadable: Vec<Unreadable>,
}

#[derive(Serialize)]
struct Between {
    pictures: f64,
    labels: f64,
}

#[derive(Serialize)]
struct Row {
    #[serde(flatten)]
    weights: Weights,
    /// Distances of the embeddings from those in f32, as shares of the mean distance.
    pictures: Spread,
    labels: Spread,
    /// Pictures whose first label is that of f32.
    top1: Share,
}

/// The embeddings of all pictures and labels in one format.
struct Answers {
    pictures: Vec<Vec<f32>>,
    labels: Vec<Vec<f32>>,
}

pub async fn run(json: bool, setup: &Setup, args: CompareArgs) -> Result<Vec<Unreadable>> {
    let labels = args.labels().map_or_else(|| Ok(shipped_labels()), |labels| labels.list())?;
    let prompts: Vec<String> = labels.iter().map(|l| fill(args.template.as_deref(), l)).collect::<Result<_>>()?;
    let model = args.model.display().to_string();
    let checkpoint = Checkpoint::open(&args.model)?;
    if let Some(stored) = &checkpoint.quantized {
        return Err(bad_input(format!(
            "{model}: expected an original checkpoint, found one stored as {stored}: what it has lost cannot be seen in it"
        )));
    }
    let tasks = checkpoint.config.tasks();
    if tasks.contains(&Task::Detect) || tasks.contains(&Task::Segment) {
        return compare_found::run(json, setup, args, &checkpoint, &labels, &prompts).await;
    }
    for (what, count) in [("pictures", args.images.len()), ("labels", labels.len())] {
        if count < 2 {
            return Err(bad_input(format!(
                "{what}: expected at least two, found {count}: what moves is measured by the distance between them"
            )));
        }
    }
    let answers = async |format| {
        let session = load_for(Task::Embed, setup, &args.model, Some(format), true).await?;
        let (pictures, unreadable) = embed_images(&session, &args.images).await?;
        let labels = embed_texts(&session, &prompts).await?;
        let answers = Answers { pictures: pictures.into_iter().flatten().collect(), labels };
        Ok::<_, ocelli::Error>((answers, unreadable, session.device().name()))
    };
    let (truth, unreadable, adapter) = answers(Format::F32).await?;
    if let [Unreadable { file, reason, .. }, ..] = &unreadable[..]
        && truth.pictures.len() < 2
    {
        return Err(bad_input(format!("pictures: expected at least two that can be read: {file}: {reason}")));
    }
    let between =
        Between { pictures: between("pictures", &truth.pictures)?, labels: between("labels", &truth.labels)? };
    let read = |at: &usize| unreadable.iter().all(|picture| picture.at != *at);
    let files: Vec<String> =
        (0..args.images.len()).filter(read).map(|at| args.images[at].display().to_string()).collect();
    let mut formats = Vec::new();
    for format in args.formats.iter().map(|format| format.format()) {
        // Computed again for f32 too: it must come out as nothing.
        let (found, ..) = answers(format).await?;
        formats.push(Row {
            weights: Weights::of(&checkpoint, format)?,
            pictures: Spread::moved(&files, &found.pictures, &truth.pictures, between.pictures),
            labels: Spread::moved(&labels, &found.labels, &truth.labels, between.labels),
            top1: agreement(&found.first(), &truth.first()),
        });
    }
    let (version, family) = (env!("CARGO_PKG_VERSION"), checkpoint.config.family.name());
    let (pictures, labels) = (files.len(), labels.len());
    let command = "compare";
    let report = Report { command, version, model, family, adapter, pictures, labels, between, formats, unreadable };
    output::result(json, None, &report, || table(&report))?;
    Ok(report.unreadable)
}

fn shipped_labels() -> Vec<String> {
    #[derive(Deserialize)]
    struct Names {
        classes: Vec<Class>,
    }
    #[derive(Deserialize)]
    struct Class {
        name: String,
    }
    let names: Names = serde_json::from_str(IMAGENET).expect("a file of ours, which tests read");
    names.classes.into_iter().step_by(EVERY).map(|class| class.name).collect()
}

impl Answers {
    /// The first label of each picture, by index.
    fn first(&self) -> Vec<usize> {
        let cosines = |picture: &Vec<f32>| self.labels.iter().map(|label| dot(picture, label)).collect::<Vec<_>>();
        self.pictures.iter().map(|picture| top(&cosines(picture), 1)[0]).collect()
    }
}

fn agreement(found: &[usize], truth: &[usize]) -> Share {
    Share::new(found.iter().zip(truth).filter(|(a, b)| a == b).count(), truth.len())
}

fn table(report: &Report) -> String {
    let Report { model, family, pictures, labels, between, formats, .. } = report;
    let mut text = format!("model     {model} ({family})\n");
    text += &format!("asked     {pictures} pictures, {labels} labels\n");
    text += "matrices  RMS error, relative to the RMS of the weights\n";
    text += &format!(
        "moved     distance from the embedding in f32, as a share of that between two pictures ({:.3}) or labels ({:.3})\n\n",
        between.pictures, between.labels
    );
    let line = |cells: [String; 9]| {
        let [format, bytes, a, b, c, d, e, f, same] = cells;
        format!("{format:6} {bytes:>10}  {a:>9} {b:>9}  {c:>9} {d:>9}  {e:>9} {f:>9}  {same:>12}\n")
    };
    text += &line(["", "", "matrices", "worst", "pictures", "worst", "labels", "worst", "same first"].map(Into::into));
    for Row { weights: Weights { format, bytes, matrices }, pictures, labels, top1 } in formats {
        let [[a, b], [c, d], [e, f]] =
            [matrices, pictures, labels].map(|spread| [spread.mean, spread.worst].map(percent));
        let same = format!("{} of {}", top1.right, top1.of);
        text += &line([(*format).into(), output::mega(*bytes), a, b, c, d, e, f, same]);
    }
    text += "\nworst\n";
    for Row { weights: Weights { format, matrices, .. }, pictures, labels, .. } in formats {
        if matrices.worst == 0.0 {
            continue;
        }
        let names = [&matrices.worst_name, &pictures.worst_name, &labels.worst_name];
        text += &format!("{format:6} {}, {}, {:?}\n", names[0], names[1], names[2]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let truth = Answers {
            pictures: vec![vec![1.0, 0.0], vec![0.0, 1.0], vec![1.0, 0.0]],
            labels: vec![vec![1.0, 0.0], vec![0.0, 1.0]],
        };
        // Distances √2, 0 and √2.
        let unit = between("pictures", &truth.pictures).expect("two differ");
        assert!((unit - 2.0 * 2.0_f64.sqrt() / 3.0).abs() < 1e-12, "{unit}");
        assert!(between("pictures", &vec![vec![1.0, 0.0]; 3]).is_err());

        let names = ["a", "b", "c"].map(String::from);
        let found =
            Answers { pictures: vec![vec![1.0, 0.0], vec![0.6, 0.8], vec![0.6, 0.8]], labels: truth.labels.clone() };
        let moved = Spread::moved(&names, &found.pictures, &truth.pictures, unit);
        // 0, √(0.36 + 0.04) and √(0.16 + 0.64)
        let (small, large) = (0.4_f64.sqrt() / unit, 0.8_f64.sqrt() / unit);
        assert!((moved.mean - (small + large) / 3.0).abs() < 1e-6 && (moved.worst - large).abs() < 1e-6);
        assert_eq!((moved.count, moved.worst_name.as_str()), (3, "c"));
        // The third picture has another first label.
        assert_eq!((truth.first(), found.first()), (vec![0, 1, 0], vec![0, 1, 1]));
        assert_eq!(agreement(&found.first(), &truth.first()).right, 2);
    }

    #[test]
    fn shipped_labels_are_a_hundred() {
        let labels = shipped_labels();
        assert_eq!((labels.len(), labels[0].as_str()), (100, "tench"));
    }
}
