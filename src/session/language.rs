//! A decoder on a device, and the encoder before it where there is one.

use std::cell::{Cell, RefCell};

use crate::{
    backend::Backend,
    config::Config,
    kernels::{ActId, Run},
    model,
};

/// Most tokens of a prompt in one run, where they need not see what comes after them: a signal finds its place between runs.
const CHUNK: u32 = 256;

/// Tokens of texts beside a picture, where a prompt is one run.
const PROMPT: usize = 256;

/// A decoder on a device.
pub struct Language<B: Backend> {
    pub plan: B::Executor,
    pub ids: ActId,
    pub pictures: Option<ActId>,
    pub last: ActId,
    pub logits: ActId,
    /// The tokens whose keys and values the device holds.
    pub held: RefCell<Vec<u32>>,
    /// What reads prompts, where the plan does not.
    pub reader: Option<Reader<B>>,
    /// How many prompts there were.
    pub prompts: Cell<u64>,
}

/// An encoder on a device.
pub struct Reader<B: Backend> {
    pub plan: B::Executor,
    pub model: model::Reader,
    /// The prompt that was read last.
    pub held: RefCell<Vec<u32>>,
}

impl<B: Backend> Language<B> {
    /// `reader` is the plan of the model's, made ready.
    pub fn new(plan: B::Executor, reader: Option<B::Executor>, model: model::LanguageModel) -> Self {
        let model::LanguageModel { ids, pictures, last, logits, reader: of, .. } = model;
        let reader = reader.zip(of).map(|(plan, model)| Reader { plan, model, held: RefCell::default() });
        Self { plan, ids, pictures, last, logits, held: RefCell::default(), reader, prompts: Cell::default() }
    }

    /// No prompt begins with what was computed before.
    pub fn forget(&self) {
        self.held.borrow_mut().clear();
        if let Some(reader) = &self.reader {
            reader.held.borrow_mut().clear();
        }
    }

    /// Where pictures' rows go: the plan that reads prompts, and its input.
    pub fn picture_rows(&self) -> (&B::Executor, ActId) {
        let (plan, rows) = match &self.reader {
            Some(reader) => (&reader.plan, reader.model.pictures),
            None => (&self.plan, self.pictures),
        };
        (plan, rows.expect("a model with a picture tower has room for its rows"))
    }

    /// Forgets what was computed with tokens that are lost; a text under way ends.
    pub fn lose(&self, lost: impl Fn(&u32) -> bool) {
        let place = self.held.borrow().iter().position(&lost);
        if let Some(at) = place {
            self.begin(at);
        }
        let Some(reader) = &self.reader else { return };
        let read = reader.held.borrow().iter().any(lost);
        if read {
            reader.held.borrow_mut().clear();
            self.begin(0);
        }
    }

    /// Ends the text under way and keeps what was computed for its first `past` tokens. The number of the prompt that begins.
    pub fn begin(&self, past: usize) -> u64 {
        self.held.borrow_mut().truncate(past);
        self.prompts.set(self.prompts.get() + 1);
        self.prompts.get()
    }

    /// A run as large as any: where a prompt's tokens all see each other, the whole prompt. Behind an encoder, the beginnings of as many
    /// texts as go on side by side.
    pub fn most(config: &Config) -> Run {
        let (room, image_tokens) = (config.text.tokens, config.prompt_run());
        if let Some(of) = config.generator().ok().and_then(|generator| generator.seq2seq.as_ref()) {
            return Run { batch: of.search.beams as u32, tokens: of.start.len() as u32, past: room as u32 };
        }
        let tokens = image_tokens.map_or(CHUNK, |tokens| (tokens + PROMPT) as u32);
        Run { batch: 1, tokens: tokens.min(room as u32), past: room as u32 }
    }
}
