//! The header of a safetensors file: which tensor lies where.

use std::{collections::HashSet, fmt};

use safetensors::tensor::Metadata;
use serde::{
    Deserialize,
    de::{Error as _, IgnoredAny, MapAccess, Visitor},
};

use super::{Bytes, broken};
use crate::error::Result;

/// Longest header that is believed; real ones are under 1 MB.
const MAX_HEADER: u64 = 32 << 20;

/// The header, and where the data start.
pub fn read(file: &str, bytes: &dyn Bytes) -> Result<(Metadata, u64)> {
    let broken = |what: &str| broken(file, what);
    if bytes.size() < 8 {
        return Err(broken(&format!("expected a header, found {} bytes", bytes.size())));
    }
    let mut length = [0; 8];
    bytes.read(0, &mut length).map_err(|e| broken(&e))?;
    let length = u64::from_le_bytes(length);
    if length > MAX_HEADER || length + 8 > bytes.size() {
        return Err(broken(&format!("expected a header that fits into {} bytes, found one of {length}", bytes.size())));
    }
    let mut header = vec![0; length as usize];
    bytes.read(8, &mut header).map_err(|e| broken(&e))?;
    let json = |e: serde_json::Error| broken(&format!("header: {e}"));
    // Before the crate, which would build a tree of whatever is there, fifty times as large as its text.
    let names: Names = serde_json::from_slice(&header).map_err(json)?;
    let mut seen = HashSet::new();
    if let Some(twice) = names.0.iter().find(|name| !seen.insert(*name)) {
        return Err(broken(&format!("header: expected each tensor once, found {twice} twice")));
    }
    let metadata: Metadata = serde_json::from_slice(&header).map_err(json)?;
    let expected = 8 + length + metadata.data_len() as u64;
    if expected != bytes.size() {
        return Err(broken(&format!("expected {expected} bytes, found {}", bytes.size())));
    }
    Ok((metadata, 8 + length))
}

/// The keys of the header as written, duplicates included: a JSON map would keep the last of them silently.
struct Names(Vec<String>);

/// What a tensor's entry may hold, and nothing else.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    #[serde(rename = "dtype")]
    _dtype: String,
    shape: Vec<u64>,
    #[serde(rename = "data_offsets")]
    _data_offsets: [u64; 2],
}

/// Most dimensions of a tensor; a patch embedding has four.
const MAX_DIMENSIONS: usize = 8;

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
                while let Some(name) = map.next_key::<String>()? {
                    if name == "__metadata__" {
                        map.next_value::<IgnoredAny>()?;
                    } else {
                        let dimensions = map.next_value::<Entry>()?.shape.len();
                        if dimensions > MAX_DIMENSIONS {
                            return Err(A::Error::custom(format_args!(
                                "{name}: shape: expected at most {MAX_DIMENSIONS} dimensions, found {dimensions}"
                            )));
                        }
                    }
                    names.push(name);
                }
                Ok(Names(names))
            }
        }
        deserializer.deserialize_map(Keys)
    }
}
