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
    session::{Cut, Finish, Options, View},
    text::{Guide, Layout, Message, Prompt, Request, Tokenizer},
};
use serde::Serialize;

use crate::{
    bad_input,
    cli::{AskArgs, CaptionArgs, Detail, Form, GenerateArgs, Script, Setup, Writes},
    device::{self, Session},
    load_on, messages, npy, output,
    stream::Unreadable,
};

/// What `--json` prints of a text.
#[derive(Serialize)]
pub struct Written {
    pub text: String,
    pub tokens: Vec<u32>,
    pub finish: Finish,
    pub prompt_tokens: usize,
    pub image_tokens: usize,
    /// From the prompt to the first token, pictures included.
    pub first_token_ms: f64,
    /// Of those after the first; none of a single one.
    pub tokens_per_second: Option<f64>,
    /// How likely each answer was, of those that were given.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    choices: Vec<Choice>,
    #[serde(skip)]
    logits: Vec<Vec<f32>>,
}

/// How likely an answer was.
#[derive(Serialize)]
struct Choice {
    text: String,
    /// Given that it is one of the choices.
    probability: f64,
    /// The natural logarithm of the probability that the model writes this and nothing else.
    log_probability: f64,
}

/// A model that writes, with its tokenizer.
pub struct Writer {
    pub session: Session,
    tokenizer: Arc<Tokenizer>,
    /// Each picture is seen once.
    low: bool,
}

/// Pictures as the model sees them.
pub struct Seen {
    cuts: Vec<Cut>,
    layouts: Vec<Layout>,
}

impl Writer {
    pub async fn load(setup: &Setup, args: &Writes, show: bool) -> Result<Self> {
        let checkpoint = Checkpoint::open_towers(&args.folder, Towers::Both)?;
        checkpoint.config.expect(Task::Generate)?;
        let tokenizer = Tokenizer::new(&checkpoint.tokenizer, checkpoint.config.text_rule.byte_fallback)?;
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
        let view = View { low: self.low, several: pictures.len() > 1 };
        let cut = |picture: &Picture| {
            let words: Vec<u32> = bytemuck::pod_collect_to_vec(picture.0.as_raw());
            self.session.cut(&words, picture.size(), view)
        };
        let cuts = pictures.iter().map(cut).collect::<Result<Vec<_>>>()?;
        Ok(Seen { layouts: cuts.iter().map(|cut| cut.layout).collect(), cuts })
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
        mut say: impl FnMut(&str) -> Result<()>,
    ) -> Result<Written> {
        let start = Instant::now();
        let vocab = self.session.config.generator()?.decoder.vocab;
        let guide = match form {
            Form::Any => None,
            Form::Pattern(pattern) => Some(prompt.guide(&self.tokenizer, pattern, &options.stops, vocab)?),
            Form::OneOf(choices) => {
                let written = self.choose(seen, prompt, &options, choices).await?;
                say(&written.text)?;
                return Ok(written);
            }
        };
        self.show(seen).await?;
        self.go_on(start, prompt, options, guide, say).await
    }

    /// Chooses one of these answers.
    async fn choose(&self, seen: &mut Seen, prompt: &Prompt, options: &Options, choices: &[String]) -> Result<Written> {
        let start = Instant::now();
        let answers = prompt.answers(&self.tokenizer, choices)?;
        let begin = || self.session.choose(&prompt.ids, answers.clone(), &options.stops);
        // Says what is wrong before anything runs; the tower's rows end it.
        begin()?;
        self.show(seen).await?;
        let mut choosing = begin()?;
        while !self.session.weigh(&mut choosing).await? {}
        let place = choosing.pick(&options.sampling);
        let likely = choosing.probabilities().into_iter().zip(choosing.log_probabilities());
        let choice = |(text, (probability, &log_probability)): (&String, _)| Choice {
            text: text.clone(),
            probability,
            log_probability,
        };
        Ok(Written {
            text: choices[place].clone(),
            tokens: choosing.tokens(place).to_vec(),
            finish: Finish::Stop,
            prompt_tokens: choosing.prompt_tokens(),
            image_tokens: prompt.image_tokens,
            first_token_ms: start.elapsed().as_secs_f64() * 1e3,
            tokens_per_second: None,
            choices: choices.iter().zip(likely).map(choice).collect(),
            logits: Vec::new(),
        })
    }

    /// Hands pictures to the model, for any number of prompts.
    async fn show(&self, seen: &mut Seen) -> Result<()> {
        let mut first = 0;
        for cut in &mut seen.cuts {
            first = self.session.show(cut, first).await?;
        }
        Ok(())
    }

    /// Goes on from a prompt, which counts from `start`, as the guide has it if there is one.
    async fn go_on(
        &self,
        start: Instant,
        prompt: &Prompt,
        options: Options,
        mut guide: Option<Guide>,
        mut say: impl FnMut(&str) -> Result<()>,
    ) -> Result<Written> {
        let options = Options { constrained: guide.is_some(), ..options };
        let mut generation = self.session.generate(&prompt.ids, options)?;
        let mut stream = self.tokenizer.stream(true)?;
        let (mut text, mut tokens, mut logits, mut first) = (String::new(), Vec::new(), Vec::new(), None);
        loop {
            let allowed = guide.as_mut().map(Guide::allowed).transpose()?;
            let Some(token) = self.session.next_token_among(&mut generation, allowed).await? else { break };
            first.get_or_insert_with(Instant::now);
            let part = match &mut guide {
                Some(guide) => guide.push(token.id),
                None => stream.push(token.id),
            };
            say(&part)?;
            text += &part;
            tokens.push(token.id);
            logits.extend(token.logits);
        }
        let rest = stream.finish();
        say(&rest)?;
        text += &rest;
        let after = first.map(|first| first.elapsed().as_secs_f64()).filter(|_| tokens.len() > 1);
        Ok(Written {
            text,
            finish: generation.finish().expect("the text has ended"),
            prompt_tokens: generation.prompt_tokens(),
            image_tokens: prompt.image_tokens,
            first_token_ms: first.map_or(0.0, |first| (first - start).as_secs_f64() * 1e3),
            tokens_per_second: after.map(|seconds| (tokens.len() - 1) as f64 / seconds),
            tokens,
            choices: Vec::new(),
            logits,
        })
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
        self.show(&mut seen).await.map_err(full)?;
        let mut replies = Vec::with_capacity(requests.len());
        for request in requests {
            let prompt = self.ask(request, &seen).map_err(full)?;
            let written = self.go_on(Instant::now(), &prompt, options.clone(), None, |_| Ok(())).await.map_err(full)?;
            replies.push(written.text.trim().into());
        }
        Ok(replies)
    }

    /// Tokens that end a text.
    pub fn stops(&self, ignore: bool) -> Result<Vec<u32>> {
        if ignore {
            return Ok(Vec::new());
        }
        let generator = self.session.config.generator()?;
        let own = generator.prompt.ends().iter().filter_map(|token| self.tokenizer.id(token));
        Ok(generator.stops.iter().copied().chain(own).collect())
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
