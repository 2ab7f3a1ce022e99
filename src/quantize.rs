//! `ocelli quantize`: writes a folder like the one it reads, with smaller tensors.
//!
//! The same files under the same names, whichever format the source has; matrices become F16, or with `NAME.scales` beside them I8, or U8 of shape
//! `[rows, ⌈cols / 2⌉]` with two weights a byte; the rest is F32. The safetensors metadata says `ocelli.format`.

use std::{borrow::Cow, collections::HashMap, fs, path::Path};

use safetensors::{Dtype, View};

use crate::{
    checkpoint::{Checkpoint, FILES, names::Naming},
    error::{Error, Result},
    model,
    quant::{Format, quantize_row},
    verify::Goldens,
};

/// A tensor to be written: read and converted only when its turn comes, so that one is in memory at a time.
struct Out<'a> {
    checkpoint: &'a Checkpoint,
    name: String,
    source_shape: Vec<usize>,
    shape: Vec<usize>,
    kind: Kind,
    report: &'a dyn Fn(usize),
}

/// Rows that are read at once: a transposed tensor is read in as many strides as it has columns, however few its rows.
const ROWS: usize = 512;

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
        for start in (0..tensor.rows).step_by(ROWS) {
            let data = self.checkpoint.rows_f32(&tensor, start..(start + ROWS).min(tensor.rows))?;
            for row in data.chunks_exact(tensor.cols) {
                match self.kind {
                    Kind::F32 => bytes.extend(row.iter().flat_map(|w| w.to_le_bytes())),
                    Kind::F16 => {
                        bytes.extend(crate::quant::pack(Format::F16, row, row.len())?.values[..row.len() * 2].iter())
                    }
                    Kind::Values(format) => bytes.extend(quantize_row(format, row)?.0),
                    Kind::Scales(format) => {
                        bytes.extend(quantize_row(format, row)?.1.iter().flat_map(|s| s.to_le_bytes()))
                    }
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

/// Sizes before and after, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Sizes {
    /// What was read: `model.safetensors`, or all its shards.
    pub before: u64,
    /// `model.safetensors` that was written.
    pub after: u64,
}

/// Reads the folder `from`, writes the folder `to`; with `goldens` also what [`crate::verify`] compares a device with, which
/// takes a while for a large model. `progress` is told done and total bytes.
///
/// # Errors
/// Whatever is wrong with the source; [`Error::BadInput`] if it is quantised already or `to` is `from`.
pub fn quantize(
    from: &Path,
    to: &Path,
    format: Format,
    goldens: bool,
    progress: &dyn Fn(usize, usize),
) -> Result<Sizes> {
    let checkpoint = Checkpoint::open(from)?;
    if let Some(stored) = &checkpoint.quantized {
        return Err(Error::BadInput(format!(
            "{}: expected an original checkpoint, found one stored as {stored}: quantise from the original",
            from.display()
        )));
    }
    let failed = |what: &Path, e: std::io::Error| Error::BadInput(format!("{}: {e}", what.display()));
    fs::create_dir_all(to).map_err(|e| failed(to, e))?;
    if fs::canonicalize(from).ok() == fs::canonicalize(to).ok() {
        return Err(Error::BadInput(format!("{}: expected another folder than the source", to.display())));
    }

    let done = std::cell::Cell::new(0);
    let total = std::cell::Cell::new(0);
    let report = |bytes: usize| {
        done.set(done.get() + bytes);
        progress(done.get(), total.get());
    };
    let mut outs = Vec::new();
    for entry in model::entries(&checkpoint)? {
        let out = |name: &str, shape: Vec<usize>, kind| {
            let view = Out {
                checkpoint: &checkpoint,
                name: entry.name.clone(),
                source_shape: entry.shape.clone(),
                shape,
                kind,
                report: &report,
            };
            (name.to_string(), view)
        };
        match (entry.matrix, format.of_matrix(&entry.name)) {
            (false, _) | (true, Format::F32) => outs.push(out(&entry.name, entry.shape.clone(), Kind::F32)),
            (true, Format::F16) => outs.push(out(&entry.name, entry.shape.clone(), Kind::F16)),
            (true, format @ (Format::Q8 | Format::Q4)) => {
                let (rows, cols) = (entry.shape[0], entry.shape[1..].iter().product());
                // Half bytes have no shape but this one; a patch embedding's four dimensions are otherwise kept.
                let packed = vec![rows, format.file_row_bytes(cols)];
                let shape = if format == Format::Q4 { packed } else { entry.shape.clone() };
                outs.push(out(&entry.name, shape, Kind::Values(format)));
                outs.push(out(
                    &format!("{}.scales", entry.name),
                    vec![rows, format.scales(cols)],
                    Kind::Scales(format),
                ));
            }
        }
    }
    // Twice over the data: first to find what is wrong with it, then to write. Nothing half-written is left behind.
    total.set(2 * outs.iter().map(|(_, out)| View::data_len(&out)).sum::<usize>());
    for (_, out) in &outs {
        out.bytes()?;
    }
    // One key only: the crate writes several in random order, and the same source must give the same bytes.
    let metadata = HashMap::from([("ocelli.format".to_string(), format.name().to_string())]);
    for (name, bytes) in FILES.iter().zip(json_files(&checkpoint, from)?) {
        fs::write(to.join(name), bytes).map_err(|e| failed(&to.join(name), e))?;
    }
    let weights = to.join(FILES[4]);
    let partial = to.join("model.safetensors.partial");
    let views = outs.iter().map(|(name, out)| (name.as_str(), out));
    safetensors::serialize_to_file(views, Some(metadata), &partial)
        .map_err(|e| Error::BadInput(format!("{}: {e}", partial.display())))?;
    // The crate writes through a private temporary file; users expect what any new file gets.
    let ordinary = fs::metadata(to.join(FILES[0])).map_err(|e| failed(to, e))?.permissions();
    fs::set_permissions(&partial, ordinary).map_err(|e| failed(&partial, e))?;
    fs::rename(&partial, &weights).map_err(|e| failed(&weights, e))?;
    if goldens {
        Goldens::write(to)?;
    }
    let after = fs::metadata(&weights).map_err(|e| failed(&weights, e))?.len();
    Ok(Sizes { before: checkpoint.size(), after })
}

/// The first four of [`FILES`]: the source's own, or written anew where the source has another format.
fn json_files(checkpoint: &Checkpoint, from: &Path) -> Result<[Vec<u8>; 4]> {
    if checkpoint.naming != Naming::Transformers {
        let [config, preprocessor, tokenizer_config] = checkpoint.config.to_files().map(String::into_bytes);
        return Ok([config, preprocessor, tokenizer_config, checkpoint.tokenizer.clone()]);
    }
    let [a, b, c, d, _] = FILES;
    // Not `fs::copy`, which would pass a read-only source's permissions on.
    let read = |name: &str| {
        fs::read(from.join(name)).map_err(|e| Error::BadInput(format!("{}: {e}", from.join(name).display())))
    };
    Ok([read(a)?, read(b)?, read(c)?, read(d)?])
}
