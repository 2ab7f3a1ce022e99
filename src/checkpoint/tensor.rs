//! A tensor that a model asked for, and the slices of files in which it lies.

use std::ops::Range;

use safetensors::Dtype;

use super::names::Source;

/// A tensor that a model asked for: what it is and where it lies.
#[derive(Debug, Clone)]
pub struct Tensor {
    /// transformers' name, by which the tensor was requested.
    pub name: String,
    /// F64, F32, F16, BF16, or F32 where parts differ; with `NAME.scales` beside it I8, or U8, which holds two weights a byte.
    pub dtype: Dtype,
    /// Size of the first dimension; 1 for a scalar.
    pub rows: usize,
    /// Weights in a row: the product of the other dimensions.
    pub cols: usize,
    /// The ranges of rows in the files that make up the tensor, in order.
    pub(super) parts: Vec<Part>,
}

/// A range of rows of a tensor in a file.
#[derive(Debug, Clone)]
pub struct Part {
    pub source: Source,
    pub dtype: Dtype,
    pub file: usize,
    /// Byte offset of the whole tensor in the file.
    pub offset: u64,
}

/// A contiguous range of bytes in one file, and the rows of a tensor that it holds.
#[derive(Debug, Clone)]
pub struct Slice {
    /// Index of the file among the checkpoint's tensor files.
    pub file: usize,
    /// The range of bytes in the file.
    pub bytes: Range<u64>,
    /// The rows that the bytes hold, counted in the requested tensor.
    pub rows: Range<usize>,
    /// Index of the part.
    pub(super) part: usize,
    /// The rows as the file's tensor counts them.
    pub own: Range<usize>,
}

impl Slice {
    /// Whether the bytes hold rows of this tensor as they are, in this type.
    #[must_use]
    pub fn holds(&self, tensor: &Tensor, dtype: Dtype) -> bool {
        let Part { source, dtype: own, .. } = &tensor.parts[self.part];
        *own == dtype && !source.transposed
    }
}

impl Tensor {
    /// The name in the file, of the first of its parts: what errors speak of.
    #[must_use]
    pub fn stored_name(&self) -> &str {
        &self.parts[0].source.name
    }

    /// Where some of the rows are, in slices of about so many rows. A part that is transposed in its file comes as a whole.
    #[must_use]
    pub fn slices(&self, rows: Range<usize>, step: usize) -> Vec<Slice> {
        let (mut all, mut start) = (Vec::new(), 0);
        for (at, part) in self.parts.iter().enumerate() {
            let here = start..start + part.source.rows.len();
            start = here.end;
            let wanted = rows.start.max(here.start)..rows.end.min(here.end);
            let step = if part.source.transposed { usize::MAX } else { step.max(1) };
            for first in wanted.clone().step_by(step) {
                let rows = first..first.saturating_add(step).min(wanted.end);
                let own = |row: usize| row - here.start + part.source.rows.start;
                let own = own(rows.start)..own(rows.end);
                let read = if part.source.transposed { 0..part.source.rows.len() } else { own.clone() };
                let at_row = |row: usize| part.offset + row as u64 * self.row_bytes(part.dtype) as u64;
                let bytes = at_row(read.start)..at_row(read.end);
                all.push(Slice { file: part.file, bytes, rows, part: at, own });
            }
        }
        all
    }

    fn row_bytes(&self, dtype: Dtype) -> usize {
        match dtype {
            Dtype::F64 => self.cols * 8,
            Dtype::U8 => self.cols.div_ceil(2),
            Dtype::I8 => self.cols,
            Dtype::F32 => self.cols * 4,
            _ => self.cols * 2,
        }
    }
}
