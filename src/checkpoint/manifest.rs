//! `manifest.json` of a folder that `ocelli quantize` wrote: what it consists of, so that nothing has to be tried, nothing that
//! is not needed is touched, and nothing that was damaged or exchanged on its way is believed.

use std::{collections::BTreeMap, fmt::Write};

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::{
    config::Towers,
    error::{Error, Result},
    json::Object,
};

/// Name of the manifest in its folder.
pub const MANIFEST: &str = "manifest.json";
/// The key of config.json that says that there is a manifest; transformers ignores it.
pub const KEY: &str = "ocelli_manifest";
/// Version of the manifest's format.
const VERSION: u32 = 1;

/// The content of `manifest.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Manifest {
    version: u32,
    /// How the weights are stored: f16, q8, q4.
    pub format: String,
    /// Every other file of the folder, by name.
    pub files: BTreeMap<String, File>,
}

/// A file of the folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct File {
    /// Size in bytes.
    pub size: u64,
    /// SHA-256 of the content, in lowercase hexadecimal.
    pub sha256: String,
    /// The tower that needs the file; both, if the manifest does not say.
    #[serde(skip_serializing_if = "is_both")]
    pub tower: Towers,
}

fn is_both(tower: &Towers) -> bool {
    *tower == Towers::Both
}

impl Manifest {
    /// An empty manifest for weights of this format.
    #[must_use]
    pub fn new(format: &str) -> Self {
        Self { version: VERSION, format: format.into(), files: BTreeMap::new() }
    }

    /// Reads the file.
    ///
    /// # Errors
    /// [`Error::BadCheckpoint`] if it is not what is expected, or names a file outside of its folder.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        Self::read(bytes).map_err(|e| Error::BadCheckpoint(format!("{e}: fetch the folder again")))
    }

    fn read(bytes: &[u8]) -> Result<Self> {
        let mut object = Object::parse(MANIFEST, bytes)?;
        let bad = |what: String| Err(Error::BadCheckpoint(format!("{MANIFEST}: {what}")));
        let version: u32 = object.need("version")?;
        if version != VERSION {
            return bad(format!("version: expected {VERSION}, found {version}"));
        }
        let format = object.need("format")?;
        let mut listed = object.need_object("files")?;
        let mut files = BTreeMap::new();
        for name in listed.keys() {
            if !super::plain(&name) {
                return bad(format!("files: expected plain names, found {name:?}"));
            }
            let mut file = listed.need_object(&name)?;
            let (size, sha256) = (file.need("size")?, file.need("sha256")?);
            files.insert(name, File { size, sha256, tower: file.take("tower")?.unwrap_or_default() });
        }
        Ok(Self { version, format, files })
    }

    /// Whether a file is as it was written; files that are not listed are not judged.
    ///
    /// # Errors
    /// [`Error::BadCheckpoint`] with what was expected and what was found.
    pub fn check(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let Some(file) = self.files.get(name) else { return Ok(()) };
        let mut hash = Hash::default();
        hash.update(bytes);
        file.check(name, &hash)
    }
}

impl File {
    /// Whether these are the bytes of this file.
    ///
    /// # Errors
    /// [`Error::BadCheckpoint`] with what was expected and what was found.
    pub fn check(&self, name: &str, hash: &Hash) -> Result<()> {
        let changed = |expected: String, found: String| {
            Error::BadCheckpoint(format!(
                "{name}: expected {expected}, as {MANIFEST} has it, found {found}: the file is broken or was changed, fetch the folder again"
            ))
        };
        if hash.length != self.size {
            return Err(changed(format!("{} bytes", self.size), hash.length.to_string()));
        }
        let found = hash.hex();
        if found != self.sha256 {
            return Err(changed(format!("SHA-256 {}", self.sha256), found));
        }
        Ok(())
    }
}

/// SHA-256 of bytes that arrive in pieces.
#[derive(Clone, Default)]
pub struct Hash {
    hasher: Sha256,
    /// Number of bytes so far.
    pub length: u64,
}

impl Hash {
    /// Adds the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.length += bytes.len() as u64;
    }

    /// The hash of all bytes, in lowercase hexadecimal.
    #[must_use]
    pub fn hex(&self) -> String {
        self.hasher.clone().finalize().iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").expect("a string takes everything");
            hex
        })
    }
}
