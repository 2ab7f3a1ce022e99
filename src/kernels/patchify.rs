//! Patches of normalised pixels.

use super::{ActId, Field, Host, Kernel, Operand, Rows, Run, params::params, spread};
use crate::{
    config::Preprocessor,
    gpu::{Shader, Tier, wgsl},
    reference::{self, Cut},
};

/// What is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pictures {
    /// Squares; a row has the order of a convolution's weight, channels first.
    Squares {
        /// Side in pixels; a rest narrower than a patch is dropped.
        size: u32,
        /// Rows of zeros before an item's patches: room for a class token.
        lead: u32,
    },
    /// Squares of floats from 0 to 255, otherwise the same.
    Floats {
        /// Side in pixels; a rest narrower than a patch is dropped.
        size: u32,
        /// Rows of zeros before an item's patches.
        lead: u32,
    },
    /// Pictures of whole patches, each with a shape of its own; a row is a patch's pixels, channels last, and what is left of an item's
    /// rows is zeros.
    Naflex {
        /// `[batch]`, u32: patches from left to right
        columns: ActId,
        /// `[batch]`, u32: patches
        lengths: ActId,
    },
}

/// Cuts pictures into patches and normalises: one row a patch.
#[derive(Debug, Clone)]
pub struct Patchify {
    /// `[batch, size, size]`, or `[batch, rows · patch²]`; RGBA in a word, red in the low byte; floats are `[batch, size, size, 3]`
    pub pixels: ActId,
    /// `[batch, rows, 3 · patch²]`
    pub y: ActId,
    /// Rows of an item: for squares `lead + (size / patch)²`.
    pub rows: Rows,
    /// What is cut.
    pub pictures: Pictures,
    /// Side of a patch in pixels.
    pub patch: u32,
    /// What a value from 0 to 255 is multiplied with, by channel.
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
        rows: u32,
    }
}

impl Patchify {
    /// (value · rescale - mean) / std as one multiplication and one addition.
    #[must_use]
    pub fn new([pixels, y]: [ActId; 2], rows: Rows, pictures: Pictures, patch: u32, rule: &Preprocessor) -> Self {
        Self {
            pixels,
            y,
            rows,
            pictures,
            patch,
            scale: std::array::from_fn(|c| rule.rescale / rule.std[c]),
            shift: std::array::from_fn(|c| -rule.mean[c] / rule.std[c]),
        }
    }
    /// Floats of a row.
    fn row(&self) -> u32 {
        3 * self.patch * self.patch
    }
    fn square(&self) -> (u32, u32) {
        match self.pictures {
            Pictures::Squares { size, lead } | Pictures::Floats { size, lead } => (size, lead),
            Pictures::Naflex { .. } => (0, 0),
        }
    }
    fn floats(&self) -> bool {
        matches!(self.pictures, Pictures::Floats { .. })
    }
    /// For the CPU: how the pictures of a run are cut.
    fn cut(&self, run: Run, host: &Host) -> Cut {
        let (batch, rows, patch) = (run.batch as usize, self.rows.each(run) as usize, self.patch as usize);
        let numbers = |act: ActId| host.acts[act.0][..batch].iter().map(|&n| n as usize);
        match self.pictures {
            Pictures::Squares { size, lead } | Pictures::Floats { size, lead } => {
                let (size, lead, grid) = (size as usize, lead as usize, (size / self.patch) as usize);
                let pictures = vec![[size, grid, grid * grid]; batch];
                Cut { patch, area: size * size, lead, rows, channels_last: false, floats: self.floats(), pictures }
            }
            Pictures::Naflex { columns, lengths } => {
                let pictures =
                    numbers(columns).zip(numbers(lengths)).map(|(n, length)| [n * patch, n, length]).collect();
                let area = rows * patch * patch;
                Cut { patch, area, lead: 0, rows, channels_last: true, floats: false, pictures }
            }
        }
    }
    fn naflex(&self) -> [Operand; 2] {
        match self.pictures {
            Pictures::Squares { .. } | Pictures::Floats { .. } => [Operand::Nothing; 2],
            Pictures::Naflex { columns, lengths } => [Operand::Act(columns), Operand::Act(lengths)],
        }
    }
}

impl Kernel for Patchify {
    fn shader(&self, _tier: Tier) -> Shader {
        let naflex = matches!(self.pictures, Pictures::Naflex { .. });
        Shader::new("patchify", wgsl!("patchify.wgsl")).with("NAFLEX", naflex).with("FLOATS", self.floats())
    }
    fn fields(&self) -> &'static [Field] {
        Params::FIELDS
    }
    fn params(&self, run: Run) -> Vec<u8> {
        let [r, g, b] = self.scale;
        let [s, t, u] = self.shift;
        let (size, lead) = self.square();
        let params = Params {
            scale: [r, g, b, 0.0],
            shift: [s, t, u, 0.0],
            batch: run.batch,
            size,
            patch_size: self.patch,
            lead,
            rows: self.rows.each(run),
        };
        let mut bytes = bytemuck::bytes_of(&params).to_vec();
        // A WGSL struct with a vec4 is a multiple of 16 bytes long.
        bytes.resize(bytes.len().next_multiple_of(16), 0);
        bytes
    }
    fn workgroups(&self, _tier: Tier, run: Run) -> [u32; 3] {
        spread((self.rows.of(run) * self.row()).div_ceil(64))
    }
    fn operands(&self) -> Vec<Operand> {
        let [columns, lengths] = self.naflex();
        vec![Operand::Act(self.pixels), columns, lengths, Operand::Act(self.y)]
    }
    fn reference(&self, run: Run, host: &mut Host) {
        let y = reference::patchify(&host.acts[self.pixels.0], &self.cut(run, host), self.scale, self.shift);
        host.store(self.y, &y);
    }
    // The file for the GPU runs no plans on the CPU.
    #[cfg(not(feature = "wasm-gpu"))]
    fn cpu(&self, run: Run, host: &mut Host) {
        let cut = self.cut(run, host);
        let mut act = host.take(self.y);
        let y = &mut bytemuck::cast_slice_mut(&mut act)[..(self.rows.of(run) * self.row()) as usize];
        crate::cpu::patchify(host.threads, &host.acts[self.pixels.0], &cut, self.scale, self.shift, y);
        host.acts[self.y.0] = act;
    }
}
