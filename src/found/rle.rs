//! Run lengths as COCO has them: column by column, first the pixels that are not in the mask.

use serde::Serialize;

use super::Mask;
use crate::error::{Error, Result};

/// A mask as run lengths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rle {
    /// Height and width, in COCO's order.
    pub size: [usize; 2],
    /// Lengths of runs, down one column after the other: outside, inside, outside, …; the first one may be 0.
    pub counts: Vec<u32>,
}

impl Mask {
    /// Its run lengths.
    #[must_use]
    pub fn rle(&self) -> Rle {
        let (mut counts, mut inside, mut run) = (Vec::new(), false, 0);
        for x in 0..self.width {
            for y in 0..self.height {
                if self.bits[y * self.width + x] != inside {
                    counts.push(std::mem::take(&mut run));
                    inside = !inside;
                }
                run += 1;
            }
        }
        counts.push(run);
        Rle { size: [self.height, self.width], counts }
    }
}

impl Rle {
    /// The mask.
    ///
    /// # Errors
    /// [`Error::BadInput`] if the runs are not as many pixels as the size says.
    pub fn mask(&self) -> Result<Mask> {
        let [height, width] = self.size;
        let total: u64 = self.counts.iter().map(|&run| u64::from(run)).sum();
        if height.checked_mul(width).map(|area| area as u64) != Some(total) {
            return Err(Error::BadInput(format!(
                "run lengths: expected {height} × {width} pixels, found {total}: the size is another mask's"
            )));
        }
        let mut bits = vec![false; height * width];
        let mut at = 0;
        for (turn, &run) in self.counts.iter().enumerate() {
            if turn % 2 == 1 {
                (at..at + run as usize).for_each(|at| bits[at % height * width + at / height] = true);
            }
            at += run as usize;
        }
        Ok(Mask { width, height, bits })
    }

    /// The string that COCO's tools write: of each run from the fourth on the difference to the last but one, in groups of five bits
    /// from the lowest, each plus 48 as a letter; a sixth bit says that more follow.
    #[must_use]
    pub fn compressed(&self) -> String {
        let mut text = String::new();
        for (at, &run) in self.counts.iter().enumerate() {
            let before = if at > 2 { self.counts[at - 2] } else { 0 };
            let mut rest = i64::from(run) - i64::from(before);
            loop {
                let five = (rest & 31) as u8;
                rest >>= 5;
                // The highest bit of the last group is the sign.
                let more = rest != if five & 16 == 0 { 0 } else { -1 };
                text.push(char::from(48 + five + if more { 32 } else { 0 }));
                if !more {
                    break;
                }
            }
        }
        text
    }

    /// Reads [`Rle::compressed`].
    ///
    /// # Errors
    /// [`Error::BadInput`] if it is something else.
    pub fn of_compressed(text: &str, size: [usize; 2]) -> Result<Self> {
        let bad = |found: &str| {
            Error::BadInput(format!("run lengths: expected a string of COCO's tools, found {found}: write it anew"))
        };
        let (mut counts, mut value, mut shift): (Vec<u32>, i64, u32) = (Vec::new(), 0, 0);
        for letter in text.bytes() {
            let six = letter.checked_sub(48).filter(|&six| six < 64).ok_or_else(|| bad("another letter in it"))?;
            // Seven groups are 35 bits, more than any run has.
            if shift > 30 {
                return Err(bad("a number without end"));
            }
            value |= i64::from(six & 31) << shift;
            shift += 5;
            if six & 32 == 0 {
                if six & 16 != 0 {
                    value -= 1 << shift;
                }
                let before = if counts.len() > 2 { counts[counts.len() - 2] } else { 0 };
                counts.push((value + i64::from(before)).try_into().map_err(|_| bad("a run below zero"))?);
                (value, shift) = (0, 0);
            }
        }
        if shift > 0 { Err(bad("the end amid a number")) } else { Ok(Self { size, counts }) }
    }
}
