//! LLaVA-OneVision's tokens of a picture: those of the whole picture, then a window of the grid that the tiles' tokens make together.

use std::ops::Range;

use super::Tiling;

/// Which tokens of a picture's squares the decoder sees, and where. The whole picture's come first. Then those of the tiles, row by row of
/// their grid: without those of the padding, shrunk where they are too many, and after each row the vector `image_newline`. A picture
/// that is seen once has that vector after its tokens.
///
/// The reference is `_get_number_of_features` in transformers' `processing_llava_onevision.py`, and `pack_image_features` in
/// `modeling_llava_onevision.py`, which agree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packing {
    /// Tokens of a square, each way.
    pub patches: usize,
    /// Tiles from left to right; none of a picture that is seen once.
    pub tiles: usize,
    /// Tokens from left to right, without the padding.
    pub columns: Range<usize>,
    /// Tokens from top to bottom, without the padding.
    pub rows: Range<usize>,
    /// Columns and rows to which the window is shrunk by bilinear interpolation; its own where they are few enough.
    pub shrunk: [usize; 2],
}

impl Packing {
    /// Of a picture of `width` × `height` pixels, where the tower makes `patches` × `patches` tokens of a square and at most about `most`
    /// squares of tokens are kept (`anyres_max_9`: 9).
    #[must_use]
    pub fn new(tiling: &Tiling, patches: usize, most: usize, width: usize, height: usize) -> Self {
        if tiling.columns == 0 {
            return Self { patches, tiles: 0, columns: 0..0, rows: 0..1, shrunk: [0, 1] };
        }
        let grid = [tiling.columns * patches, tiling.rows * patches];
        let source = [width, height];
        let wide = width as f64 / height as f64 > grid[0] as f64 / grid[1] as f64;
        let (tight, loose) = if wide { (0, 1) } else { (1, 0) };
        // Python's round(x, 7) lifts what is a hair below a whole number.
        let exact = source[loose] as f64 * (grid[tight] as f64 / source[tight] as f64);
        let kept = ((exact * 1e7).round() / 1e7) as usize;
        let padding = (grid[loose] - kept) / 2;
        let mut window = grid.map(|n| 0..n);
        window[loose] = padding..grid[loose] - padding;
        let [columns, rows] = window;
        let size = [columns.len(), rows.len()];
        let ratio = ((size[0] * size[1]) as f64 / (most * patches * patches) as f64).sqrt();
        // Python's `//` of floats. The reference fails where nothing is left.
        let over = |n: usize| (((n as f64 - n as f64 % ratio) / ratio).round() as usize).max(1);
        let shrunk = if ratio > MOST_OVER { size.map(over) } else { size };
        Self { patches, tiles: tiling.columns, columns, rows, shrunk }
    }

    /// Tokens of the picture, the ends of rows included.
    #[must_use]
    pub fn tokens(&self) -> usize {
        let [columns, rows] = self.shrunk;
        self.patches.pow(2) + (columns + 1) * rows
    }

    /// Most tokens of any picture, in the largest of these grids: columns and rows of tiles.
    #[must_use]
    pub fn most_tokens(grids: impl Iterator<Item = [usize; 2]>, patches: usize, most: usize) -> usize {
        let (square, over) = (patches.pow(2), MOST_OVER.powi(2));
        let unshrunk = (over * (most * square) as f64) as usize;
        let kept = |[columns, rows]: [usize; 2]| (columns * rows * square).min(unshrunk) + rows * patches;
        square + grids.map(kept).max().unwrap_or(1)
    }

    /// The picture's tokens before any square's are there, `[tokens, hidden]`: its ends of rows.
    #[must_use]
    pub fn begin(&self, newline: &[f32]) -> Vec<f32> {
        let mut packed = vec![0.0; self.tokens() * newline.len()];
        for row in 0..self.shrunk[1] {
            packed[self.place(row, self.shrunk[0]) * newline.len()..][..newline.len()].copy_from_slice(newline);
        }
        packed
    }

    /// Puts a square's tokens where they belong, `[patches · patches, hidden]`: those of the whole picture, square 0, or of a tile. Each
    /// comes once.
    pub fn put(&self, square: usize, tokens: &[f32], packed: &mut [f32]) {
        let Some(tile) = square.checked_sub(1) else {
            packed[..tokens.len()].copy_from_slice(tokens);
            return;
        };
        let (side, hidden) = (self.patches, tokens.len() / self.patches.pow(2));
        let [columns, rows] = [&self.columns, &self.rows];
        let [across, down] = [(columns, tile % self.tiles, self.shrunk[0]), (rows, tile / self.tiles, self.shrunk[1])]
            .map(|(window, at, count)| taps(window, at * side..(at + 1) * side, count));
        for &(row, y, of_row) in &down {
            for &(column, x, of_column) in &across {
                let from = &tokens[(y * side + x) * hidden..][..hidden];
                let into = &mut packed[self.place(row, column) * hidden..][..hidden];
                into.iter_mut().zip(from).for_each(|(sum, token)| *sum += of_row * of_column * token);
            }
        }
    }

    /// Which of the picture's tokens is in this row and column of the packed grid.
    fn place(&self, row: usize, column: usize) -> usize {
        self.patches.pow(2) + row * (self.shrunk[0] + 1) + column
    }
}

/// By how much the side of a square of as many tokens may be over that of the most, before they are shrunk.
const MOST_OVER: f64 = 1.1;

/// Along one axis: which of `count` packed tokens a tile has a part in, by which of its own tokens, and with what weight. `window` and `tile`
/// are ranges of the grid. The weights are those of PyTorch's `interpolate(…, mode="bilinear")`, in its f32: half-pixel centres, and no
/// antialiasing.
fn taps(window: &Range<usize>, tile: Range<usize>, count: usize) -> Vec<(usize, usize, f32)> {
    let scale = window.len() as f32 / count as f32;
    let two = |at: usize| {
        let place = (scale * (at as f32 + 0.5) - 0.5).max(0.0);
        let first = (place as usize).min(window.len() - 1);
        let second = (first + 1).min(window.len() - 1);
        let part = (place - first as f32).clamp(0.0, 1.0);
        [(at, window.start + first, 1.0 - part), (at, window.start + second, part)]
    };
    let within = |(at, from, weight): (usize, usize, f32)| {
        (tile.contains(&from) && weight > 0.0).then(|| (at, from - tile.start, weight))
    };
    (0..count).flat_map(two).filter_map(within).collect()
}
