//! Which variant of the heavy kernels runs. What is fastest differs by an order of magnitude from device to device, so it is
//! measured once on the device itself (`autotune`), never guessed from its name.

use crate::{
    error::{Error, Result},
    quant::Format,
};

/// How matrix products and attention are computed; all others are the same in every tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Tier {
    /// Small tiles in registers; documentation and oracle.
    #[default]
    Plain,
    /// Large tiles in registers, no workgroup memory: software adapters, whose barriers are slow.
    Registers,
    /// Tiles in workgroup memory, 4 × 4 outputs an invocation.
    Tiled,
    /// The same with four times as many invocations, four of which share the sums of an output: sliced K, for few tiles.
    Sliced,
    /// As `Tiled` with 8 × 8.
    Wide,
    /// As `Wide`, tiles and products of four in f16, sums in f32. Not in decoders, see [`Tuning::without_half`](super::Tuning::without_half).
    Half,
    /// Packed 8-bit dot products of q8 and q4 weights with inputs that are quantised on the way; other weights as in `Tiled`.
    Dot8,
    /// For few rows, whatever was tuned: a workgroup shares the sums of an output. Not raced.
    Vector,
    /// The same for software adapters, where `Registers` was tuned: few invocations, or one, for an output. Not raced.
    Serial,
}

impl Tier {
    /// Those that can be chosen, slowest first as a rule.
    pub const ALL: [Self; 7] =
        [Self::Plain, Self::Registers, Self::Tiled, Self::Sliced, Self::Wide, Self::Half, Self::Dot8];

    /// `plain`, `registers`, `tiled`, `sliced`, `wide`, `half`, `dot8`, `vector`, `serial`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Registers => "registers",
            Self::Tiled => "tiled",
            Self::Sliced => "sliced",
            Self::Wide => "wide",
            Self::Half => "half",
            Self::Dot8 => "dot8",
            Self::Vector => "vector",
            Self::Serial => "serial",
        }
    }

    /// The reverse of [`Tier::name`], for those that can be chosen.
    ///
    /// # Errors
    /// [`Error::BadInput`] for another word.
    pub fn parse(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|tier| tier.name() == name).ok_or_else(|| {
            Error::BadInput(format!("tier: expected auto, {}, found {name:?}", Self::ALL.map(Self::name).join(", ")))
        })
    }

    /// Whether it needs the feature shader-f16.
    #[must_use]
    pub fn needs_f16(self) -> bool {
        self == Self::Half
    }

    /// Whether it is another way at all for weights of this format.
    #[must_use]
    pub fn suits(self, format: Format) -> bool {
        self != Self::Dot8 || matches!(format, Format::Q8 | Format::Q4)
    }

    /// By how much it moves embeddings at most, as a share of the mean distance between unrelated inputs: measured on models
    /// of random weights, which amplify what they lose, and rounded up.
    #[must_use]
    pub fn cost(self) -> f32 {
        match self {
            Self::Half => 0.005,
            Self::Dot8 => 0.06,
            _ => 0.0,
        }
    }

    /// Whether its numbers are those of f32 sums of f32 products.
    #[must_use]
    pub fn exact(self) -> bool {
        !matches!(self, Self::Half | Self::Dot8)
    }
}
