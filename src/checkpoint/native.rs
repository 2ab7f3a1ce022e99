//! A checkpoint in a folder on disk.

use std::{
    cell::RefCell,
    io::{ErrorKind, Read, Seek, SeekFrom},
    path::Path,
};

use super::{Answer, Bytes, Checkpoint, Folder, Want};
use crate::{
    config::Towers,
    error::{Error, Result},
};

impl Checkpoint {
    /// Opens a folder.
    ///
    /// # Errors
    /// As [`Folder::wanted`] and [`Folder::open`].
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_towers(path, Towers::Both)
    }

    /// Opens a folder for some of its towers: what only the others need may be missing.
    ///
    /// # Errors
    /// As [`Folder::wanted`] and [`Folder::open`].
    pub fn open_towers(path: &Path, towers: Towers) -> Result<Self> {
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
}

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
