//! Attention of columns to columns, over all tokens: how much each column takes of the others of its group.

use super::{ActId, Field, Host, Kernel, Operand, Rows, Run, params::params, spread};
use crate::{
    gpu::{Shader, Tier, wgsl},
    reference,
};

/// The shape of an attention of channels (`Florence2VisionChannelAttention` in transformers' `modeling_florence2.py`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Channels {
    /// `[batch, tokens, 3, groups, size]`
    pub qkv: ActId,
    /// Tokens of an item.
    pub rows: Rows,
    /// Groups of columns.
    pub groups: u32,
    /// Columns of a group, at most 256.
    pub size: u32,
}

impl Channels {
    /// Numbers of the columns' shares in each other.
    pub(super) fn shares(&self, run: Run) -> u32 {
        run.batch * self.groups * self.size * self.size
    }
    /// Numbers of q, of k, or of v.
    pub(super) fn numbers(&self, run: Run) -> u32 {
        self.rows.of(run) * self.groups * self.size
    }
    /// Tokens, groups and columns of a group.
    pub(super) fn shape(&self, run: Run) -> [usize; 3] {
        [self.rows.each(run), self.groups, self.size].map(|n| n as usize)
    }
}

/// y = softmax(qᵀ·k / √tokens) of each group
#[derive(Debug, Clone)]
pub struct ChannelScores {
    /// Queries and keys.
    pub of: Channels,
    /// `[batch, groups, size, size]`
    pub y: ActId,
}

params! {
    struct Params {
        batch: u32,
        tokens: u32,
        groups: u32,
        scale: f32,
    }
}

impl Kernel for ChannelScores {
    fn shader(&self, _tier: Tier) -> Shader {
        Shader::new("channel_scores", wgsl!("channel_scores.wgsl")).with("SIZE", self.of.size)
    }
    fn fields(&self) -> &'static [Field] {
        Params::FIELDS
    }
    fn params(&self, run: Run) -> Vec<u8> {
        let tokens = self.of.rows.each(run);
        let scale = 1.0 / (tokens as f32).sqrt();
        bytemuck::bytes_of(&Params { batch: run.batch, tokens, groups: self.of.groups, scale }).to_vec()
    }
    fn workgroups(&self, _tier: Tier, run: Run) -> [u32; 3] {
        spread(run.batch * self.of.groups * self.of.size)
    }
    fn operands(&self) -> Vec<Operand> {
        vec![Operand::Act(self.of.qkv), Operand::Act(self.y)]
    }
    fn flops(&self, run: Run) -> u64 {
        2 * u64::from(self.of.numbers(run)) * u64::from(self.of.size)
    }
    fn reference(&self, run: Run, host: &mut Host) {
        let qkv = &host.floats(self.of.qkv)[..3 * self.of.numbers(run) as usize];
        let y = reference::channel_scores(qkv, self.of.shape(run));
        host.store(self.y, &y);
    }
    // The file for the GPU runs no plans on the CPU.
    #[cfg(not(feature = "wasm-gpu"))]
    fn cpu(&self, run: Run, host: &mut Host) {
        let mut act = host.take(self.y);
        let y = &mut bytemuck::cast_slice_mut(&mut act)[..self.of.shares(run) as usize];
        let qkv = &host.floats(self.of.qkv)[..3 * self.of.numbers(run) as usize];
        crate::cpu::channel_scores(host.threads, qkv, self.of.shape(run), y);
        host.acts[self.y.0] = act;
    }
}
