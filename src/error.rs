//! The one error type: a stable code for programs, a sentence for people.

/// Everything that can go wrong, each with a sentence that says what was expected, what was found and what to do.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// A file of the checkpoint does not exist.
    #[error("{0}")]
    NotFound(String),
    /// A file is broken, or is not what its name promises.
    #[error("{0}")]
    BadCheckpoint(String),
    /// A valid checkpoint of a model that Ocelli does not run.
    #[error("{0}")]
    WrongModel(String),
    /// A picture that cannot be decoded or is out of bounds.
    #[error("{0}")]
    BadImage(String),
    /// An argument that makes no sense: no labels, an unknown score.
    #[error("{0}")]
    BadInput(String),
    /// There is no adapter, or it gives no device.
    #[error("{0}")]
    NoGpu(String),
    /// The GPU refused: it is out of memory, or there is a validation error, which is a bug of Ocelli.
    #[error("{0}")]
    Gpu(String),
    /// NaN or infinity where an embedding or a score belongs: the weights overflow f32, or the GPU computes wrongly.
    #[error("{0}")]
    NotFinite(String),
    /// A prompt that the model has no room for.
    #[error("{0}")]
    ContextFull(String),
    /// An engine that shared the work went away under it.
    #[error("{0}")]
    WorkerLost(String),
}

impl Error {
    /// The stable code that the npm package and `--json` expose.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound(_) => "not-found",
            Self::BadCheckpoint(_) => "bad-checkpoint",
            Self::WrongModel(_) => "wrong-model",
            Self::BadImage(_) => "bad-image",
            Self::BadInput(_) => "bad-input",
            Self::NoGpu(_) => "no-webgpu",
            Self::Gpu(_) => "gpu",
            Self::NotFinite(_) => "not-finite",
            Self::ContextFull(_) => "context-full",
            Self::WorkerLost(_) => "worker-lost",
        }
    }
}

/// A [`std::result::Result`] with [`enum@Error`].
pub type Result<T> = std::result::Result<T, Error>;
