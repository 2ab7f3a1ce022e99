//! Where weights go: the GPU, or memory.

use super::{Usage, Weight};
use crate::{
    error::Result,
    gpu::{Buffer, Gpu},
    quant::{Format, Matrix, Order, Plane},
};

/// Room for weights, filled piece by piece.
pub trait Store {
    /// Makes room for the next weight.
    ///
    /// # Errors
    /// If there is none.
    fn make_room(&mut self, label: &str, format: Format, rows: usize, cols: usize) -> Result<()>;
    /// The same where several engines may share the work.
    ///
    /// # Errors
    /// If there is none.
    fn make_room_for(&mut self, _: Usage, label: &str, format: Format, rows: usize, cols: usize) -> Result<()> {
        self.make_room(label, format, rows, cols)
    }
    /// Fills weight number `index` from byte `offset` of a plane on.
    fn write(&mut self, index: usize, plane: Plane, offset: usize, bytes: &[u8]);
}

/// Weights in memory.
#[derive(Default)]
pub struct HostStore {
    /// In the order in which room was made.
    pub weights: Vec<Matrix>,
    /// How matrices lie there.
    pub order: Order,
    /// Which of them are whole though others have their shares, too.
    pub lent: Vec<usize>,
}

impl HostStore {
    /// Room for all of them.
    #[must_use]
    pub fn new(weights: &[Weight]) -> Self {
        let mut store = Self::default();
        for w in weights {
            store.make_room(&w.label, w.format, w.rows, w.cols).expect("memory does not refuse");
        }
        store
    }
}

impl Store for HostStore {
    fn make_room(&mut self, _: &str, format: Format, rows: usize, cols: usize) -> Result<()> {
        self.weights.push(Matrix::zeros(format, rows, cols, self.order));
        Ok(())
    }
    fn write(&mut self, index: usize, plane: Plane, offset: usize, bytes: &[u8]) {
        self.weights[index].put(plane, offset, bytes);
    }
}

/// Weights on the GPU.
pub struct GpuStore<'a> {
    /// Where they are.
    pub gpu: &'a Gpu,
    /// By [`crate::kernels::WeightId`]: values, and scales where the format has them.
    pub weights: &'a mut Vec<(Buffer, Option<Buffer>)>,
}

impl Store for GpuStore<'_> {
    fn make_room(&mut self, label: &str, format: Format, rows: usize, cols: usize) -> Result<()> {
        let values = self.gpu.buffer(label, (rows * format.row_bytes(cols)) as u64)?;
        let scales = match format.scale_bytes(cols) {
            0 => None,
            bytes => Some(self.gpu.buffer(&format!("{label}.scales"), (rows * bytes) as u64)?),
        };
        self.weights.push((values, scales));
        Ok(())
    }
    fn write(&mut self, index: usize, plane: Plane, offset: usize, bytes: &[u8]) {
        let (values, scales) = &self.weights[index];
        let buffer = match plane {
            Plane::Values => values,
            Plane::Scales => scales.as_ref().expect("only formats with scales have pieces of scales"),
        };
        self.gpu.write(buffer, offset as u64, bytes);
    }
}
