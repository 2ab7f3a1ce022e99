//! A checkpoint in a folder on disk, or in a single file that OpenAI published.

use std::{
    cell::RefCell,
    io::{ErrorKind, Read, Seek, SeekFrom},
    path::Path,
};

use flate2::read::GzDecoder;

use super::{Answer, Bytes, Checkpoint, Folder, Want, pytorch};
use crate::{
    config::{Config, TokenizerFiles, Towers},
    error::{Error, Result},
};

impl Checkpoint {
    /// Opens a folder, or OpenAI's own file (`ViT-B-32.pt`) with a tokenizer beside it.
    ///
    /// # Errors
    /// As [`Folder::wanted`] and [`Folder::open`]; [`Error::WrongModel`] for another file than OpenAI's.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_towers(path, Towers::Both)
    }

    /// Opens a folder for some of its towers: what only the others need may be missing.
    ///
    /// # Errors
    /// As [`Checkpoint::open`].
    pub fn open_towers(path: &Path, towers: Towers) -> Result<Self> {
        if path.is_file() {
            return Self::open_openai(path, towers);
        }
        let folder = Folder::new(&path.join("").display().to_string(), towers);
        folder.ask(|want| {
            let path = path.join(want.name());
            let answer = match want {
                Want::Whole(_) => std::fs::read(&path).map(Answer::Whole),
                Want::Tensors(_) => File::open(&path).map(|file| Answer::Tensors(Box::new(file))),
            };
            match answer {
                Err(e) if e.kind() == ErrorKind::NotFound => Ok(Answer::Missing("none".into())),
                answer => answer.map_err(|e| Error::NotFound(format!("{}: {e}", path.display()))),
            }
        })
    }

    fn open_openai(path: &Path, towers: Towers) -> Result<Self> {
        let name = path.display().to_string();
        let failed = |e: std::io::Error| Error::NotFound(format!("{name}: {e}"));
        let file = File::open(path).map_err(failed)?;
        let header = pytorch::read(&name, &file)?;
        if !header.torchscript {
            return Err(Error::WrongModel(format!(
                "{name}: expected a model folder, or a model as OpenAI published it, found tensors alone, which do not say what \
                 model they are of: put the file into a folder, as open_clip_pytorch_model.bin beside open_clip_config.json, or \
                 as pytorch_model.bin beside config.json, with the model's other files"
            )));
        }
        let config = Config::of_openai(&name, &|tensor| header.info(tensor).map(|info| info.shape.as_slice()))?;
        let beside = |name: &str| std::fs::read(path.with_file_name(name)).ok();
        let tokenizer = TokenizerFiles::choose(beside).map(Ok).or_else(|| {
            let mut text = String::new();
            let unpacked = GzDecoder::new(beside(BPE)?.as_slice()).take(MOST_TEXT).read_to_string(&mut text);
            let broken = |e| Error::BadCheckpoint(format!("{BPE}: expected text in the gzip format: {e}"));
            Some(unpacked.map_err(broken).map(|_| TokenizerFiles::of_openai(&text, config.text.vocab)))
        });
        let tokenizer = tokenizer.unwrap_or_else(|| match towers.text() {
            false => Ok(TokenizerFiles::None),
            true => Err(Error::NotFound(format!(
                "{name}: expected CLIP's tokenizer beside it, found none: put {BPE} there, from OpenAI's repository CLIP, or \
                 tokenizer.json, or vocab.json and merges.txt, from any CLIP of OpenAI's on the Hugging Face hub"
            ))),
        })?;
        let mut checkpoint = Self::new(config, tokenizer, vec![(name, Box::new(file), None)], true)?;
        checkpoint.towers = towers;
        Ok(checkpoint)
    }
}

/// CLIP's tokenizer as OpenAI published it.
const BPE: &str = "bpe_simple_vocab_16e6.txt.gz";
/// Longest text that is believed; CLIP's has 3 MB.
const MOST_TEXT: u64 = 64 << 20;

struct File {
    file: RefCell<std::fs::File>,
    size: u64,
}

impl File {
    fn open(path: &Path) -> std::io::Result<Self> {
        let file = std::fs::File::open(path)?;
        let size = file.metadata()?.len();
        Ok(Self { file: RefCell::new(file), size })
    }
}

impl Bytes for File {
    fn size(&self) -> Option<u64> {
        Some(self.size)
    }
    fn read(&self, offset: u64, into: &mut [u8]) -> std::result::Result<(), String> {
        let mut file = self.file.borrow_mut();
        file.seek(SeekFrom::Start(offset)).and_then(|_| file.read_exact(into)).map_err(|e| e.to_string())
    }
}
