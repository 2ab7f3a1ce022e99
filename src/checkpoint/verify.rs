//! Files of a folder held against its manifest, as they are read from disk.

use std::{fs, io::Read, path::Path};

use sha2::{Digest, Sha256};

use super::{
    FILES,
    manifest::{Facts, Manifest, named_by},
};
use crate::error::{Error, Result};

/// Checks every file of a folder, if its `config.json` names a manifest, which is returned. Sizes come first: they cost
/// nothing, and a download that broke off is told at once.
///
/// # Errors
/// [`Error::BadCheckpoint`] that names the file which is not what it must be, [`Error::NotFound`] for a missing one.
pub fn folder(folder: &Path, config: &[u8]) -> Result<Option<Manifest>> {
    let Some(name) = named_by(config)? else { return Ok(None) };
    let missing = |name: &str, e: std::io::Error, by: &str| {
        Error::NotFound(format!("{}: {e}: {by} names it: fetch the folder again", folder.join(name).display()))
    };
    let bytes = fs::read(folder.join(&name)).map_err(|e| missing(&name, e, FILES[0]))?;
    let manifest = Manifest::parse(&name, &bytes)?;
    for file in &FILES[..4] {
        manifest.facts(file)?;
    }
    for (file, facts) in &manifest.files {
        let size = fs::metadata(folder.join(file)).map_err(|e| missing(file, e, &name))?.len();
        facts.check(file, &Facts { size, sha256: facts.sha256.clone() })?;
    }
    for (file, facts) in &manifest.files {
        facts.check(file, &of(&folder.join(file)).map_err(|e| missing(file, e, &name))?)?;
    }
    Ok(Some(manifest))
}

/// What a file is.
pub fn of(path: &Path) -> std::io::Result<Facts> {
    let mut file = fs::File::open(path)?;
    let (mut hash, mut size, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 20]);
    loop {
        let bytes = file.read(&mut buffer)?;
        if bytes == 0 {
            break;
        }
        hash.update(&buffer[..bytes]);
        size += bytes as u64;
    }
    let sha256 = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Facts { size, sha256 })
}
