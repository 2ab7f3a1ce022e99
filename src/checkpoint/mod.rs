//! A Hugging Face folder: its JSON files, and its tensors, each fetched by name with the shape that the model expects.

mod header;
pub mod manifest;
#[cfg(not(target_arch = "wasm32"))]
mod native;
#[cfg(not(target_arch = "wasm32"))]
pub mod verify;

use std::{
    cell::RefCell,
    collections::{BTreeSet, HashSet},
    ops::Range,
};

use half::{bf16, f16};
use safetensors::{
    Dtype,
    tensor::{Metadata, TensorInfo},
};

use crate::{
    config::Config,
    error::{Error, Result},
};

/// The files of a checkpoint, in the order in which Ocelli asks for them.
pub const FILES: [&str; 5] =
    ["config.json", "preprocessor_config.json", "tokenizer_config.json", "tokenizer.json", "model.safetensors"];

/// Where large checkpoints say which files their tensors are in, instead of the last of [`FILES`].
pub const INDEX: &str = "model.safetensors.index.json";

/// The tensor files that an index names, each once.
///
/// # Errors
/// [`Error::BadCheckpoint`] if it is no index, or names a file outside its folder.
pub fn shards(index: &[u8]) -> Result<Vec<String>> {
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: std::collections::BTreeMap<String, String>,
    }
    let bad = |what: String| Error::BadCheckpoint(format!("{INDEX}: {what}"));
    let index: Index = serde_json::from_slice(index).map_err(|e| bad(format!("expected a weight_map: {e}")))?;
    let names: BTreeSet<String> = index.weight_map.into_values().collect();
    if names.is_empty() {
        return Err(bad("weight_map: expected at least one tensor, found none".into()));
    }
    let plain = |name: &str| name.ends_with(".safetensors") && plain_name(name);
    match names.iter().find(|name| !plain(name)) {
        Some(name) => Err(bad(format!("weight_map: expected plain names that end in .safetensors, found {name:?}"))),
        None => Ok(names.into_iter().collect()),
    }
}

/// Whether a name means a file in its own folder, as a path and as a part of an address.
fn plain_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', '?', '#', '%', ':'])
}

/// Where the bytes of a tensor file are: a file, memory, the browser's heap. Read in pieces, never as a whole.
pub trait Bytes {
    /// Length of the file in bytes.
    fn size(&self) -> u64;
    /// Fills `into` from `offset`.
    ///
    /// # Errors
    /// Why the range cannot be read; [`Checkpoint`] knows the file's name and says it.
    fn read(&self, offset: u64, into: &mut [u8]) -> std::result::Result<(), String>;
}

impl Bytes for Vec<u8> {
    fn size(&self) -> u64 {
        self.len() as u64
    }
    fn read(&self, offset: u64, into: &mut [u8]) -> std::result::Result<(), String> {
        let start = usize::try_from(offset).ok().filter(|&s| s <= self.len());
        let bytes = start.and_then(|s| self[s..].get(..into.len()));
        into.copy_from_slice(bytes.ok_or("the file ends too early")?);
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
    file: usize,
    offset: u64,
}

struct File {
    name: String,
    header: Metadata,
    data_start: u64,
    bytes: Box<dyn Bytes>,
}

/// An opened checkpoint. Nothing but the headers of the tensor files is held in memory.
pub struct Checkpoint {
    /// What the JSON files say.
    pub config: Config,
    /// `tokenizer.json`, as it is.
    pub tokenizer: Vec<u8>,
    /// How the weights are stored if Ocelli wrote them ("f16", "q8", "q4"); none in a folder from elsewhere.
    pub quantized: Option<String>,
    files: Vec<File>,
    used: RefCell<HashSet<String>>,
}

fn broken(file: &str, what: &str) -> Error {
    Error::BadCheckpoint(format!("{file}: {what}: the file is broken or incomplete, fetch it again"))
}

impl Checkpoint {
    /// From the four JSON files in the order of [`FILES`] and the tensor file.
    ///
    /// # Errors
    /// [`Error::BadCheckpoint`] or [`Error::WrongModel`], with the file's name and what was found there.
    pub fn new(json: [Vec<u8>; 4], weights: Box<dyn Bytes>) -> Result<Self> {
        Self::sharded(json, vec![(FILES[4].into(), weights)])
    }

    /// The same with the tensors in several files, by name: those of [`shards`].
    ///
    /// # Errors
    /// As [`Checkpoint::new`]; a tensor that is in two files is an error that names both.
    pub fn sharded(json: [Vec<u8>; 4], weights: Vec<(String, Box<dyn Bytes>)>) -> Result<Self> {
        let [config, preprocessor, tokenizer_config, tokenizer] = json;
        let config = Config::parse(&config, &preprocessor, &tokenizer_config)?;
        let mut files: Vec<File> = Vec::new();
        for (name, bytes) in weights {
            let (header, data_start) = header::read(&name, bytes.as_ref())?;
            for other in &files {
                if let Some(twice) = header.offset_keys().iter().find(|tensor| other.header.info(tensor).is_some()) {
                    return Err(Error::BadCheckpoint(format!(
                        "{name}: expected each tensor in one file, found {twice} in {} as well",
                        other.name
                    )));
                }
            }
            files.push(File { name, header, data_start, bytes });
        }
        let quantized = files.iter().find_map(|f| f.header.metadata().as_ref()?.get("ocelli.format").cloned());
        Ok(Self { config, tokenizer, quantized, files, used: RefCell::default() })
    }

    /// What people know the tensor files by.
    fn label(&self) -> String {
        match self.files.as_slice() {
            [one] => one.name.clone(),
            many => format!("{INDEX} and its {} files", many.len()),
        }
    }

    /// Bytes of all tensor files.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.files.iter().map(|file| file.bytes.size()).sum()
    }

    /// The name of the file that a tensor is in.
    #[must_use]
    pub fn file(&self, tensor: &Tensor) -> &str {
        &self.files[tensor.file].name
    }

    fn info(&self, name: &str) -> Option<(usize, &TensorInfo)> {
        self.files.iter().enumerate().find_map(|(at, file)| Some((at, file.header.info(name)?)))
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
        let (at, info) = self.info(name).ok_or_else(|| {
            let label = self.label();
            Error::BadCheckpoint(format!("{label}: {name}: expected a tensor of shape {shape:?}, found none"))
        })?;
        let file = &self.files[at];
        if !types.contains(&info.dtype) {
            let (last, others) = types.split_last().expect("some types");
            let others: String = others.iter().map(|t| format!("{t:?}, ")).collect();
            return Err(Error::BadCheckpoint(format!(
                "{}: {name}: expected {}{last:?}, found {:?}",
                file.name,
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
                "{}: {name}: expected shape {expected:?}{why}, found {:?}",
                file.name, info.shape
            )));
        }
        self.used.borrow_mut().insert(name.into());
        let offset = file.data_start + info.data_offsets.0 as u64;
        Ok(Tensor { name: name.into(), dtype: info.dtype, rows, cols, file: at, offset })
    }

    /// The shape that the file gives, for the few tensors that are written in two ways.
    #[must_use]
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.info(name).map(|(_, info)| info.shape.as_slice())
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
                "{}: {}: expected finite numbers, found {} at element {}",
                self.file(tensor),
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
        let File { name, bytes: file, .. } = &self.files[tensor.file];
        file.read(tensor.offset + (rows.start * row) as u64, &mut bytes).map_err(|e| broken(name, &e))?;
        Ok(bytes)
    }

    /// Every tensor must have been asked for: what is left over means that the model is not what its config says.
    ///
    /// # Errors
    /// [`Error::BadCheckpoint`] that names one of the surplus tensors.
    pub fn no_surplus(&self) -> Result<()> {
        let used = self.used.borrow();
        let left: Vec<String> = self
            .files
            .iter()
            .flat_map(|file| file.header.offset_keys())
            .filter(|name| !used.contains(name) && !POSITION_IDS.contains(&name.as_str()))
            .collect();
        match left.first() {
            None => Ok(()),
            Some(name) => Err(Error::BadCheckpoint(format!(
                "{}: {name} (shape {:?}) and {} more: expected no tensor beyond those that config.json implies",
                self.label(),
                self.shape(name).unwrap_or_default(),
                left.len() - 1
            ))),
        }
    }
}

/// Buffers, 0, 1, 2, …, that older versions of transformers saved; newer ones ignore them too.
const POSITION_IDS: [&str; 2] = ["text_model.embeddings.position_ids", "vision_model.embeddings.position_ids"];
