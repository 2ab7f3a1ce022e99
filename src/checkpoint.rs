//! A Hugging Face folder: its JSON files, and its tensors, each fetched by name with the shape that the model expects.

use std::{cell::RefCell, collections::HashSet, fmt, ops::Range};

use half::{bf16, f16};
use safetensors::{Dtype, tensor::Metadata};
use serde::{
    Deserialize,
    de::{IgnoredAny, MapAccess, Visitor},
};

use crate::{
    config::Config,
    error::{Error, Result},
};

/// The files of a checkpoint, in the order in which Ocelli asks for them.
pub const FILES: [&str; 5] =
    ["config.json", "preprocessor_config.json", "tokenizer_config.json", "tokenizer.json", "model.safetensors"];

/// Where the bytes of `model.safetensors` are: a file, memory, the browser's heap. Read in pieces, never as a whole.
pub trait Bytes {
    /// Length of the file in bytes.
    fn size(&self) -> u64;
    /// Fills `into` from `offset`.
    ///
    /// # Errors
    /// Where the range cannot be read.
    fn read(&self, offset: u64, into: &mut [u8]) -> Result<()>;
}

impl Bytes for Vec<u8> {
    fn size(&self) -> u64 {
        self.len() as u64
    }
    fn read(&self, offset: u64, into: &mut [u8]) -> Result<()> {
        let start = usize::try_from(offset).ok().filter(|&s| s <= self.len());
        let bytes = start.and_then(|s| self[s..].get(..into.len()));
        into.copy_from_slice(bytes.ok_or_else(|| broken("the file ends too early"))?);
        Ok(())
    }
}

/// A tensor in the file: what it is and where it lies.
#[derive(Debug, Clone)]
pub struct Tensor {
    /// Its name in the file.
    pub name: String,
    /// F32, F16, BF16; with `NAME.scales` beside it I8, or U8, which holds two weights a byte.
    pub dtype: Dtype,
    /// First dimension (1 for a scalar).
    pub rows: usize,
    /// Product of the others, in weights.
    pub cols: usize,
    offset: u64,
}

/// An opened checkpoint. Nothing but the header of the tensor file is held in memory.
pub struct Checkpoint {
    /// What the JSON files say.
    pub config: Config,
    /// `tokenizer.json`, as it is.
    pub tokenizer: Vec<u8>,
    /// How the weights are stored if Ocelli wrote them ("f16", "q8", "q4"); none in a folder from elsewhere.
    pub quantized: Option<String>,
    header: Metadata,
    data_start: u64,
    bytes: Box<dyn Bytes>,
    used: RefCell<HashSet<String>>,
}

fn broken(what: &str) -> Error {
    Error::BadCheckpoint(format!("model.safetensors: {what}: the file is broken or incomplete, fetch it again"))
}

impl Checkpoint {
    /// From the four JSON files in the order of [`FILES`] and the tensor file.
    ///
    /// # Errors
    /// [`Error::BadCheckpoint`] or [`Error::WrongModel`], with the file's name and what was found there.
    pub fn new(json: [Vec<u8>; 4], weights: Box<dyn Bytes>) -> Result<Self> {
        let [config, preprocessor, tokenizer_config, tokenizer] = json;
        let config = Config::parse(&config, &preprocessor, &tokenizer_config)?;
        let (header, data_start) = read_header(weights.as_ref())?;
        let quantized = header.metadata().as_ref().and_then(|m| m.get("ocelli.format").cloned());
        Ok(Self { config, tokenizer, quantized, header, data_start, bytes: weights, used: RefCell::default() })
    }

    /// Opens a folder.
    ///
    /// # Errors
    /// As [`Checkpoint::new`], and [`Error::NotFound`] that names the missing file.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn open(folder: &std::path::Path) -> Result<Self> {
        let [a, b, c, d, weights] = FILES;
        let read = |name: &str| {
            std::fs::read(folder.join(name)).map_err(|e| {
                Error::NotFound(format!(
                    "{}: {e}: expected a Hugging Face folder with {}",
                    folder.join(name).display(),
                    FILES.join(", ")
                ))
            })
        };
        Self::new([read(a)?, read(b)?, read(c)?, read(d)?], Box::new(native::File::open(&folder.join(weights))?))
    }

    /// Looks a tensor of floats up and checks its shape.
    ///
    /// # Errors
    /// [`Error::BadCheckpoint`] if it is missing, has another shape or a type that is not a float.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        self.look_up(name, shape, &[Dtype::F32, Dtype::F16, Dtype::BF16])
    }

    /// Looks a matrix up, whose type may also be one that Ocelli writes: I8, or U8 of shape `[rows, ⌈cols / 2⌉]`.
    ///
    /// # Errors
    /// As [`Checkpoint::tensor`].
    pub fn matrix(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let types = [Dtype::F32, Dtype::F16, Dtype::BF16, Dtype::I8, Dtype::U8];
        let known = match self.quantized.as_deref() {
            None => 3,
            Some("q4") => 5,
            Some(_) => 4,
        };
        self.look_up(name, shape, &types[..known])
    }

    /// Looks the scales of a quantised matrix up: `[rows, blocks]`.
    ///
    /// # Errors
    /// As [`Checkpoint::tensor`].
    pub fn scales(&self, matrix: &Tensor, blocks: usize) -> Result<Tensor> {
        self.look_up(&format!("{}.scales", matrix.name), &[matrix.rows, blocks], &[Dtype::F16])
    }

    fn look_up(&self, name: &str, shape: &[usize], types: &[Dtype]) -> Result<Tensor> {
        let info = self.header.info(name).ok_or_else(|| {
            Error::BadCheckpoint(format!("model.safetensors: {name}: expected a tensor of shape {shape:?}, found none"))
        })?;
        if !types.contains(&info.dtype) {
            let (last, others) = types.split_last().expect("some types");
            let others: String = others.iter().map(|t| format!("{t:?}, ")).collect();
            return Err(Error::BadCheckpoint(format!(
                "model.safetensors: {name}: expected {}{last:?}, found {:?}",
                others.strip_suffix(", ").map(|o| format!("{o} or ")).unwrap_or_default(),
                info.dtype
            )));
        }
        let (rows, cols) = (shape.first().copied().unwrap_or(1), shape.iter().skip(1).product::<usize>());
        let halved = [rows, cols.div_ceil(2)];
        let (expected, why) =
            if info.dtype == Dtype::U8 { (&halved[..], " (two weights a byte)") } else { (shape, "") };
        if info.shape != expected {
            return Err(Error::BadCheckpoint(format!(
                "model.safetensors: {name}: expected shape {expected:?}{why}, found {:?}",
                info.shape
            )));
        }
        self.used.borrow_mut().insert(name.into());
        let offset = self.data_start + info.data_offsets.0 as u64;
        Ok(Tensor { name: name.into(), dtype: info.dtype, rows, cols, offset })
    }

    /// The shape that the file gives, for the few tensors that are written in two ways.
    #[must_use]
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.header.info(name).map(|info| info.shape.as_slice())
    }

    /// Rows of a float tensor as f32.
    ///
    /// # Errors
    /// [`Error::BadCheckpoint`] if the file ends too early or a number is not finite.
    pub fn rows_f32(&self, tensor: &Tensor, rows: Range<usize>) -> Result<Vec<f32>> {
        let bytes = self.rows_stored(tensor, &rows)?;
        let floats: Vec<f32> = match tensor.dtype {
            Dtype::F32 => bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
            Dtype::F16 => bytes.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
            _ => bytes.chunks_exact(2).map(|b| bf16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
        };
        if let Some(at) = floats.iter().position(|x| !x.is_finite()) {
            return Err(Error::BadCheckpoint(format!(
                "model.safetensors: {}: expected finite numbers, found {} at element {}",
                tensor.name,
                floats[at],
                rows.start * tensor.cols + at
            )));
        }
        Ok(floats)
    }

    /// Rows of any tensor, as they lie in the file.
    ///
    /// # Errors
    /// [`Error::BadCheckpoint`] if the file ends too early.
    pub fn rows_stored(&self, tensor: &Tensor, rows: &Range<usize>) -> Result<Vec<u8>> {
        let row = match tensor.dtype {
            Dtype::U8 => tensor.cols.div_ceil(2),
            Dtype::I8 => tensor.cols,
            Dtype::F32 => tensor.cols * 4,
            _ => tensor.cols * 2,
        };
        let mut bytes = vec![0; rows.len() * row];
        self.bytes.read(tensor.offset + (rows.start * row) as u64, &mut bytes)?;
        Ok(bytes)
    }

    /// Every tensor must have been asked for: what is left over means that the model is not what its config says.
    ///
    /// # Errors
    /// [`Error::BadCheckpoint`] that names one of the surplus tensors.
    pub fn no_surplus(&self) -> Result<()> {
        let used = self.used.borrow();
        let left: Vec<String> = self
            .header
            .offset_keys()
            .into_iter()
            .filter(|name| !used.contains(name) && !POSITION_IDS.contains(&name.as_str()))
            .collect();
        match left.first() {
            None => Ok(()),
            Some(name) => Err(Error::BadCheckpoint(format!(
                "model.safetensors: {name} (shape {:?}) and {} more: expected no tensor beyond those that config.json implies",
                self.shape(name).unwrap_or_default(),
                left.len() - 1
            ))),
        }
    }
}

/// Buffers, 0, 1, 2, …, that older versions of transformers saved; newer ones ignore them too.
const POSITION_IDS: [&str; 2] = ["text_model.embeddings.position_ids", "vision_model.embeddings.position_ids"];

/// Longest header that is believed; real ones are under 1 MB.
const MAX_HEADER: u64 = 32 << 20;

fn read_header(bytes: &dyn Bytes) -> Result<(Metadata, u64)> {
    let mut length = [0; 8];
    bytes.read(0, &mut length)?;
    let length = u64::from_le_bytes(length);
    if length > MAX_HEADER || length + 8 > bytes.size() {
        return Err(broken(&format!("expected a header that fits into {} bytes, found one of {length}", bytes.size())));
    }
    let mut header = vec![0; length as usize];
    bytes.read(8, &mut header)?;
    let json = |e: serde_json::Error| broken(&format!("header: {e}"));
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

#[cfg(not(target_arch = "wasm32"))]
mod native {
    use std::{
        cell::RefCell,
        io::{Read, Seek, SeekFrom},
        path::{Path, PathBuf},
    };

    use super::{Bytes, Error, Result};

    pub struct File {
        path: PathBuf,
        file: RefCell<std::fs::File>,
        size: u64,
    }

    impl File {
        pub fn open(path: &Path) -> Result<Self> {
            let failed = |e| Error::NotFound(format!("{}: {e}", path.display()));
            let file = std::fs::File::open(path).map_err(failed)?;
            let size = file.metadata().map_err(failed)?.len();
            Ok(Self { path: path.into(), file: RefCell::new(file), size })
        }
    }

    impl Bytes for File {
        fn size(&self) -> u64 {
            self.size
        }
        fn read(&self, offset: u64, into: &mut [u8]) -> Result<()> {
            let mut file = self.file.borrow_mut();
            file.seek(SeekFrom::Start(offset))
                .and_then(|_| file.read_exact(into))
                .map_err(|e| Error::BadCheckpoint(format!("{}: {e}", self.path.display())))
        }
    }
}
