//! `ocelli quantize`: writes a folder like the one it reads, with smaller tensors, and what they cost.
//!
//! Matrices become F16, or with `NAME.scales` beside them I8, or U8 of shape `[rows, ⌈cols / 2⌉]` with two weights a byte;
//! the rest is F32. The safetensors metadata says `ocelli.format`.
//!
//! Tensors lie in files of at most 64 MB, which never mix towers, so that a load of one tower can pass over the other's
//! files: named as Hugging Face names shards, with `model.safetensors.index.json`, however small the model is. Within a file
//! the `safetensors` crate decides: F32, then scales, then values, each by name; scales come before what they scale.
//! `manifest.json` has the size and hash of every other file, and `config.json` says so; the other JSON files are as they
//! were.

mod cost;
mod folder;
mod shards;

use std::{borrow::Cow, cell::Cell, fs, path::Path};

pub use cost::{losses, tensor_bytes};

use folder::Folder;
use safetensors::{Dtype, View};

use crate::{
    checkpoint::Checkpoint,
    error::{Error, Result},
    model,
    quant::{Format, quantize_row},
};

/// Most bytes of tensors in a file, but for one tensor that is larger: what a browser keeps, and fetches again if it has to,
/// in one piece.
pub const FILE_BYTES: usize = 64_000_000;

/// A tensor to be written: read and converted only when its turn comes, so that one is in memory at a time.
struct Out<'a> {
    checkpoint: &'a Checkpoint,
    name: String,
    source_shape: Vec<usize>,
    shape: Vec<usize>,
    kind: Kind,
    report: &'a dyn Fn(usize),
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    F32,
    F16,
    Values(Format),
    Scales(Format),
}

impl Out<'_> {
    fn bytes(&self) -> Result<Vec<u8>> {
        let tensor = self.checkpoint.tensor(&self.name, &self.source_shape)?;
        let mut bytes = Vec::new();
        for row in 0..tensor.rows {
            let data = self.checkpoint.rows_f32(&tensor, row..row + 1)?;
            match self.kind {
                Kind::F32 => bytes.extend(data.iter().flat_map(|w| w.to_le_bytes())),
                Kind::F16 => {
                    bytes.extend(crate::quant::pack(Format::F16, &data, data.len())?.values[..data.len() * 2].iter())
                }
                Kind::Values(format) => bytes.extend(quantize_row(format, &data)?.0),
                Kind::Scales(format) => {
                    bytes.extend(quantize_row(format, &data)?.1.iter().flat_map(|s| s.to_le_bytes()))
                }
            }
        }
        (self.report)(bytes.len());
        Ok(bytes)
    }
}

impl View for &Out<'_> {
    fn dtype(&self) -> Dtype {
        match self.kind {
            Kind::F32 => Dtype::F32,
            Kind::F16 | Kind::Scales(_) => Dtype::F16,
            Kind::Values(Format::Q4) => Dtype::U8,
            Kind::Values(_) => Dtype::I8,
        }
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        // `quantize` has read and converted every tensor once before it writes.
        self.bytes().expect("checked before writing").into()
    }
    fn data_len(&self) -> usize {
        self.shape.iter().product::<usize>() * self.dtype().bitsize() / 8
    }
}

/// A tensor, or a matrix with its scales: never in two files.
struct Unit<'a>(Vec<(String, Out<'a>)>);

impl Unit<'_> {
    fn name(&self) -> &str {
        &self.0[0].0
    }
    fn bytes(&self) -> usize {
        self.0.iter().map(|(_, out)| View::data_len(&out)).sum()
    }
}

/// Everything to be written, in the order in which the model asks for it.
fn units<'a>(checkpoint: &'a Checkpoint, format: Format, report: &'a dyn Fn(usize)) -> Result<Vec<Unit<'a>>> {
    let mut units = Vec::new();
    for entry in model::entries(checkpoint)? {
        let out = |name: &str, shape: Vec<usize>, kind| {
            let (source, source_shape) = (entry.name.clone(), entry.shape.clone());
            (name.to_string(), Out { checkpoint, name: source, source_shape, shape, kind, report })
        };
        units.push(Unit(match (entry.matrix, format.of_matrix(&entry.name)) {
            (false, _) | (true, Format::F32) => vec![out(&entry.name, entry.shape.clone(), Kind::F32)],
            (true, Format::F16) => vec![out(&entry.name, entry.shape.clone(), Kind::F16)],
            (true, format @ (Format::Q8 | Format::Q4)) => {
                let (rows, cols) = (entry.shape[0], entry.shape[1..].iter().product());
                // Half bytes have no shape but this one; a patch embedding's four dimensions are otherwise kept.
                let packed = vec![rows, format.file_row_bytes(cols)];
                let shape = if format == Format::Q4 { packed } else { entry.shape.clone() };
                let scales =
                    out(&format!("{}.scales", entry.name), vec![rows, format.scales(cols)], Kind::Scales(format));
                vec![out(&entry.name, shape, Kind::Values(format)), scales]
            }
        }));
    }
    Ok(units)
}

/// Sizes before and after, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Sizes {
    /// The tensor files that were read.
    pub before: u64,
    /// The tensor files that were written.
    pub after: u64,
}

/// Reads the folder `from`, writes the folder `to`. `progress` is told done and total bytes. If this fails, `to` is what it
/// was, or has no manifest.
///
/// # Errors
/// Whatever is wrong with the source; [`Error::BadInput`] if it is quantised already or `to` is `from`.
pub fn quantize(from: &Path, to: &Path, format: Format, progress: &dyn Fn(usize, usize)) -> Result<Sizes> {
    quantize_into(from, to, format, FILE_BYTES, progress)
}

/// The same with another limit than [`FILE_BYTES`].
///
/// # Errors
/// As [`quantize`].
pub fn quantize_into(
    from: &Path,
    to: &Path,
    format: Format,
    file_bytes: usize,
    progress: &dyn Fn(usize, usize),
) -> Result<Sizes> {
    let checkpoint = Checkpoint::open(from)?;
    if let Some(stored) = &checkpoint.quantized {
        return Err(Error::BadInput(format!(
            "{}: expected an original checkpoint, found one stored as {stored}: quantise from the original",
            from.display()
        )));
    }
    fs::create_dir_all(to).map_err(|e| Error::BadInput(format!("{}: {e}", to.display())))?;
    if fs::canonicalize(from).ok() == fs::canonicalize(to).ok() {
        return Err(Error::BadInput(format!("{}: expected another folder than the source", to.display())));
    }
    let (done, total) = (Cell::new(0), Cell::new(0));
    let report = |bytes: usize| {
        done.set(done.get() + bytes);
        progress(done.get(), total.get());
    };
    let units = units(&checkpoint, format, &report)?;
    // Twice over the data: first to find what is wrong with it, then to write.
    total.set(2 * units.iter().map(Unit::bytes).sum::<usize>());
    for (_, out) in units.iter().flat_map(|unit| &unit.0) {
        out.bytes()?;
    }
    let after = Folder::new(to, format).write(from, &units, file_bytes)?;
    Ok(Sizes { before: checkpoint.size(), after })
}
