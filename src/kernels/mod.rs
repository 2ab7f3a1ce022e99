//! The host half of each shader: its parameters, its operands, the size of its dispatch, and its naive twin.
//!
//! One name, four places: `shaders/X.wgsl`, `src/kernels/X.rs`, `reference::X`, `tests/kernels/X.rs`. A kernel knows no
//! model. It names activations and weights by id; what they are is up to whoever executes it.

mod assemble;
mod attention;
mod layer_norm;
mod matmul;
mod normalize;
mod patchify;
mod resize;
mod score;

use std::{any::Any, borrow::Cow};

pub use assemble::Assemble;
pub use attention::{Attention, Keys, Queries};
pub use layer_norm::{LayerNorm, Pick};
pub use matmul::{Matmul, Place};
pub use normalize::Normalize;
pub use patchify::Patchify;
pub use resize::Resize;
pub use score::{Rule, Score};

use crate::{
    gpu::{Shader, Tier},
    quant::{Format, Matrix},
};

/// An activation buffer of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ActId(pub usize);

/// A weight of a model, by its place in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WeightId(pub usize);

/// A stored vector (norms, biases, positions): `len` floats in f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VectorRef {
    /// Where it is stored.
    pub id: WeightId,
    /// Number of floats.
    pub len: u32,
}

/// A stored matrix: y = W·x, `[rows, cols]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MatrixRef {
    /// Where it is stored.
    pub id: WeightId,
    /// How it is stored.
    pub format: Format,
    /// Outputs.
    pub rows: u32,
    /// Inputs.
    pub cols: u32,
}

/// What a binding of group 0 holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operand {
    /// An activation.
    Act(ActId),
    /// A vector of weights.
    Vector(VectorRef),
    /// Nothing: an optional input that an override switches off.
    Nothing,
}

impl From<ActId> for Operand {
    fn from(act: ActId) -> Self {
        Self::Act(act)
    }
}

impl From<Option<VectorRef>> for Operand {
    fn from(vector: Option<VectorRef>) -> Self {
        vector.map_or(Self::Nothing, Self::Vector)
    }
}

/// How many rows a kernel works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// So many for each item of the batch.
    PerItem(u32),
    /// So many whatever the batch: rows that all items share.
    Shared(u32),
}

impl Rows {
    /// Rows for a batch.
    #[must_use]
    pub fn of(self, batch: u32) -> u32 {
        match self {
            Self::PerItem(rows) => rows * batch,
            Self::Shared(rows) => rows,
        }
    }
}

/// One step of a plan.
pub trait Kernel: Any {
    /// The WGSL with its overrides. What varies from run to run must not be among them.
    fn shader(&self, tier: Tier) -> Shader;
    /// The `Params` of a run, as the shader declares them.
    fn params(&self, batch: u32) -> Vec<u8>;
    /// Size of the dispatch.
    fn workgroups(&self, tier: Tier, batch: u32) -> [u32; 3];
    /// Group 0 in binding order, after `params`; the output is last.
    fn operands(&self) -> Vec<Operand>;
    /// Group 1.
    fn matrix(&self) -> Option<MatrixRef> {
        None
    }
    /// Floating-point operations of a run, an addition and a multiplication counted each; 0 where they are few.
    fn flops(&self, _batch: u32) -> u64 {
        0
    }
    /// The naive twin: the same step on the CPU, summed in f64.
    fn reference(&self, batch: u32, host: &mut Host);
}

impl Kernel for Box<dyn Kernel> {
    fn shader(&self, tier: Tier) -> Shader {
        (**self).shader(tier)
    }
    fn params(&self, batch: u32) -> Vec<u8> {
        (**self).params(batch)
    }
    fn workgroups(&self, tier: Tier, batch: u32) -> [u32; 3] {
        (**self).workgroups(tier, batch)
    }
    fn operands(&self) -> Vec<Operand> {
        (**self).operands()
    }
    fn matrix(&self) -> Option<MatrixRef> {
        (**self).matrix()
    }
    fn flops(&self, batch: u32) -> u64 {
        (**self).flops(batch)
    }
    fn reference(&self, batch: u32, host: &mut Host) {
        (**self).reference(batch, host);
    }
}

/// Buffers of a plan on the CPU. Activations are 32-bit words: floats, pixels or indices.
pub struct Host<'a> {
    /// By [`ActId`].
    pub acts: Vec<Vec<u32>>,
    /// By [`WeightId`].
    pub weights: &'a [Matrix],
}

impl Host<'_> {
    /// An activation as floats.
    #[must_use]
    pub fn floats(&self, id: ActId) -> &[f32] {
        bytemuck::cast_slice(&self.acts[id.0])
    }
    /// Whatever a binding holds, as floats.
    #[must_use]
    pub fn operand(&self, operand: Operand) -> Cow<'_, [f32]> {
        match operand {
            Operand::Act(id) => self.floats(id).into(),
            Operand::Vector(vector) => self.vector(vector).into(),
            Operand::Nothing => Cow::default(),
        }
    }
    /// A vector of weights.
    #[must_use]
    pub fn vector(&self, vector: VectorRef) -> Vec<f32> {
        self.weights[vector.id.0].row(0)
    }
    /// Stores floats at the start of an activation.
    pub fn store(&mut self, id: ActId, values: &[f32]) {
        self.acts[id.0][..values.len()].copy_from_slice(bytemuck::cast_slice(values));
    }
}

/// Workgroups along x and y that hold `count` of them within WebGPU's limit of 65,535 a dimension.
fn spread(count: u32) -> [u32; 3] {
    const MOST: u32 = 65_535;
    let y = count.div_ceil(MOST).max(1);
    [count.div_ceil(y), y, 1]
}
