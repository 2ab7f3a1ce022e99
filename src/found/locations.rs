//! Boxes and masks that a model writes as words: four tokens `<loc…>` of a box, sixteen `<seg…>` of the mask in it, a label, and `;`
//! between things. PaliGemma's form: `segmentation.py` in big_vision, of which `pp/proj/paligemma` writes it and
//! `evaluators/proj/paligemma/transfers` reads it.

use super::{
    Bounds, Mask,
    mask_decoder::{CODES, MaskDecoder, Square},
};

/// The largest `<loc…>`: it stands for the right or the lower edge. Boxes are rounded to v · 1023 in training; who reads them as
/// shares of 1024, as many do, gets them too small.
const LAST: u16 = 1023;

/// A thing that the model has written of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// What it is called; may be empty: some models name nothing if they were asked for one thing.
    pub label: String,
    /// Upper, left, lower and right edge, in this order, 0 to 1023; the third is larger than the first, the fourth than the second.
    pub edges: [u16; 4],
    /// The mask in the box, each 0 to 127; none of a box alone.
    pub codes: Option<[u8; CODES]>,
}

/// What a model has written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Locations {
    /// In the order in which they were written.
    pub found: Vec<Located>,
    /// What stands between two `;` and is no box: three edges or five, a lower edge above the upper one, 15 numbers of a mask.
    pub rejected: Vec<String>,
}

impl Locations {
    /// Of an answer in which the tokens `<loc…>` and `<seg…>` are written out ([`crate::text::Tokenizer::decode`] without
    /// `skip_special`). What is wrong in one thing leaves the others as they are.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut all = Self::default();
        for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            match located(part) {
                Some(one) => all.found.push(one),
                None => all.rejected.push(part.into()),
            }
        }
        all
    }
}

impl Located {
    /// The place of its label among those that were asked for; none where it was not. A single thing is what was found, however it is
    /// called.
    #[must_use]
    pub fn index(&self, asked: &[String]) -> Option<usize> {
        match asked {
            [_] => Some(0),
            asked => asked.iter().position(|label| label.trim().eq_ignore_ascii_case(&self.label)),
        }
    }

    /// The box, in pixels of a picture of this width and height.
    #[must_use]
    pub fn bounds(&self, size: (u32, u32)) -> Bounds {
        let [top, left, bottom, right] = self.places(size);
        Bounds::of_edges([left, top, right, bottom])
    }

    /// What the decoder says of the box; none of a box alone.
    #[must_use]
    pub fn square(&self, decoder: &MaskDecoder) -> Option<Square> {
        self.codes.as_ref().map(|codes| decoder.decode(codes))
    }

    /// The mask over a whole picture of this width and height; none where the box is less than a pixel.
    ///
    /// The box begins and ends at whole pixels: the evaluator's `int`. Edges are not taken from [`Located::bounds`], whose sum of left
    /// edge and width may be a rounding below a whole number.
    #[must_use]
    pub fn mask(&self, square: &Square, size: (u32, u32)) -> Option<Mask> {
        let [top, left, bottom, right] = self.places(size).map(|edge| edge as usize);
        if left >= right || top >= bottom {
            return None;
        }
        let inside = square.mask(right - left, bottom - top);
        let (width, height) = (size.0 as usize, size.1 as usize);
        let mut bits = vec![false; width * height];
        for (y, row) in inside.bits.chunks_exact(inside.width).enumerate() {
            bits[(top + y) * width + left..][..row.len()].copy_from_slice(row);
        }
        Some(Mask { width, height, bits })
    }

    /// The edges in pixels, in their order.
    fn places(&self, (width, height): (u32, u32)) -> [f64; 4] {
        let place = |at: usize, side: u32| f64::from(self.edges[at]) / f64::from(LAST) * f64::from(side);
        [place(0, height), place(1, width), place(2, height), place(3, width)]
    }
}

/// One thing; none of what is anything else.
fn located(part: &str) -> Option<Located> {
    let (edges, rest) = numbers(part, "<loc", 4);
    let (codes, label) = numbers(rest, "<seg", 3);
    let edges: [u16; 4] = edges.try_into().ok()?;
    let sound = edges.iter().all(|&edge| edge <= LAST) && edges[0] < edges[2] && edges[1] < edges[3];
    let codes = match codes.as_slice() {
        [] => None,
        codes => {
            let codes: Vec<u8> =
                codes.iter().map(|&code| u8::try_from(code).ok().filter(|&code| code < 128)).collect::<Option<_>>()?;
            Some(codes.try_into().ok()?)
        }
    };
    // What of such a token stands elsewhere is in the wrong place, or was cut off.
    let plain = !label.contains("<loc") && !label.contains("<seg");
    (sound && plain).then(|| Located { label: label.trim().into(), edges, codes })
}

/// The numbers of tokens such as `<loc0123>` at the start of a text, and what follows them.
fn numbers<'a>(text: &'a str, name: &str, digits: usize) -> (Vec<u16>, &'a str) {
    let token = |text: &'a str| {
        let (number, rest) = text.trim_start().strip_prefix(name)?.split_once('>')?;
        let plain = number.len() == digits && number.bytes().all(|digit| digit.is_ascii_digit());
        Some((number.parse().ok().filter(|_| plain)?, rest))
    };
    let (mut all, mut rest) = (Vec::new(), text);
    while let Some((number, after)) = token(rest) {
        all.push(number);
        rest = after;
    }
    (all, rest)
}
