//! The host half of each shader: its parameters, its operands, the size of its dispatch, and its naive twin.
//!
//! One name, four places: `shaders/X.wgsl`, `src/kernels/X.rs`, `reference::X`, `tests/kernels/X.rs`. A kernel knows no
//! model. It names activations and weights by id; what they are is up to whoever executes it.

mod add_shared;
mod attention;
mod attention_shape;
mod attention_spans;
mod best;
mod channel_mix;
mod channel_scores;
mod class_head;
mod depthwise;
mod embed;
mod gated;
mod gather;
mod layer_norm;
mod matmul;
mod modulate;
mod normalize;
mod params;
mod part;
mod patchify;
mod pick;
mod pixel_shuffle;
mod prepend_mean;
mod reorder;
mod resize;
mod resize_float;
mod rms_norm;
mod rope;
mod stretch;
mod unfold;
mod windows;

use std::{borrow::Cow, ops::Range};

pub use add_shared::AddShared;
pub use attention_shape::{Attention, Keys, Queries, Spans};
pub use attention_spans::{AttentionJoin, AttentionSpans};
pub use best::Best;
pub use channel_mix::ChannelMix;
pub use channel_scores::{ChannelScores, Channels};
pub use class_head::ClassHead;
pub use depthwise::Depthwise;
pub use embed::Embed;
pub use gated::Gated;
pub use gather::Gather;
pub use layer_norm::LayerNorm;
pub use matmul::{Matmul, Place, Positions, RACED, Shuffle};
pub use modulate::Modulate;
pub use normalize::Normalize;
pub use params::Field;
pub use part::{Part, Work, rows_of, worth_sharing};
pub use patchify::{Patchify, Pictures};
pub use pick::Pick;
pub use pixel_shuffle::PixelShuffle;
pub use prepend_mean::PrependMean;
pub use reorder::Reorder;
pub use resize::Resize;
pub use resize_float::ResizeFloat;
pub use rms_norm::RmsNorm;
pub use rope::Rope;
pub use unfold::{Taps, Unfold};
pub use windows::Windows;

use crate::{
    gpu::{Shader, Tier, Tuning, wgsl},
    quant::{Format, Matrix},
    threads::Threads,
};

pub use crate::tokens::PICTURE;

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

/// What varies from run to run of one plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Run {
    /// Items: pictures, texts, conversations.
    pub batch: u32,
    /// Tokens of each item in this run, where the plan has rows for each token.
    pub tokens: u32,
    /// Tokens of each item that earlier runs left in the plan's state.
    pub past: u32,
}

impl Run {
    /// So many items of a plan whose rows do not depend on tokens.
    #[must_use]
    pub fn items(batch: u32) -> Self {
        Self { batch, tokens: 1, past: 0 }
    }

    /// So many items of so many tokens, with nothing before them.
    #[must_use]
    pub fn tokens(batch: u32, tokens: u32) -> Self {
        Self { batch, tokens, past: 0 }
    }
}

/// How many rows a kernel works on, or an activation has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// So many for each item of the batch.
    PerItem(u32),
    /// One for each token of each item.
    PerToken,
    /// So many whatever the batch: rows that all items share.
    Shared(u32),
}

impl Rows {
    /// Rows in a run.
    #[must_use]
    pub fn of(self, run: Run) -> u32 {
        match self {
            Self::Shared(rows) => rows,
            _ => self.each(run) * run.batch,
        }
    }

    /// Rows of one item; all of them where items share them.
    #[must_use]
    pub fn each(self, run: Run) -> u32 {
        match self {
            Self::PerItem(rows) | Self::Shared(rows) => rows,
            Self::PerToken => run.tokens,
        }
    }
}

/// One step of a plan.
pub trait Kernel {
    /// The tier to run in for a run of this size, on a device that was tuned so.
    fn variant(&self, _tuning: &Tuning, _run: Run) -> Tier {
        Tier::Plain
    }
    /// The WGSL with its overrides, in a tier. What varies from run to run must not be among them.
    fn shader(&self, tier: Tier) -> Shader;
    /// The fields of `Params`, as the shader names and places them.
    fn fields(&self) -> &'static [Field];
    /// The `Params` of a run, as the shader declares them.
    fn params(&self, run: Run) -> Vec<u8>;
    /// Size of the dispatch in a tier.
    fn workgroups(&self, tier: Tier, run: Run) -> [u32; 3];
    /// Group 0 in binding order, after `params`; the output is last.
    fn operands(&self) -> Vec<Operand>;
    /// Group 1.
    fn matrix(&self) -> Option<MatrixRef> {
        None
    }
    /// Floating-point operations of a run, an addition and a multiplication counted each; 0 where they are few.
    fn flops(&self, _run: Run) -> u64 {
        0
    }
    /// The same step as several of at most about so many operations each, for devices on which it takes long; none where it is short
    /// enough, or cannot be cut. Together they leave the same bits.
    fn cut(&self, _run: Run, _most: u64) -> Vec<Box<dyn Kernel>> {
        Vec::new()
    }
    /// What a GPU does in its place: the same step shared out among many, which round otherwise; none where it is best as it is.
    fn split(&self) -> Vec<Box<dyn Kernel>> {
        Vec::new()
    }
    /// The naive twin: the same step on the CPU, summed in f64.
    fn reference(&self, run: Run, host: &mut Host);
    /// The same step on the CPU, fast where it counts.
    fn cpu(&self, run: Run, host: &mut Host) {
        self.reference(run, host);
    }
    /// The same step cut up for so many engines that have a slice of every matrix each, by [`rows_of`]: the numbers of engines beside
    /// this one, which is number 0, and their parts. None where this engine does the step alone.
    fn parts<'a>(&self, _run: Run, _host: &'a Host, _engines: usize) -> Vec<(usize, Part<'a>)> {
        Vec::new()
    }
    /// This engine's own part of it.
    fn own_part(&self, _run: Run, _host: &mut Host, _engines: usize) {}
    /// Ends it with what the others' parts came to, by number of the engine.
    fn join(&self, _run: Run, _host: &mut Host, _engines: usize, _parts: &[(usize, Vec<f32>)]) {}
}

/// Buffers of a plan on the CPU. Activations are 32-bit words: floats, pixels or indices.
pub struct Host<'a> {
    /// By [`ActId`].
    pub acts: Vec<Vec<u32>>,
    /// By [`WeightId`].
    pub weights: &'a [Matrix],
    /// Numbers of weights that are here whole though other engines have their shares of them, too.
    pub lent: &'a [usize],
    /// What fast steps share their work among.
    pub threads: &'a Threads,
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
    /// Some floats of a vector of weights that may be long.
    #[must_use]
    pub fn vector_part(&self, vector: VectorRef, part: Range<usize>) -> Vec<f32> {
        bytemuck::pod_collect_to_vec(&self.weights[vector.id.0].packed.values[4 * part.start..4 * part.end])
    }
    /// Takes an activation out, to write it while others are read; it has to be put back.
    pub(crate) fn take(&mut self, id: ActId) -> Vec<u32> {
        std::mem::take(&mut self.acts[id.0])
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

/// The tier of a kernel that has a workgroup for each row: all but one have the same shader.
fn row_tier(tuning: &Tuning, rows: u32) -> Tier {
    match tuning.at(rows, Format::F32) {
        Tier::Registers => Tier::Registers,
        _ => Tier::Plain,
    }
}

/// Invocations of such a workgroup: where barriers are slow, as few as run in step.
fn row_lanes(tier: Tier) -> u32 {
    if matches!(tier, Tier::Registers | Tier::Serial) { 4 } else { 64 }
}

/// A shader for rows of so many numbers, which are loaded four at a time where that divides them.
fn row_shader(name: &'static str, file: &'static str, tier: Tier, dim: u32) -> Shader {
    let (variant, width) =
        if dim.is_multiple_of(4) { ("f32x4", wgsl!("lib/row_f32x4.wgsl")) } else { ("f32", wgsl!("lib/row_f32.wgsl")) };
    let shader = Shader::new(name, file).and(width).and(wgsl!("lib/row_reduce.wgsl"));
    Shader { variant: variant.into(), ..shader }.with("WORKGROUP", row_lanes(tier))
}
