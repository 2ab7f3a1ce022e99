//! Weights that no file has in the form in which they are needed: computed when all others are here, from the config alone or from
//! other tensors, and kept in f32.

use super::{HostId, Loader, Store, Usage, Weight};
use crate::{
    error::Result,
    kernels::{MatrixRef, VectorRef, WeightId},
    quant::{Format, Matrix, Plane, pack},
};

type Make = dyn Fn(&[Vec<f32>]) -> Vec<f32>;

/// A weight on the device and what makes it.
pub struct Computed {
    weight: usize,
    rows: usize,
    cols: usize,
    /// The tensors that it is made of; none for one that follows from the config.
    sources: Vec<HostId>,
    make: Box<Make>,
}

impl Computed {
    /// Computes it and puts it into the store. `host` is what stays on the CPU.
    ///
    /// # Errors
    /// [`crate::Error::BadInput`] for a number that is not finite.
    ///
    /// # Panics
    /// If it has another length than was said.
    pub fn put(&self, host: &[Matrix], store: &mut dyn Store) -> Result<()> {
        let sources: Vec<Vec<f32>> = self.sources.iter().map(|id| host[id.0].row(0)).collect();
        let values = (self.make)(&sources);
        assert_eq!(values.len(), self.rows * self.cols, "a computed weight is as long as it was said to be");
        store.write(self.weight, Plane::Values, 0, &pack(Format::F32, &values, self.cols)?.values);
        Ok(())
    }
}

impl Loader<'_> {
    /// A vector of `len` floats that follows from the config.
    pub fn computed(&mut self, label: &str, len: usize, make: impl Fn() -> Vec<f32> + 'static) -> VectorRef {
        let id = self.room(label, [1, len], Vec::new(), move |_| make());
        VectorRef { id, len: len as u32 }
    }

    /// A vector of `len` floats made of a tensor's.
    ///
    /// # Errors
    /// As [`crate::checkpoint::Checkpoint::tensor`].
    pub fn vector_from(
        &mut self,
        name: &str,
        shape: &[usize],
        len: usize,
        make: impl Fn(&[f32]) -> Vec<f32> + 'static,
    ) -> Result<VectorRef> {
        let source = self.host_vector(name, shape)?;
        let id = self.room(name, [1, len], vec![source], move |all| make(&all[0]));
        Ok(VectorRef { id, len: len as u32 })
    }

    /// A vector of `len` floats made of those of several tensors, given by name and shape.
    ///
    /// # Errors
    /// As [`crate::checkpoint::Checkpoint::tensor`].
    pub fn vector_from_all(
        &mut self,
        tensors: &[(String, Vec<usize>)],
        len: usize,
        make: impl Fn(&[Vec<f32>]) -> Vec<f32> + 'static,
    ) -> Result<VectorRef> {
        let sources = tensors.iter().map(|(name, shape)| self.host_vector(name, shape)).collect::<Result<_>>()?;
        Ok(VectorRef { id: self.room(&tensors[0].0, [1, len], sources, make), len: len as u32 })
    }

    /// A matrix `[rows, cols]` made of a tensor's floats.
    ///
    /// # Errors
    /// As [`crate::checkpoint::Checkpoint::tensor`].
    pub fn matrix_from(
        &mut self,
        name: &str,
        shape: &[usize],
        [rows, cols]: [usize; 2],
        make: impl Fn(&[f32]) -> Vec<f32> + 'static,
    ) -> Result<MatrixRef> {
        let source = self.host_vector(name, shape)?;
        let id = self.room(name, [rows, cols], vec![source], move |all| make(&all[0]));
        Ok(MatrixRef { id, format: Format::F32, rows: rows as u32, cols: cols as u32 })
    }

    /// The weights `[inputs, outputs, side, side]` of a transposed convolution whose stride is its side, as `[outputs · side², inputs]`:
    /// each input position makes a square of its own.
    ///
    /// # Errors
    /// As [`crate::checkpoint::Checkpoint::tensor`].
    pub fn transposed_convolution(&mut self, name: &str, [inputs, outputs, side]: [usize; 3]) -> Result<MatrixRef> {
        let rows = outputs * side * side;
        self.matrix_from(name, &[inputs, outputs, side, side], [rows, inputs], move |w| {
            (0..rows * inputs).map(|i| w[i % inputs * rows + i / inputs]).collect()
        })
    }

    fn room(
        &mut self,
        label: &str,
        [rows, cols]: [usize; 2],
        sources: Vec<HostId>,
        make: impl Fn(&[Vec<f32>]) -> Vec<f32> + 'static,
    ) -> WeightId {
        let weight = self.weights.len();
        self.weights.push(Weight {
            label: label.into(),
            format: Format::F32,
            rows,
            cols,
            usage: Usage::Product,
            parts: Vec::new(),
        });
        self.computed.push(Computed { weight, rows, cols, sources, make: Box::new(make) });
        WeightId(weight)
    }
}
