//! A checkpoint in a folder.

use std::{
    cell::RefCell,
    io::{Read, Seek, SeekFrom},
    path::Path,
};

use super::{Bytes, Checkpoint, FILES, INDEX, shards, verify};
use crate::error::{Error, Result};

impl Checkpoint {
    /// Opens a folder.
    ///
    /// # Errors
    /// As [`Checkpoint::new`], [`Error::NotFound`] that names the missing file, and where there is a manifest, as
    /// [`verify::folder`].
    pub fn open(folder: &Path) -> Result<Self> {
        let [a, b, c, d, weights] = FILES;
        let read = |name: &str| {
            std::fs::read(folder.join(name)).map_err(|e| {
                Error::NotFound(format!(
                    "{}: {e}: expected a Hugging Face folder with {}",
                    folder.join(name).display(),
                    FILES.join(", ")
                ))
            })
        };
        let config = read(a)?;
        let manifest = verify::folder(folder, &config)?;
        let json = [config, read(b)?, read(c)?, read(d)?];
        let whole = vec![weights.into()];
        // The whole file wins if both are there, as in transformers; if neither is, it is the one that people know.
        let names = if folder.join(weights).exists() {
            whole
        } else {
            std::fs::read(folder.join(INDEX)).map_or(Ok(whole), |index| shards(&index))?
        };
        if let Some(manifest) = manifest {
            names.iter().try_for_each(|name| manifest.facts(name).map(drop))?;
        }
        let file = |name: String| -> Result<(String, Box<dyn Bytes>)> {
            let file = File::open(&folder.join(&name))?;
            Ok((name, Box::new(file)))
        };
        Self::sharded(json, names.into_iter().map(file).collect::<Result<_>>()?)
    }
}

struct File {
    file: RefCell<std::fs::File>,
    size: u64,
}

impl File {
    fn open(path: &Path) -> Result<Self> {
        let failed = |e| Error::NotFound(format!("{}: {e}", path.display()));
        let file = std::fs::File::open(path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        Ok(Self { file: RefCell::new(file), size })
    }
}

impl Bytes for File {
    fn size(&self) -> u64 {
        self.size
    }
    fn read(&self, offset: u64, into: &mut [u8]) -> std::result::Result<(), String> {
        let mut file = self.file.borrow_mut();
        file.seek(SeekFrom::Start(offset)).and_then(|_| file.read_exact(into)).map_err(|e| e.to_string())
    }
}
