//! Attention of columns to columns: what comes of their shares in each other.

use super::{ActId, Channels, Field, Host, Kernel, Operand, Run, params::params, spread};
use crate::{
    gpu::{Shader, Tier, wgsl},
    reference,
};

/// y = v·sharesᵀ of each group
#[derive(Debug, Clone)]
pub struct ChannelMix {
    /// `[batch, groups, size, size]`, as [`super::ChannelScores`] leaves them
    pub shares: ActId,
    /// Values.
    pub of: Channels,
    /// `[batch, tokens, groups, size]`
    pub y: ActId,
}

params! {
    struct Params {
        batch: u32,
        tokens: u32,
        groups: u32,
        size: u32,
    }
}

impl Kernel for ChannelMix {
    fn shader(&self, _tier: Tier) -> Shader {
        Shader::new("channel_mix", wgsl!("channel_mix.wgsl"))
    }
    fn fields(&self) -> &'static [Field] {
        Params::FIELDS
    }
    fn params(&self, run: Run) -> Vec<u8> {
        let Channels { rows, groups, size, .. } = self.of;
        bytemuck::bytes_of(&Params { batch: run.batch, tokens: rows.each(run), groups, size }).to_vec()
    }
    fn workgroups(&self, _tier: Tier, run: Run) -> [u32; 3] {
        spread(self.of.numbers(run).div_ceil(64))
    }
    fn operands(&self) -> Vec<Operand> {
        vec![Operand::Act(self.shares), Operand::Act(self.of.qkv), Operand::Act(self.y)]
    }
    fn flops(&self, run: Run) -> u64 {
        2 * u64::from(self.of.numbers(run)) * u64::from(self.of.size)
    }
    fn reference(&self, run: Run, host: &mut Host) {
        let qkv = &host.floats(self.of.qkv)[..3 * self.of.numbers(run) as usize];
        let shares = &host.floats(self.shares)[..self.of.shares(run) as usize];
        let y = reference::channel_mix(shares, qkv, self.of.shape(run));
        host.store(self.y, &y);
    }
    // The file for the GPU runs no plans on the CPU.
    #[cfg(not(feature = "wasm-gpu"))]
    fn cpu(&self, run: Run, host: &mut Host) {
        let mut act = host.take(self.y);
        let numbers = self.of.numbers(run) as usize;
        let y = &mut bytemuck::cast_slice_mut(&mut act)[..numbers];
        let (shares, qkv) = (host.floats(self.shares), &host.floats(self.of.qkv)[..3 * numbers]);
        crate::cpu::channel_mix(host.threads, &shares[..self.of.shares(run) as usize], qkv, self.of.shape(run), y);
        host.acts[self.y.0] = act;
    }
}
