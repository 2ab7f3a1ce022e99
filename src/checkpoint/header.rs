//! The header of a safetensors file: which tensor lies where.
//!
//! Parsed here and not by the `safetensors` crate, which counts bits in `usize`: on wasm32 a tensor of half a gigabyte, such as
//! SigLIP 2's token table, overflows that. The rules are the crate's (`Metadata::validate`), and the types are its own.

use std::fmt;

use safetensors::Dtype;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor, value::StrDeserializer},
};

use super::{Bytes, broken};
use crate::error::Result;

/// What a file holds.
pub struct Header {
    /// Where the tensors' bytes begin.
    pub data_start: u64,
    /// Length of the whole file.
    pub size: u64,
    /// How Ocelli has stored the weights, if it wrote the file: the metadata's `ocelli.format`.
    pub format: Option<String>,
    /// By name.
    tensors: Vec<(String, Info)>,
}

/// A tensor, as the header describes it.
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
    let mut json = serde_json::Deserializer::from_slice(&header);
    let part = Reader::Header.deserialize(&mut json).and_then(|part| json.end().map(|()| part));
    let Part::Header { format, mut tensors } = part.map_err(|e| broken(&format!("header: {e}")))? else {
        return Err(broken("header: expected an object, found something else"));
    };
    tensors.sort_by(|(a, _), (b, _)| a.cmp(b));
    if let Some(pair) = tensors.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(broken(&format!("header: expected each tensor once, found {} twice", pair[0].0)));
    }
    let mut in_order: Vec<&(String, Info)> = tensors.iter().collect();
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
    Ok(Header { data_start, size, format, tensors })
}

/// None if they do not fit into 64 bits or do not end with a byte.
fn bytes_of(info: &Info) -> Option<u64> {
    let numbers = info.shape.iter().try_fold(1u64, |product, &n| product.checked_mul(n as u64))?;
    let bits = numbers.checked_mul(info.dtype.bitsize() as u64)?;
    (bits % 8 == 0).then_some(bits / 8)
}

/// The header's JSON, or a part of it: no trees. By hand, with a method for every kind of value: what serde derives falls back on
/// messages that print floats, and with them the browser's file is 12 kB larger. What has no place here is passed over, or refused, and not built up in memory.
enum Part {
    Header { format: Option<String>, tensors: Vec<(String, Info)> },
    Metadata { format: Option<String> },
    Tensor(Info),
    Text(String),
    Number(u64),
    Numbers(Vec<u64>),
    Other,
}

/// Which part an object is; all else is what it is.
#[derive(Clone, Copy)]
enum Reader {
    Header,
    Metadata,
    Tensor,
    Other,
}

impl<'de> DeserializeSeed<'de> for Reader {
    type Value = Part;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<Part, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader {
    type Value = Part;
    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_unit<E>(self) -> std::result::Result<Part, E> {
        Ok(Part::Other)
    }
    fn visit_bool<E>(self, _: bool) -> std::result::Result<Part, E> {
        Ok(Part::Other)
    }
    fn visit_i64<E>(self, _: i64) -> std::result::Result<Part, E> {
        Ok(Part::Other)
    }
    fn visit_f64<E>(self, _: f64) -> std::result::Result<Part, E> {
        Ok(Part::Other)
    }
    fn visit_u64<E>(self, number: u64) -> std::result::Result<Part, E> {
        Ok(Part::Number(number))
    }
    fn visit_str<E>(self, text: &str) -> std::result::Result<Part, E> {
        Ok(Part::Text(text.into()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<Part, A::Error> {
        let mut numbers = Some(Vec::<u64>::new());
        while let Some(part) = seq.next_element_seed(Self::Other)? {
            match part {
                Part::Number(number) => numbers.iter_mut().for_each(|numbers| numbers.push(number)),
                _ => numbers = None,
            }
        }
        Ok(numbers.map_or(Part::Other, Part::Numbers))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Part, A::Error> {
        match self {
            Self::Header => entries(map),
            Self::Metadata => metadata(map),
            Self::Tensor => tensor(map),
            Self::Other => {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Part::Other)
            }
        }
    }
}

/// A map would keep the last of two equal names silently.
fn entries<'de, A: MapAccess<'de>>(mut map: A) -> std::result::Result<Part, A::Error> {
    let (mut found, mut tensors) = (None, Vec::new());
    while let Some(name) = map.next_key::<String>()? {
        let about_all = name == "__metadata__";
        match map.next_value_seed(if about_all { Reader::Metadata } else { Reader::Tensor })? {
            Part::Metadata { format } if found.is_none() => found = Some(format),
            Part::Metadata { .. } => return Err(A::Error::custom("expected __metadata__ once, found it twice")),
            Part::Tensor(info) => tensors.push((name, info)),
            _ => return Err(A::Error::custom(format!("{name}: expected an object, found something else"))),
        }
    }
    Ok(Part::Header { format: found.flatten(), tensors })
}

fn metadata<'de, A: MapAccess<'de>>(mut map: A) -> std::result::Result<Part, A::Error> {
    let mut format = None;
    while let Some(key) = map.next_key::<String>()? {
        match map.next_value_seed(Reader::Other)? {
            Part::Text(text) if key == "ocelli.format" => format = Some(text),
            Part::Text(_) => {}
            _ => return Err(A::Error::custom(format!("__metadata__: {key}: expected a string, found something else"))),
        }
    }
    Ok(Part::Metadata { format })
}

fn tensor<'de, A: MapAccess<'de>>(mut map: A) -> std::result::Result<Part, A::Error> {
    let (mut dtype, mut shape, mut offsets) = (None, None, None);
    let mut fields = 0;
    while let Some(key) = map.next_key::<String>()? {
        match (key.as_str(), map.next_value_seed(Reader::Other)?) {
            ("dtype", Part::Text(name)) => dtype = Some(Dtype::deserialize(StrDeserializer::<A::Error>::new(&name))?),
            ("shape", Part::Numbers(sizes)) => shape = sizes.into_iter().map(|n| n.try_into().ok()).collect(),
            ("data_offsets", Part::Numbers(ends)) => offsets = <[u64; 2]>::try_from(ends).ok(),
            ("dtype" | "shape" | "data_offsets", _) => {}
            _ => return Err(A::Error::custom(format!("unknown field `{key}`"))),
        }
        fields += 1;
    }
    match (dtype, shape, offsets, fields) {
        (Some(dtype), Some(shape), Some([from, to]), 3) => {
            Ok(Part::Tensor(Info { dtype, shape, data_offsets: (from, to) }))
        }
        _ => Err(A::Error::custom("missing field: expected a dtype, a shape and two data_offsets, each once")),
    }
}
