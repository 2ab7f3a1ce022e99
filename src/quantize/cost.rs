//! What a format costs, without writing it: bytes, and the error of each matrix.

use super::outs;
use safetensors::View;

use crate::{
    checkpoint::Checkpoint,
    error::{Error, Result},
    model,
    quant::{Format, Loss},
};

/// Weights that are compared in one pass, which bounds the memory.
const SLICE: usize = 1 << 22;

/// Bytes of all tensors as [`super::quantize`] writes them, without the headers: `metadata.total_size` of the index.
///
/// # Errors
/// Whatever is wrong with the names and shapes of the source.
pub fn tensor_bytes(checkpoint: &Checkpoint, format: Format) -> Result<u64> {
    Ok(outs(checkpoint, format, &|_| ())?.iter().map(|out| out.view.data_len() as u64).sum())
}

/// What each matrix loses in a model of this format, by name, in the order in which the model asks for them.
///
/// # Errors
/// Whatever is wrong with the source, which must not be quantised.
pub fn losses(checkpoint: &Checkpoint, format: Format) -> Result<Vec<(String, Loss)>> {
    let matrices = model::entries(checkpoint)?.into_iter().filter(|entry| entry.matrix);
    let loss = |name: &str, shape: &[usize]| {
        let tensor = checkpoint.tensor(name, shape)?;
        let step = (SLICE / tensor.cols.max(1)).max(1);
        let mut loss = Loss::default();
        for start in (0..tensor.rows).step_by(step) {
            let weights = checkpoint.rows_f32(&tensor, start..(start + step).min(tensor.rows))?;
            loss.add(format.of_matrix(name), &weights, tensor.cols)
                .map_err(|e| Error::BadCheckpoint(format!("{}: {name}: {e}", checkpoint.file(&tensor))))?;
        }
        Ok(loss)
    };
    matrices.map(|entry| loss(&entry.name, &entry.shape).map(|loss| (entry.name, loss))).collect()
}
