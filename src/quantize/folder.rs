//! The files of a written folder: all complete under other names first, then moved to their own, the manifest last.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::{Path, PathBuf},
};

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{Unit, shards};
use crate::{
    checkpoint::{
        FILES, INDEX,
        manifest::{Facts, KEY, MANIFEST, Manifest, VERSION},
        verify,
    },
    error::{Error, Result},
    quant::Format,
};

/// A folder that is being written.
pub struct Folder<'a> {
    path: &'a Path,
    format: Format,
    /// What is complete under its name with `.partial` behind it.
    files: BTreeMap<String, Facts>,
}

impl<'a> Folder<'a> {
    pub fn new(path: &'a Path, format: Format) -> Self {
        Self { path, format, files: BTreeMap::new() }
    }

    /// Writes everything and then takes the place of what was there; returns the bytes of all tensor files.
    pub fn write(mut self, from: &Path, units: &[Unit], file_bytes: usize) -> Result<u64> {
        let written = self.fill(from, units, file_bytes).and_then(|bytes| self.replace().map(|()| bytes));
        if written.is_err() {
            // A second failure would hide the first.
            for name in self.files.keys().map(String::as_str).chain([MANIFEST]) {
                let _ = fs::remove_file(self.partial(name));
            }
        }
        written
    }

    fn fill(&mut self, from: &Path, units: &[Unit], file_bytes: usize) -> Result<u64> {
        for (name, bytes) in json_files(from)? {
            self.file(name, |path| fs::write(path, bytes).map_err(|e| failed(path, &e)))?;
        }
        let sizes: Vec<(&str, usize)> = units.iter().map(|unit| (unit.name(), unit.bytes())).collect();
        let files = shards::assign(&sizes, file_bytes);
        let (mut places, mut written) = (BTreeMap::new(), 0);
        for (at, members) in files.iter().enumerate() {
            let name = shards::file_name(at, files.len());
            let outs = || members.iter().flat_map(|&unit| &units[unit].0);
            places.extend(outs().map(|(tensor, _)| (tensor.as_str(), name.clone())));
            // One key only: the crate writes several in random order, and the same source must give the same bytes.
            let metadata = HashMap::from([("ocelli.format".to_string(), self.format.name().to_string())]);
            written += self.file(&name, |path| {
                let views = outs().map(|(tensor, out)| (tensor.as_str(), out));
                safetensors::serialize_to_file(views, Some(metadata), path).map_err(|e| failed(path, &e))
            })?;
        }
        let total: usize = units.iter().map(Unit::bytes).sum();
        let index = json_bytes(&json!({ "metadata": { "total_size": total }, "weight_map": places }));
        self.file(INDEX, |path| fs::write(path, index).map_err(|e| failed(path, &e)))?;
        Ok(written)
    }

    /// Writes a file beside its place and notes what it is; returns its bytes.
    fn file(&mut self, name: &str, write: impl FnOnce(&Path) -> Result<()>) -> Result<u64> {
        let path = self.partial(name);
        // Noted first, so that it is removed even if it cannot be finished.
        self.files.insert(name.into(), Facts { size: 0, sha256: String::new() });
        write(&path)?;
        // The crate writes through a private temporary file; users expect what any new file gets.
        let ordinary = fs::metadata(self.partial(FILES[0])).map_err(|e| failed(&path, &e))?.permissions();
        fs::set_permissions(&path, ordinary).map_err(|e| failed(&path, &e))?;
        let facts = verify::of(&path).map_err(|e| failed(&path, &e))?;
        let size = facts.size;
        self.files.insert(name.into(), facts);
        Ok(size)
    }

    /// Moves all files to their places. A folder in which this was broken off has no manifest, of which an earlier
    /// `config.json` and the new one speak alike.
    fn replace(&self) -> Result<()> {
        let manifest = Manifest { version: VERSION, format: self.format.name().into(), files: self.files.clone() };
        let partial = self.partial(MANIFEST);
        fs::write(&partial, json_bytes(&manifest)).map_err(|e| failed(&partial, &e))?;
        for entry in fs::read_dir(self.path).map_err(|e| failed(self.path, &e))?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let stale = shards::is_tensor_file(&name) && !self.files.contains_key(&name);
            if stale || name == MANIFEST {
                fs::remove_file(entry.path()).map_err(|e| failed(&entry.path(), &e))?;
            }
        }
        for name in self.files.keys().map(String::as_str).chain([MANIFEST]) {
            let place = self.path.join(name);
            fs::rename(self.partial(name), &place).map_err(|e| failed(&place, &e))?;
        }
        Ok(())
    }

    fn partial(&self, name: &str) -> PathBuf {
        self.path.join(format!("{name}.partial"))
    }
}

/// The JSON files of the source, as they are written: with the manifest named in `config.json`, otherwise as they are.
fn json_files(from: &Path) -> Result<Vec<(&'static str, Vec<u8>)>> {
    let read = |name| fs::read(from.join(name)).map_err(|e| failed(&from.join(name), &e));
    let [config, others @ .., _] = FILES;
    let mut fields: Map<String, Value> =
        serde_json::from_slice(&read(config)?).map_err(|e| failed(&from.join(config), &e))?;
    fields.insert(KEY.into(), json!({ "manifest": MANIFEST }));
    let mut files = vec![(config, json_bytes(&fields))];
    for name in others {
        files.push((name, read(name)?));
    }
    Ok(files)
}

fn json_bytes(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(value).expect("names and numbers");
    bytes.push(b'\n');
    bytes
}

fn failed(what: &Path, e: &dyn std::fmt::Display) -> Error {
    Error::BadInput(format!("{}: {e}", what.display()))
}
