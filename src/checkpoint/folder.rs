//! Which files a model folder consists of. A disk and a web server are asked the same questions, by whoever can ask them:
//! [`Folder::wanted`] says what to fetch next, [`Folder::put`] takes the answers, until nothing more is wanted.

use std::collections::BTreeMap;

use super::{
    Bytes, Checkpoint, INDEX, PYTORCH_INDEX, is_safetensors,
    manifest::{Hash, KEY, MANIFEST, Manifest},
    shards,
};
use crate::{
    config::{Config, TOKENIZER_FILES, TokenizerFiles, Towers},
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

/// A folder as far as it has been read: which files are known, and which are wanted next.
pub struct Folder {
    label: String,
    towers: Towers,
    /// Whether the caller encodes texts and so needs the tokenizer's files.
    tokenizer: bool,
    /// The answer for each file that was wanted, by name.
    answers: BTreeMap<String, Answer>,
    manifest: Option<Manifest>,
}

/// The usual files of a folder; the tensor file is last.
pub const FILES: [&str; 5] = [CONFIG, PREPROCESSOR, TOKENIZER_CONFIG, TOKENIZER, TENSORS];

/// What a folder in open_clip's own format has in place of config.json and preprocessor_config.json.
pub const OPEN_CLIP_CONFIG: &str = "open_clip_config.json";

const CONFIG: &str = "config.json";
const PREPROCESSOR: &str = "preprocessor_config.json";
const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
const TOKENIZER: &str = "tokenizer.json";
const TENSORS: &str = "model.safetensors";
const OPEN_CLIP_TENSORS: &str = "open_clip_model.safetensors";

/// The tensor files of a folder in the order in which they are looked for, with the index that names their shards: safetensors
/// before PyTorch's own.
const TENSOR_FILES: [(&str, Option<&str>); 2] = [(TENSORS, Some(INDEX)), ("pytorch_model.bin", Some(PYTORCH_INDEX))];
/// The same in open_clip's format.
const OPEN_CLIP_TENSOR_FILES: [(&str, Option<&str>); 2] =
    [(OPEN_CLIP_TENSORS, None), ("open_clip_pytorch_model.bin", None)];

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
        Self { label: label.into(), towers, tokenizer: towers.text(), answers: BTreeMap::new(), manifest: None }
    }

    /// The towers that are loaded.
    #[must_use]
    pub fn towers(&self) -> Towers {
        self.towers
    }

    /// For who gets token ids from elsewhere: the tokenizer's files are not wanted.
    #[must_use]
    pub fn without_tokenizer(self) -> Self {
        Self { tokenizer: false, ..self }
    }

    /// The files to fetch next, side by side; none when all are here.
    ///
    /// # Errors
    /// [`Error::NotFound`] if a file is missing that the folder must have; [`Error::BadCheckpoint`] if what is here does not
    /// say what else is needed.
    pub fn wanted(&self) -> Result<Vec<Want>> {
        if self.unknown(CONFIG) {
            return Ok(vec![Want::Whole(CONFIG.into())]);
        }
        if self.open_clip() {
            if self.unknown(OPEN_CLIP_CONFIG) {
                return Ok(vec![Want::Whole(OPEN_CLIP_CONFIG.into())]);
            }
            if self.is_missing(OPEN_CLIP_CONFIG) {
                self.expect_all(&[CONFIG])?;
            }
        }
        if let Some(config) = self.whole(CONFIG)
            && self.manifest.is_none()
            && names_a_manifest(config)
        {
            self.expect_all(&[MANIFEST])?;
            return Ok(vec![Want::Whole(MANIFEST.into())]);
        }
        let mut names = vec![if self.open_clip() { OPEN_CLIP_CONFIG } else { PREPROCESSOR }, TOKENIZER_CONFIG];
        if self.tokenizer {
            names.extend(self.tokenizer_files()?);
        }
        // Without tokenizer_config.json nothing is different from what open_clip assumes.
        let optional = |name: &&str| self.open_clip() && *name == TOKENIZER_CONFIG;
        self.expect_all(&names.iter().copied().filter(|name| !optional(name)).collect::<Vec<_>>())?;
        let mut wants: Vec<Want> = names.into_iter().map(|name| Want::Whole(name.into())).collect();
        wants.extend(self.tensor_files()?);
        wants.retain(|want| self.unknown(want.name()));
        Ok(wants)
    }

    /// The tokenizer's files: those that the manifest lists; else tokenizer.json, and where there is none all the others, of
    /// which one tokenizer must be complete.
    fn tokenizer_files(&self) -> Result<Vec<&'static str>> {
        if let Some(manifest) = &self.manifest {
            let listed = |name: &&str| manifest.files.contains_key(*name);
            return Ok(TOKENIZER_FILES.into_iter().filter(listed).collect());
        }
        if !self.is_missing(TOKENIZER) {
            return Ok(vec![TOKENIZER]);
        }
        let known = TOKENIZER_FILES.iter().all(|name| !self.unknown(name));
        let there = |name: &str| self.whole(name).map(|_| Vec::new());
        if known && TokenizerFiles::choose(there).is_none() {
            self.expect_all(&[TOKENIZER])?;
        }
        let there = |name: &&str| !self.is_missing(name);
        Ok(TOKENIZER_FILES.into_iter().filter(there).collect())
    }

    /// Whether the folder is in open_clip's own format: it has no config.json.
    fn open_clip(&self) -> bool {
        self.is_missing(CONFIG)
    }

    /// The tensor files as far as they are known, or the index that names them. The whole file wins if both are there, as in
    /// transformers; if neither is, the whole file is what is missing, for that is what people know.
    fn tensor_files(&self) -> Result<Vec<Want>> {
        if let Some(manifest) = &self.manifest {
            let theirs = |tower| tower == Towers::Both || self.towers == Towers::Both || self.towers == tower;
            let files = manifest.files.iter().filter(|(name, file)| is_safetensors(name) && theirs(file.tower));
            let names: Vec<&str> = files.map(|(name, _)| name.as_str()).collect();
            self.expect_all(&names)?;
            return Ok(names.into_iter().map(|name| Want::Tensors(name.into())).collect());
        }
        let kinds = if self.open_clip() { OPEN_CLIP_TENSOR_FILES } else { TENSOR_FILES };
        for (whole, index) in kinds {
            if !self.is_missing(whole) {
                return Ok(vec![Want::Tensors(whole.into())]);
            }
            let Some(index) = index.filter(|index| !self.is_missing(index)) else { continue };
            let Some(bytes) = self.whole(index) else { return Ok(vec![Want::Whole(index.into())]) };
            let names = shards(index, bytes)?;
            self.expect_all(&names.iter().map(String::as_str).collect::<Vec<_>>())?;
            return Ok(names.into_iter().map(Want::Tensors).collect());
        }
        self.expect_all(&[kinds[0].0])?;
        Ok(Vec::new())
    }

    fn unknown(&self, name: &str) -> bool {
        !self.answers.contains_key(name)
    }

    fn is_missing(&self, name: &str) -> bool {
        matches!(self.answers.get(name), Some(Answer::Missing(_)))
    }

    /// The content of a whole file, if it has been delivered.
    fn whole(&self, name: &str) -> Option<&[u8]> {
        match self.answers.get(name) {
            Some(Answer::Whole(bytes)) => Some(bytes),
            _ => None,
        }
    }

    /// Checks that none of these files is known to be missing.
    fn expect_all(&self, names: &[&str]) -> Result<()> {
        let missing = names.iter().find_map(|name| match self.answers.get(*name) {
            Some(Answer::Missing(why)) => Some((name, why)),
            _ => None,
        });
        match missing {
            None => Ok(()),
            Some((name, why)) => Err(Error::NotFound(format!(
                "{}{name}: expected a file of a model folder, found {why}. The folder must hold config.json, \
                 preprocessor_config.json, tokenizer_config.json, a tokenizer (tokenizer.json, or vocab.json and merges.txt, or \
                 spiece.model or tokenizer.model), and model.safetensors or pytorch_model.bin or their shards; or be in open_clip's \
                 format, with open_clip_config.json and open_clip_model.safetensors or open_clip_pytorch_model.bin.",
                self.label
            ))),
        }
    }

    /// The answer to one of [`Folder::wanted`].
    ///
    /// # Errors
    /// [`Error::BadCheckpoint`] if the manifest has it otherwise, or is none itself.
    pub fn put(&mut self, name: &str, answer: Answer) -> Result<()> {
        if let Answer::Whole(bytes) = &answer {
            match &self.manifest {
                Some(manifest) => manifest.check(name, bytes)?,
                None if name == MANIFEST => {
                    let manifest = Manifest::parse(bytes)?;
                    for (name, answer) in &self.answers {
                        if let Answer::Whole(bytes) = answer {
                            manifest.check(name, bytes)?;
                        }
                    }
                    self.manifest = Some(manifest);
                }
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
        let open_clip = self.open_clip();
        let taken = |(name, answer): (&String, &mut Answer)| match answer {
            Answer::Tensors(bytes) => Some((name.clone(), std::mem::replace(bytes, Box::new(Vec::new())))),
            _ => None,
        };
        let tensors = self.answers.iter_mut().filter_map(taken).collect();
        let mut checkpoint = Checkpoint::new(config, tokenizer, tensors, open_clip, self.manifest.as_ref())?;
        checkpoint.hash = self.hash(&checkpoint)?;
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
        for name in [CONFIG, OPEN_CLIP_CONFIG, PREPROCESSOR, TOKENIZER_CONFIG] {
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
            Config::parse(self.file(CONFIG)?, self.file(PREPROCESSOR)?, self.file(TOKENIZER_CONFIG)?)?
        };
        let tokenizer = match self.tokenizer {
            true => TokenizerFiles::choose(|name| match self.answers.remove(name) {
                Some(Answer::Whole(bytes)) => Some(bytes),
                _ => None,
            })
            .ok_or_else(|| self.none(TOKENIZER))?,
            false => TokenizerFiles::None,
        };
        Ok((config, tokenizer))
    }

    fn file(&self, name: &str) -> Result<&[u8]> {
        self.whole(name).ok_or_else(|| self.none(name))
    }

    fn none(&self, name: &str) -> Error {
        Error::NotFound(format!("{}{name}: expected a file of a model folder, found none", self.label))
    }
}

/// Whether config.json says that there is a manifest. What is no JSON has none; parsing it says the rest.
fn names_a_manifest(config: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Value>(config).is_ok_and(|config| config[KEY] == MANIFEST)
}
