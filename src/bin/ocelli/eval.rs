//! `ocelli eval`: zero-shot accuracy over labelled pictures.

use std::{collections::HashMap, path::Path, time::Instant};

use ocelli::{Error, Result, config::Task};
use serde::Deserialize;

use crate::{
    bad_input,
    cli::{EvalArgs, Setup},
    count_bar,
    device::Session,
    embedding_sums, load_for,
    manifest::Labelled,
    metrics::{self, Answer, Share},
    output, report,
    results::{ClassRow, Confused, Evaluation, PictureRow, SameAs, Scored},
    stream::{self, Unreadable},
    text_file,
};

/// Classes kept for each picture.
const TOP: usize = 5;

/// What is read of an earlier result.
#[derive(Deserialize)]
struct Earlier {
    classes: Vec<ClassRow>,
    results: Vec<PictureRow>,
}

pub async fn run(json: bool, setup: &Setup, args: EvalArgs) -> Result<Vec<Unreadable>> {
    let EvalArgs { over, templates, same_as } = args;
    // Everything that can be wrong is looked at before the GPU works for an hour.
    output::check_out(json, over.out.as_deref())?;
    let mut labelled = Labelled::read(over.manifest.as_deref(), over.images.as_deref(), templates.as_deref())?;
    if let Some(limit) = over.limit {
        labelled.limit(limit.get());
    }
    let earlier = same_as.as_ref().map(|path| Earlier::read(path, &labelled)).transpose()?;

    let show = !over.no_progress;
    let session = load_for(Task::Embed, setup, &over.model, over.format.format(), show).await?;
    let classes = class_embeddings(&session, &labelled, show).await?;
    let bar = count_bar("pictures", labelled.files.len(), show);
    let (mut rows, mut answers, mut ranks) = (Vec::new(), Vec::new(), Vec::new());
    let start = Instant::now();
    let each = |at: usize, picture: Vec<f32>| {
        let cosines: Vec<f32> = classes.iter().map(|class| metrics::dot(&picture, class)).collect();
        let (truth, top) = (labelled.classes[at], metrics::top(&cosines, TOP));
        let rank = metrics::rank(&cosines, truth);
        answers.push((truth, top[0]));
        ranks.push(rank);
        let label = |class: usize| labelled.labels[class].clone();
        let top = top.iter().map(|&c| Scored { class: label(c), cosine: cosines[c] }).collect();
        rows.push(PictureRow { file: labelled.files[at].display().to_string(), class: label(truth), rank, top });
    };
    let unreadable =
        stream::embed_files(&session, &labelled.images, &labelled.files, over.batch.get(), &bar, each).await?;
    let run = output::Run::new(&over, &session, &labelled.images, rows.len(), start.elapsed());
    bar.finish_and_clear();

    let label = |class: usize| labelled.labels[class].clone();
    let counts = metrics::by_class(classes.len(), answers.iter().map(|a| a.0).zip(ranks.iter().copied()));
    let row =
        |(class, &[pictures, top1, top5]): (usize, &[usize; 3])| ClassRow { label: label(class), pictures, top1, top5 };
    let confusions = metrics::confusions(&answers).into_iter();
    let result = Evaluation {
        command: "eval",
        run,
        template_set: labelled.templates.name,
        templates: labelled.templates.texts,
        top1: Share::within(1, &ranks),
        top5: Share::within(5, &ranks),
        same_as: earlier.zip(same_as).map(|(earlier, path)| earlier.compare(&path, &rows)).transpose()?,
        confusions: confusions
            .map(|c| Confused { truth: label(c.truth), predicted: label(c.predicted), count: c.count })
            .collect(),
        classes: counts.iter().enumerate().map(row).collect(),
        unreadable,
        passed_over: labelled.passed_over,
        results: rows,
    };
    output::result(json, over.out.as_deref(), &result, || report::eval(&result, &metrics::worst(&counts)))?;
    Ok(result.unreadable)
}

/// One embedding a class: the mean of the unit embeddings of all its names in all templates, brought back to unit length.
/// That is the recipe of OpenAI's CLIP (Prompt_Engineering_for_ImageNet.ipynb, `zeroshot_classifier`) and of open_clip
/// (`build_zero_shot_classifier`).
async fn class_embeddings(session: &Session, labelled: &Labelled, show: bool) -> Result<Vec<Vec<f32>>> {
    let prompts: Vec<Vec<String>> =
        labelled.names.iter().map(|names| labelled.templates.prompts(names)).collect::<Result<_>>()?;
    let sums = embedding_sums(session, &prompts, show).await?;
    let named = sums.iter().zip(&labelled.labels);
    let none =
        |label| Error::NotFinite(format!("{label}: expected a mean of its prompts with a direction, found none"));
    named.map(|(sum, label)| metrics::unit(sum).ok_or_else(|| none(label))).collect()
}

impl Earlier {
    /// Reads an earlier result, which must be about the same classes.
    fn read(path: &Path, now: &Labelled) -> Result<Self> {
        let bad = |what: String| bad_input(format!("{}: {what}", path.display()));
        let earlier: Self = serde_json::from_str(&text_file::read(path)?)
            .map_err(|e| bad(format!("expected what an earlier `ocelli eval --json` wrote, found: {e}")))?;
        if !earlier.classes.iter().map(|c| &c.label).eq(&now.labels) {
            return Err(bad(format!(
                "expected the manifest's {} classes in their order, found {} others: compare results over one manifest",
                now.labels.len(),
                earlier.classes.len()
            )));
        }
        Ok(earlier)
    }

    fn compare(&self, path: &Path, rows: &[PictureRow]) -> Result<SameAs> {
        let bad = |what: String| bad_input(format!("{}: {what}", path.display()));
        let there: HashMap<&str, &PictureRow> = self.results.iter().map(|row| (row.file.as_str(), row)).collect();
        let pairs: Vec<(&PictureRow, &PictureRow)> =
            rows.iter().filter_map(|row| there.get(row.file.as_str()).map(|&there| (row, there))).collect();
        if pairs.is_empty() {
            return Err(
                bad("expected pictures of this manifest, found none: compare results over one manifest".into()),
            );
        }
        if let Some((here, there)) =
            pairs.iter().find(|(here, there)| here.class != there.class || there.top.is_empty())
        {
            return Err(bad(format!("{}: expected the class {:?}, found {:?}", here.file, here.class, there.class)));
        }
        let (only_here, only_there) = (rows.len() - pairs.len(), there.len() - pairs.len());
        let answers: Vec<_> = pairs.iter().map(|(here, there)| (here.answer(), there.answer())).collect();
        let agreement = metrics::agreement(&answers);
        Ok(SameAs { file: path.display().to_string(), agreement, only_here, only_there })
    }
}

impl PictureRow {
    fn answer(&self) -> Answer<'_> {
        Answer { truth: &self.class, first: &self.top[0].class }
    }
}
