//! The files of `torch.save` and `torch.jit.save`: their pickle takes the place of a safetensors header, and the rest of Ocelli
//! meets no difference. Nothing in a pickle is executed.
//!
//! The layouts are those of `torch/serialization.py` (`_save`, `_legacy_save`) and of the zip files in
//! `caffe2/serialize/inline_container.cc`.

mod pickle;
mod zip;

use std::{collections::HashMap, ops::Range};

use pickle::{Fault, Pickle, Tensor};
use safetensors::Dtype;
use zip::Zip;

use super::{Bytes, Header, Info, header::placeholder};
use crate::error::{Error, Result};

/// Longest description of the tensors that is believed; real ones are under 1 MB.
const MOST_BYTES: u64 = 32 << 20;
/// So much of a file in the old format is read first, and then twice as much, until all of its description is there.
const FIRST_BYTES: u64 = 1 << 16;

/// What the old format begins with: the pickle of a number.
const MAGIC: [u8; 15] = [0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, b'.'];
const LEGACY_PROTOCOL: i64 = 1001;

/// Reads the description of the tensors in the file `name`.
///
/// # Errors
/// [`Error::BadCheckpoint`] that says what else is in it, or how its parts contradict one another.
pub fn read(name: &str, bytes: &dyn Bytes) -> Result<Header> {
    header(bytes).map_err(|what| Error::BadCheckpoint(format!("{name}: {what}")))
}

fn header(bytes: &dyn Bytes) -> std::result::Result<Header, String> {
    let start = take(bytes, 0..bytes.size().unwrap_or(8).min(8))?;
    if start.starts_with(b"PK\x03\x04") {
        let size = bytes.size().ok_or("expected a server that says how long this file is, found none")?;
        return zipped(bytes, size);
    }
    if start == MAGIC[..8] {
        return legacy(bytes);
    }
    let found = placeholder(&start).unwrap_or("something else");
    Err(format!("expected a file that torch.save wrote, found {found}"))
}

/// A range of the file.
fn take(bytes: &dyn Bytes, range: Range<u64>) -> std::result::Result<Vec<u8>, String> {
    let mut into = vec![0; (range.end - range.start) as usize];
    bytes.read(range.start, &mut into).map_err(|e| format!("{e}: the file is broken or incomplete, fetch it again"))?;
    Ok(into)
}

fn fault(fault: Fault) -> String {
    match fault {
        Fault::Early => "the pickle ends too early: the file is broken or incomplete, fetch it again".into(),
        Fault::Wrong(what) => what,
    }
}

/// A file of torch 1.6 and later: `data.pkl`, and a record for each storage under `data/`.
fn zipped(bytes: &dyn Bytes, size: u64) -> std::result::Result<Header, String> {
    let zip = Zip::read(bytes, size)?;
    let record = |name: &str| zip.place(bytes, &format!("{}/{name}", zip.root));
    let described = record("data.pkl")?.ok_or("expected a zip file that torch.save wrote, found none with data.pkl")?;
    if described.end - described.start > MOST_BYTES {
        return Err(format!("data.pkl: expected at most {MOST_BYTES} bytes, found more"));
    }
    if let Some(order) = record("byteorder")? {
        // "little" or "big".
        if order.end - order.start != 6 || take(bytes, order)? != b"little" {
            return Err("byteorder: expected numbers whose first byte is the lowest, found others".into());
        }
    }
    let pickle = take(bytes, described.clone())?;
    let pickle = pickle::read(&pickle).map_err(fault)?;
    let place = |key: &str| record(&format!("data/{key}"));
    let mut header = described_by(&pickle, place, described, size)?;
    header.torchscript = pickle.is_module();
    Ok(header)
}

/// A file of older versions: a number, a version, what machine wrote it, the pickle, the storages' names; and the storages in
/// that order, each with its length in eight bytes before it.
fn legacy(bytes: &dyn Bytes) -> std::result::Result<Header, String> {
    let most = bytes.size().unwrap_or(MOST_BYTES).min(MOST_BYTES);
    let mut length = FIRST_BYTES.min(most);
    loop {
        let start = take(bytes, 0..length)?;
        match legacy_start(bytes, &start) {
            Err(Fault::Early) if length < most => length = (2 * length).min(most),
            header => return header.map_err(fault),
        }
    }
}

fn legacy_start(bytes: &dyn Bytes, start: &[u8]) -> std::result::Result<Header, Fault> {
    let mut at = MAGIC.len();
    let mut next = || {
        let pickle = pickle::read(start.get(at..).ok_or(Fault::Early)?)?;
        at += pickle.length;
        Ok(pickle)
    };
    let version = next()?;
    if version.int() != Some(LEGACY_PROTOCOL) {
        return Err(Fault::Wrong(format!("expected a file of torch.save's protocol {LEGACY_PROTOCOL}, found another")));
    }
    let machine = next()?;
    if machine.flag("little_endian") == Some(false) {
        return Err(Fault::Wrong("expected numbers whose first byte is the lowest, found others".into()));
    }
    let (tensors, keys) = (next()?, next()?);
    let keys =
        keys.texts().ok_or_else(|| Fault::Wrong("expected the names of the storages, found something else".into()))?;
    let mut places: HashMap<&str, Range<u64>> = HashMap::new();
    let mut end = at as u64;
    for key in keys {
        let storage = tensors.storage(key);
        let count = storage.map(|storage| storage.count);
        let place = storage.and_then(|storage| {
            let start = end.checked_add(8)?;
            Some(start..start.checked_add(bytes_of(storage.count, storage.dtype)?)?)
        });
        let place =
            place.ok_or_else(|| Fault::Wrong(format!("storage {key:?}: expected it in the pickle, found none")))?;
        if bytes.has(end..place.start) {
            let found = take(bytes, end..place.start).map_err(Fault::Wrong)?;
            let found = u64::from_le_bytes(found.try_into().expect("eight bytes"));
            if Some(found) != count {
                let expected = count.unwrap_or_default();
                return Err(Fault::Wrong(format!("storage {key:?}: expected {expected} numbers, found {found}")));
            }
        }
        end = place.end;
        if places.insert(key, place).is_some() {
            return Err(Fault::Wrong(format!("storage {key:?}: expected it once, found it twice")));
        }
    }
    if let Some(found) = bytes.size().filter(|&found| found != end) {
        let what = format!("expected {end} bytes, found {found}: the file is broken or incomplete, fetch it again");
        return Err(Fault::Wrong(what));
    }
    described_by(&tensors, |key| Ok(places.get(key).cloned()), 0..at as u64, end).map_err(Fault::Wrong)
}

fn bytes_of(numbers: u64, dtype: Dtype) -> Option<u64> {
    numbers.checked_mul(dtype.bitsize() as u64 / 8)
}

/// The header that a pickle stands for; `place` says where a storage's bytes are.
fn described_by(
    pickle: &Pickle,
    place: impl Fn(&str) -> std::result::Result<Option<Range<u64>>, String>,
    described: Range<u64>,
    size: u64,
) -> std::result::Result<Header, String> {
    let mut tensors = Vec::new();
    let mut places: HashMap<&str, Range<u64>> = HashMap::new();
    for (name, tensor) in pickle.tensors().map_err(fault)? {
        let wrong = |what: String| format!("{name}: {what}");
        let storage = match places.get(tensor.key) {
            Some(place) => place.clone(),
            None => {
                let found = place(tensor.key)?;
                let found = found.ok_or_else(|| wrong(format!("expected storage {:?}, found none", tensor.key)))?;
                let described = pickle.storage(tensor.key).expect("no tensor is made without its storage");
                let (length, expected) = (found.end - found.start, bytes_of(described.count, described.dtype));
                if expected != Some(length) {
                    let what = format!("expected {} numbers of {:?}", described.count, described.dtype);
                    return Err(wrong(format!("storage {:?}: {what}, found {length} bytes", tensor.key)));
                }
                places.insert(tensor.key, found.clone());
                found
            }
        };
        let transposed = layout(tensor).map_err(wrong)?;
        let numbers = tensor.shape.iter().try_fold(1u64, |product, &n| product.checked_mul(n as u64));
        let within = numbers.and_then(|numbers| {
            let start = storage.start.checked_add(bytes_of(tensor.offset, tensor.dtype)?)?;
            let end = start.checked_add(bytes_of(numbers, tensor.dtype)?)?;
            (end <= storage.end).then_some((start, end))
        });
        let data_offsets = within.ok_or_else(|| {
            let length = storage.end - storage.start;
            wrong(format!("expected a tensor within its storage of {length} bytes, found shape {:?}", tensor.shape))
        })?;
        let (dtype, shape) = (tensor.dtype, tensor.shape.clone());
        tensors.push((name, Info { dtype, shape, data_offsets, transposed }));
    }
    Header::sorted(described, 0, size, tensors)
}

/// Whether a matrix lies there by columns; anything else must lie there by rows, without gaps.
fn layout(tensor: &Tensor) -> std::result::Result<bool, String> {
    let by_rows = |dimensions: &mut dyn Iterator<Item = (usize, usize)>| {
        let mut expected = 1usize;
        dimensions.filter(|&(size, _)| size != 1).all(|(size, stride)| {
            let fits = stride == expected;
            expected = expected.saturating_mul(size);
            fits
        })
    };
    let dimensions = || tensor.shape.iter().copied().zip(tensor.strides.iter().copied());
    if tensor.shape.contains(&0) || by_rows(&mut dimensions().rev()) {
        return Ok(false);
    }
    if tensor.shape.len() == 2 && by_rows(&mut dimensions()) {
        return Ok(true);
    }
    Err(format!(
        "expected numbers that lie side by side, found shape {:?} with strides {:?}: save it after contiguous()",
        tensor.shape, tensor.strides
    ))
}
