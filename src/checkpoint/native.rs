//! A checkpoint in a folder.

use std::{
    cell::RefCell,
    io::{Read, Seek, SeekFrom},
    path::Path,
};

use super::{Bytes, Checkpoint, FILES, INDEX, OPEN_CLIP_FILES, shards};
use crate::error::{Error, Result};

impl Checkpoint {
    /// Opens a folder.
    ///
    /// # Errors
    /// As [`Checkpoint::new`], and [`Error::NotFound`] that names the missing file.
    pub fn open(folder: &Path) -> Result<Self> {
        if !folder.join(FILES[0]).exists() && folder.join(OPEN_CLIP_FILES[0]).exists() {
            return Self::open_clip_folder(folder);
        }
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
        let json = [read(a)?, read(b)?, read(c)?, read(d)?];
        let whole = vec![weights.into()];
        // The whole file wins if both are there, as in transformers; if neither is, it is the one that people know.
        let names = if folder.join(weights).exists() {
            whole
        } else {
            std::fs::read(folder.join(INDEX)).map_or(Ok(whole), |index| shards(&index))?
        };
        let file = |name: String| -> Result<(String, Box<dyn Bytes>)> {
            let file = File::open(&folder.join(&name))?;
            Ok((name, Box::new(file)))
        };
        Self::sharded(json, names.into_iter().map(file).collect::<Result<_>>()?)
    }

    /// A folder in open_clip's own format.
    fn open_clip_folder(folder: &Path) -> Result<Self> {
        let [config, tokenizer_config, tokenizer, weights] = OPEN_CLIP_FILES.map(|name| folder.join(name));
        let read = |path: &Path| {
            std::fs::read(path).map_err(|e| {
                Error::NotFound(format!(
                    "{}: {e}: expected a folder of open_clip with {}",
                    path.display(),
                    OPEN_CLIP_FILES.join(", ")
                ))
            })
        };
        let tokenizer_config = if tokenizer_config.exists() { read(&tokenizer_config)? } else { b"{}".to_vec() };
        let json = [read(&config)?, tokenizer_config, read(&tokenizer)?];
        Self::open_clip(json, vec![(OPEN_CLIP_FILES[3].into(), Box::new(File::open(&weights)?))])
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
