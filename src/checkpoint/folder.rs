//! Which files a model folder consists of. A disk and a web server are asked the same questions, by whoever can ask them:
//! [`Folder::wanted`] says what to fetch next, [`Folder::put`] takes the answers, until nothing more is wanted.

use std::collections::BTreeMap;

use super::{
    Bytes, Checkpoint,
    manifest::{Hash, MANIFEST, Manifest},
    others::{MODULES, model_folder},
};
use crate::{
    config::{Config, JsonFiles, TokenizerFiles, Towers},
    error::{Error, Result},
};

/// A file to fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Want {
    /// A file to be read as a whole, by name.
    Whole(String),
    /// A tensor file, by name; only its header is needed at this point.
    Tensors(String),
}

impl Want {
    /// The file's name in the folder.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Whole(name) | Self::Tensors(name) => name,
        }
    }
}

/// What was found for a [`Want`].
pub enum Answer {
    /// The content of a whole file.
    Whole(Vec<u8>),
    /// A tensor file: only its header is read at first.
    Tensors(Box<dyn Bytes>),
    /// There is no such file; the reason, such as "HTTP 404".
    Missing(String),
}

/// A folder as far as it has been read: which files are known, and which are wanted next (`wanted.rs`).
pub struct Folder {
    pub(super) label: String,
    /// The towers that the caller asks for.
    pub(super) asked: Towers,
    /// Whether the caller encodes texts and so needs the tokenizer's files.
    pub(super) tokenizer: bool,
    /// The folder in this one that holds the model, with its slash; empty for this one itself.
    pub(super) inner: String,
    /// The answer for each file that was wanted, by name.
    pub(super) answers: BTreeMap<String, Answer>,
    pub(super) manifest: Option<Manifest>,
}

/// The usual files of a folder; the tensor file is last.
pub const FILES: [&str; 5] = [CONFIG, PREPROCESSOR, TOKENIZER_CONFIG, TOKENIZER, TENSORS];

/// What a folder in open_clip's own format has in place of config.json and preprocessor_config.json.
pub const OPEN_CLIP_CONFIG: &str = "open_clip_config.json";

pub(super) const CONFIG: &str = "config.json";
pub(super) const PREPROCESSOR: &str = "preprocessor_config.json";
pub(super) const PROCESSOR: &str = "processor_config.json";
pub(super) const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
pub(super) const GENERATION: &str = "generation_config.json";
pub(super) const TOKENIZER: &str = "tokenizer.json";
pub(super) const TENSORS: &str = "model.safetensors";
pub(super) const OPEN_CLIP_TENSORS: &str = "open_clip_model.safetensors";

impl Checkpoint {
    /// Opens a folder that is in memory: files by name.
    ///
    /// # Errors
    /// As [`Folder::wanted`] and [`Folder::open`].
    pub fn from_files(files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Result<Self> {
        let mut files: BTreeMap<String, Vec<u8>> = files.into_iter().collect();
        Folder::new("", Towers::Both).ask(|want| {
            let bytes = files.remove(want.name());
            Ok(match (want, bytes) {
                (_, None) => Answer::Missing("none".into()),
                (Want::Whole(_), Some(bytes)) => Answer::Whole(bytes),
                (Want::Tensors(_), Some(bytes)) => Answer::Tensors(Box::new(bytes)),
            })
        })
    }
}

impl Folder {
    /// Nothing is known yet. `label` stands before file names in messages: a path or an address, with its last slash.
    #[must_use]
    pub fn new(label: &str, towers: Towers) -> Self {
        Self {
            label: label.into(),
            asked: towers,
            tokenizer: towers.text(),
            inner: String::new(),
            answers: BTreeMap::new(),
            manifest: None,
        }
    }

    /// For who gets token ids from elsewhere: the tokenizer's files are not wanted.
    #[must_use]
    pub fn without_tokenizer(self) -> Self {
        Self { tokenizer: false, ..self }
    }

    /// The folder in this one that holds the model, with its slash; empty for this one itself.
    #[must_use]
    pub fn inner(&self) -> &str {
        &self.inner
    }

    fn answer(&self, name: &str) -> Option<&Answer> {
        self.answers.get(&format!("{}{name}", self.inner))
    }

    pub(super) fn unknown(&self, name: &str) -> bool {
        self.answer(name).is_none()
    }

    pub(super) fn is_missing(&self, name: &str) -> bool {
        matches!(self.answer(name), Some(Answer::Missing(_)))
    }

    /// The content of a whole file, if it has been delivered.
    pub(super) fn whole(&self, name: &str) -> Option<&[u8]> {
        match self.answer(name) {
            Some(Answer::Whole(bytes)) => Some(bytes),
            _ => None,
        }
    }

    /// Checks that none of these files is known to be missing.
    pub(super) fn expect_all(&self, names: &[&str]) -> Result<()> {
        names.iter().try_for_each(|name| match self.answer(name) {
            Some(Answer::Missing(why)) => Err(self.missing(name, why)),
            _ => Ok(()),
        })
    }

    pub(super) fn missing(&self, name: &str, why: &str) -> Error {
        Error::NotFound(format!(
            "{}{}{name}: expected a file of a model folder, found {why}. The folder must hold config.json, \
             preprocessor_config.json or processor_config.json, tokenizer_config.json, a tokenizer (tokenizer.json, or vocab.json and \
             merges.txt, or spiece.model or tokenizer.model), and model.safetensors or pytorch_model.bin or their shards; or be in \
             open_clip's format, with open_clip_config.json and open_clip_model.safetensors or open_clip_pytorch_model.bin.",
            self.label, self.inner
        ))
    }

    /// The answer to one of [`Folder::wanted`].
    ///
    /// # Errors
    /// [`Error::BadCheckpoint`] if the manifest has it otherwise, or is none itself, nor names a folder.
    pub fn put(&mut self, name: &str, answer: Answer) -> Result<()> {
        if let Answer::Whole(bytes) = &answer {
            let plain = name.strip_prefix(&self.inner).unwrap_or(name);
            match &self.manifest {
                Some(manifest) => manifest.check(plain, bytes)?,
                None if plain == MANIFEST => {
                    let manifest = Manifest::parse(bytes)?;
                    for (name, answer) in &self.answers {
                        if let (Some(name), Answer::Whole(bytes)) = (name.strip_prefix(&self.inner), answer) {
                            manifest.check(name, bytes)?;
                        }
                    }
                    self.manifest = Some(manifest);
                }
                None if name == MODULES => self.inner = model_folder(bytes)?,
                None => {}
            }
        }
        self.answers.insert(name.into(), answer);
        Ok(())
    }

    /// Asks for one file after the other, and opens the checkpoint.
    ///
    /// # Errors
    /// What `ask` says, and as [`Folder::wanted`] and [`Folder::open`].
    pub fn ask(mut self, mut ask: impl FnMut(&Want) -> Result<Answer>) -> Result<Checkpoint> {
        loop {
            let wanted = self.wanted()?;
            if wanted.is_empty() {
                return self.open();
            }
            for want in wanted {
                let answer = ask(&want)?;
                self.put(want.name(), answer)?;
            }
        }
    }

    /// The checkpoint, once nothing more is wanted.
    ///
    /// # Errors
    /// [`Error::BadCheckpoint`] or [`Error::WrongModel`], with the file's name and what was found there.
    pub fn open(mut self) -> Result<Checkpoint> {
        let (config, tokenizer) = self.described()?;
        let (open_clip, towers) = (self.open_clip(), self.towers());
        let listed = |name: &str| {
            let name = name.strip_prefix(&self.inner).unwrap_or(name);
            self.manifest.as_ref().and_then(|manifest| manifest.files.get(name)).cloned()
        };
        let mut tensors = Vec::new();
        for (name, answer) in &mut self.answers {
            if let Answer::Tensors(bytes) = answer {
                let bytes: Box<dyn Bytes> = std::mem::replace(bytes, Box::new(Vec::new()));
                tensors.push((name.clone(), bytes, listed(name)));
            }
        }
        let mut checkpoint = Checkpoint::new(config, tokenizer, tensors, open_clip)?;
        checkpoint.towers = towers;
        checkpoint.hash = self.hash(&checkpoint)?;
        let json = JSON.iter().filter_map(|name| Some((name.to_string(), self.whole(name)?.to_vec())));
        checkpoint.json = json.collect();
        Ok(checkpoint)
    }

    /// Over the manifest, which has the hashes of all files; without one, over what is here whichever tower is loaded: what
    /// describes the model, and the headers of its tensor files.
    fn hash(&self, checkpoint: &Checkpoint) -> Result<Hash> {
        let mut hash = Hash::default();
        if let Some(manifest) = self.whole(MANIFEST) {
            hash.update(manifest);
            return Ok(hash);
        }
        for name in JSON {
            self.whole(name).into_iter().for_each(|bytes| hash.update(bytes));
        }
        for (at, file) in checkpoint.files.iter().enumerate() {
            hash.update(&checkpoint.read(at, file.header.described.clone())?);
        }
        Ok(hash)
    }

    /// What is not in tensor files, once none but these are wanted. The tokenizer's files are handed out, and are not here after.
    ///
    /// # Errors
    /// As [`Folder::open`].
    pub fn described(&mut self) -> Result<(Config, TokenizerFiles)> {
        let config = if self.open_clip() {
            let tokenizer_config = self.whole(TOKENIZER_CONFIG).unwrap_or(b"{}");
            Config::parse_open_clip(self.file(OPEN_CLIP_CONFIG)?, tokenizer_config)?
        } else {
            Config::from_files(&JsonFiles {
                config: self.file(CONFIG)?,
                preprocessor: self.whole(PREPROCESSOR),
                processor: self.whole(PROCESSOR),
                tokenizer_config: self.whole(TOKENIZER_CONFIG),
                generation: self.whole(GENERATION),
            })?
        };
        let inner = self.inner.clone();
        let tokenizer = match self.tokenizer && self.towers().text() {
            true => TokenizerFiles::choose(|name| match self.answers.remove(&format!("{inner}{name}")) {
                Some(Answer::Whole(bytes)) => Some(bytes),
                _ => None,
            })
            .ok_or_else(|| self.missing(TOKENIZER, "none"))?,
            false => TokenizerFiles::None,
        };
        Ok((config, tokenizer))
    }

    fn file(&self, name: &str) -> Result<&[u8]> {
        self.whole(name).ok_or_else(|| self.missing(name, "none"))
    }
}

/// The files that describe the model.
const JSON: [&str; 6] = [CONFIG, OPEN_CLIP_CONFIG, PREPROCESSOR, PROCESSOR, TOKENIZER_CONFIG, GENERATION];
