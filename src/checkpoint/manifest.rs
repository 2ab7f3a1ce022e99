//! `manifest.json`: size and SHA-256 of every other file of a folder that `ocelli quantize` wrote, so that a broken
//! download is told from a sound one. `config.json` says that there is one, so that folders from elsewhere are not asked
//! for a file that they lack. Parsing is pure; who reads the files hashes them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::plain_name;
use crate::error::{Error, Result};

/// What Ocelli calls the file that it writes.
pub const MANIFEST: &str = "manifest.json";

/// The key of `config.json` that names the manifest: `"ocelli": { "manifest": "manifest.json" }`. transformers passes it
/// over.
pub const KEY: &str = "ocelli";

/// What this build reads and writes.
pub const VERSION: u32 = 1;

/// What the files of a folder must be. Fields that this version does not know are passed over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`VERSION`]
    pub version: u32,
    /// How the weights are stored: "f16", "q8", "q4".
    pub format: String,
    /// Every file of the folder but the manifest, by name.
    pub files: BTreeMap<String, Facts>,
}

/// What one file must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Bytes.
    pub size: u64,
    /// SHA-256 of its bytes: 64 hexadecimal digits in lower case.
    pub sha256: String,
}

/// The manifest's name, if this `config.json` names one.
///
/// # Errors
/// [`Error::BadCheckpoint`] if it is no JSON, or the name lies outside the folder.
pub fn named_by(config: &[u8]) -> Result<Option<String>> {
    #[derive(Deserialize)]
    struct Config {
        ocelli: Option<Ours>,
    }
    #[derive(Deserialize)]
    struct Ours {
        manifest: Option<String>,
    }
    let bad = |what: String| Error::BadCheckpoint(format!("config.json: {what}"));
    let config: Config = serde_json::from_slice(config).map_err(|e| bad(e.to_string()))?;
    match config.ocelli.and_then(|ours| ours.manifest) {
        Some(name) if !(plain_name(&name) && name.ends_with(".json")) => {
            Err(bad(format!("{KEY}.manifest: expected a plain name that ends in .json, found {name:?}")))
        }
        name => Ok(name),
    }
}

impl Manifest {
    /// Reads a manifest; `name` is its file's.
    ///
    /// # Errors
    /// [`Error::BadCheckpoint`] if it is no manifest, of a later version, or names a file outside its folder.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self> {
        let bad = |what: String| Error::BadCheckpoint(format!("{name}: {what}"));
        // The version first: whatever else a later one changes, this sentence must come out.
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let Version { version } =
            serde_json::from_slice(bytes).map_err(|e| bad(format!("expected a manifest: {e}")))?;
        if version != VERSION {
            return Err(bad(format!("expected version {VERSION}, found {version}: use a later version of Ocelli")));
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(|e| bad(format!("expected a manifest: {e}")))?;
        for (file, facts) in &manifest.files {
            if !plain_name(file) {
                return Err(bad(format!("files: expected plain names, found {file:?}")));
            }
            let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
            if facts.sha256.len() != 64 || !facts.sha256.chars().all(hex) {
                return Err(bad(format!("files: {file}: expected a SHA-256 of 64 digits, found {:?}", facts.sha256)));
            }
        }
        Ok(manifest)
    }

    /// What a file must be: a file that is used and not listed could be anything.
    ///
    /// # Errors
    /// [`Error::BadCheckpoint`] that names a file which is not listed.
    pub fn facts(&self, file: &str) -> Result<&Facts> {
        self.files.get(file).ok_or_else(|| {
            Error::BadCheckpoint(format!(
                "{file}: expected a file that the manifest lists, found it missing there: fetch the folder again"
            ))
        })
    }
}

impl Facts {
    /// Compares what a file is with what it must be.
    ///
    /// # Errors
    /// [`Error::BadCheckpoint`] with what was expected and found.
    pub fn check(&self, file: &str, found: &Self) -> Result<()> {
        let (expected, found) = match (self.size == found.size, self.sha256 == found.sha256) {
            (true, true) => return Ok(()),
            (false, _) => (format!("{} bytes", self.size), found.size.to_string()),
            (true, false) => (format!("the SHA-256 {}", self.sha256), found.sha256.clone()),
        };
        Err(Error::BadCheckpoint(format!(
            "{file}: expected {expected}, found {found}: the file is broken or was changed: fetch it again"
        )))
    }
}
