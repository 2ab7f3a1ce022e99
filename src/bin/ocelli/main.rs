//! `ocelli`: the same crate on the command line.

mod bench;
mod cli;
mod compare;
mod eval;
mod manifest;
mod metrics;
mod output;
mod picture;
mod recall;
mod report;
mod results;
mod retrieval;
mod stream;
mod tier;

use std::{path::Path, process::ExitCode};

use clap::Parser;
use cli::{Cli, Command, Inputs, On};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ocelli::{
    Checkpoint, Error, Result, Score, Session,
    config::Towers,
    quant::Format,
    quantize::quantize,
    scores::{fill, rank},
    session::{LoadOptions, Source},
    synthetic::{Number, Recipe},
    verify::GOLDENS,
};
use output::Ranking;
use picture::Picture;

/// Pictures decoded at a time, and so in memory; texts between two ticks of the bar.
const CHUNK: usize = 8;

fn main() -> ExitCode {
    match pollster::block_on(run(Cli::parse())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One line, whatever the message holds.
            eprintln!("ocelli: {}", error.to_string().split_whitespace().collect::<Vec<_>>().join(" "));
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> Result<()> {
    let (json, on) = (cli.json, &cli.on);
    match cli.command {
        Command::Quantize { from, to, format, no_goldens } => {
            let bar = bytes_bar("quantising", true);
            let sizes = quantize(&from, &to, format.format(), !no_goldens, &|done, total| {
                bar.set_length(total as u64);
                bar.set_position(done as u64);
            })?;
            bar.finish_and_clear();
            output::quantized(json, &to, sizes)
        }
        Command::Classify { model, labels, template, score, images, format } => {
            let labels = labels.list()?;
            let session = load(on, &model, Towers::Both, format.format(), true).await?;
            let score = Score::parse(&score, session.config.score)?;
            let prompts: Vec<String> = labels.iter().map(|l| fill(template.as_deref(), l)).collect::<Result<_>>()?;
            let texts = embed_texts(&session, &prompts).await?;
            let embeddings = embed_images(&session, &images).await?;
            let scores = session.scores(&embeddings, &texts, score).await?;
            let rankings: Vec<Ranking> = images
                .iter()
                .zip(scores)
                .map(|(image, scores)| Ranking { image: image.display().to_string(), results: rank(&labels, &scores) })
                .collect();
            output::rankings(json, &rankings)
        }
        Command::Embed { model, format, inputs: Inputs { images, text } } => {
            let towers = if text.is_empty() { Towers::Vision } else { Towers::Text };
            let session = load(on, &model, towers, format.format(), true).await?;
            let (names, embeddings): (Vec<String>, _) = if text.is_empty() {
                (images.iter().map(|p| p.display().to_string()).collect(), embed_images(&session, &images).await?)
            } else {
                let embeddings = embed_texts(&session, &text).await?;
                (text, embeddings)
            };
            output::embeddings(json, session.config.embedding, &names, &embeddings)
        }
        Command::Bench(args) => bench::run(json, args).await,
        Command::Compare(args) => compare::run(json, on, args).await,
        Command::Eval(args) => eval::run(json, on, args).await,
        Command::Recall(args) => recall::run(json, on, args).await,
        Command::Tokenize { model, text } => {
            let checkpoint = Checkpoint::open(&model)?;
            let encoder = ocelli::text::TextEncoder::new(&checkpoint.tokenizer, &checkpoint.config)?;
            let ids: Vec<Vec<u32>> = text.iter().map(|t| encoder.encode(t)).collect::<Result<_>>()?;
            output::ids(json, &text, &ids)
        }
        Command::Preprocess { model, image, out } => {
            let session = load(on, &model, Towers::Vision, None, true).await?;
            let (pixels, width) = session.preprocess(&Picture::open(&image)?).await?;
            let size = [width, pixels.len() / width].map(|side| side as u32);
            picture::save(&out, &pixels, size)?;
            output::preprocessed(json, &out, size)
        }
        Command::Verify { model } => {
            let session = load(on, &model, Towers::Both, None, true).await?;
            let goldens = std::fs::read(model.join(GOLDENS)).ok();
            let report = session.verify(goldens.as_deref(), None).await?;
            output::verified(json, &report)?;
            match &report.off {
                None => Ok(()),
                Some(off) => Err(bad_input(format!(
                    "{}: expected {off} to be right on this device, found it off",
                    model.display()
                ))),
            }
        }
        Command::Synthesize { config, to, tokenizer, dtype, seed } => {
            let number = match dtype {
                cli::Number::F32 => Number::F32,
                cli::Number::F16 => Number::F16,
            };
            let config = std::fs::read(&config).map_err(|e| Error::NotFound(format!("{}: {e}", config.display())))?;
            Recipe { config: &config, tokenizer: &tokenizer, number, seed, change: &|_, _, _| () }.write(&to)
        }
        Command::Info { model } => match model {
            None => {
                let (gpu, tuning) = tier::gpu(&on.tier).await?;
                output::info(json, &gpu, &tuning, None)
            }
            Some(model) => {
                let session = load(on, &model, Towers::Both, None, true).await?;
                output::info(json, session.device(), &session.tuning, Some(&session))
            }
        },
    }
}

/// A model on a device.
async fn load(on: &On, folder: &Path, towers: Towers, format: Option<Format>, show: bool) -> Result<Session> {
    let checkpoint = Checkpoint::open(folder)?;
    let (gpu, tuning) = tier::gpu(&on.tier).await?;
    let bar = bytes_bar("loading", show);
    bar.set_length(checkpoint.size());
    let session = Session::load(
        gpu,
        &checkpoint,
        LoadOptions {
            towers,
            format,
            tuning,
            max_patches: on.max_num_patches,
            progress: Some(&|bytes| bar.inc(bytes)),
            ..LoadOptions::default()
        },
    )?;
    bar.finish_and_clear();
    Ok(session)
}

async fn embed_images(session: &Session, images: &[std::path::PathBuf]) -> Result<Vec<Vec<f32>>> {
    let bar = count_bar("pictures", images.len(), true);
    let mut embeddings = Vec::with_capacity(images.len());
    for chunk in images.chunks(CHUNK) {
        let pictures: Vec<Picture> = chunk.iter().map(|path| Picture::open(path)).collect::<Result<_>>()?;
        let sources: Vec<&dyn Source> = pictures.iter().map(|p| p as &dyn Source).collect();
        embeddings.extend(session.embed_images(&sources).await?);
        bar.inc(chunk.len() as u64);
    }
    bar.finish_and_clear();
    Ok(embeddings)
}

async fn embed_texts(session: &Session, texts: &[String]) -> Result<Vec<Vec<f32>>> {
    let bar = count_bar("texts", texts.len(), true);
    let mut embeddings = Vec::with_capacity(texts.len());
    for chunk in texts.chunks(CHUNK) {
        embeddings.extend(session.embed_texts(chunk).await?);
        bar.inc(chunk.len() as u64);
    }
    bar.finish_and_clear();
    Ok(embeddings)
}

fn count_bar(message: &'static str, length: usize, show: bool) -> ProgressBar {
    let bar = bar(message, "{msg} {wide_bar} {pos}/{len} {per_sec} {eta} left", show);
    bar.set_length(length as u64);
    bar
}

fn bytes_bar(message: &'static str, show: bool) -> ProgressBar {
    bar(message, "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta} left", show)
}

/// A bar on stderr; without a terminal there it stays hidden by itself.
fn bar(message: &'static str, template: &str, show: bool) -> ProgressBar {
    let style = ProgressStyle::with_template(template).expect("a valid template");
    let target = if show { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    ProgressBar::with_draw_target(Some(0), target).with_style(style).with_message(message)
}

/// A problem with what the user typed.
fn bad_input(what: impl std::fmt::Display) -> Error {
    Error::BadInput(what.to_string())
}
