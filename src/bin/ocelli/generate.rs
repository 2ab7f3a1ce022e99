//! `ocelli generate`, `caption` and `ask`: words that go on from words and pictures.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use ocelli::{
    Checkpoint, Error, Result,
    config::{Task, Towers},
    pictures::Picture,
    session::{Form, Options, Seen, Written},
    text::{Message, Prompt, Request, Tokenizer},
    tokens::Layout,
};
use serde::Serialize;

use crate::{
    bad_input,
    cli::{AskArgs, CaptionArgs, Detail, GenerateArgs, Loaded, Script, Setup},
    device::{self, Session},
    load_on, messages, npy, output,
    stream::Unreadable,
};

/// A model that writes, with its tokenizer.
pub struct Writer {
    pub session: Session,
    tokenizer: Arc<Tokenizer>,
    /// Each picture is seen once.
    low: bool,
}

impl Writer {
    pub async fn load(setup: &Setup, folder: &Path, loaded: Loaded, show: bool) -> Result<Self> {
        let checkpoint = Checkpoint::open_towers(folder, Towers::Both)?;
        checkpoint.config.expect(Task::Generate)?;
        let (files, fallback) = (&checkpoint.tokenizer, checkpoint.config.text_rule.byte_fallback);
        let added = checkpoint.config.generator()?.prompt.added_tokens();
        let tokenizer = Tokenizer::with_tokens(files, fallback, &added)?;
        let chosen = device::choose(setup).await?;
        let low = match loaded.detail {
            Detail::Low => true,
            Detail::High => false,
            Detail::Auto => matches!(chosen.device, ocelli::backend::Device::Cpu(_)),
        };
        let session = load_on(chosen, setup, &checkpoint, Towers::Both, loaded.format.format(), show)?;
        Ok(Self { session, tokenizer: Arc::new(tokenizer), low })
    }

    /// Makes pictures those of the next prompt.
    pub fn see(&self, pictures: &[Picture]) -> Result<Seen> {
        let words: Vec<Vec<u32>> =
            pictures.iter().map(|picture| bytemuck::pod_collect_to_vec(picture.0.as_raw())).collect();
        let sized: Vec<_> = words.iter().zip(pictures).map(|(words, one)| (words.as_slice(), one.size())).collect();
        self.session.see(&sized, self.low)
    }

    fn prompt(&self, script: &Script, seen: &Seen) -> Result<Prompt> {
        let (rule, context) = (self.session.config.generator()?.prompt, self.session.context()?);
        let (tokenizer, layouts) = (&self.tokenizer, &seen.layouts);
        match script {
            Script { raw: Some(raw), .. } => Prompt::raw(tokenizer, rule, raw, layouts, context),
            Script { messages: Some(file), .. } => {
                Prompt::chat(tokenizer, rule, &messages::read(file, layouts.len())?, layouts, context)
            }
            Script { prompt, .. } => self.ask(prompt.as_deref().unwrap_or_default(), seen),
        }
    }

    /// A question about pictures, in the model's own form.
    pub fn ask(&self, text: &str, seen: &Seen) -> Result<Prompt> {
        let (rule, context) = (self.session.config.generator()?.prompt, self.session.context()?);
        let message = Message::ask(seen.layouts.len(), text);
        Prompt::chat(&self.tokenizer, rule, &[message], &seen.layouts, context)
    }

    /// What is asked of pictures, in the model's own form.
    pub fn request(&self, request: &Request, seen: &Seen) -> Result<Prompt> {
        let (rule, context) = (self.session.config.generator()?.prompt, self.session.context()?);
        let numbers = |one: &Layout| [one.rows, one.columns, one.tokens].map(|n| n as u32);
        let layouts: Vec<u32> = seen.layouts.iter().flat_map(numbers).collect();
        request.prompt(&self.tokenizer, rule, &layouts, context)
    }

    /// Writes; `say` gets the text as it comes.
    pub async fn write(
        &self,
        seen: &mut Seen,
        prompt: &Prompt,
        options: Options,
        form: &Form,
        say: impl FnMut(&str) -> Result<()>,
    ) -> Result<Written> {
        self.session.write(&self.tokenizer, seen, prompt, options, form, say).await
    }

    /// The text of tokens, special ones too.
    pub fn spelled(&self, tokens: &[u32]) -> Result<String> {
        self.tokenizer.decode(tokens, false)
    }

    /// What comes of each request about one picture. A prompt for which there is no room makes the picture one that cannot be read.
    pub async fn replies(&self, picture: Picture, requests: &[String], max_tokens: usize) -> Result<Vec<String>> {
        let full = |error: Error| match error {
            Error::ContextFull(what) => Error::BadImage(what),
            other => other,
        };
        let options = Options { max_tokens: Some(max_tokens), stops: self.stops(false)?, ..Options::default() };
        let mut seen = self.see(&[picture])?;
        self.session.show_all(&mut seen).await.map_err(full)?;
        let mut replies = Vec::with_capacity(requests.len());
        for request in requests {
            let prompt = self.ask(request, &seen).map_err(full)?;
            let (start, quiet) = (Instant::now(), |_: &str| Ok(()));
            let written = self.session.go_on(start, &self.tokenizer, &prompt, options.clone(), None, quiet).await;
            let written = written.map_err(full)?;
            replies.push(written.text.trim().into());
        }
        Ok(replies)
    }

    /// Tokens that end a text.
    pub fn stops(&self, ignore: bool) -> Result<Vec<u32>> {
        if ignore {
            return Ok(Vec::new());
        }
        self.session.stops(&self.tokenizer)
    }
}

pub async fn run(json: bool, setup: &Setup, args: GenerateArgs) -> Result<()> {
    let mut options = args.length.options()?;
    if let Some(path) = &args.logits {
        output::check_file(path)?;
        options.logits = true;
    }
    let pictures = args.images.iter().map(|path| Picture::open(path)).collect::<Result<Vec<_>>>()?;
    let writer = Writer::load(setup, &args.model, args.loaded, true).await?;
    options.stops = writer.stops(args.length.ignore_eos)?;
    let mut seen = writer.see(&pictures)?;
    let prompt = writer.prompt(&args.script, &seen)?;
    let say = |part: &str| {
        if json {
            return Ok(());
        }
        output::print(part)?;
        io::stdout().flush().map_err(|e| bad_input(format!("standard output: {e}")))
    };
    let written = writer.write(&mut seen, &prompt, options, &args.form.form(), say).await?;
    if let Some(path) = &args.logits {
        npy::write(path, &written.logits, &[writer.session.config.generator()?.decoder.vocab])?;
    }
    if json { output::print_json(&written) } else { output::print("\n") }
}

/// What `--json` prints of a picture.
#[derive(Serialize)]
struct Row<T> {
    image: String,
    #[serde(flatten)]
    outcome: Outcome<T>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Outcome<T> {
    Answered(T),
    /// Why the picture could not be read.
    Unreadable {
        error: String,
    },
}

/// Answers of every picture that can be read, as JSON or in the lines of each.
pub async fn each<T: Serialize>(
    json: bool,
    images: &[PathBuf],
    lines: impl Fn(&T) -> String,
    answer: impl AsyncFn(Picture) -> Result<T>,
) -> Result<Vec<Unreadable>> {
    let (mut rows, mut unreadable) = (Vec::new(), Vec::new());
    for (at, path) in images.iter().enumerate() {
        let image = path.display().to_string();
        let outcome = match Picture::open(path) {
            Ok(picture) => {
                let answered = answer(picture).await?;
                if !json {
                    output::print(&format!("{image}\n{}", lines(&answered)))?;
                }
                Outcome::Answered(answered)
            }
            Err(error) => {
                let error = error.to_string();
                unreadable.push(Unreadable { at, file: image.clone(), reason: error.clone() });
                Outcome::Unreadable { error }
            }
        };
        rows.push(Row { image, outcome });
    }
    if json {
        output::print_json(&rows)?;
    }
    Ok(unreadable)
}

pub async fn caption(json: bool, setup: &Setup, args: CaptionArgs) -> Result<Vec<Unreadable>> {
    describe(json, setup, &args, None, &Form::Any).await
}

pub async fn ask(json: bool, setup: &Setup, args: AskArgs) -> Result<Vec<Unreadable>> {
    describe(json, setup, &args.all, Some(&args.question), &args.form.form()).await
}

/// Asks the same of every picture; without a question, what it shows.
async fn describe(
    json: bool,
    setup: &Setup,
    args: &CaptionArgs,
    question: Option<&str>,
    form: &Form,
) -> Result<Vec<Unreadable>> {
    let mut options = args.length.options()?;
    let writer = Writer::load(setup, &args.model, args.loaded, true).await?;
    options.stops = writer.stops(args.length.ignore_eos)?;
    let rule = writer.session.config.generator()?.prompt;
    let request = question.map_or_else(|| rule.caption().to_string(), |question| rule.question(question));
    let lines = |written: &Written| format!("  {}\n", written.text.trim());
    each(json, &args.images, lines, async |picture| {
        let mut seen = writer.see(&[picture])?;
        let prompt = writer.ask(&request, &seen)?;
        writer.write(&mut seen, &prompt, options.clone(), form, |_| Ok(())).await
    })
    .await
}
