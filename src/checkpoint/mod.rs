//! A Hugging Face folder: its JSON files, and its tensors, each fetched by name with the shape that the model expects.

mod floats;
mod folder;
mod head;
mod header;
pub mod manifest;
pub mod names;
#[cfg(not(target_arch = "wasm32"))]
mod native;
mod others;
mod pytorch;
mod tensor;
mod tensor_file;
mod wanted;
#[cfg(not(target_arch = "wasm32"))]
pub mod write;

use std::{cell::RefCell, collections::HashSet, ops::Range};

pub use folder::{Answer, FILES, Folder, OPEN_CLIP_CONFIG, Want};
pub use head::Head;
use header::{Header, Info};
use manifest::Hash;
use names::{Naming, Source};
use safetensors::Dtype;
use tensor::Part;
pub use tensor::{Slice, Tensor};
pub use tensor_file::TensorFile;

use crate::{
    config::{Config, TokenizerFiles, Towers, VisionPooling, WRITES},
    error::{Error, Result},
    json::Object,
};

/// Where large checkpoints say which files their tensors are in, instead of one `model.safetensors`.
pub const INDEX: &str = "model.safetensors.index.json";
/// The same for PyTorch's own files.
pub const PYTORCH_INDEX: &str = "pytorch_model.bin.index.json";

/// The tensor files that the index of this name names, each once.
///
/// # Errors
/// [`Error::BadCheckpoint`] if it is no index, or names a file outside its folder.
pub fn shards(name: &str, index: &[u8]) -> Result<Vec<String>> {
    let bad = |what: String| Error::BadCheckpoint(format!("{name}: {what}"));
    let kind = if name == INDEX { ".safetensors" } else { ".bin" };
    let mut map = Object::parse(name, index)?.need_object("weight_map")?;
    let mut names = map.keys().iter().map(|tensor| map.need(tensor)).collect::<Result<Vec<String>>>()?;
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return Err(bad("weight_map: expected at least one tensor, found none".into()));
    }
    match names.iter().find(|name| !(name.ends_with(kind) && plain(name))) {
        Some(name) => Err(bad(format!("weight_map: expected plain names that end in {kind}, found {name:?}"))),
        None => Ok(names),
    }
}

/// Whether this is the name of a file in a folder, and of nothing elsewhere, on a disk or on a server.
fn plain(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', '?', '#', '%', ':'])
}

/// Where the bytes of a tensor file are: a file, memory, the browser's heap. Read in pieces, never as a whole.
pub trait Bytes {
    /// Length of the file in bytes; none while it is on its way and nobody said.
    fn size(&self) -> Option<u64>;
    /// Fills `into` from `offset`.
    ///
    /// # Errors
    /// Why the range cannot be read; [`Checkpoint`] knows the file's name and says it.
    fn read(&self, offset: u64, into: &mut [u8]) -> std::result::Result<(), String>;
    /// Whether reading these bytes costs nothing: not where each range is a request.
    fn has(&self, _range: Range<u64>) -> bool {
        true
    }
}

/// Reads the header of a tensor file, of whichever kind the file is by its name.
fn read_header(name: &str, bytes: &dyn Bytes) -> Result<Header> {
    match is_safetensors(name) {
        true => header::read(name, bytes),
        false => pytorch::read(name, bytes),
    }
}

fn is_safetensors(name: &str) -> bool {
    name.ends_with(".safetensors")
}

impl Bytes for Vec<u8> {
    fn size(&self) -> Option<u64> {
        Some(self.len() as u64)
    }
    fn read(&self, offset: u64, into: &mut [u8]) -> std::result::Result<(), String> {
        let start = usize::try_from(offset).ok().filter(|&s| s <= self.len());
        let bytes = start.and_then(|s| self[s..].get(..into.len()));
        into.copy_from_slice(bytes.ok_or("the file ends too early")?);
        Ok(())
    }
}

/// Types of numbers that become f32. Types of 8 bits would need a scale that the file does not name.
const FLOATS: [Dtype; 4] = [Dtype::F64, Dtype::F32, Dtype::F16, Dtype::BF16];

struct File {
    name: String,
    header: Header,
    bytes: Box<dyn Bytes>,
    /// Size and hash of the file, if there is a manifest.
    expected: Option<manifest::File>,
}

/// An opened checkpoint. Nothing but the headers of the tensor files is held in memory.
pub struct Checkpoint {
    /// The model's configuration, from the JSON files.
    pub config: Config,
    /// The tokenizer's files, unparsed.
    pub tokenizer: TokenizerFiles,
    /// The JSON files that describe the model, by name, as they were read.
    pub json: Vec<(String, Vec<u8>)>,
    /// The towers of which all files are here.
    pub towers: Towers,
    /// How the weights are stored if Ocelli wrote them ("f16", "q8", "q4"); none in a folder from elsewhere.
    pub quantized: Option<String>,
    /// The naming scheme of the tensors in the files.
    pub naming: Naming,
    /// Bytes that differ between two models and not between two towers of one model.
    pub hash: Hash,
    files: Vec<File>,
    used: RefCell<HashSet<String>>,
    /// Whether this is a blank checkpoint, in which every tensor counts as present.
    blank: bool,
}

fn broken(file: &str, what: &str) -> Error {
    Error::BadCheckpoint(format!("{file}: {what}: the file is broken or incomplete, fetch it again"))
}

impl Checkpoint {
    /// From what the JSON files say and the tensor files by name, of which the headers are read, with what a manifest says of them.
    /// `open_clip` says whose format it is.
    fn new(
        config: Config,
        tokenizer: TokenizerFiles,
        tensors: Vec<(String, Box<dyn Bytes>, Option<manifest::File>)>,
        open_clip: bool,
    ) -> Result<Self> {
        let mut files: Vec<File> = Vec::new();
        for (name, bytes, expected) in tensors {
            let header = read_header(&name, bytes.as_ref())?;
            for other in &files {
                if let Some(twice) = header.names().find(|tensor| other.header.info(tensor).is_some()) {
                    return Err(Error::BadCheckpoint(format!(
                        "{name}: expected each tensor in one file, found {twice} in {} as well",
                        other.name
                    )));
                }
            }
            if let Some(file) = expected.as_ref().filter(|file| file.size != header.size) {
                return Err(broken(&name, &format!("expected {} bytes, found {}", file.size, header.size)));
            }
            files.push(File { name, header, bytes, expected });
        }
        let quantized = files.iter().find_map(|f| f.header.format.clone());
        let naming = if open_clip {
            // In this format it is timm's towers that have such a head.
            let timm = config.vision.pooling == VisionPooling::AttentionHead;
            Naming::open_clip(timm, files.iter().flat_map(|file| file.header.names()))
        } else if WRITES && files.iter().any(|file| file.header.info(names::FLORENCE_PROJECTION).is_some()) {
            Naming::Florence
        } else {
            Naming::Transformers
        };
        let (json, towers) = (Vec::new(), config.towers);
        let (hash, used) = (Hash::default(), RefCell::default());
        Ok(Self { config, tokenizer, json, towers, quantized, naming, hash, files, used, blank: false })
    }

    /// No files, and every tensor that is asked for: to list what a model of this config needs. None can be read.
    #[cfg(not(target_arch = "wasm32"))]
    #[must_use]
    pub fn blank(config: Config) -> Self {
        Self {
            towers: config.towers,
            config,
            tokenizer: TokenizerFiles::None,
            json: Vec::new(),
            quantized: None,
            naming: Naming::Transformers,
            hash: Hash::default(),
            files: Vec::new(),
            used: RefCell::default(),
            blank: true,
        }
    }

    /// The name of the tensor files for messages.
    fn label(&self) -> String {
        match self.files.as_slice() {
            [one] => one.name.clone(),
            many => format!(
                "{} and its {} files",
                if is_safetensors(&many[0].name) { INDEX } else { PYTORCH_INDEX },
                many.len()
            ),
        }
    }

    /// Size of all tensor files, in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.files().map(|(_, size)| size).sum()
    }

    /// Names and lengths of the tensor files, in the order in which [`Slice::file`] counts.
    pub fn files(&self) -> impl Iterator<Item = (&str, u64)> {
        self.files.iter().map(|file| (file.name.as_str(), file.header.size))
    }

    /// For each tensor file that the manifest lists, its hash so far: that of the header. Bytes after it are to be added in the
    /// order in which they lie there.
    ///
    /// # Errors
    /// [`Error::BadCheckpoint`] if the file ends too early.
    pub fn hashes(&self) -> Result<Vec<Option<Hash>>> {
        let hash = |(at, file): (usize, &File)| {
            file.expected.as_ref()?;
            let header = self.read(at, 0..file.header.data_start);
            Some(header.map(|header| {
                let mut hash = Hash::default();
                hash.update(&header);
                hash
            }))
        };
        self.files.iter().enumerate().map(|file| hash(file).transpose()).collect()
    }

    /// Whether the tensor files are as they were written, by the hashes that have seen all of a file.
    ///
    /// # Errors
    /// [`Error::BadCheckpoint`] with what was expected and what was found.
    pub fn check_hashes(&self, hashes: &[Option<Hash>]) -> Result<()> {
        for (file, hash) in self.files.iter().zip(hashes) {
            if let (Some(expected), Some(hash)) = (&file.expected, hash)
                && hash.length == expected.size
            {
                expected.check(&file.name, hash)?;
            }
        }
        Ok(())
    }

    /// A range of a tensor file.
    ///
    /// # Errors
    /// [`Error::BadCheckpoint`] if the file ends too early.
    pub fn read(&self, file: usize, range: Range<u64>) -> Result<Vec<u8>> {
        let File { name, bytes, .. } = &self.files[file];
        let mut into = vec![0; (range.end - range.start) as usize];
        bytes.read(range.start, &mut into).map_err(|e| broken(name, &e))?;
        Ok(into)
    }

    /// The name of the file that a tensor is in, or begins in.
    #[must_use]
    pub fn file(&self, tensor: &Tensor) -> &str {
        &self.files[tensor.parts[0].file].name
    }

    fn info(&self, name: &str) -> Option<(usize, &Info)> {
        self.files.iter().enumerate().find_map(|(at, file)| Some((at, file.header.info(name)?)))
    }

    /// The name that the files have for a tensor.
    fn stored(&self, name: String) -> String {
        if self.naming != Naming::Transformers {
            return name;
        }
        let names = names::alternatives(&name, self.config.family, self.config.towers);
        names.into_iter().find(|name| self.info(name).is_some()).unwrap_or(name)
    }

    /// Looks a tensor of floats up and checks its shape.
    ///
    /// # Errors
    /// [`Error::BadCheckpoint`] if it is missing, has another shape or a type that is not a float.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        self.look_up(name, shape, &FLOATS)
    }

    /// Looks a matrix up, whose type may also be one that Ocelli writes: I8, or U8 of shape `[rows, ⌈cols / 2⌉]`.
    ///
    /// # Errors
    /// As [`Checkpoint::tensor`].
    pub fn matrix(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let quantized: &[Dtype] = match self.quantized.as_deref() {
            None => &[],
            Some("q4") => &[Dtype::I8, Dtype::U8],
            Some(_) => &[Dtype::I8],
        };
        self.look_up(name, shape, &[&FLOATS, quantized].concat())
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
        let sources = self.naming.sources(name, shape).into_iter();
        if self.blank {
            let parts = sources.map(|source| Part { source, dtype: Dtype::F32, file: 0, offset: 0 }).collect();
            return Ok(Tensor { name: name.into(), dtype: Dtype::F32, rows, cols, parts });
        }
        let parts: Vec<Part> = sources.map(|source| self.part(source, types)).collect::<Result<_>>()?;
        let first = parts[0].dtype;
        let dtype = if parts.iter().all(|part| part.dtype == first) { first } else { Dtype::F32 };
        Ok(Tensor { name: name.into(), dtype, rows, cols, parts })
    }

    /// Looks a part up under the file's own name.
    fn part(&self, source: Source, types: &[Dtype]) -> Result<Part> {
        let mut source = Source { name: self.stored(source.name), ..source };
        let Source { name, shape, .. } = &source;
        let (at, info) = self.info(name).ok_or_else(|| {
            let (label, hint) = (self.label(), self.longer_name(name));
            Error::BadCheckpoint(format!("{label}: {name}: expected a tensor of shape {shape:?}, found none{hint}"))
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
        if info.transposed {
            let all = 0..if source.transposed { shape.iter().skip(1).product() } else { shape[0] };
            if source.rows != all {
                return Err(Error::BadCheckpoint(format!(
                    "{}: {name}: expected a matrix that lies there by rows, found one by columns: save it after contiguous()",
                    file.name
                )));
            }
            source.transposed ^= true;
        }
        let (offset, dtype) = (file.header.data_start + info.data_offsets.0, info.dtype);
        Ok(Part { source, dtype, file: at, offset })
    }

    /// Where a tensor is missing: whether there is one whose name ends with its name. transformers takes only
    /// its `base_model_prefix` off; with other names in a model's place it goes on with random numbers.
    fn longer_name(&self, name: &str) -> String {
        let names = self.files.iter().flat_map(|file| file.header.names());
        let prefix = names.filter_map(|other| other.strip_suffix(name)).find(|prefix| prefix.ends_with('.'));
        prefix.map_or_else(String::new, |prefix| {
            format!(", but {prefix}{name}: take {prefix:?} off the names and save the weights again")
        })
    }

    /// The shape that the file gives, for the few tensors that are written in two ways.
    #[must_use]
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        let source = self.naming.sources(name, &[]).swap_remove(0);
        self.info(&self.stored(source.name)).map(|(_, info)| info.shape.as_slice())
    }

    /// What to say of tensors that nobody has asked for by now; none if there are none.
    #[must_use]
    pub fn surplus(&self) -> Option<String> {
        let used = self.used.borrow();
        let names = self.files.iter().flat_map(|file| file.header.names());
        let known = |name: &str| used.contains(name) || Naming::ignores(name, &self.config.head);
        let left: Vec<&str> = names.filter(|name| !known(name)).collect();
        let first = left.first()?;
        let shape = self.info(first).map(|(_, info)| info.shape.as_slice()).unwrap_or_default();
        let (label, others) = (self.label(), left.len() - 1);
        let config = if matches!(self.naming, Naming::OpenClip { .. }) { OPEN_CLIP_CONFIG } else { FILES[0] };
        Some(format!(
            "{label}: {first} (shape {shape:?}) and {others} more were left out: they belong to no part of the model that {config} describes"
        ))
    }
}
