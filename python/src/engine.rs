//! The one thread on which a model lives: what it holds cannot leave its thread, so work comes to it.

use std::{
    mem,
    path::PathBuf,
    process,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread,
    time::Duration,
};

use ocelli::{
    Checkpoint, Error, Result, autotune,
    backend::{Backend, Device},
    config::Towers,
    gpu::{Tier, Tuning},
    quant::Format,
    session::LoadOptions,
    text::Tokenizer,
};
use pyo3::{PyResult, Python};

use crate::{
    ending,
    error::{exception, raised},
};

/// A model on its device.
pub type Session = ocelli::Session<Device>;

type Job = Box<dyn FnOnce(&Session) + Send>;

/// How often a caller that waits looks whether Ctrl+C was pressed.
const LOOK: Duration = Duration::from_millis(100);

/// What a model is opened with.
#[derive(Clone)]
pub struct Opening {
    pub path: PathBuf,
    pub device: String,
    pub format: Option<Format>,
    pub towers: Towers,
    pub batch: Option<u32>,
    pub threads: Option<usize>,
}

/// What is known of a model once it is loaded.
pub struct Facts {
    pub dim: usize,
    pub hash: String,
    pub device: String,
    pub format: &'static str,
    /// Of a model that writes.
    pub tokenizer: Option<Arc<Tokenizer>>,
}

/// The way to the thread.
pub struct Engine {
    /// Some until it is dropped.
    jobs: Option<Sender<Job>>,
    process: u32,
}

impl Engine {
    /// Loads a model on a thread of its own.
    pub fn start(py: Python, opening: Opening) -> PyResult<(Self, Facts)> {
        let (jobs, received) = channel::<Job>();
        let (ready, loaded) = channel();
        let work = move || match opening.session() {
            // Who waits for it may be gone, after Ctrl+C.
            Err(error) => drop(ready.send(Err(error))),
            Ok((session, tokenizer)) => {
                let _ = ready.send(Ok(Facts::of(&session, tokenizer)));
                received.into_iter().for_each(|job| job(&session));
            }
        };
        let thread = thread::Builder::new().name("ocelli".into()).spawn(work);
        thread.map_err(|e| raised(py, "bad-input", &format!("a thread: {e}: end other programs")))?;
        let facts = answer(py, loaded)?;
        Ok((Self { jobs: Some(jobs), process: process::id() }, facts))
    }

    /// Has work done on the model, and lets other Python threads run meanwhile.
    pub fn call<T: Send + 'static>(
        &self,
        py: Python,
        work: impl FnOnce(&Session) -> Result<T> + Send + 'static,
    ) -> PyResult<T> {
        if !self.is_here() {
            return Err(raised(
                py,
                "bad-input",
                "expected a model made in this process, found one made before a fork: \
                 make the model in the worker, or start workers by \"spawn\"",
            ));
        }
        let (done, answered) = channel();
        let job: Job = Box::new(move |session: &Session| drop(done.send(work(session))));
        // If the thread has ended, `done` is dropped with the job, and the answer says so.
        let _ = self.jobs.as_ref().expect("until it is dropped").send(job);
        answer(py, answered)
    }

    fn is_here(&self) -> bool {
        process::id() == self.process
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if !self.is_here() {
            // In a forked process the other end is not there, and may hold a lock for ever.
            mem::forget(self.jobs.take());
        }
    }
}

/// Waits for what the thread sends.
fn answer<T: Send>(py: Python, mut answered: Receiver<Result<T>>) -> PyResult<T> {
    loop {
        let answer;
        (answer, answered) = ending::detached(py, move || (answered.recv_timeout(LOOK), answered));
        match answer {
            Ok(answer) => return answer.map_err(|error| exception(py, &error)),
            Err(RecvTimeoutError::Timeout) => py.check_signals()?,
            Err(RecvTimeoutError::Disconnected) => {
                return Err(raised(py, "worker-lost", "the model's thread has failed: make the model again"));
            }
        }
    }
}

impl Opening {
    fn session(self) -> Result<(Session, Option<Arc<Tokenizer>>)> {
        let checkpoint = Checkpoint::open_towers(&self.path, self.towers)?;
        let device = pollster::block_on(Device::named(&self.device, self.threads))?;
        let tuning = match &device {
            Device::Gpu(gpu) => pollster::block_on(autotune::kept(gpu))?,
            Device::Cpu(_) => Tuning::all(Tier::Plain),
        };
        let batch = self.batch.unwrap_or(device.bulk());
        if batch == 0 || self.threads == Some(0) {
            return Err(Error::BadInput("batch, threads: expected 1 or more, found 0".into()));
        }
        let options = LoadOptions { towers: self.towers, format: self.format, tuning, batch, ..LoadOptions::default() };
        let (files, fallback) = (&checkpoint.tokenizer, checkpoint.config.text_rule.byte_fallback);
        let writes = checkpoint.config.generator().ok().filter(|_| self.towers.text());
        let tokenizer = writes.map(|of| Tokenizer::with_tokens(files, fallback, &of.prompt.added_tokens()));
        let tokenizer = tokenizer.transpose()?.map(Arc::new);
        Ok((Session::load(device, &checkpoint, options)?, tokenizer))
    }
}

impl Facts {
    fn of(session: &Session, tokenizer: Option<Arc<Tokenizer>>) -> Self {
        let kind = match session.device() {
            Device::Gpu(_) => "gpu",
            Device::Cpu(_) => "cpu",
        };
        Self {
            dim: session.config.embedding,
            hash: session.model_hash.clone(),
            device: format!("{kind}: {}", Backend::name(session.device())),
            format: session.format.name(),
            tokenizer,
        }
    }
}
