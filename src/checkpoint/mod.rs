//! A Hugging Face folder: its JSON files, and its tensors, each fetched by name with the shape that the model expects.

mod header;
pub mod names;
#[cfg(not(target_arch = "wasm32"))]
mod native;

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

use names::{Naming, Piece};

use crate::{
    config::{Config, VisionPooling},
    error::{Error, Result},
};

/// The files of a checkpoint, in the order in which Ocelli asks for them.
pub const FILES: [&str; 5] =
    ["config.json", "preprocessor_config.json", "tokenizer_config.json", "tokenizer.json", "model.safetensors"];

/// The files of a folder in open_clip's own format, in the order in which Ocelli asks for them. The second may be missing.
pub const OPEN_CLIP_FILES: [&str; 4] =
    ["open_clip_config.json", "tokenizer_config.json", "tokenizer.json", "open_clip_model.safetensors"];

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
    let plain = |name: &str| name.ends_with(".safetensors") && !name.contains(['/', '\\', '?', '#', '%', ':']);
    match names.iter().find(|name| !plain(name)) {
        Some(name) => Err(bad(format!("weight_map: expected plain names that end in .safetensors, found {name:?}"))),
        None => Ok(names.into_iter().collect()),
    }
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

/// A tensor that a model asked for: what it is and where it lies.
#[derive(Debug, Clone)]
pub struct Tensor {
    /// transformers' name, by which it was asked for.
    pub name: String,
    /// F32, F16, BF16; with `NAME.scales` beside it I8, or U8, which holds two weights a byte.
    pub dtype: Dtype,
    /// First dimension (1 for a scalar).
    pub rows: usize,
    /// Product of the others, in weights.
    pub cols: usize,
    /// Its rows, in this order.
    parts: Vec<Part>,
}

impl Tensor {
    /// The name in the file, of the first of its parts: what errors speak of.
    #[must_use]
    pub fn stored_name(&self) -> &str {
        &self.parts[0].piece.name
    }

    /// The parts that hold some of the rows, with the rows that they hold as their files count them.
    fn parts_of(&self, rows: &Range<usize>) -> impl Iterator<Item = (&Part, Range<usize>)> {
        let (rows, mut start) = (rows.clone(), 0);
        self.parts.iter().filter_map(move |part| {
            let own = start..start + part.piece.rows.len();
            start = own.end;
            let (from, to) = (rows.start.max(own.start), rows.end.min(own.end));
            let first = part.piece.rows.start;
            (from < to).then(|| (part, first + from - own.start..first + to - own.start))
        })
    }
}

/// A range of rows of a tensor in a file.
#[derive(Debug, Clone)]
struct Part {
    piece: Piece,
    file: usize,
    /// Of the whole tensor in the file.
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
    /// Whose names the tensors have in the file.
    pub naming: Naming,
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
        let files = Self::headers(weights)?;
        let quantized = files.iter().find_map(|f| f.header.metadata().as_ref()?.get("ocelli.format").cloned());
        Ok(Self { config, tokenizer, quantized, naming: Naming::Transformers, files, used: RefCell::default() })
    }

    /// From the JSON files of a folder in open_clip's own format, in the order of [`OPEN_CLIP_FILES`], and its tensor files by
    /// name. A `tokenizer_config.json` that is missing is `{}`.
    ///
    /// # Errors
    /// As [`Checkpoint::new`].
    pub fn open_clip(json: [Vec<u8>; 3], weights: Vec<(String, Box<dyn Bytes>)>) -> Result<Self> {
        let [config, tokenizer_config, tokenizer] = json;
        let config = Config::parse_open_clip(&config, &tokenizer_config)?;
        let files = Self::headers(weights)?;
        let names: Vec<String> = files.iter().flat_map(|file| file.header.offset_keys()).collect();
        // In this format it is timm's towers that have such a head.
        let timm = config.vision.pooling == VisionPooling::AttentionHead;
        let naming = Naming::open_clip(timm, names.iter().map(String::as_str));
        Ok(Self { config, tokenizer, quantized: None, naming, files, used: RefCell::default() })
    }

    fn headers(weights: Vec<(String, Box<dyn Bytes>)>) -> Result<Vec<File>> {
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
        Ok(files)
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

    /// The name of the file that a tensor is in, or begins in.
    #[must_use]
    pub fn file(&self, tensor: &Tensor) -> &str {
        &self.files[tensor.parts[0].file].name
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
        let (rows, cols) = (shape.first().copied().unwrap_or(1), shape.iter().skip(1).product::<usize>());
        let pieces = self.naming.pieces(name, shape).into_iter();
        let found: Vec<(Part, Dtype)> = pieces.map(|piece| self.part(piece, types)).collect::<Result<_>>()?;
        let dtype = found[0].1;
        if let Some((part, other)) = found.iter().find(|(_, other)| *other != dtype) {
            return Err(Error::BadCheckpoint(format!(
                "{}: {}: expected the type of {}, {dtype:?}, found {other:?}",
                self.files[part.file].name, part.piece.name, found[0].0.piece.name
            )));
        }
        let parts = found.into_iter().map(|(part, _)| part).collect();
        Ok(Tensor { name: name.into(), dtype, rows, cols, parts })
    }

    /// Looks a piece up under the file's own name.
    fn part(&self, piece: Piece, types: &[Dtype]) -> Result<(Part, Dtype)> {
        let Piece { name, shape, .. } = &piece;
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
        let halved = [shape.first().copied().unwrap_or(1), shape.iter().skip(1).product::<usize>().div_ceil(2)];
        let (expected, why) =
            if info.dtype == Dtype::U8 { (&halved[..], " (two weights a byte)") } else { (&shape[..], "") };
        if info.shape != expected {
            return Err(Error::BadCheckpoint(format!(
                "{}: {name}: expected shape {expected:?}{why}, found {:?}",
                file.name, info.shape
            )));
        }
        self.used.borrow_mut().insert(name.clone());
        let (offset, dtype) = (file.data_start + info.data_offsets.0 as u64, info.dtype);
        Ok((Part { piece, file: at, offset }, dtype))
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
        let mut all = Vec::with_capacity(rows.len() * tensor.cols);
        for (part, rows) in tensor.parts_of(&rows) {
            let bytes = self.read(tensor, part, &rows)?;
            let before = all.len();
            match tensor.dtype {
                Dtype::F32 => all.extend(bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))),
                Dtype::F16 => all.extend(bytes.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32())),
                _ => all.extend(bytes.chunks_exact(2).map(|b| bf16::from_le_bytes([b[0], b[1]]).to_f32())),
            }
            if let Some(at) = all[before..].iter().position(|x| !x.is_finite()) {
                let (row, col) = (rows.start + at / tensor.cols, at % tensor.cols);
                return Err(Error::BadCheckpoint(format!(
                    "{}: {}: expected finite numbers, found {} at element {}",
                    self.files[part.file].name,
                    part.piece.name,
                    all[before + at],
                    if part.piece.transposed { col * part.piece.rows.len() + row } else { row * tensor.cols + col }
                )));
            }
        }
        Ok(all)
    }

    /// Rows of any tensor, as they lie in the file, or as they would if it were not transposed.
    ///
    /// # Errors
    /// [`Error::BadCheckpoint`] if the file ends too early.
    pub fn rows_stored(&self, tensor: &Tensor, rows: &Range<usize>) -> Result<Vec<u8>> {
        let parts = tensor.parts_of(rows);
        Ok(parts.map(|(part, rows)| self.read(tensor, part, &rows)).collect::<Result<Vec<_>>>()?.concat())
    }

    /// Rows of a part, counted as the tensor in the file counts them.
    fn read(&self, tensor: &Tensor, part: &Part, rows: &Range<usize>) -> Result<Vec<u8>> {
        let File { name, bytes: file, .. } = &self.files[part.file];
        let read =
            |offset: usize, into: &mut [u8]| file.read(part.offset + offset as u64, into).map_err(|e| broken(name, &e));
        let row = match tensor.dtype {
            Dtype::U8 => tensor.cols.div_ceil(2),
            Dtype::I8 => tensor.cols,
            Dtype::F32 => tensor.cols * 4,
            _ => tensor.cols * 2,
        };
        let mut bytes = vec![0; rows.len() * row];
        if !part.piece.transposed {
            read(rows.start * row, &mut bytes)?;
            return Ok(bytes);
        }
        let width = row / tensor.cols;
        let mut column = vec![0; rows.len() * width];
        for col in 0..tensor.cols {
            read((col * part.piece.rows.len() + rows.start) * width, &mut column)?;
            for (i, number) in column.chunks_exact(width).enumerate() {
                bytes[i * row + col * width..][..width].copy_from_slice(number);
            }
        }
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
            .filter(|name| !used.contains(name) && !Naming::ignores(name))
            .collect();
        match left.first() {
            None => Ok(()),
            Some(name) => Err(Error::BadCheckpoint(format!(
                "{}: {name} (shape {:?}) and {} more: expected no tensor beyond those that {} implies",
                self.label(),
                self.shape(name).unwrap_or_default(),
                left.len() - 1,
                if self.naming == Naming::Transformers { FILES[0] } else { OPEN_CLIP_FILES[0] }
            ))),
        }
    }
}
