//! JSON files, read and written piece by piece: annotations and results of many pictures are large.

use std::{
    fs::File,
    io::{BufReader, BufWriter, Write},
    path::Path,
};

use ocelli::Result;
use serde::{Serialize, de::DeserializeOwned};

use crate::bad_input;

/// Reads a file that must be as `expected` says.
pub fn read<T: DeserializeOwned>(path: &Path, expected: &str) -> Result<T> {
    let bad = |what: String| bad_input(format!("{}: {what}", path.display()));
    let file = File::open(path).map_err(|e| bad(e.to_string()))?;
    serde_json::from_reader(BufReader::new(file)).map_err(|e| bad(format!("expected {expected}, found: {e}")))
}

/// Writes a file.
pub fn write(path: &Path, value: &impl Serialize) -> Result<()> {
    let bad = |why: String| bad_input(format!("{}: {why}", path.display()));
    let mut file = BufWriter::new(File::create(path).map_err(|e| bad(e.to_string()))?);
    serde_json::to_writer(&mut file, value).map_err(|e| bad(e.to_string()))?;
    file.write_all(b"\n").and_then(|()| file.flush()).map_err(|e| bad(e.to_string()))
}
