//! Floats of any type, as f32; and none that is not finite.

use std::ops::Range;

use half::{bf16, f16};
use safetensors::Dtype;

use super::{Checkpoint, Slice, Tensor, names::Source, tensor::Part};
use crate::error::{Error, Result};

impl Checkpoint {
    /// Rows of a float tensor as f32.
    ///
    /// # Errors
    /// [`Error::BadCheckpoint`] if the file ends too early or a number is not finite.
    pub fn rows_f32(&self, tensor: &Tensor, rows: Range<usize>) -> Result<Vec<f32>> {
        let mut all = Vec::with_capacity(rows.len() * tensor.cols);
        for slice in tensor.slices(rows, usize::MAX) {
            all.extend(self.floats(tensor, &slice, &self.read(slice.file, slice.bytes.clone())?)?);
        }
        Ok(all)
    }

    /// The rows of a slice of a float tensor as f32, from its bytes.
    ///
    /// # Errors
    /// As [`Checkpoint::check_finite`].
    pub fn floats(&self, tensor: &Tensor, slice: &Slice, bytes: &[u8]) -> Result<Vec<f32>> {
        let Part { source, dtype, .. } = &tensor.parts[slice.part];
        let floats = to_f32(*dtype, bytes);
        self.expect_finite(tensor, slice, floats.iter().position(|x| !x.is_finite()).map(|at| (at, floats[at])))?;
        let Source { rows, transposed, .. } = source;
        if !transposed {
            return Ok(floats);
        }
        let column = |row: usize| (0..tensor.cols).map(move |col| col * rows.len() + row);
        Ok(slice.own.clone().flat_map(column).map(|at| floats[at]).collect())
    }

    /// Looks at the numbers of a slice of a float tensor.
    ///
    /// # Errors
    /// [`Error::BadCheckpoint`] if a number is not finite, or is one of 64 bits beyond the range of f32.
    pub fn check_finite(&self, tensor: &Tensor, slice: &Slice, bytes: &[u8]) -> Result<()> {
        /// Numbers that are looked at together: most have nothing to find.
        const NUMBERS: usize = 1 << 10;
        let dtype = tensor.parts[slice.part].dtype;
        let size = dtype.bitsize() / 8;
        for (at, bytes) in bytes.chunks(NUMBERS * size).enumerate() {
            let floats = to_f32(dtype, bytes);
            let found = floats.iter().position(|x| !x.is_finite());
            self.expect_finite(tensor, slice, found.map(|found| (at * NUMBERS + found, floats[found])))?;
        }
        Ok(())
    }

    /// The error for a number that is not finite, by its place in a slice.
    fn expect_finite(&self, tensor: &Tensor, slice: &Slice, found: Option<(usize, f32)>) -> Result<()> {
        let Some((at, number)) = found else { return Ok(()) };
        let Part { source: Source { name, transposed, .. }, dtype, .. } = &tensor.parts[slice.part];
        let before = if *transposed { 0 } else { slice.own.start * tensor.cols };
        Err(Error::BadCheckpoint(format!(
            "{}: {name}: expected finite numbers{}, found {number} at element {}",
            self.files[slice.file].name,
            if *dtype == Dtype::F64 { " within the range of f32" } else { "" },
            before + at
        )))
    }
}

/// Little-endian floats of any type as f32.
pub(super) fn to_f32(dtype: Dtype, bytes: &[u8]) -> Vec<f32> {
    match dtype {
        Dtype::F64 => bytes.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b) as f32).collect(),
        Dtype::F32 => bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
        Dtype::F16 => bytes.as_chunks().0.iter().map(|b| f16::from_le_bytes(*b).to_f32()).collect(),
        _ => bytes.as_chunks().0.iter().map(|b| bf16::from_le_bytes(*b).to_f32()).collect(),
    }
}
