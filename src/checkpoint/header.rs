//! The header of a safetensors file: which tensor lies where.

use std::{collections::HashSet, fmt};

use safetensors::tensor::Metadata;
use serde::{
    Deserialize,
    de::{IgnoredAny, MapAccess, Visitor},
};

use super::{Bytes, broken};
use crate::error::Result;

/// Longest header that is believed; real ones are under 1 MB.
const MAX_HEADER: u64 = 32 << 20;

/// How many bytes of the file `name` belong to its header, by its first eight; `size` is the file's length if it is known.
///
/// # Errors
/// [`crate::Error::BadCheckpoint`] if this cannot be the start of a safetensors file.
pub fn length(name: &str, start: &[u8], size: Option<u64>) -> Result<u64> {
    let broken = |what: &str| broken(name, what);
    let Ok(eight) = <[u8; 8]>::try_from(start) else {
        return Err(broken(&format!("expected a header, found {} bytes", start.len())));
    };
    // What servers send in a file's place, and what a clone without Git LFS has there.
    if eight.starts_with(b"<") {
        return Err(broken("expected a safetensors header, found a web page"));
    }
    if &eight == b"version " {
        return Err(broken("expected a safetensors header, found what looks like a Git LFS pointer"));
    }
    let length = u64::from_le_bytes(eight);
    let most = size.map_or(MAX_HEADER, |size| MAX_HEADER.min(size.saturating_sub(8)));
    if length > most {
        return Err(broken(&format!("expected a header of at most {most} bytes, found one of {length}")));
    }
    Ok(8 + length)
}

/// The header, and where the data start.
pub fn read(file: &str, bytes: &dyn Bytes) -> Result<(Metadata, u64)> {
    let broken = |what: &str| broken(file, what);
    let mut start = vec![0; bytes.size().unwrap_or(8).min(8) as usize];
    bytes.read(0, &mut start).map_err(|e| broken(&e))?;
    let length = length(file, &start, bytes.size())? - 8;
    let mut header = vec![0; length as usize];
    bytes.read(8, &mut header).map_err(|e| broken(&e))?;
    let json = |e: serde_json::Error| broken(&format!("header: {e}"));
    let names: Names = serde_json::from_slice(&header).map_err(json)?;
    let mut seen = HashSet::new();
    if let Some(twice) = names.0.iter().find(|name| !seen.insert(*name)) {
        return Err(broken(&format!("header: expected each tensor once, found {twice} twice")));
    }
    let metadata: Metadata = serde_json::from_slice(&header).map_err(json)?;
    let expected = 8 + length + metadata.data_len() as u64;
    if let Some(size) = bytes.size().filter(|&size| size != expected) {
        return Err(broken(&format!("expected {expected} bytes, found {size}")));
    }
    Ok((metadata, 8 + length))
}

/// The keys of the header as written, duplicates included: a JSON map would keep the last of them silently.
struct Names(Vec<String>);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = Names;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Names, A::Error> {
                let mut names = Vec::new();
                while let Some((name, IgnoredAny)) = map.next_entry()? {
                    names.push(name);
                }
                Ok(Names(names))
            }
        }
        deserializer.deserialize_map(Keys)
    }
}
