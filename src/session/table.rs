//! The token table, which stays off the GPU: a text needs a few of its rows.

use std::{cell::RefCell, collections::HashMap, ops::Range};

use crate::{
    checkpoint::Checkpoint,
    error::{Error, Result},
    quant::Matrix,
    threads::Threads,
    weights::{HostStore, Weight, pieces, put},
};

/// Where the token table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TableIn {
    /// In memory, as a whole.
    #[default]
    Memory,
    /// In its file: rows are handed over when a text needs them, and kept. SigLIP 2's table is half of the model.
    File,
}

pub enum Table {
    Memory(Matrix),
    File(Rows),
}

/// Rows that were handed over.
pub struct Rows {
    pub weight: Weight,
    pub here: RefCell<HashMap<u32, Vec<f32>>>,
}

impl Table {
    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Memory(table) => table.packed.values.len() + table.packed.scales.len(),
            Self::File(rows) => rows.here.borrow().len() * rows.weight.cols * size_of::<f32>(),
        }
    }

    /// The rows of a text, end to end.
    pub fn rows(&self, ids: &[u32]) -> Result<Vec<f32>> {
        match self {
            Self::Memory(table) => Ok(ids.iter().flat_map(|&id| table.row(id as usize)).collect()),
            Self::File(rows) => {
                let here = rows.here.borrow();
                let missing = |id| Error::BadInput(format!("token table: expected row {id} to be here, found none"));
                let rows = ids.iter().map(|id| here.get(id).ok_or_else(|| missing(id))).collect::<Result<Vec<_>>>()?;
                Ok(rows.into_iter().flatten().copied().collect())
            }
        }
    }

    /// Those of these rows that are not here.
    pub fn missing(&self, ids: impl IntoIterator<Item = u32>) -> Vec<u32> {
        let Self::File(rows) = self else { return Vec::new() };
        let here = rows.here.borrow();
        let mut missing: Vec<u32> = ids.into_iter().filter(|id| !here.contains_key(id)).collect();
        missing.sort_unstable();
        missing.dedup();
        missing
    }
}

impl Rows {
    /// Where a row is: the file's place in [`Checkpoint::files`], and bytes of it.
    pub fn places(&self, id: u32) -> Vec<(usize, Range<u64>)> {
        let pieces = pieces(&[self.weight.single_row(id as usize)]);
        pieces.into_iter().map(|piece| (piece.slice.file, piece.slice.bytes)).collect()
    }

    /// Takes the bytes of a row, one after the other as [`Rows::places`] has them.
    pub fn put(&self, checkpoint: &Checkpoint, id: u32, bytes: &[u8]) -> Result<()> {
        let weights = [self.weight.single_row(id as usize)];
        let mut store = HostStore::new(&weights);
        let mut rest = bytes;
        for piece in pieces(&weights) {
            let length = (piece.slice.bytes.end - piece.slice.bytes.start) as usize;
            let Some((own, after)) = rest.split_at_checked(length) else {
                return Err(Error::BadCheckpoint(format!(
                    "token table: expected {length} bytes more of row {id}, found {}",
                    rest.len()
                )));
            };
            put(checkpoint, &piece, own, &Threads::ONE, &mut store)?;
            rest = after;
        }
        self.here.borrow_mut().insert(id, store.weights[0].row(0));
        Ok(())
    }
}
