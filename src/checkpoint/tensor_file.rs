//! A small safetensors file beside a model's own, held as a whole.

use super::{
    FLOATS, broken,
    floats::to_f32,
    header::{self, Header},
};
use crate::error::{Error, Result};

/// Tensors of floats by name, without a config.
pub struct TensorFile {
    name: String,
    header: Header,
    bytes: Vec<u8>,
}

impl TensorFile {
    /// Reads the header; `name` is for messages.
    ///
    /// # Errors
    /// [`Error::BadCheckpoint`] if it is no safetensors file, or ends too early.
    pub fn parse(name: &str, bytes: Vec<u8>) -> Result<Self> {
        let header = header::read(name, &bytes)?;
        Ok(Self { name: name.into(), header, bytes })
    }

    /// A tensor as f32.
    ///
    /// # Errors
    /// [`Error::BadCheckpoint`] if it is missing, has another shape or a type that is not a float, or numbers that are not finite.
    pub fn floats(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let bad = |what: String| Error::BadCheckpoint(format!("{}: {name}: expected {what}", self.name));
        let info = self.header.info(name).ok_or_else(|| bad(format!("a tensor of {shape:?}, found none")))?;
        if info.shape != shape || !FLOATS.contains(&info.dtype) {
            return Err(bad(format!("floats of {shape:?}, found {:?} of {:?}", info.dtype, info.shape)));
        }
        let (from, to) = info.data_offsets;
        let [from, to] = [from, to].map(|at| (self.header.data_start + at) as usize);
        let bytes = self.bytes.get(from..to).ok_or_else(|| broken(&self.name, "the file ends too early"))?;
        let floats = to_f32(info.dtype, bytes);
        match floats.iter().position(|x| !x.is_finite()) {
            None => Ok(floats),
            Some(at) => Err(bad(format!("finite numbers, found {} at element {at}", floats[at]))),
        }
    }
}
