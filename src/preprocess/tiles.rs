//! A picture becomes tiles: which pictures are made on the way, and which of them the tower sees.
//!
//! Every step is a [`Sampling`] with 8 bits a channel before and after it: also to cut a tile, which is a resize that changes no size.

use super::{Sampling, check_size, resize, square::resize_in_square};
use crate::{
    config::{Alpha, Filter, Preprocessor, Tiles},
    error::Result,
};

/// A picture that is made of another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// Of which: 0 is the source, and n what stage n - 1 of [`Tiling::between`] makes.
    pub from: usize,
    /// How. What comes out is opaque.
    pub sampling: Sampling,
    /// Where the picture stands in the middle of a square: the colour of the rest, as a word. The sampling is the square's.
    pub fill: Option<u32>,
}

/// The squares that the tower sees of a picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tiling {
    /// Rows of tiles; 0 where the whole picture is all.
    pub rows: usize,
    /// Columns of tiles; 0 where the whole picture is all.
    pub columns: usize,
    /// Pictures on the way, in their order.
    pub between: Vec<Stage>,
    /// What the tower sees, in its order: tiles row by row, and the whole picture after them, or before them (LLaVA).
    pub seen: Vec<Stage>,
}

/// Width and height, in pixels.
type Size = [usize; 2];

impl Tiling {
    /// For a picture of `width` × `height` pixels.
    ///
    /// # Errors
    /// As [`Sampling::new`].
    pub fn new(rule: &Preprocessor, width: usize, height: usize) -> Result<Self> {
        check_size(width, height)?;
        let source = [width, height];
        match &rule.tiles {
            Tiles::Whole => Ok(Self::one(Stage { from: 0, sampling: Sampling::new(rule, width, height)?, fill: None })),
            Tiles::Split { longest_edge, side, split } => Ok(Self::split(rule, source, *longest_edge, *side, *split)),
            Tiles::Grid { pinpoints, side, .. } => Ok(Self::grid(rule, source, pinpoints, *side)),
            Tiles::Centred { side, fill: [r, g, b] } => {
                let square = [width.max(height); 2];
                let stage = Stage::whole(rule.filter, rule.alpha, 0, square, [*side; 2]);
                Ok(Self::one(Stage { fill: Some(u32::from_le_bytes([*r, *g, *b, 255])), ..stage }))
            }
        }
    }

    fn one(stage: Stage) -> Self {
        Self { rows: 0, columns: 0, between: Vec::new(), seen: vec![stage] }
    }

    /// SmolVLM's chain: three resizes, or two where the picture is not cut.
    fn split(rule: &Preprocessor, source: Size, longest_edge: usize, side: usize, split: bool) -> Self {
        let resized = longest(source, longest_edge);
        let stretched = tiled(resized, side);
        let [columns, rows] = stretched.map(|n| n / side);
        let opaque = |from, size, full| Stage::whole(rule.filter, Alpha::Drop, from, size, full);
        let mut between = vec![Stage::whole(rule.filter, rule.alpha, 0, source, resized)];
        if !split || rows * columns == 1 {
            return Self { rows: 0, columns: 0, between, seen: vec![opaque(1, resized, [side, side])] };
        }
        between.push(opaque(1, resized, stretched));
        let tile = |at: usize| {
            let start = [at % columns, at / columns].map(|n| (n * side) as isize);
            Stage::cut(rule.filter, 2, stretched, start, side)
        };
        let seen = (0..rows * columns).map(tile).chain([opaque(2, stretched, [side, side])]).collect();
        Self { rows, columns, between, seen }
    }

    /// LLaVA's "anyres": black where a tile reaches beyond the fitted picture.
    fn grid(rule: &Preprocessor, source: Size, pinpoints: &[Size], side: usize) -> Self {
        let target = best(source, pinpoints);
        let (fitted, before) = fit(source, target);
        let [columns, rows] = target.map(|n| n / side);
        let whole = |full| Stage::whole(rule.filter, rule.alpha, 0, source, full);
        let tile = |at: usize| {
            let [x, y] = [at % columns, at / columns].map(|n| (n * side) as isize);
            Stage::cut(rule.filter, 1, fitted, [x - before[0] as isize, y - before[1] as isize], side)
        };
        let seen = [whole([side, side])].into_iter().chain((0..rows * columns).map(tile)).collect();
        Self { rows, columns, between: vec![whole(fitted)], seen }
    }

    /// The reference: what the tower sees, each a square of RGBA words, on the CPU.
    #[must_use]
    pub fn resize(&self, pixels: &[u32], width: usize, height: usize) -> Vec<Vec<u32>> {
        let mut pictures = vec![(pixels.to_vec(), width, height)];
        let made = |pictures: &[(Vec<u32>, usize, usize)], stage: &Stage| {
            let (pixels, width, height) = &pictures[stage.from];
            match stage.fill {
                None => resize(pixels, *width, *height, &stage.sampling),
                Some(fill) => resize_in_square(pixels, [*width, *height], &stage.sampling, fill),
            }
        };
        for stage in &self.between {
            let (width, height) = stage.sampling.size();
            pictures.push((made(&pictures, stage), width, height));
        }
        self.seen.iter().map(|stage| made(&pictures, stage)).collect()
    }
}

impl Stage {
    fn whole(filter: Filter, alpha: Alpha, from: usize, source: Size, full: Size) -> Self {
        let window = full.map(|n| 0..n as isize);
        Self { from, sampling: Sampling::part(filter, alpha, source, full, window), fill: None }
    }

    /// A square of a picture as it is, which may reach beyond it.
    fn cut(filter: Filter, from: usize, size: Size, start: [isize; 2], side: usize) -> Self {
        let window = start.map(|start| start..start + side as isize);
        Self { from, sampling: Sampling::part(filter, Alpha::Drop, size, size, window), fill: None }
    }
}

/// A size of the same shape, of which the longer side is `long`; the other is truncated, as Python's `int` does it.
fn shaped([width, height]: Size, long: usize) -> Size {
    let aspect = width as f64 / height as f64;
    match width >= height {
        true => [long, (long as f64 / aspect) as usize],
        false => [(long as f64 * aspect) as usize, long],
    }
}

/// `_resize_output_size_rescale_to_max_len` in transformers' `image_processing_pil_smolvlm.py`: the shorter side is even.
fn longest(size: Size, long: usize) -> Size {
    let short = if size[0] >= size[1] { 1 } else { 0 };
    let mut resized = shaped(size, long);
    resized[short] = resized[short].next_multiple_of(2).max(1);
    resized
}

/// `resize_for_vision_encoder` there: whole tiles, the longer side first.
fn tiled(size: Size, side: usize) -> Size {
    let long = size[0].max(size[1]).next_multiple_of(side);
    shaped(size, long).map(|n| n.max(1).next_multiple_of(side))
}

/// `select_best_resolution` in transformers' `image_processing_utils.py`: as many of the picture's pixels as possible, and among equals
/// as little else as possible.
fn best(source: Size, pinpoints: &[Size]) -> Size {
    let [width, height] = source.map(|n| n as f64);
    let rank = |&[w, h]: &Size| {
        let scale = (w as f64 / width).min(h as f64 / height);
        let fitted = (width * scale) as usize * (height * scale) as usize;
        let used = fitted.min(source[0] * source[1]);
        (used, std::cmp::Reverse(w * h - used))
    };
    // Of equals the first, where `max_by_key` has the last.
    *pinpoints.iter().rev().max_by_key(|size| rank(size)).expect("checked with the config")
}

/// The size of a picture that is fitted into `target`, and how much of the target stands before it: `get_patch_output_size` there, and
/// `_get_padding_size` in `image_processing_pil_llava_onevision.py`.
fn fit(source: Size, target: Size) -> (Size, Size) {
    let scale = [0, 1].map(|axis| target[axis] as f64 / source[axis] as f64);
    let (tight, loose) = if scale[0] < scale[1] { (0, 1) } else { (1, 0) };
    let mut size = target;
    size[loose] = ((source[loose] as f64 * scale[tight]).ceil() as usize).min(target[loose]);
    (size, [0, 1].map(|axis| (target[axis] - size[axis]) / 2))
}
