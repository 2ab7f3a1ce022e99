//! `ocelli quantize`: writes a folder like the one it reads, with smaller tensors.
//!
//! The same files under the same names, whichever format the source has; matrices become F16, or with `NAME.scales` beside them I8, or U8 of shape
//! `[rows, ⌈cols / 2⌉]` with two weights a byte; the rest is F32. The safetensors metadata says `ocelli.format`.

mod cost;

use std::{borrow::Cow, collections::HashMap, fs, io::Read, path::Path};

pub use cost::{losses, tensor_bytes};
use safetensors::{Dtype, View};

use crate::{
    checkpoint::{
        Checkpoint, FILES, INDEX,
        manifest::{self, Hash, KEY, MANIFEST, Manifest},
        names::Naming,
        write::{Out, write},
    },
    config::{TokenizerFiles, Towers},
    error::{Error, Result},
    model,
    quant::{Format, quantize_row},
    text,
    verify::{GOLDENS, Goldens},
};

/// Most bytes of tensors in one file: a cache keeps it whole, and a broken download loses no more.
const SHARD_BYTES: usize = 64 << 20;

/// A tensor to be written: read and converted only when its turn comes, so that one is in memory at a time.
struct Converted<'a> {
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

impl Converted<'_> {
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

impl View for Converted<'_> {
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

/// Sizes of the weights before and after quantisation, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Sizes {
    /// Tensor files that were read: `model.safetensors`, or all of its shards.
    pub before: u64,
    /// Tensor files that were written.
    pub after: u64,
}

/// Reads the folder `from`, writes the folder `to`; with `goldens` also what [`crate::verify`] compares a device with, which
/// takes a while for a large model, and is left out for a single tower. `progress` is told done and total bytes.
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
    let outs = outs(&checkpoint, format, &report)?;
    // Twice over the data: first to find what is wrong with it, then to write.
    total.set(2 * outs.iter().map(|out| out.view.data_len()).sum::<usize>());
    for out in &outs {
        out.view.bytes()?;
    }
    clear(to)?;
    let mut files: Vec<(String, Towers)> = Vec::new();
    for (name, bytes) in small_files(&checkpoint)? {
        fs::write(to.join(&name), bytes).map_err(|e| failed(&to.join(&name), e))?;
        files.push((name, Towers::Both));
    }
    // One key only: the crate writes several in random order, and the same source must give the same bytes.
    let metadata = HashMap::from([("ocelli.format".to_string(), format.name().to_string())]);
    let tensors = write(to, outs, SHARD_BYTES, Some(&metadata))?;
    let size = |name: &str| fs::metadata(to.join(name)).map(|m| m.len()).map_err(|e| failed(&to.join(name), e));
    let after = tensors.iter().map(|(name, _)| size(name)).sum::<Result<u64>>()?;
    // A small single tower is one file, which has no index.
    if tensors.len() > 1 {
        files.push((INDEX.into(), Towers::Both));
    }
    files.extend(tensors);
    let mut manifest = Manifest::new(format.name());
    for (name, tower) in files {
        list(&mut manifest, to, &name, tower)?;
    }
    save(&manifest, to)?;
    if goldens && (checkpoint.config.towers == Towers::Both || checkpoint.config.generator().is_ok()) {
        // They are those of the folder as it is, which opens only with its manifest.
        Goldens::write(to)?;
        list(&mut manifest, to, GOLDENS, Towers::Both)?;
        save(&manifest, to)?;
    }
    Ok(Sizes { before: checkpoint.size(), after })
}

/// Everything to be written, in the order in which the model asks for it.
fn outs<'a>(checkpoint: &'a Checkpoint, format: Format, report: &'a dyn Fn(usize)) -> Result<Vec<Out<Converted<'a>>>> {
    let mut outs = Vec::new();
    for entry in model::entries(checkpoint)? {
        let mut out = |name: &str, shape: Vec<usize>, kind| {
            let view = Converted {
                checkpoint,
                name: entry.name.clone(),
                source_shape: entry.shape.clone(),
                shape,
                kind,
                report,
            };
            outs.push(Out { name: name.into(), tower: tower(name), view });
        };
        match (entry.matrix, format.of_matrix(&entry.name)) {
            (false, _) | (true, Format::F32) => out(&entry.name, entry.shape.clone(), Kind::F32),
            (true, Format::F16) => out(&entry.name, entry.shape.clone(), Kind::F16),
            (true, format @ (Format::Q8 | Format::Q4)) => {
                let (rows, cols) = (entry.shape[0], entry.shape[1..].iter().product());
                // Half bytes have no shape but this one; a patch embedding's four dimensions are otherwise kept.
                let packed = vec![rows, format.file_row_bytes(cols)];
                let shape = if format == Format::Q4 { packed } else { entry.shape.clone() };
                out(&entry.name, shape, Kind::Values(format));
                out(&format!("{}.scales", entry.name), vec![rows, format.scales(cols)], Kind::Scales(format));
            }
        }
    }
    Ok(outs)
}

/// The tower that needs a tensor. Heads belong to the picture tower: texts reach them as vectors.
fn tower(name: &str) -> Towers {
    match name {
        _ if ["text_", "model.", "lm_head."].iter().any(|start| name.starts_with(start)) => Towers::Text,
        _ if name.starts_with("logit_") => Towers::Both,
        _ => Towers::Vision,
    }
}

/// Makes room for a folder: what an earlier run has written goes. Other people's tensor files are not touched, but would be
/// taken for these.
fn clear(to: &Path) -> Result<()> {
    let failed = |what: &Path, e: std::io::Error| Error::BadInput(format!("{}: {e}", what.display()));
    if let Ok(bytes) = fs::read(to.join(MANIFEST)) {
        let old = Manifest::parse(&bytes)?;
        for name in old.files.keys().map(String::as_str).chain([MANIFEST]) {
            match fs::remove_file(to.join(name)) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(failed(&to.join(name), e)),
                _ => {}
            }
        }
    }
    for entry in fs::read_dir(to).map_err(|e| failed(to, e))? {
        let path = entry.map_err(|e| failed(to, e))?.path();
        if path.extension().is_some_and(|extension| extension == "safetensors") {
            return Err(Error::BadInput(format!(
                "{}: expected a folder without tensor files of another model, found this one: name another folder, or remove it",
                path.display()
            )));
        }
    }
    Ok(())
}

/// Adds a file of the folder to its manifest.
fn list(manifest: &mut Manifest, to: &Path, name: &str, tower: Towers) -> Result<()> {
    let path = to.join(name);
    let failed = |e: std::io::Error| Error::BadInput(format!("{}: {e}", path.display()));
    let mut hash = Hash::default();
    let mut file = fs::File::open(&path).map_err(failed)?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer).map_err(failed)? {
            0 => break,
            n => hash.update(&buffer[..n]),
        }
    }
    manifest.files.insert(name.into(), manifest::File { size: hash.length, sha256: hash.hex(), tower });
    Ok(())
}

/// Writes the manifest. This comes last, so that a folder with a manifest is complete.
fn save(manifest: &Manifest, to: &Path) -> Result<()> {
    let json = serde_json::to_string_pretty(manifest).expect("a manifest is plain data");
    let path = to.join(MANIFEST);
    fs::write(&path, json + "\n").map_err(|e| Error::BadInput(format!("{}: {e}", path.display())))
}

/// A `tokenizer.json` larger than this is written in a compact form if there is one: SigLIP 2's takes seconds and hundreds of
/// megabytes to read.
const LARGE_TOKENIZER: usize = 8 << 20;

/// The JSON files and the tokenizer by name: the source's own, or written anew where the source has another format.
fn small_files(checkpoint: &Checkpoint) -> Result<Vec<(String, Vec<u8>)>> {
    let [config, preprocessor, tokenizer_config, ..] = FILES;
    let mut files = match checkpoint.naming {
        Naming::Transformers | Naming::Florence => checkpoint.json.clone(),
        Naming::OpenClip { .. } => {
            let names = [config, preprocessor, tokenizer_config].map(String::from).into_iter();
            names.zip(checkpoint.config.to_files().map(String::into_bytes)).collect()
        }
    };
    files[0].1 = with_manifest(&files[0].1)?;
    let tokenizer = match &checkpoint.tokenizer {
        TokenizerFiles::Json(json) if json.len() > LARGE_TOKENIZER => {
            text::compact(json).map(|bytes| TokenizerFiles::SentencePiece { name: "tokenizer.model".into(), bytes })
        }
        _ => None,
    };
    files.extend(tokenizer.unwrap_or_else(|| checkpoint.tokenizer.clone()).files());
    Ok(files)
}

/// Adds the key to config.json that announces the manifest.
fn with_manifest(config: &[u8]) -> Result<Vec<u8>> {
    let mut config: serde_json::Value = serde_json::from_slice(config)
        .map_err(|e| Error::BadCheckpoint(format!("{}: not the JSON that was expected: {e}", FILES[0])))?;
    config[KEY] = MANIFEST.into();
    Ok(format!("{config:#}\n").into_bytes())
}
