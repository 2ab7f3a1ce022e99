//! From a checkpoint's tensors to stored weights. A model asks a [`Loader`] for each tensor by name with the expected shape and
//! goes on with an id; nothing is read. What was asked for is then cut into [`Piece`]s of the tensor files, which may arrive
//! from a disk or from a network in any order: each is converted, put into the [`Store`], and forgotten.

mod computed;
mod pieces;
mod store;

use std::ops::Range;

use safetensors::Dtype;

pub use computed::Computed;
pub use pieces::{PackedForm, Piece, pieces, put, put_packed, read};
pub use store::{GpuStore, HostStore, Store};

pub use crate::quant::Plane;
use crate::{
    checkpoint::{Checkpoint, Tensor},
    error::{Error, Result},
    kernels::{MatrixRef, VectorRef, WeightId, worth_sharing},
    quant::{Format, PANEL},
};

/// Bytes of the largest buffer that is bound: WebGPU's default `maxStorageBufferBindingSize`.
pub const MAX_BINDING: usize = 128 << 20;

/// A weight that stays on the CPU, by its place there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostId(pub usize);

/// What the model asked for: so many rows of these tensors, one after the other.
#[derive(Debug, Clone)]
pub struct Weight {
    /// The name of the first tensor in it.
    pub label: String,
    /// How it is kept.
    pub format: Format,
    /// Rows; 1 for a vector.
    pub rows: usize,
    /// Columns; all floats of a vector.
    pub cols: usize,
    usage: Usage,
    parts: Vec<Part>,
}

/// What becomes of a matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    /// It is multiplied with: engines that share the work have some rows of it each.
    Product,
    /// Rows of it are looked up, so that one engine needs all of them.
    Table,
    /// Both: one engine has all of it, and the others their rows. A tied head, or a matrix that is not worth sharing for a single row.
    Both,
}

impl Weight {
    /// Makes room for it.
    ///
    /// # Errors
    /// If there is none.
    pub fn make_room(&self, store: &mut dyn Store) -> Result<()> {
        store.make_room_for(self.usage, &self.label, self.format, self.rows, self.cols)
    }

    /// Nothing.
    #[must_use]
    pub fn empty() -> Self {
        Self { label: String::new(), format: Format::F32, rows: 0, cols: 0, usage: Usage::Product, parts: Vec::new() }
    }
}

/// Rows of one tensor, and where they start in the weight: in rows of a matrix, in floats of a vector.
#[derive(Debug, Clone)]
struct Part {
    tensor: Tensor,
    /// Beside a tensor that is quantised in the file.
    scales: Option<Tensor>,
    rows: Range<usize>,
    at: usize,
}

/// What a tensor is used as, which decides how `ocelli quantize` writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Name in the file.
    pub name: String,
    /// Shape in the file.
    pub shape: Vec<usize>,
    /// A matrix may be quantised; the rest is small and stays f32.
    pub matrix: bool,
}

/// Records what a model asks of one checkpoint.
pub struct Loader<'a> {
    checkpoint: &'a Checkpoint,
    format: Option<Format>,
    /// What goes to the GPU, by [`WeightId`].
    pub weights: Vec<Weight>,
    /// What stays on the CPU, by [`HostId`].
    pub host: Vec<Weight>,
    /// Of [`Loader::weights`], those that are computed when all others are here.
    pub computed: Vec<Computed>,
    /// Every tensor asked for, in order.
    pub entries: Vec<Entry>,
}

impl<'a> Loader<'a> {
    /// `format` none keeps each matrix as the file has it (BF16 becomes F32).
    ///
    /// # Errors
    /// [`Error::BadInput`] if the checkpoint is quantised already, to another format.
    pub fn new(checkpoint: &'a Checkpoint, format: Option<Format>) -> Result<Self> {
        if let (Some(stored), Some(wanted)) = (&checkpoint.quantized, format)
            && stored != wanted.name()
        {
            return Err(Error::BadInput(format!(
                "format: this model is stored as {stored} and cannot become {}: use \"none\", or start from the original checkpoint",
                wanted.name()
            )));
        }
        let (weights, host, computed, entries) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Ok(Self { checkpoint, format, weights, host, computed, entries })
    }

    fn tensor(&mut self, name: &str, shape: &[usize], matrix: bool) -> Result<Tensor> {
        let tensor = match matrix {
            true => self.checkpoint.matrix(name, shape)?,
            false => self.checkpoint.tensor(name, shape)?,
        };
        if !self.entries.iter().any(|e| e.name == name) {
            self.entries.push(Entry { name: name.into(), shape: shape.into(), matrix });
        }
        Ok(tensor)
    }

    /// Whether the files have a tensor, of those that not all have.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.checkpoint.shape(name).is_some()
    }

    /// Any tensor as a flat vector in f32: norms, biases, positions, tokens that are learned.
    ///
    /// # Errors
    /// As [`Checkpoint::tensor`].
    pub fn vector(&mut self, name: &str, shape: &[usize]) -> Result<VectorRef> {
        let tensor = self.tensor(name, shape, false)?;
        let all = 0..tensor.rows;
        Ok(self.flat(vec![(tensor, all)]))
    }

    /// Some entries of a vector that the file keeps joined.
    ///
    /// # Errors
    /// As [`Checkpoint::tensor`].
    pub fn vector_part(&mut self, name: &str, len: usize, part: Range<usize>) -> Result<VectorRef> {
        let tensor = self.tensor(name, &[len], false)?;
        Ok(self.flat(vec![(tensor, part)]))
    }

    /// Vectors one after the other as one.
    ///
    /// # Errors
    /// As [`Checkpoint::tensor`].
    pub fn vectors(&mut self, names: &[String], len: usize) -> Result<VectorRef> {
        let tensors = names.iter().map(|n| Ok((self.tensor(n, &[len], false)?, 0..len))).collect::<Result<_>>()?;
        Ok(self.flat(tensors))
    }

    /// Vectors of these lengths, one after the other as one.
    ///
    /// # Errors
    /// As [`Checkpoint::tensor`].
    pub fn stacked_vectors(&mut self, parts: &[(String, usize)]) -> Result<VectorRef> {
        let tensors = parts.iter().map(|(name, len)| Ok((self.tensor(name, &[*len], false)?, 0..*len)));
        let tensors = tensors.collect::<Result<_>>()?;
        Ok(self.flat(tensors))
    }

    fn flat(&mut self, tensors: Vec<(Tensor, Range<usize>)>) -> VectorRef {
        let weight = vector(tensors);
        let len = weight.cols as u32;
        self.weights.push(weight);
        VectorRef { id: WeightId(self.weights.len() - 1), len }
    }

    /// A number, which some files write with shape `[]` and some with `[1]`. It stays on the CPU.
    ///
    /// # Errors
    /// As [`Checkpoint::tensor`].
    pub fn scalar(&mut self, name: &str) -> Result<HostId> {
        let shape: &[usize] = if self.checkpoint.shape(name) == Some(&[]) { &[] } else { &[1] };
        let tensor = self.tensor(name, shape, false)?;
        self.host.push(vector(vec![(tensor, 0..1)]));
        Ok(HostId(self.host.len() - 1))
    }

    /// A vector that stays on the CPU: positions that are added where the token table is.
    ///
    /// # Errors
    /// As [`Checkpoint::tensor`].
    pub fn host_vector(&mut self, name: &str, shape: &[usize]) -> Result<HostId> {
        let tensor = self.tensor(name, shape, false)?;
        let all = 0..tensor.rows;
        self.host.push(vector(vec![(tensor, all)]));
        Ok(HostId(self.host.len() - 1))
    }

    /// A matrix: the first dimension counts outputs, the others make up the input.
    ///
    /// # Errors
    /// As [`Checkpoint::tensor`].
    pub fn matrix(&mut self, name: &str, shape: &[usize]) -> Result<MatrixRef> {
        self.joined(&[name.to_string()], shape)
    }

    /// Matrices of one shape, stacked.
    ///
    /// # Errors
    /// As [`Checkpoint::tensor`].
    pub fn joined(&mut self, names: &[String], shape: &[usize]) -> Result<MatrixRef> {
        let parts: Vec<(Tensor, Range<usize>)> =
            names.iter().map(|name| Ok((self.tensor(name, shape, true)?, 0..shape[0]))).collect::<Result<_>>()?;
        self.on_gpu(parts)
    }

    /// Matrices of so many rows each, stacked.
    ///
    /// # Errors
    /// As [`Checkpoint::tensor`].
    pub fn stacked(&mut self, parts: &[(String, usize)], cols: usize) -> Result<MatrixRef> {
        let tensors = parts.iter().map(|(name, rows)| Ok((self.tensor(name, &[*rows, cols], true)?, 0..*rows)));
        let tensors = tensors.collect::<Result<_>>()?;
        self.on_gpu(tensors)
    }

    /// Some rows of a matrix that the file keeps joined.
    ///
    /// # Errors
    /// As [`Checkpoint::tensor`].
    pub fn matrix_part(&mut self, name: &str, shape: &[usize], part: Range<usize>) -> Result<MatrixRef> {
        let tensor = self.tensor(name, shape, true)?;
        self.on_gpu(vec![(tensor, part)])
    }

    /// A table of rows that stays on the CPU: the token embeddings, of which a text needs a few rows.
    ///
    /// # Errors
    /// As [`Checkpoint::tensor`].
    pub fn table(&mut self, name: &str, shape: &[usize]) -> Result<HostId> {
        let tensor = self.tensor(name, shape, true)?;
        let table = self.stack(vec![(tensor, 0..shape[0])])?;
        self.host.push(table);
        Ok(HostId(self.host.len() - 1))
    }

    /// A matrix in parts of whole rows, each small enough to be bound by default limits, and the row that each begins with.
    ///
    /// # Errors
    /// As [`Checkpoint::tensor`].
    pub fn shards(&mut self, name: &str, shape: &[usize], usage: Usage) -> Result<Vec<(MatrixRef, u32)>> {
        let tensor = self.tensor(name, shape, true)?;
        let bytes = stored_format(&tensor, self.format).row_bytes(tensor.cols);
        // As many in each, and whole panels.
        let count = (shape[0] * bytes).div_ceil(MAX_BINDING);
        let rows = shape[0].div_ceil(count).next_multiple_of(PANEL);
        let starts = (0..shape[0]).step_by(rows);
        let shard = |start: usize| {
            let part = start..(start + rows).min(shape[0]);
            let matrix = self.on_gpu(vec![(tensor.clone(), part)])?;
            self.weights[matrix.id.0].usage = usage;
            Ok((matrix, start as u32))
        };
        starts.map(shard).collect()
    }

    /// Weights from number `from` on are those of a decoder's blocks: for a step, one engine needs all of what it does alone.
    pub fn of_steps(&mut self, from: usize) {
        for weight in &mut self.weights[from..] {
            if !worth_sharing(1, weight.rows, weight.cols) {
                weight.usage = Usage::Both;
            }
        }
    }

    fn on_gpu(&mut self, tensors: Vec<(Tensor, Range<usize>)>) -> Result<MatrixRef> {
        let weight = self.stack(tensors)?;
        let (format, rows, cols) = (weight.format, weight.rows as u32, weight.cols as u32);
        self.weights.push(weight);
        Ok(MatrixRef { id: WeightId(self.weights.len() - 1), format, rows, cols })
    }

    fn stack(&self, tensors: Vec<(Tensor, Range<usize>)>) -> Result<Weight> {
        let (label, first) = (tensors[0].0.name.clone(), tensors[0].0.dtype);
        let formats: Vec<Format> = tensors.iter().map(|(tensor, _)| stored_format(tensor, self.format)).collect();
        let other = formats.iter().position(|format| *format != formats[0]);
        let quantized = |(tensor, _): &(Tensor, _)| matches!(tensor.dtype, Dtype::I8 | Dtype::U8);
        let format = match other {
            None => formats[0],
            Some(at) if tensors.iter().any(quantized) => {
                let tensor = &tensors[at].0;
                return Err(Error::BadCheckpoint(format!(
                    "{}: {}: expected the type of {label}, {first:?}, found {:?}",
                    self.checkpoint.file(tensor),
                    tensor.stored_name(),
                    tensor.dtype
                )));
            }
            // Floats of several types have this one in common.
            Some(_) => Format::F32,
        };
        let (mut parts, mut at) = (Vec::new(), 0);
        let cols = tensors[0].0.cols;
        for (tensor, rows) in tensors {
            let scales = match tensor.dtype {
                Dtype::I8 | Dtype::U8 => Some(self.checkpoint.scales(&tensor, format.scales(cols))?),
                _ => None,
            };
            let length = rows.len();
            parts.push(Part { tensor, scales, rows, at });
            at += length;
        }
        Ok(Weight { label, format, rows: at, cols, usage: Usage::Product, parts })
    }
}

/// Tensors as one flat vector.
fn vector(tensors: Vec<(Tensor, Range<usize>)>) -> Weight {
    let label = tensors[0].0.name.clone();
    let (mut parts, mut at) = (Vec::new(), 0);
    for (tensor, rows) in tensors {
        let length = rows.len() * tensor.cols;
        parts.push(Part { tensor, scales: None, rows, at });
        at += length;
    }
    Weight { label, format: Format::F32, rows: 1, cols: at, usage: Usage::Product, parts }
}

/// How this matrix is kept if this format was asked for. BF16 has more range than f16, so it becomes F32.
fn stored_format(tensor: &Tensor, wanted: Option<Format>) -> Format {
    match (tensor.dtype, wanted) {
        (Dtype::I8, _) => Format::Q8,
        (Dtype::U8, _) => Format::Q4,
        (_, Some(format)) => format.of_matrix(&tensor.name),
        (Dtype::F16, None) => Format::F16,
        (_, None) => Format::F32,
    }
}
