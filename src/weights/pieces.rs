//! What was asked for, cut into slices of the tensor files; and a slice's way into a store.

use std::rc::Rc;

use safetensors::Dtype;

use super::{Part, Store, Weight};
use crate::{
    checkpoint::{Checkpoint, Slice, Tensor},
    error::{Error, Result},
    quant::{Format, PACKING, Packed, Plane, pack_on, pad_scales, pad_values},
    threads::Threads,
};

/// Most bytes of a tensor that are in memory at once. Smaller is gentler on the browser's memory, where a slice is there as
/// the file has it, as floats and packed; a slice is still far longer than what it costs to ask for one.
const SLICE_BYTES: usize = 4 << 20;

/// A range of a tensor file and where its content goes.
#[derive(Debug, Clone)]
pub struct Piece {
    /// Where it is.
    pub slice: Slice,
    /// Which weight of the list that was cut up.
    weight: usize,
    format: Format,
    cols: usize,
    /// First row of the weight that this fills; first float of a vector.
    row: usize,
    content: Content,
    tensor: Rc<Tensor>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    /// Floats of any type that stay f32, end to end: a vector is a single row, and tensors of any shape lie in it.
    Vector,
    /// Floats of any type, to be packed.
    Floats,
    /// Quantised in the file.
    Values,
    /// Their scales, F16.
    Scales,
}

/// A piece as it is once it was converted: what can be kept in place of the file's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedForm {
    /// Tells it from every other form of the same bytes: the format and [`PACKING`], a slash, and rows of the file's tensor.
    pub name: String,
    /// Its length in bytes: values, then scales.
    pub bytes: usize,
}

impl Piece {
    /// What the piece becomes, if it is converted to less than the file has.
    #[must_use]
    pub fn packed_form(&self) -> Option<PackedForm> {
        let rows = &self.slice.own;
        let bytes = self.slice.rows.len() * (self.format.row_bytes(self.cols) + self.format.scale_bytes(self.cols));
        let smaller = (bytes as u64) < self.slice.bytes.end - self.slice.bytes.start;
        (self.content == Content::Floats && smaller).then(|| PackedForm {
            name: format!("{}.{PACKING}/{}-{}", self.format.name(), rows.start, rows.end),
            bytes,
        })
    }

    /// Whether the file has floats of the very type that is kept.
    fn as_stored(&self) -> bool {
        let dtype = match self.format {
            Format::F32 => Dtype::F32,
            Format::F16 => Dtype::F16,
            Format::Q8 | Format::Q4 => return false,
        };
        self.slice.holds(&self.tensor, dtype)
    }

    /// Writes packed rows to their place; nothing, if the format has no such plane.
    fn write(&self, plane: Plane, bytes: &[u8], store: &mut dyn Store) {
        let row = plane.row_bytes(self.format, self.cols);
        if row > 0 {
            store.write(self.weight, plane, self.row * row, bytes);
        }
    }
}

/// Cuts weights up, in the order in which their bytes lie in the files.
///
/// No two pieces overlap unless the model asks twice for the same tensor, and what no piece covers is not needed.
#[must_use]
pub fn pieces(weights: &[Weight]) -> Vec<Piece> {
    let mut all = Vec::new();
    for (index, weight) in weights.iter().enumerate() {
        for part in &weight.parts {
            cut(index, weight, part, &mut all);
        }
    }
    all.sort_by_key(|piece| (piece.slice.file, piece.slice.bytes.start));
    all
}

impl Weight {
    /// One row of it, as a weight of its own: for a table of which few rows are needed.
    ///
    /// # Panics
    /// If the weight has no such row.
    #[must_use]
    pub fn single_row(&self, row: usize) -> Self {
        let holds = |part: &&Part| (part.at..part.at + part.rows.len()).contains(&row);
        let part = self.parts.iter().find(holds).expect("a row of this weight");
        let source = part.rows.start + row - part.at;
        let parts = vec![Part { at: 0, rows: source..source + 1, ..part.clone() }];
        Self { rows: 1, parts, ..self.clone() }
    }
}

fn cut(index: usize, weight: &Weight, part: &Part, into: &mut Vec<Piece>) {
    let vector = weight.rows == 1 && weight.format == Format::F32;
    let mut push = |tensor: &Tensor, content| {
        let tensor = Rc::new(tensor.clone());
        for slice in tensor.slices(part.rows.clone(), SLICE_BYTES / (tensor.cols * 4).max(1)) {
            let ahead = (slice.rows.start - part.rows.start) * if vector { tensor.cols } else { 1 };
            into.push(Piece {
                slice,
                weight: index,
                format: weight.format,
                cols: weight.cols,
                row: part.at + ahead,
                content,
                tensor: tensor.clone(),
            });
        }
    };
    match &part.scales {
        None if vector => push(&part.tensor, Content::Vector),
        None => push(&part.tensor, Content::Floats),
        Some(scales) => {
            push(&part.tensor, Content::Values);
            push(scales, Content::Scales);
        }
    }
}

/// Puts the bytes of a piece where they belong; threads share what there is to convert. Returns what it packed, if it had to.
///
/// # Errors
/// [`Error::BadCheckpoint`] that names file and tensor, for a number that is not finite or does not fit the format.
///
/// # Panics
/// If the bytes are not as many as the piece says.
pub fn put(
    checkpoint: &Checkpoint,
    piece: &Piece,
    bytes: &[u8],
    threads: &Threads,
    store: &mut dyn Store,
) -> Result<Option<Packed>> {
    assert_eq!(
        bytes.len() as u64,
        piece.slice.bytes.end - piece.slice.bytes.start,
        "a piece is put as it was asked for"
    );
    let (format, cols) = (piece.format, piece.cols);
    match piece.content {
        Content::Vector => {
            let floats = checkpoint.floats(&piece.tensor, &piece.slice, bytes)?;
            store.write(piece.weight, Plane::Values, piece.row * size_of::<f32>(), bytemuck::cast_slice(&floats));
        }
        Content::Floats if piece.as_stored() => {
            checkpoint.check_finite(&piece.tensor, &piece.slice, bytes)?;
            piece.write(Plane::Values, &pad_values(format, bytes, cols), store);
        }
        Content::Floats => {
            let floats = checkpoint.floats(&piece.tensor, &piece.slice, bytes)?;
            let packed = pack_on(threads, format, &floats, cols).map_err(|e| {
                Error::BadCheckpoint(format!("{}: {}: {e}", checkpoint.file(&piece.tensor), piece.tensor.stored_name()))
            })?;
            piece.write(Plane::Values, &packed.values, store);
            piece.write(Plane::Scales, &packed.scales, store);
            return Ok(Some(packed));
        }
        Content::Values => piece.write(Plane::Values, &pad_values(format, bytes, cols), store),
        Content::Scales => {
            checkpoint.check_finite(&piece.tensor, &piece.slice, bytes)?;
            piece.write(Plane::Scales, &pad_scales(format, bytes, cols), store);
        }
    }
    Ok(None)
}

/// Puts a piece that was kept in its [`PackedForm`].
///
/// # Panics
/// If the bytes are not as many as the form says.
pub fn put_packed(piece: &Piece, bytes: &[u8], store: &mut dyn Store) {
    let form = piece.packed_form().map(|form| form.bytes);
    assert_eq!(Some(bytes.len()), form, "a piece is put as it was kept");
    let (values, scales) = bytes.split_at(piece.slice.rows.len() * piece.format.row_bytes(piece.cols));
    piece.write(Plane::Values, values, store);
    piece.write(Plane::Scales, scales, store);
}

/// Reads every piece from where the checkpoint is and puts it into a store.
///
/// # Errors
/// As [`put`], or [`Error::BadCheckpoint`] if a file ends too early.
pub fn read(checkpoint: &Checkpoint, weights: &[Weight], store: &mut dyn Store) -> Result<()> {
    for piece in pieces(weights) {
        let bytes = checkpoint.read(piece.slice.file, piece.slice.bytes.clone())?;
        put(checkpoint, &piece, &bytes, &Threads::ONE, store)?;
    }
    Ok(())
}
