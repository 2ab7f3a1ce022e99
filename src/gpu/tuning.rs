//! Which tier is used for which work on a device: what autotuning found there.

use super::Tier;
use crate::{error::Result, quant::Format};

/// The tiers of matrix products and attention by the number of rows that they work on: few rows leave large tiles empty, and
/// many rows are what large tiles are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tuning {
    /// By [`Size`]; for weights that are stored in f16, q8 or q4.
    any: [Tier; 3],
    /// The same for weights that are stored in f32: what rounds more is not chosen for them by itself.
    exact: [Tier; 3],
}

/// How many rows a kernel works on, in the classes that are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// Below 32: a few short texts, a step of a decoder.
    Few,
    /// Below 512: a picture, a batch of texts.
    Some,
    /// A batch of pictures.
    Many,
}

impl Size {
    /// Smallest first.
    pub const ALL: [Self; 3] = [Self::Few, Self::Some, Self::Many];

    /// `few`, `some`, `many`.
    #[must_use]
    pub fn name(self) -> &'static str {
        ["few", "some", "many"][self as usize]
    }

    /// The class of so many rows.
    #[must_use]
    pub fn of(rows: u32) -> Self {
        *Self::ALL.iter().rev().find(|size| size.least() <= rows).unwrap_or(&Self::Few)
    }

    /// The least number of rows in this class.
    #[must_use]
    pub fn least(self) -> u32 {
        [1, 32, 512][self as usize]
    }
}

impl Tuning {
    /// One tier for everything.
    #[must_use]
    pub fn all(tier: Tier) -> Self {
        Self { any: [tier; 3], exact: [tier; 3] }
    }

    /// The tier that was best for each [`Size`], of all tiers and of those that are exact.
    #[must_use]
    pub fn new(any: [Tier; 3], exact: [Tier; 3]) -> Self {
        Self { any, exact }
    }

    /// The tier for so many rows, and weights of this format.
    #[must_use]
    pub fn at(&self, rows: u32, format: Format) -> Tier {
        let tiers = if format == Format::F32 { &self.exact } else { &self.any };
        tiers[Size::of(rows) as usize]
    }

    /// The tier that says most about weights of this format: the one that rounds most if any rounds, else that of a picture.
    #[must_use]
    pub fn leading(&self, format: Format) -> Tier {
        let at = |size: Size| self.at(size.least(), format);
        Size::ALL.map(at).into_iter().filter(|tier| !tier.exact()).max().unwrap_or_else(|| at(Size::Some))
    }

    /// The same, with f16 nowhere: for decoders, whose residuals, gated products and keys pass 65,504 in trained models.
    #[must_use]
    pub fn without_half(&self) -> Self {
        let exact = self.exact.map(|tier| if tier == Tier::Half { Tier::Wide } else { tier });
        let mut any = self.any;
        any.iter_mut().zip(exact).filter(|(tier, _)| **tier == Tier::Half).for_each(|(tier, exact)| *tier = exact);
        Self { any, exact }
    }

    /// Every tier in it.
    pub fn tiers(&self) -> impl Iterator<Item = Tier> + use<> {
        self.any.into_iter().chain(self.exact)
    }

    /// As text, to be kept: one tier's name, or six, those for f32 last.
    #[must_use]
    pub fn name(&self) -> String {
        let first = self.any[0];
        if *self == Self::all(first) {
            return first.name().into();
        }
        self.tiers().map(Tier::name).collect::<Vec<_>>().join(" ")
    }

    /// The reverse of [`Tuning::name`].
    ///
    /// # Errors
    /// [`crate::Error::BadInput`] for other text.
    pub fn parse(name: &str) -> Result<Self> {
        let words: Vec<&str> = name.split(' ').collect();
        match words.iter().map(|word| Tier::parse(word)).collect::<Result<Vec<_>>>()?[..] {
            [a, b, c, d, e, f] => Ok(Self { any: [a, b, c], exact: [d, e, f] }),
            [tier] => Ok(Self::all(tier)),
            _ => Tier::parse(name).map(Self::all),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        use Tier::{Half, Plain, Registers, Wide};
        let mixed = Tuning::new([Registers, Half, Half], [Registers, Wide, Plain]);
        for tuning in [Tuning::all(Wide), mixed] {
            assert_eq!(Tuning::parse(&tuning.name()).expect("its own name"), tuning);
        }
        assert_eq!(Tuning::all(Wide).name(), "wide");
        for wrong in ["", "fast", "wide wide", "wide wide wide wide wide fast", " wide", "null"] {
            assert!(Tuning::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn without_what_rounds_to_f16() {
        use Tier::{Dot8, Half, Registers, Tiled, Wide};
        let mixed = Tuning::new([Registers, Half, Dot8], [Registers, Tiled, Half]);
        assert_eq!(mixed.without_half(), Tuning::new([Registers, Tiled, Dot8], [Registers, Tiled, Wide]));
        assert_eq!(Tuning::all(Half).without_half(), Tuning::all(Wide));
        assert_eq!(Tuning::all(Tiled).without_half(), Tuning::all(Tiled));
    }

    #[test]
    fn by_rows_and_format() {
        use Tier::{Half, Plain, Registers, Tiled, Wide};
        let tuning = Tuning::new([Registers, Tiled, Half], [Plain, Registers, Wide]);
        assert_eq!(
            [1, 31, 32, 511, 512, 9999].map(|rows| tuning.at(rows, Format::Q8)),
            [Registers, Registers, Tiled, Tiled, Half, Half]
        );
        assert_eq!([Format::Q8, Format::F32].map(|format| tuning.leading(format)), [Half, Registers]);
        assert_eq!([31, 32, 512].map(|rows| tuning.at(rows, Format::F32)), [Plain, Registers, Wide]);
    }
}
