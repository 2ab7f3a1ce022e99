//! Patches of normalised pixels.

use super::{ActId, Field, Host, Kernel, Operand, Run, params::params, spread};
use crate::{
    config::Preprocessor,
    gpu::{Shader, Tier, wgsl},
    reference,
};

/// Cuts the 8-bit square into patches and normalises: one row a patch, in the order of a convolution's weight.
#[derive(Debug, Clone)]
pub struct Patchify {
    /// `[batch, size, size]`, RGBA in a word, red in the low byte
    pub pixels: ActId,
    /// `[batch, lead + (size / patch)², 3 · patch²]`
    pub y: ActId,
    /// Side of the square in pixels.
    pub size: u32,
    /// Side of a patch in pixels.
    pub patch: u32,
    /// Rows of zeros before an item's patches: room for a class token.
    pub lead: u32,
    /// What a byte is multiplied with, by channel.
    pub scale: [f32; 3],
    /// What is then added.
    pub shift: [f32; 3],
}

params! {
    struct Params {
        scale: [f32; 4],
        shift: [f32; 4],
        batch: u32,
        size: u32,
        patch_size: u32,
        lead: u32,
    }
}

impl Patchify {
    /// (byte · rescale - mean) / std as one multiplication and one addition.
    #[must_use]
    pub fn new(pixels: ActId, y: ActId, [size, patch, lead]: [u32; 3], rule: &Preprocessor) -> Self {
        Self {
            pixels,
            y,
            size,
            patch,
            lead,
            scale: std::array::from_fn(|c| rule.rescale / rule.std[c]),
            shift: std::array::from_fn(|c| -rule.mean[c] / rule.std[c]),
        }
    }
    fn row(&self) -> u32 {
        3 * self.patch * self.patch
    }
    fn rows(&self) -> u32 {
        self.lead + (self.size / self.patch).pow(2)
    }
}

impl Kernel for Patchify {
    fn shader(&self, _tier: Tier) -> Shader {
        Shader::new("patchify", wgsl!("patchify.wgsl"))
    }
    fn fields(&self) -> &'static [Field] {
        Params::FIELDS
    }
    fn params(&self, run: Run) -> Vec<u8> {
        let [r, g, b] = self.scale;
        let [s, t, u] = self.shift;
        let params = Params {
            scale: [r, g, b, 0.0],
            shift: [s, t, u, 0.0],
            batch: run.batch,
            size: self.size,
            patch_size: self.patch,
            lead: self.lead,
        };
        let mut bytes = bytemuck::bytes_of(&params).to_vec();
        // A WGSL struct with a vec4 is a multiple of 16 bytes long.
        bytes.resize(bytes.len().next_multiple_of(16), 0);
        bytes
    }
    fn workgroups(&self, _tier: Tier, run: Run) -> [u32; 3] {
        spread((run.batch * self.rows() * self.row()).div_ceil(64))
    }
    fn operands(&self) -> Vec<Operand> {
        vec![Operand::Act(self.pixels), Operand::Act(self.y)]
    }
    fn reference(&self, run: Run, host: &mut Host) {
        let numbers = [self.size, self.patch, self.lead].map(|n| n as usize);
        let pixels = &host.acts[self.pixels.0][..(run.batch * self.size * self.size) as usize];
        let y = reference::patchify(pixels, numbers, self.scale, self.shift);
        host.store(self.y, &y);
    }
}
