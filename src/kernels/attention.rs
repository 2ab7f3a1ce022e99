//! Multi-head attention with a streaming softmax.

use bytemuck::{Pod, Zeroable};

use super::{ActId, Host, Kernel, Operand, spread};
use crate::{
    config::Mask,
    gpu::{Shader, Tier, wgsl},
    reference,
};

/// Where queries are: in each token of `act`, heads side by side from the token's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queries {
    /// `[batch or 1, len, stride]`
    pub act: ActId,
    /// Tokens.
    pub len: u32,
    /// Floats in a token.
    pub stride: u32,
    /// One set of queries for all items (a learned probe).
    pub shared: bool,
}

/// Where keys and values are: in each token of `act`, heads side by side from these offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keys {
    /// `[batch, len, stride]`
    pub act: ActId,
    /// Tokens.
    pub len: u32,
    /// Floats in a token.
    pub stride: u32,
    /// Where keys start in a token.
    pub k: u32,
    /// Where values start in a token.
    pub v: u32,
}

/// y = softmax(q·kᵀ / √head_size)·v for each head.
#[derive(Debug, Clone)]
pub struct Attention {
    /// Queries.
    pub q: Queries,
    /// Keys and values.
    pub kv: Keys,
    /// `[batch, q.len, heads · head_size]`
    pub y: ActId,
    /// How many.
    pub heads: u32,
    /// At most 128.
    pub head_size: u32,
    /// Which keys a query sees.
    pub mask: Mask,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    batch: u32,
    heads: u32,
    head_size: u32,
    q_len: u32,
    kv_len: u32,
    q_stride: u32,
    q_item: u32,
    kv_stride: u32,
    k_offset: u32,
    v_offset: u32,
    scale: f32,
}

impl Attention {
    /// The others load whole vectors.
    fn variant(&self, tier: Tier) -> Tier {
        let numbers = [self.head_size, self.q.stride, self.kv.stride, self.kv.k, self.kv.v, self.q.len * self.q.stride];
        if numbers.iter().all(|n| n.is_multiple_of(4)) { tier } else { Tier::Plain }
    }
}

impl Kernel for Attention {
    fn shader(&self, tier: Tier) -> Shader {
        let causal = u8::from(self.mask == Mask::Causal);
        match self.variant(tier) {
            Tier::Plain => Shader::new("attention", wgsl!("attention.wgsl")).with("CAUSAL", causal),
            Tier::Registers => {
                Shader::new("attention_registers", wgsl!("attention_registers.wgsl")).with("CAUSAL", causal)
            }
            _ => {
                let head4 = self.head_size / 4;
                // As many as fit into 16 KiB.
                let keys = if head4 <= 24 { 32 } else { 16 };
                Shader::new("attention_tiled", wgsl!("attention_tiled.wgsl"))
                    .with("CAUSAL", causal)
                    .with("HEAD4", head4)
                    .with("KEYS", keys)
                    .with("TILE", head4 * keys)
            }
        }
    }
    fn params(&self, batch: u32) -> Vec<u8> {
        let params = Params {
            batch,
            heads: self.heads,
            head_size: self.head_size,
            q_len: self.q.len,
            kv_len: self.kv.len,
            q_stride: self.q.stride,
            q_item: if self.q.shared { 0 } else { self.q.len * self.q.stride },
            kv_stride: self.kv.stride,
            k_offset: self.kv.k,
            v_offset: self.kv.v,
            scale: 1.0 / (self.head_size as f32).sqrt(),
        };
        bytemuck::bytes_of(&params).to_vec()
    }
    fn workgroups(&self, tier: Tier, batch: u32) -> [u32; 3] {
        let heads = batch * self.heads;
        match self.variant(tier) {
            Tier::Plain => spread((heads * self.q.len).div_ceil(64)),
            // 4 invocations with 4 queries each
            Tier::Registers => spread((heads * self.q.len.div_ceil(4)).div_ceil(4)),
            _ => spread(heads * self.q.len.div_ceil(16)),
        }
    }
    fn operands(&self) -> Vec<Operand> {
        vec![Operand::Act(self.q.act), Operand::Act(self.kv.act), Operand::Act(self.y)]
    }
    fn flops(&self, batch: u32) -> u64 {
        let width = u64::from(self.heads * self.head_size);
        4 * u64::from(batch) * u64::from(self.q.len) * u64::from(self.kv.len) * width
    }
    fn reference(&self, batch: u32, host: &mut Host) {
        let y = reference::attention(self, batch as usize, host.floats(self.q.act), host.floats(self.kv.act));
        host.store(self.y, &y);
    }
}
