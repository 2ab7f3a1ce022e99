//! From a checkpoint's tensors to stored weights: fetched by name with the expected shape, converted in slices of rows,
//! handed to a store. The model sees only the ids.

use std::ops::Range;

use safetensors::Dtype;

use crate::{
    checkpoint::{Checkpoint, Tensor},
    error::{Error, Result},
    gpu::{Buffer, Gpu},
    kernels::{MatrixRef, VectorRef, WeightId},
    quant::{Format, Matrix, Packed, pack, pack_stored},
};

/// Most bytes of a tensor that are in memory at once.
const SLICE_BYTES: usize = 16 << 20;

/// Where weights go: the GPU, or memory for the naive reference.
pub trait Store {
    /// Makes room for `rows × cols` weights and returns their id.
    ///
    /// # Errors
    /// If there is no room.
    fn begin(&mut self, label: &str, format: Format, rows: usize, cols: usize) -> Result<WeightId>;
    /// Appends packed rows to the weights begun last.
    fn append(&mut self, rows: &Packed);
}

/// Weights in memory.
#[derive(Default)]
pub struct HostStore {
    /// By [`WeightId`].
    pub weights: Vec<Matrix>,
}

impl Store for HostStore {
    fn begin(&mut self, _: &str, format: Format, rows: usize, cols: usize) -> Result<WeightId> {
        self.weights.push(Matrix { format, rows, cols, packed: Packed::default() });
        Ok(WeightId(self.weights.len() - 1))
    }
    fn append(&mut self, rows: &Packed) {
        let packed = &mut self.weights.last_mut().expect("begin comes before append").packed;
        packed.values.extend(&rows.values);
        packed.scales.extend(&rows.scales);
    }
}

/// Weights on the GPU.
pub struct GpuStore<'a> {
    gpu: &'a Gpu,
    /// By [`WeightId`]: values, and scales where the format has them.
    pub weights: Vec<(Buffer, Option<Buffer>)>,
    written: (u64, u64),
}

impl<'a> GpuStore<'a> {
    /// An empty store.
    #[must_use]
    pub fn new(gpu: &'a Gpu) -> Self {
        Self { gpu, weights: Vec::new(), written: (0, 0) }
    }
}

impl Store for GpuStore<'_> {
    fn begin(&mut self, label: &str, format: Format, rows: usize, cols: usize) -> Result<WeightId> {
        let values = self.gpu.buffer(label, (rows * format.row_bytes(cols)) as u64)?;
        let scales = match format.scale_bytes(cols) {
            0 => None,
            bytes => Some(self.gpu.buffer(&format!("{label}.scales"), (rows * bytes) as u64)?),
        };
        self.weights.push((values, scales));
        self.written = (0, 0);
        Ok(WeightId(self.weights.len() - 1))
    }
    fn append(&mut self, rows: &Packed) {
        let (values, scales) = self.weights.last().expect("begin comes before append");
        self.gpu.write(values, self.written.0, &rows.values);
        self.written.0 += rows.values.len() as u64;
        if let Some(scales) = scales {
            self.gpu.write(scales, self.written.1, &rows.scales);
            self.written.1 += rows.scales.len() as u64;
        }
    }
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

/// Fetches tensors of one checkpoint into one store.
pub struct Loader<'a> {
    checkpoint: &'a Checkpoint,
    store: Option<&'a mut dyn Store>,
    format: Option<Format>,
    planned: usize,
    /// Every tensor asked for, in order.
    pub entries: Vec<Entry>,
    progress: Option<&'a dyn Fn(u64)>,
}

impl<'a> Loader<'a> {
    /// `format` none keeps each matrix as the file has it (BF16 becomes F32); `progress` is told the bytes read so far.
    ///
    /// # Errors
    /// [`Error::BadInput`] if the checkpoint is quantised already, to another format.
    pub fn new(
        checkpoint: &'a Checkpoint,
        store: &'a mut dyn Store,
        format: Option<Format>,
        progress: Option<&'a dyn Fn(u64)>,
    ) -> Result<Self> {
        if let (Some(stored), Some(wanted)) = (&checkpoint.quantized, format)
            && stored != wanted.name()
        {
            return Err(Error::BadInput(format!(
                "format: this model is stored as {stored} and cannot become {}: use \"none\", or start from the original checkpoint",
                wanted.name()
            )));
        }
        Ok(Self { checkpoint, store: Some(store), format, planned: 0, entries: Vec::new(), progress })
    }

    /// Checks names and shapes and reads nothing.
    #[must_use]
    pub fn dry(checkpoint: &'a Checkpoint) -> Self {
        Self { checkpoint, store: None, format: None, planned: 0, entries: Vec::new(), progress: None }
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

    /// Any tensor as a flat vector in f32: norms, biases, positions, tokens that are learned.
    ///
    /// # Errors
    /// As [`Checkpoint::tensor`].
    pub fn vector(&mut self, name: &str, shape: &[usize]) -> Result<VectorRef> {
        let tensor = self.tensor(name, shape, false)?;
        self.flat(name, &tensor, 0..tensor.rows)
    }

    /// Some entries of a vector that the file keeps joined.
    ///
    /// # Errors
    /// As [`Checkpoint::tensor`].
    pub fn vector_part(&mut self, name: &str, len: usize, part: Range<usize>) -> Result<VectorRef> {
        let tensor = self.tensor(name, &[len], false)?;
        self.flat(name, &tensor, part)
    }

    /// Vectors one after the other as one.
    ///
    /// # Errors
    /// As [`Checkpoint::tensor`].
    pub fn vectors(&mut self, names: &[String], len: usize) -> Result<VectorRef> {
        let tensors: Vec<Tensor> = names.iter().map(|n| self.tensor(n, &[len], false)).collect::<Result<_>>()?;
        let mut all = Vec::new();
        if self.store.is_some() {
            for tensor in &tensors {
                all.extend(self.checkpoint.rows_f32(tensor, 0..len)?);
                self.report((len * 4) as u64);
            }
        }
        self.put(&names[0], names.len() * len, &all)
    }

    fn flat(&mut self, name: &str, tensor: &Tensor, rows: Range<usize>) -> Result<VectorRef> {
        let len = rows.len() * tensor.cols;
        let data = if self.store.is_some() { self.checkpoint.rows_f32(tensor, rows)? } else { Vec::new() };
        self.report((data.len() * 4) as u64);
        self.put(name, len, &data)
    }

    fn put(&mut self, label: &str, len: usize, data: &[f32]) -> Result<VectorRef> {
        self.planned += 1;
        let id = match &mut self.store {
            None => WeightId(self.planned - 1),
            Some(store) => {
                let id = store.begin(label, Format::F32, 1, len)?;
                store.append(&pack(Format::F32, data, len)?);
                id
            }
        };
        Ok(VectorRef { id, len: len as u32 })
    }

    /// A number, which some files write with shape `[]` and some with `[1]`.
    ///
    /// # Errors
    /// As [`Checkpoint::tensor`].
    pub fn scalar(&mut self, name: &str) -> Result<f32> {
        let shape: &[usize] = if self.checkpoint.shape(name) == Some(&[]) { &[] } else { &[1] };
        let tensor = self.tensor(name, shape, false)?;
        if self.store.is_none() {
            return Ok(0.0);
        }
        Ok(self.checkpoint.rows_f32(&tensor, 0..1)?[0])
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
        self.stack(&names[0], &parts)
    }

    /// Some rows of a matrix that the file keeps joined.
    ///
    /// # Errors
    /// As [`Checkpoint::tensor`].
    pub fn matrix_part(&mut self, name: &str, shape: &[usize], part: Range<usize>) -> Result<MatrixRef> {
        let tensor = self.tensor(name, shape, true)?;
        self.stack(name, &[(tensor, part)])
    }

    fn stack(&mut self, label: &str, parts: &[(Tensor, Range<usize>)]) -> Result<MatrixRef> {
        let rows = parts.iter().map(|(_, part)| part.len()).sum();
        let cols = parts[0].0.cols;
        let format = stored_format(&parts[0].0, self.format);
        self.planned += 1;
        let mut id = WeightId(self.planned - 1);
        if let Some(store) = &mut self.store {
            id = store.begin(label, format, rows, cols)?;
        }
        for (tensor, part) in parts {
            if stored_format(tensor, self.format) != format {
                return Err(Error::BadCheckpoint(format!(
                    "{}: {}: expected the type of {label}, {:?}, found {:?}",
                    self.checkpoint.file(tensor),
                    tensor.stored_name(),
                    parts[0].0.dtype,
                    tensor.dtype
                )));
            }
            let scales = self.scales(tensor, format)?;
            if self.store.is_none() {
                continue;
            }
            self.each_slice(tensor, part, scales.as_ref(), format, &mut |packed, store| store.append(packed))?;
        }
        Ok(MatrixRef { id, format, rows: rows as u32, cols: cols as u32 })
    }

    /// A table of rows that stays on the CPU: the token embeddings, of which a text needs a few rows.
    ///
    /// # Errors
    /// As [`Checkpoint::tensor`].
    pub fn table(&mut self, name: &str, shape: &[usize]) -> Result<Matrix> {
        let tensor = self.tensor(name, shape, true)?;
        let format = stored_format(&tensor, self.format);
        let mut table = HostStore::default();
        table.begin(name, format, tensor.rows, tensor.cols)?;
        let scales = self.scales(&tensor, format)?;
        if self.store.is_some() {
            self.each_slice(&tensor, &(0..tensor.rows), scales.as_ref(), format, &mut |packed, _| {
                table.append(packed)
            })?;
        }
        Ok(table.weights.remove(0))
    }

    /// The scales beside a tensor that is quantised in the file.
    fn scales(&mut self, tensor: &Tensor, format: Format) -> Result<Option<Tensor>> {
        match tensor.dtype {
            Dtype::I8 | Dtype::U8 => Ok(Some(self.checkpoint.scales(tensor, format.scales(tensor.cols))?)),
            _ => Ok(None),
        }
    }

    fn each_slice(
        &mut self,
        tensor: &Tensor,
        part: &Range<usize>,
        scales: Option<&Tensor>,
        format: Format,
        use_slice: &mut dyn FnMut(&Packed, &mut dyn Store),
    ) -> Result<()> {
        let step = (SLICE_BYTES / (tensor.cols * 4).max(1)).max(1);
        for start in part.clone().step_by(step) {
            let rows = start..(start + step).min(part.end);
            let (packed, bytes) = match scales {
                Some(scales) => {
                    let values = self.checkpoint.rows_stored(tensor, &rows)?;
                    let scales = self.checkpoint.rows_f32(scales, rows)?;
                    (pack_stored(format, &values, &scales, tensor.cols), values.len() + scales.len() * 2)
                }
                None => {
                    let data = self.checkpoint.rows_f32(tensor, rows)?;
                    let width = if tensor.dtype == Dtype::F32 { 4 } else { 2 };
                    (
                        pack(format, &data, tensor.cols)
                            .map_err(|e| in_tensor(self.checkpoint.file(tensor), tensor.stored_name(), &e))?,
                        data.len() * width,
                    )
                }
            };
            if let Some(store) = &mut self.store {
                use_slice(&packed, *store);
            }
            self.report(bytes as u64);
        }
        Ok(())
    }

    fn report(&mut self, bytes: u64) {
        if let Some(progress) = self.progress {
            progress(bytes);
        }
    }
}

fn in_tensor(file: &str, name: &str, error: &Error) -> Error {
    Error::BadCheckpoint(format!("{file}: {name}: {error}"))
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
