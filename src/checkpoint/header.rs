//! The header of a safetensors file: which tensor lies where. What describes the tensors of other files is brought into the same form.
//!
//! Judged here and not by the `safetensors` crate, which counts bytes and bits in `usize`: on wasm32 a tensor of half a gigabyte, such as
//! SigLIP 2's token table, and a file of 4 GiB overflow that. The rules are the crate's (`Metadata::validate`).

use std::{collections::HashMap, fmt, ops::Range};

use safetensors::Dtype;
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};

use super::{Bytes, broken};
use crate::error::Result;

/// What a file holds.
pub struct Header {
    /// The bytes that describe the tensors.
    pub described: Range<u64>,
    /// Where the tensors' bytes begin, which is where their offsets count from.
    pub data_start: u64,
    /// Length of the whole file.
    pub size: u64,
    /// How Ocelli has stored the weights, if it wrote the file: the metadata's `ocelli.format`.
    pub format: Option<String>,
    /// Whether it is a program of TorchScript, as OpenAI published its models.
    pub torchscript: bool,
    /// By name.
    tensors: Vec<(String, Info)>,
}

/// A tensor, as the header describes it: the crate's `TensorInfo` with offsets of 64 bits.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Info {
    /// Type of its numbers.
    pub dtype: Dtype,
    /// Its dimensions; none for a scalar.
    pub shape: Vec<usize>,
    /// First byte and the byte after the last, from `data_start` on.
    pub data_offsets: (u64, u64),
    /// Whether a matrix of this shape lies there by columns: PyTorch's files have such, safetensors none.
    #[serde(skip)]
    pub transposed: bool,
}

impl Header {
    /// Tensors in any order.
    ///
    /// # Errors
    /// Which name there is twice.
    pub fn sorted(
        described: Range<u64>,
        data_start: u64,
        size: u64,
        mut tensors: Vec<(String, Info)>,
    ) -> std::result::Result<Self, String> {
        tensors.sort_by(|(a, _), (b, _)| a.cmp(b));
        match tensors.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            Some(pair) => Err(format!("header: expected each tensor once, found {} twice", pair[0].0)),
            None => Ok(Self { described, data_start, size, format: None, torchscript: false, tensors }),
        }
    }

    /// A tensor by its name.
    pub fn info(&self, name: &str) -> Option<&Info> {
        let at = self.tensors.binary_search_by(|(tensor, _)| tensor.as_str().cmp(name)).ok()?;
        Some(&self.tensors[at].1)
    }

    /// The tensors' names in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.iter().map(|(name, _)| name.as_str())
    }
}

/// Longest header that is believed; real ones are under 1 MB.
const MAX_HEADER: u64 = 32 << 20;

/// What servers send in a tensor file's place, and what a clone without Git LFS has there.
pub fn placeholder(start: &[u8]) -> Option<&'static str> {
    match start {
        [b'<', ..] => Some("a web page"),
        b"version " => Some("what looks like a Git LFS pointer"),
        _ => None,
    }
}

/// How many bytes of the file `name` belong to its header, by its first eight; `size` is the file's length if it is known.
///
/// # Errors
/// [`crate::Error::BadCheckpoint`] if this cannot be the start of a safetensors file.
fn length(name: &str, start: &[u8], size: Option<u64>) -> Result<u64> {
    let broken = |what: &str| broken(name, what);
    let Ok(eight) = <[u8; 8]>::try_from(start) else {
        return Err(broken(&format!("expected a header, found {} bytes", start.len())));
    };
    if let Some(found) = placeholder(&eight) {
        return Err(broken(&format!("expected a safetensors header, found {found}")));
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
    let entries = serde_json::from_slice(&header).map_err(|e| broken(&format!("header: {e}")))?;
    let Entries { metadata, tensors } = entries;
    let format = metadata.and_then(|mut metadata| metadata.remove("ocelli.format"));
    let header = Header::sorted(0..data_start, data_start, 0, tensors).map_err(|e| broken(&e))?;
    let mut in_order: Vec<&(String, Info)> = header.tensors.iter().collect();
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
    Ok(Header { size, format, ..header })
}

/// None if they do not fit into 64 bits or do not end with a byte.
fn bytes_of(info: &Info) -> Option<u64> {
    let numbers = info.shape.iter().try_fold(1u64, |product, &n| product.checked_mul(n as u64))?;
    let bits = numbers.checked_mul(info.dtype.bitsize() as u64)?;
    (bits % 8 == 0).then_some(bits / 8)
}

/// The header's JSON. A map would keep the last of two equal names silently.
#[derive(Default)]
struct Entries {
    metadata: Option<HashMap<String, String>>,
    tensors: Vec<(String, Info)>,
}

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_map(Self::default())
    }
}

impl<'de> Visitor<'de> for Entries {
    type Value = Self;
    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object with an entry for each tensor")
    }
    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> std::result::Result<Self, A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            let named = |e: A::Error| A::Error::custom(format!("{name}: {e}"));
            if name == "__metadata__" {
                if self.metadata.replace(map.next_value().map_err(named)?).is_some() {
                    return Err(A::Error::custom("expected __metadata__ once, found it twice"));
                }
            } else {
                let info = map.next_value().map_err(named)?;
                self.tensors.push((name, info));
            }
        }
        Ok(self)
    }
}
