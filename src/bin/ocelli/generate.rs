//! `ocelli generate`, `caption` and `ask`: words that go on from words and pictures.

use std::{
    io::{self, Write as _},
    path::Path,
    sync::Arc,
    time::Instant,
};

use ocelli::{
    Checkpoint, Error, Result,
    config::{Task, Towers},
    pictures::Picture,
    session::{Form, Options, Seen, Written},
    text::{Layout, Message, Prompt, Request, Tokenizer},
};
use serde::Serialize;

use crate::{
    bad_input,
    cli::{AskArgs, CaptionArgs, Detail, GenerateArgs, Script, Setup, Writes},
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
    pub async fn load(setup: &Setup, args: &Writes, show: bool) -> Result<Self> {
        let checkpoint = Checkpoint::open_towers(&args.folder, Towers::Both)?;
        checkpoint.config.expect(Task::Generate)?;
        let (files, fallback) = (&checkpoint.tokenizer, checkpoint.config.text_rule.byte_fallback);
        let added = checkpoint.config.generator()?.prompt.added_tokens();
        let tokenizer = Tokenizer::with_tokens(files, fallback, &added)?;
        let chosen = device::choose(setup).await?;
        let low = match args.detail {
            Detail::Low => true,
            Detail::High => false,
            Detail::Auto => matches!(chosen.device, ocelli::backend::Device::Cpu(_)),
        };
        let session = load_on(chosen, setup, &checkpoint, Towers::Both, args.format.format(), show)?;
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
    let writer = Writer::load(setup, &args.model, true).await?;
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
struct Row {
    image: String,
    #[serde(flatten)]
    outcome: Outcome,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Outcome {
    Written(Written),
    /// Why the picture could not be read.
    Unreadable {
        error: String,
    },
}

pub async fn caption(json: bool, setup: &Setup, args: CaptionArgs) -> Result<Vec<Unreadable>> {
    each(json, setup, &args, None, &Form::Any).await
}

pub async fn ask(json: bool, setup: &Setup, args: AskArgs) -> Result<Vec<Unreadable>> {
    each(json, setup, &args.all, Some(&args.question), &args.form.form()).await
}

/// Asks the same of every picture; without a question, what it shows.
async fn each(
    json: bool,
    setup: &Setup,
    args: &CaptionArgs,
    question: Option<&str>,
    form: &Form,
) -> Result<Vec<Unreadable>> {
    let mut options = args.length.options()?;
    let writer = Writer::load(setup, &args.model, true).await?;
    options.stops = writer.stops(args.length.ignore_eos)?;
    let rule = writer.session.config.generator()?.prompt;
    let request = question.map_or_else(|| rule.caption().to_string(), |question| rule.question(question));
    let (mut rows, mut unreadable) = (Vec::new(), Vec::new());
    for (at, path) in args.images.iter().enumerate() {
        let outcome = match answer(&writer, path, &request, options.clone(), form).await? {
            Ok(written) => {
                if !json {
                    output::print(&format!("{}\n  {}\n", path.display(), written.text.trim()))?;
                }
                Outcome::Written(written)
            }
            Err(reason) => {
                unreadable.push(Unreadable { at, file: path.display().to_string(), reason: reason.clone() });
                Outcome::Unreadable { error: reason }
            }
        };
        rows.push(Row { image: path.display().to_string(), outcome });
    }
    if json {
        output::print_json(&rows)?;
    }
    Ok(unreadable)
}

/// What is said of a picture, or why it could not be read.
async fn answer(
    writer: &Writer,
    path: &Path,
    request: &str,
    options: Options,
    form: &Form,
) -> Result<std::result::Result<Written, String>> {
    let picture = match Picture::open(path) {
        Ok(picture) => picture,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let mut seen = writer.see(&[picture])?;
    let prompt = writer.ask(request, &seen)?;
    writer.write(&mut seen, &prompt, options, form, |_| Ok(())).await.map(Ok)
}
