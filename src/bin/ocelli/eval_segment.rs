//! `ocelli eval-segment`: how well masks fit over annotated pictures.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs::File,
    io::{BufReader, Read},
    path::{Path, PathBuf},
    time::Instant,
};

use ocelli::{Error, Result, config::Task, found::Mask, pictures::Picture, scores::fill};

use crate::{
    bad_input,
    cli::{EvalSegmentArgs, Setup},
    coco::{Annotated, AnnotatedPicture, Segmentation},
    count_bar,
    device::Session,
    load_for, manifest, output,
    overlap::{self, Curve},
    phrasecut::{self, Phrase},
    report,
    results::{CategoryOverlap, SegmentationScores},
    stream::{self, Unreadable},
};

/// A picture, and what is asked about it.
struct Asked {
    file: PathBuf,
    /// By COCO's layout.
    size: Option<AnnotatedPicture>,
    prompts: Vec<Prompt>,
}

struct Prompt {
    text: String,
    group: usize,
    truth: Truth,
}

/// What a prompt means.
enum Truth {
    Things(Vec<Segmentation>),
    Phrase(Phrase),
}

/// What is asked.
struct Questions {
    layout: &'static str,
    pictures: Vec<Asked>,
    /// Names of the groups of COCO's layout.
    categories: Vec<String>,
}

pub async fn run(json: bool, setup: &Setup, args: EvalSegmentArgs) -> Result<Vec<Unreadable>> {
    let over = &args.over;
    output::check_out(json, over.out.as_deref())?;
    let (path, images) = manifest::annotations(over.manifest.as_deref(), over.images.as_deref())?;
    let mut questions = Questions::read(path, &images, args.template.as_deref())?;
    if let Some(limit) = over.limit {
        let kept: HashSet<usize> = manifest::spread_places(questions.pictures.len(), limit.get()).collect();
        let mut at = 0..;
        questions.pictures.retain(|_| at.next().is_some_and(|at| kept.contains(&at)));
    }
    let show = !over.no_progress;
    let session = load_for(Task::Segment, setup, &over.model, over.format.format(), show).await?;
    let side = session.mask_side()?;
    let files: Vec<PathBuf> = questions.pictures.iter().map(|asked| asked.file.clone()).collect();
    let bar = count_bar("pictures", files.len(), show);
    let start = Instant::now();
    let mut texts = HashMap::new();
    let mut groups: BTreeMap<usize, (Curve, usize)> = BTreeMap::new();
    let each = async |at: usize, picture: Picture| {
        let Asked { size, prompts, .. } = &questions.pictures[at];
        if let Some(annotated) = size {
            annotated.check(&images, picture.size())?;
        }
        // Annotations that do not fit are a reason to leave the picture out, not to stop.
        let bad = |error: Error| Error::BadImage(format!("{}: {error}", images.join(&files[at]).display()));
        let truth = |prompt: &Prompt| Ok(prompt.truth.mask(picture.size()).map_err(bad)?.nearest(side, side));
        let truths: Vec<Mask> = prompts.iter().map(truth).collect::<Result<_>>()?;
        let scene = session.look(&picture).await?;
        for (prompts, truths) in prompts.chunks(crate::CHUNK).zip(truths.chunks(crate::CHUNK)) {
            let embeddings = embed(&session, &mut texts, prompts).await?;
            let logits = session.segment(&scene, &embeddings).await?;
            for ((prompt, truth), logits) in prompts.iter().zip(truths).zip(&logits) {
                let (curve, count) = groups.entry(prompt.group).or_insert((Curve::EMPTY, 0));
                curve.add(&Curve::of(logits, &truth.bits, args.threshold));
                *count += 1;
            }
        }
        Ok(())
    };
    let unreadable = stream::each_file(&images, &files, over.batch.get(), &bar, each).await?;
    let run = output::Run::new(over, &session, &images, files.len() - unreadable.len(), start.elapsed());
    bar.finish_and_clear();
    let result = evaluation(run, &questions, groups, unreadable, args.threshold);
    output::result(json, over.out.as_deref(), &result, || report::segmentation(&result))?;
    Ok(result.unreadable)
}

fn evaluation(
    run: output::Run,
    questions: &Questions,
    groups: BTreeMap<usize, (Curve, usize)>,
    unreadable: Vec<Unreadable>,
    threshold: f64,
) -> SegmentationScores {
    let mut all = Curve::EMPTY;
    groups.values().for_each(|(curve, _)| all.add(curve));
    let mean = |iou: &dyn Fn(&Curve) -> f64| {
        groups.values().map(|(curve, _)| iou(curve)).sum::<f64>() / groups.len().max(1) as f64
    };
    let steps = (0..overlap::STEPS).map(|step| (overlap::step(step), mean(&|curve| curve.steps[step].iou())));
    let (best_threshold, best_miou) =
        steps.fold((0.0, f64::NEG_INFINITY), |best, step| if step.1 > best.1 { step } else { best });
    let row = |(&group, (curve, pictures)): (&usize, &(Curve, usize))| {
        let name = questions.categories.get(group)?.clone();
        Some(CategoryOverlap { name, pictures: *pictures, iou: curve.chosen.iou() })
    };
    SegmentationScores {
        command: "eval-segment",
        run,
        layout: questions.layout,
        prompts: groups.values().map(|(_, count)| count).sum(),
        threshold,
        miou: mean(&|curve| curve.chosen.iou()),
        best_threshold,
        best_miou,
        foreground_iou: all.chosen.iou(),
        ap: all.average_precision(),
        categories: groups.iter().filter_map(row).collect(),
        unreadable,
    }
}

/// The prompts' embeddings; texts that were asked before are not embedded again.
async fn embed(session: &Session, known: &mut HashMap<String, Vec<f32>>, prompts: &[Prompt]) -> Result<Vec<Vec<f32>>> {
    let mut new: Vec<String> = prompts.iter().map(|prompt| prompt.text.clone()).collect();
    new.retain(|text| !known.contains_key(text));
    new.sort();
    new.dedup();
    if !new.is_empty() {
        let embeddings = session.embed_texts(&new).await?;
        known.extend(new.into_iter().zip(embeddings));
    }
    Ok(prompts.iter().map(|prompt| known[&prompt.text].clone()).collect())
}

impl Truth {
    fn mask(&self, size: (usize, usize)) -> Result<Mask> {
        match self {
            Self::Phrase(phrase) => phrase.mask(size),
            Self::Things(things) => {
                let mut all = Mask { width: size.0, height: size.1, bits: vec![false; size.0 * size.1] };
                for thing in things {
                    let mask = thing.mask(size)?;
                    all.bits.iter_mut().zip(mask.bits).for_each(|(all, bit)| *all |= bit);
                }
                Ok(all)
            }
        }
    }
}

impl Questions {
    /// Reads PhraseCut's list or COCO's object, whichever the file is.
    fn read(path: &Path, images: &Path, template: Option<&str>) -> Result<Self> {
        let bad = |what: String| bad_input(format!("{}: {what}", path.display()));
        let file = File::open(path).map_err(|e| bad(e.to_string()))?;
        let mut bytes = BufReader::new(file).bytes().map_while(std::result::Result::ok);
        match bytes.find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'[') => Self::of_phrases(phrasecut::read(path)?, template),
            _ => Self::of_things(Annotated::read(path, images)?, template),
        }
    }

    /// A phrase in a picture is a group of its own, as in CLIPSeg's evaluation.
    fn of_phrases(phrases: Vec<Phrase>, template: Option<&str>) -> Result<Self> {
        let mut pictures: BTreeMap<u64, Vec<Prompt>> = BTreeMap::new();
        for (group, phrase) in phrases.into_iter().enumerate() {
            let text = fill(template, &phrase.phrase)?;
            pictures.entry(phrase.image_id).or_default().push(Prompt { text, group, truth: Truth::Phrase(phrase) });
        }
        let asked = |(id, prompts)| Asked { file: format!("{id}.jpg").into(), size: None, prompts };
        Ok(Self { layout: "phrasecut", pictures: pictures.into_iter().map(asked).collect(), categories: Vec::new() })
    }

    /// A category is a group; a picture is asked for those that it shows.
    fn of_things(annotated: Annotated<Segmentation>, template: Option<&str>) -> Result<Self> {
        let mut by_picture: Vec<BTreeMap<usize, Vec<Segmentation>>> = vec![BTreeMap::new(); annotated.pictures.len()];
        for thing in annotated.things {
            if let Some(segmentation) = thing.segmentation {
                by_picture[thing.picture].entry(thing.category).or_default().push(segmentation);
            }
        }
        let categories: Vec<String> = annotated.categories.into_iter().map(|category| category.name).collect();
        let texts: Vec<String> = categories.iter().map(|name| fill(template, name)).collect::<Result<_>>()?;
        let prompt = |(group, things): (usize, Vec<Segmentation>)| Prompt {
            text: texts[group].clone(),
            group,
            truth: Truth::Things(things),
        };
        let asked = |(picture, things): (AnnotatedPicture, BTreeMap<usize, Vec<Segmentation>>)| Asked {
            file: picture.file.clone(),
            size: Some(picture),
            prompts: things.into_iter().map(prompt).collect(),
        };
        let mut pictures: Vec<Asked> = annotated.pictures.into_iter().zip(by_picture).map(asked).collect();
        pictures.retain(|asked| !asked.prompts.is_empty());
        if pictures.is_empty() {
            return Err(bad_input("annotations: expected segmentations, found none"));
        }
        Ok(Self { layout: "coco", pictures, categories })
    }
}
