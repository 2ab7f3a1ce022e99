//! Tensor files and their index, written.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Display,
    fs,
    path::Path,
};

use safetensors::View;
use serde_json::json;

use super::{FILES, INDEX};
use crate::{
    config::Towers,
    error::{Error, Result},
};

/// A tensor to be written. Its bytes are asked for when its turn comes.
pub struct Out<V> {
    /// The tensor's name, as transformers has it.
    pub name: String,
    /// The tower that needs the tensor, or both.
    pub tower: Towers,
    /// Type, shape and bytes of the tensor.
    pub view: V,
}

/// Writes tensors into files of at most `most` bytes, or of one tensor that is larger; no file mixes towers. Returns the names
/// of the tensor files and whose they are, what both need first. A single file is `model.safetensors`; several have an index.
///
/// Nothing that a reader would take for whole is left behind by a failure: files get their names when they are complete.
///
/// # Errors
/// [`Error::BadInput`] if the folder cannot be written.
pub fn write<V: View>(
    to: &Path,
    mut tensors: Vec<Out<V>>,
    most: usize,
    metadata: Option<&HashMap<String, String>>,
) -> Result<Vec<(String, Towers)>> {
    let failed = |path: &Path, e: &dyn Display| Error::BadInput(format!("{}: {e}", path.display()));
    tensors.sort_by_key(|out| out.tower as u8);
    let shards = shards(&tensors, most);
    let name = |at: usize| match shards.len() {
        1 => FILES[4].to_string(),
        n => format!("model-{:05}-of-{n:05}.safetensors", at + 1),
    };
    let (mut files, mut index, mut total) = (Vec::new(), BTreeMap::new(), 0);
    for (at, shard) in shards.iter().enumerate() {
        let path = to.join(name(at));
        let partial = to.join(format!("{}.partial", name(at)));
        let views = shard.iter().map(|out| (out.name.as_str(), Borrowed(&out.view)));
        safetensors::serialize_to_file(views, metadata.cloned(), &partial).map_err(|e| failed(&partial, &e))?;
        // The crate writes through a private temporary file; users expect what any new file gets.
        let ordinary = fs::metadata(to.join(FILES[0])).map_err(|e| failed(to, &e))?.permissions();
        fs::set_permissions(&partial, ordinary).map_err(|e| failed(&partial, &e))?;
        fs::rename(&partial, &path).map_err(|e| failed(&path, &e))?;
        index.extend(shard.iter().map(|out| (out.name.clone(), name(at))));
        total += shard.iter().map(|out| out.view.data_len()).sum::<usize>();
        files.push((name(at), shard[0].tower));
    }
    if shards.len() > 1 {
        let index = json!({ "metadata": { "total_size": total }, "weight_map": index });
        fs::write(to.join(INDEX), format!("{index:#}\n")).map_err(|e| failed(&to.join(INDEX), &e))?;
    }
    Ok(files)
}

fn shards<V: View>(tensors: &[Out<V>], most: usize) -> Vec<&[Out<V>]> {
    let mut bytes = 0;
    let together = |a: &Out<V>, b: &Out<V>| {
        bytes = if bytes == 0 { a.view.data_len() } else { bytes };
        bytes += b.view.data_len();
        let same = a.tower == b.tower && bytes <= most;
        bytes = if same { bytes } else { 0 };
        same
    };
    tensors.chunk_by(together).collect()
}

/// A view by reference.
struct Borrowed<'a, V>(&'a V);

impl<V: View> View for Borrowed<'_, V> {
    fn dtype(&self) -> safetensors::Dtype {
        self.0.dtype()
    }
    fn shape(&self) -> &[usize] {
        self.0.shape()
    }
    fn data(&self) -> std::borrow::Cow<'_, [u8]> {
        self.0.data()
    }
    fn data_len(&self) -> usize {
        self.0.data_len()
    }
}
