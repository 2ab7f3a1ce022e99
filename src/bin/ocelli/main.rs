//! `ocelli`: the same crate on the command line.

mod ask;
mod bench;
mod captioned;
mod cli;
mod coco;
mod compare;
mod compare_found;
mod detect;
mod device;
mod draw;
mod eval;
mod eval_caption;
mod eval_detect;
mod eval_segment;
mod eval_vqa;
mod generate;
mod json_file;
mod locate;
mod manifest;
mod messages;
mod metrics;
mod npy;
mod output;
mod overlap;
mod phrasecut;
mod png;
mod precision;
mod questions;
mod recall;
mod report;
mod results;
mod retrieval;
mod segment;
mod shards;
mod spread;
mod stream;
mod task;
mod text_file;
mod turns;
mod vqa;
mod wording;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Parser;
use cli::{Cli, Command, Inputs, Setup};
use device::{Chosen, Session};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ocelli::{
    Checkpoint, Error, Result, Score,
    config::{Task, Towers},
    pictures::Picture,
    quant::Format,
    quantize::quantize,
    scores::{fill, rank},
    session::LoadOptions,
    synthetic::{Number, Recipe},
    text::Tokenizer,
    verify::{GOLDENS, TEXT},
};
use output::{Outcome, Ranking};
use stream::Unreadable;

/// Pictures decoded at a time, and so in memory; texts between two ticks of the bar.
const CHUNK: usize = 8;

fn main() -> ExitCode {
    match pollster::block_on(run(Cli::parse())) {
        Ok(unreadable) if unreadable.is_empty() => ExitCode::SUCCESS,
        Ok(unreadable) => {
            for Unreadable { file, reason, .. } in &unreadable {
                complain(&format!("{file}: {reason}"));
            }
            complain(&format!("left out: {} that could not be read", unreadable.len()));
            ExitCode::from(SOME_UNREADABLE)
        }
        Err(error) => {
            complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

/// The exit code of a command that has left pictures out, and done the rest.
const SOME_UNREADABLE: u8 = 3;

/// One line on stderr, whatever the message holds.
fn complain(message: &str) {
    eprintln!("ocelli: {}", message.split_whitespace().collect::<Vec<_>>().join(" "));
}

/// Runs a command; gives the pictures that it has left out, if it is one that goes on without them.
async fn run(cli: Cli) -> Result<Vec<Unreadable>> {
    let (json, setup) = (cli.json, &cli.setup);
    match cli.command {
        Command::Classify { model, labels, template, score, images, format } => {
            let labels = labels.list()?;
            let session = load_for(Task::Embed, setup, &model, format.format(), true).await?;
            let score = Score::parse(&score, session.config.score)?;
            let prompts: Vec<String> = labels.iter().map(|l| fill(template.as_deref(), l)).collect::<Result<_>>()?;
            let texts = embed_texts(&session, &prompts).await?;
            let (embeddings, unreadable) = embed_images(&session, &images).await?;
            let readable: Vec<Vec<f32>> = embeddings.into_iter().flatten().collect();
            let mut scores = session.scores(&readable, &texts, score).await?.into_iter();
            let mut left_out = unreadable.iter().peekable();
            let ranking = |(at, image): (usize, &PathBuf)| {
                let outcome = match left_out.next_if(|picture| picture.at == at) {
                    Some(picture) => Outcome::Error(picture.reason.clone()),
                    None => Outcome::Results(rank(&labels, &scores.next().expect("one for each that was read"))),
                };
                Ranking { image: image.display().to_string(), outcome }
            };
            let rankings: Vec<Ranking> = images.iter().enumerate().map(ranking).collect();
            output::rankings(json, &rankings)?;
            Ok(unreadable)
        }
        Command::Embed { model, format, inputs: Inputs { list: Some(list), .. }, out: Some(out), shard } => {
            let files = shards::listed(&list)?;
            let checkpoint = Checkpoint::open_towers(&model, Towers::Vision)?;
            checkpoint.config.expect(Task::Embed)?;
            let chosen = device::choose(setup).await?;
            let options = LoadOptions {
                towers: Towers::Vision,
                format: format.format(),
                batch: chosen.device.bulk(),
                ..LoadOptions::default()
            };
            let session = load_with(chosen, setup, &checkpoint, options, true)?;
            let bar = count_bar("pictures", files.len(), true);
            let (done, unreadable) = shards::run(&session, files, &out, shard.get(), &bar).await?;
            bar.finish_and_clear();
            output::shards(json, &out, &done)?;
            Ok(unreadable)
        }
        Command::Embed { model, format, inputs: Inputs { images, text, .. }, .. } => {
            let towers = if text.is_empty() { Towers::Vision } else { Towers::Text };
            let session = load(setup, &model, towers, format.format(), true).await?;
            let (names, (embeddings, unreadable)) = if text.is_empty() {
                (images.iter().map(|p| p.display().to_string()).collect(), embed_images(&session, &images).await?)
            } else {
                let embeddings = embed_texts(&session, &text).await?;
                (text, (embeddings.into_iter().map(Some).collect(), Vec::new()))
            };
            output::embeddings(json, session.config.embedding, &names, &embeddings, &unreadable)?;
            Ok(unreadable)
        }
        Command::Compare(args) => compare::run(json, setup, args).await,
        Command::Eval(args) => eval::run(json, setup, args).await,
        Command::Recall(args) => recall::run(json, setup, args).await,
        Command::Detect(args) => {
            args.ask.check()?;
            match locate::writes(&args.model)? {
                true => locate::detect(json, setup, &args).await,
                false => detect::run(json, setup, args).await,
            }
        }
        Command::Segment(args) => {
            args.check()?;
            match locate::writes(&args.model)? {
                true => locate::segment(json, setup, &args).await,
                false => segment::run(json, setup, args).await,
            }
        }
        Command::Caption(args) => generate::caption(json, setup, args).await,
        Command::Ask(args) => generate::ask(json, setup, args).await,
        Command::Task(args) => task::run(json, setup, args).await,
        Command::EvalDetect(args) => eval_detect::run(json, setup, args).await,
        Command::EvalSegment(args) => eval_segment::run(json, setup, args).await,
        Command::EvalVqa(args) => eval_vqa::run(json, setup, args).await,
        Command::EvalCaption(args) => eval_caption::run(json, setup, args).await,
        other => run_other(json, setup, other).await.map(|()| Vec::new()),
    }
}

/// The commands that take no list of pictures.
/// What the tokenizer of a model that writes makes of the self-test's text.
fn plain_tokens(folder: &Path) -> Result<Vec<u32>> {
    let checkpoint = Checkpoint::open(folder)?;
    Tokenizer::new(&checkpoint.tokenizer, checkpoint.config.text_rule.byte_fallback)?.encode_plain(TEXT)
}

async fn run_other(json: bool, setup: &Setup, command: Command) -> Result<()> {
    match command {
        Command::Quantize { from, to, format, no_goldens } => {
            let bar = bytes_bar("quantising", true);
            let sizes = quantize(&from, &to, format.format(), !no_goldens, &|done, total| {
                bar.set_length(total as u64);
                bar.set_position(done as u64);
            })?;
            bar.finish_and_clear();
            output::quantized(json, &to, sizes)
        }
        Command::Generate(args) => generate::run(json, setup, args).await,
        Command::Bench(args) => bench::run(json, setup, &args).await,
        Command::Turns { model, format, labels, image } => turns::run(setup, model, format, &labels, image).await,
        Command::Tokenize { model, text } => {
            let checkpoint = Checkpoint::open_towers(&model, Towers::Text)?;
            let encoder = ocelli::text::TextEncoder::new(&checkpoint.tokenizer, &checkpoint.config)?;
            let ids: Vec<Vec<u32>> = text.iter().map(|t| encoder.encode(t)).collect::<Result<_>>()?;
            output::ids(json, &text, &ids)
        }
        Command::Preprocess { model, image, out } => {
            let session = load(setup, &model, Towers::Vision, None, true).await?;
            let (pixels, width) = session.preprocess(&Picture::open(&image)?).await?;
            let size = [width, pixels.len() / width].map(|side| side as u32);
            png::save(&out, &pixels, size)?;
            output::preprocessed(json, &out, size)
        }
        Command::Verify { model } => {
            let session = load(setup, &model, Towers::Both, None, true).await?;
            let goldens = std::fs::read(model.join(GOLDENS)).ok();
            let tokens = session.config.generator().is_ok().then(|| plain_tokens(&model)).transpose()?;
            let report = session.verify(goldens.as_deref(), tokens).await?;
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
                let Chosen { device, tuning, why } = device::choose(setup).await?;
                output::info(json, &device, &tuning, &why, None)
            }
            Some(model) => {
                let checkpoint = Checkpoint::open(&model)?;
                let chosen = device::choose(setup).await?;
                let why = chosen.why.clone();
                let session = load_on(chosen, setup, &checkpoint, Towers::Both, None, true)?;
                output::info(json, session.device(), &session.tuning, &why, Some(&session))
            }
        },
        Command::Classify { .. }
        | Command::Embed { .. }
        | Command::Compare(_)
        | Command::Eval(_)
        | Command::Recall(_)
        | Command::Detect(_)
        | Command::Segment(_)
        | Command::Caption(_)
        | Command::Ask(_)
        | Command::Task(_)
        | Command::EvalDetect(_)
        | Command::EvalSegment(_)
        | Command::EvalVqa(_)
        | Command::EvalCaption(_) => {
            unreachable!("`run` has taken it")
        }
    }
}

/// A model on a device, set up as the user said.
async fn load(setup: &Setup, folder: &Path, towers: Towers, format: Option<Format>, show: bool) -> Result<Session> {
    let checkpoint = Checkpoint::open_towers(folder, towers)?;
    load_on(device::choose(setup).await?, setup, &checkpoint, towers, format, show)
}

/// A model for a task, with both towers; one that cannot do it is refused before its weights are read.
async fn load_for(task: Task, setup: &Setup, folder: &Path, format: Option<Format>, show: bool) -> Result<Session> {
    let checkpoint = Checkpoint::open_towers(folder, Towers::Both)?;
    checkpoint.config.expect(task)?;
    load_on(device::choose(setup).await?, setup, &checkpoint, Towers::Both, format, show)
}

fn load_on(
    chosen: Chosen,
    setup: &Setup,
    checkpoint: &Checkpoint,
    towers: Towers,
    format: Option<Format>,
    show: bool,
) -> Result<Session> {
    load_with(chosen, setup, checkpoint, LoadOptions { towers, format, ..LoadOptions::default() }, show)
}

/// `options` are what the command wants, beside what the user said of all commands.
fn load_with(
    Chosen { device, tuning, .. }: Chosen,
    setup: &Setup,
    checkpoint: &Checkpoint,
    options: LoadOptions,
    show: bool,
) -> Result<Session> {
    let bar = bytes_bar("loading", show);
    bar.set_length(checkpoint.size());
    let progress = |bytes| bar.inc(bytes);
    let options = LoadOptions {
        tuning,
        alpha: setup.alpha,
        max_patches: setup.max_num_patches,
        canvas: setup.canvas,
        context: setup.context,
        progress: Some(&progress),
        ..options
    };
    let session = Session::load(device, checkpoint, options)?;
    bar.finish_and_clear();
    if let Some(note) = &session.note {
        eprintln!("ocelli: note: {note}");
    }
    Ok(session)
}

/// The embedding of each picture, and those that have none because they could not be read.
async fn embed_images(session: &Session, images: &[PathBuf]) -> Result<(Vec<Option<Vec<f32>>>, Vec<Unreadable>)> {
    let bar = count_bar("pictures", images.len(), true);
    let mut embeddings = vec![None; images.len()];
    let each = |at: usize, embedding| embeddings[at] = Some(embedding);
    let unreadable = stream::embed_files(session, Path::new(""), images, CHUNK, &bar, each).await?;
    bar.finish_and_clear();
    Ok((embeddings, unreadable))
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

/// Of each list of texts the sum of their unit embeddings.
async fn embedding_sums(session: &Session, lists: &[Vec<String>], show: bool) -> Result<Vec<Vec<f64>>> {
    let owners: Vec<usize> = lists.iter().enumerate().flat_map(|(owner, list)| vec![owner; list.len()]).collect();
    let texts: Vec<&str> = lists.iter().flatten().map(String::as_str).collect();
    let bar = count_bar("texts", texts.len(), show);
    let mut sums = vec![vec![0.0; session.config.embedding]; lists.len()];
    for (owners, texts) in owners.chunks(CHUNK).zip(texts.chunks(CHUNK)) {
        for (&owner, embedding) in owners.iter().zip(session.embed_texts(texts).await?) {
            sums[owner].iter_mut().zip(embedding).for_each(|(sum, x)| *sum += f64::from(x));
        }
        bar.inc(texts.len() as u64);
    }
    bar.finish_and_clear();
    Ok(sums)
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
