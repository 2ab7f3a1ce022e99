//! The header of a safetensors file: which tensor lies where.
//!
//! Parsed here and not by the `safetensors` crate, which counts bits in `usize`: on wasm32 a tensor of half a gigabyte, such as
//! SigLIP 2's token table, overflows that. The rules are the crate's (`Metadata::validate`), and the types are its own.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
};

use safetensors::Dtype;
use serde::{
    Deserialize,
    de::{Error as _, MapAccess, Visitor},
};

use super::{Bytes, broken};
use crate::error::Result;

/// What a file holds.
pub struct Header {
    /// Where the tensors' bytes begin.
    pub data_start: u64,
    /// Length of the whole file.
    pub size: u64,
    /// What the writer said about the file.
    pub metadata: HashMap<String, String>,
    tensors: BTreeMap<String, Info>,
}

/// A tensor, as the header describes it. Whatever else an entry holds is refused and not built up in memory.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Info {
    /// Type of its numbers.
    pub dtype: Dtype,
    /// Its dimensions; none for a scalar.
    pub shape: Vec<usize>,
    /// First byte and the byte after the last, from `data_start` on.
    pub data_offsets: (u64, u64),
}

impl Header {
    /// A tensor by its name.
    pub fn info(&self, name: &str) -> Option<&Info> {
        self.tensors.get(name)
    }

    /// The tensors' names in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }
}

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

/// Reads the header of the file `name`.
///
/// # Errors
/// [`crate::Error::BadCheckpoint`] if the header is not one, or if its tensors do not lie end to end and fill the file.
pub fn read(name: &str, bytes: &dyn Bytes) -> Result<Header> {
    let broken = |what: &str| broken(name, what);
    let mut start = vec![0; bytes.size().unwrap_or(8).min(8) as usize];
    bytes.read(0, &mut start).map_err(|e| broken(&e))?;
    let data_start = length(name, &start, bytes.size())?;
    let mut header = vec![0; data_start as usize - 8];
    bytes.read(8, &mut header).map_err(|e| broken(&e))?;
    let Entries { metadata, tensors } = serde_json::from_slice(&header).map_err(|e| broken(&format!("header: {e}")))?;
    let mut in_order: Vec<(&String, &Info)> = tensors.iter().collect();
    in_order.sort_by_key(|(_, info)| info.data_offsets);
    let mut end = 0;
    for (tensor, info) in in_order {
        let (from, to) = info.data_offsets;
        if from != end || to < from {
            let why = format!("header: {tensor}: expected its bytes from {end} on, found {from} to {to}");
            return Err(broken(&why));
        }
        let expected = bytes_of(info).ok_or_else(|| {
            broken(&format!(
                "header: {tensor}: expected a shape of whole bytes, found {:?} of {:?}",
                info.shape, info.dtype
            ))
        })?;
        if to - from != expected {
            return Err(broken(&format!(
                "header: {tensor}: expected {expected} bytes for {:?} of {:?}, found {}",
                info.shape,
                info.dtype,
                to - from
            )));
        }
        end = to;
    }
    let size = data_start + end;
    if let Some(found) = bytes.size().filter(|&found| found != size) {
        return Err(broken(&format!("expected {size} bytes, found {found}")));
    }
    Ok(Header { data_start, size, metadata, tensors })
}

/// None if they do not fit into 64 bits or do not end with a byte.
fn bytes_of(info: &Info) -> Option<u64> {
    let numbers = info.shape.iter().try_fold(1u64, |product, &n| product.checked_mul(n as u64))?;
    let bits = numbers.checked_mul(info.dtype.bitsize() as u64)?;
    (bits % 8 == 0).then_some(bits / 8)
}

/// The header's JSON. A map would keep the last of two equal names silently.
struct Entries {
    metadata: HashMap<String, String>,
    tensors: BTreeMap<String, Info>,
}

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
            type Value = Entries;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Entries, A::Error> {
                let (mut metadata, mut tensors) = (None, BTreeMap::new());
                while let Some(name) = map.next_key::<String>()? {
                    let twice = if name == "__metadata__" {
                        metadata.replace(map.next_value()?).is_some()
                    } else {
                        tensors.insert(name.clone(), map.next_value()?).is_some()
                    };
                    if twice {
                        return Err(A::Error::custom(format!("expected each tensor once, found {name} twice")));
                    }
                }
                Ok(Entries { metadata: metadata.unwrap_or_default(), tensors })
            }
        }
        deserializer.deserialize_map(Visit)
    }
}
