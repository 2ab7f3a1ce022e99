//! `ocelli eval-detect`: average precision over annotated pictures.

use std::{slice, time::Instant};

use ocelli::{
    Result,
    config::Task,
    found::{DetectOptions, Detection},
    pictures::Picture,
};
use serde::de::IgnoredAny;

use crate::{
    cli::{EvalDetectArgs, Setup},
    coco::{Annotated, Category, ResultRow},
    count_bar,
    device::Session,
    embedding_sums, json_file, load_for,
    manifest::{self, TemplateSet},
    output,
    precision::{self, Found, Precision, Truth},
    report,
    results::{ByFrequency, CategoryPrecision, DetectionScores},
    stream::{self, Unreadable},
};

/// The place of an IoU in [`Precision`].
const AT_50: usize = 0;
const AT_75: usize = 5;

pub async fn run(json: bool, setup: &Setup, args: EvalDetectArgs) -> Result<Vec<Unreadable>> {
    let over = &args.over;
    output::check_out(json, over.out.as_deref())?;
    args.results.as_deref().map_or(Ok(()), output::check_file)?;
    let templates = manifest::template_set(&args.templates)?;
    let (path, images) = manifest::annotations(over.manifest.as_deref(), over.images.as_deref())?;
    let mut annotated = Annotated::<IgnoredAny>::read(path, &images)?;
    if let Some(limit) = over.limit {
        annotated.keep(manifest::spread_places(annotated.pictures.len(), limit.get()));
    }
    let show = !over.no_progress;
    let session = load_for(Task::Detect, setup, &over.model, over.format.format(), show).await?;
    let queries = queries(&session, &annotated.categories, &templates, args.as_written, show).await?;
    let set = session.queries(&queries)?;
    let options = DetectOptions {
        threshold: 0.0,
        nms: args.nms,
        top_k: Some(args.top_k.into()),
        multi_label: true,
        ..DetectOptions::default()
    };
    let files: Vec<_> = annotated.pictures.iter().map(|picture| picture.file.clone()).collect();
    let bar = count_bar("pictures", files.len(), show);
    let start = Instant::now();
    let mut found = Vec::new();
    let each = async |at: usize, picture: Picture| {
        annotated.pictures[at].check(&images, picture.size())?;
        let scene = session.look(&picture).await?;
        let one = |one: Detection| Found {
            picture: at,
            category: one.label,
            bounds: one.bounds,
            // Scores near 1 are one score in f32; logits are told apart.
            score: 1.0 / (1.0 + (-f64::from(one.logit)).exp()),
        };
        found.extend(session.find(&scene, &set, &options).await?.into_iter().map(one));
        Ok(())
    };
    let unreadable = stream::each_file(&images, &files, over.batch.get(), &bar, each).await?;
    let run = output::Run::new(over, &session, &images, files.len() - unreadable.len(), start.elapsed());
    bar.finish_and_clear();
    if let Some(path) = &args.results {
        json_file::write(path, &found.iter().map(|one| result_row(&annotated, one)).collect::<Vec<_>>())?;
    }
    let result = evaluation(run, &annotated, &found, unreadable, templates, &args);
    output::result(json, over.out.as_deref(), &result, || report::detection(&result))?;
    Ok(result.unreadable)
}

fn evaluation(
    run: output::Run,
    annotated: &Annotated<IgnoredAny>,
    found: &[Found],
    unreadable: Vec<Unreadable>,
    templates: TemplateSet,
    args: &EvalDetectArgs,
) -> DetectionScores {
    // A picture that could not be read is in no share.
    let read = |truth: &Truth| unreadable.iter().all(|left| left.at != truth.picture);
    let truths: Vec<Truth> = annotated.truths().into_iter().filter(read).collect();
    let precision = precision::precision(&truths, found, annotated.categories.len(), &annotated.rule());
    DetectionScores {
        command: "eval-detect",
        run,
        rule: if annotated.lvis { "lvis" } else { "coco" },
        template_set: templates.name,
        templates: templates.texts,
        top_k: args.top_k.into(),
        nms: args.nms,
        ap: precision.mean(None, |_| true),
        ap50: precision.mean(Some(AT_50), |_| true),
        ap75: precision.mean(Some(AT_75), |_| true),
        by_frequency: annotated.lvis.then(|| by_frequency(annotated, &precision)),
        categories: rows(annotated, &truths, &precision),
        unreadable,
    }
}

fn result_row(annotated: &Annotated<IgnoredAny>, one: &Found) -> ResultRow {
    ResultRow {
        image_id: annotated.pictures[one.picture].id,
        category_id: annotated.categories[one.category].id,
        bbox: [one.bounds.x, one.bounds.y, one.bounds.width, one.bounds.height],
        score: one.score,
    }
}

fn by_frequency(annotated: &Annotated<IgnoredAny>, precision: &Precision) -> ByFrequency {
    let mean = |letter| precision.mean(None, |at| annotated.categories[at].frequency.as_deref() == Some(letter));
    ByFrequency { ap_rare: mean("r"), ap_common: mean("c"), ap_frequent: mean("f") }
}

fn rows(annotated: &Annotated<IgnoredAny>, truths: &[Truth], precision: &Precision) -> Vec<CategoryPrecision> {
    let mut things = vec![0; annotated.categories.len()];
    truths.iter().filter(|truth| !truth.crowd).for_each(|truth| things[truth.category] += 1);
    let row = |(at, category): (usize, &Category)| CategoryPrecision {
        id: category.id,
        name: category.name.clone(),
        things: things[at],
        ap: precision.mean(None, |other| other == at),
        ap50: precision.mean(Some(AT_50), |other| other == at),
    };
    annotated.categories.iter().enumerate().map(row).collect()
}

/// A query a category: the mean of its texts' unit embeddings, and not of unit length itself, which equals scenic's mean of logits.
async fn queries(
    session: &Session,
    categories: &[Category],
    templates: &TemplateSet,
    as_written: bool,
    show: bool,
) -> Result<Vec<Vec<f32>>> {
    let texts = |category: &Category| {
        let mut texts = templates.prompts(slice::from_ref(&category.name))?;
        if !as_written {
            texts.iter_mut().for_each(|text| *text = canonical(text));
        }
        Ok(texts)
    };
    let texts: Vec<Vec<String>> = categories.iter().map(texts).collect::<Result<_>>()?;
    let count = templates.texts.len() as f64;
    let mean = |sum: Vec<f64>| sum.into_iter().map(|x| (x / count) as f32).collect();
    Ok(embedding_sums(session, &texts, show).await?.into_iter().map(mean).collect())
}

/// A text as in OWL-ViT's training: small letters, digits, dashes and single spaces (scenic's `_canonicalize_string_py`).
fn canonical(text: &str) -> String {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() || letter == '-' { letter } else { ' ' };
    let text: String = text.to_lowercase().chars().map(plain).collect();
    let mut words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    while words.contains("--") {
        words = words.replace("--", "-");
    }
    words
}

#[cfg(test)]
mod tests {
    use super::canonical;

    #[test]
    fn texts_are_made_plain() {
        assert_eq!(canonical("a photo of the large bow_(weapon)."), "a photo of the large bow weapon");
        assert_eq!(canonical("A  First--Aid---Kit, café"), "a first-aid-kit caf");
        assert_eq!(canonical("..."), "");
    }
}
