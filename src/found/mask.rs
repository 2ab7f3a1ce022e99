//! Which pixels belong to a thing.

use super::Bounds;

/// A mask: which pixels of a picture belong to a thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// A pixel each, row by row: `[height, width]`.
    pub bits: Vec<bool>,
}

/// Where a pixel of the output lies between two of the source.
struct Between {
    low: usize,
    high: usize,
    /// Of `high`; the rest is of `low`.
    share: f64,
}

impl Mask {
    /// Pixels whose score, the sigmoid of their logit, is above `threshold`. `logits` are a square, `[side, side]`; they are enlarged as
    /// [`upsample`] says, before the sigmoid.
    ///
    /// # Panics
    /// If `logits` are not `side²` numbers.
    #[must_use]
    pub fn from_logits(logits: &[f32], side: usize, width: usize, height: usize, threshold: f64) -> Self {
        // σ(x) > t where x > log(t / (1 - t)); all or nothing at the ends.
        let threshold = threshold.clamp(0.0, 1.0);
        let least = (threshold / (1.0 - threshold)).ln();
        let mut bits = Vec::with_capacity(width * height);
        rows(logits, side, width, height, |row| bits.extend(row.iter().map(|&logit| logit > least)));
        Self { width, height, bits }
    }

    /// Number of pixels.
    #[must_use]
    pub fn area(&self) -> usize {
        self.bits.iter().filter(|&&bit| bit).count()
    }

    /// The smallest box around all pixels; none if there are no pixels.
    #[must_use]
    pub fn bounds(&self) -> Option<Bounds> {
        let ends = |line: &mut dyn Iterator<Item = bool>| {
            let mut at = line.enumerate().filter(|(_, any)| *any).map(|(at, _)| at);
            let first = at.next()?;
            Some([first, at.last().unwrap_or(first) + 1])
        };
        let rows = || self.bits.chunks_exact(self.width.max(1));
        let [top, bottom] = ends(&mut rows().map(|row| row.contains(&true)))?;
        let mut columns = vec![false; self.width];
        rows().for_each(|row| columns.iter_mut().zip(row).for_each(|(any, bit)| *any |= bit));
        let [left, right] = ends(&mut columns.into_iter())?;
        Some(Bounds::of_edges([left, top, right, bottom].map(|edge| edge as f64)))
    }

    /// The nearest pixel of each: torch's `interpolate(…, mode="nearest")`, whose places are rounded in f32.
    #[must_use]
    pub fn nearest(&self, width: usize, height: usize) -> Self {
        let places = |from: usize, to: usize| {
            let scale = from as f32 / to as f32;
            (0..to).map(move |at| ((at as f32 * scale).floor() as usize).min(from - 1))
        };
        let columns: Vec<usize> = places(self.width, width).collect();
        let row = |y: usize| columns.iter().map(move |x| self.bits[y * self.width + x]);
        Self { width, height, bits: places(self.height, height).flat_map(row).collect() }
    }
}

/// Logits of a square, `[side, side]`, at another size, `[height, width]`: bilinear between the centres of pixels, edges repeated, and
/// no smoothing where it becomes smaller, which is torch's `interpolate(…, mode="bilinear", align_corners=False)`.
///
/// # Panics
/// If `logits` are not `side²` numbers.
#[must_use]
pub fn upsample(logits: &[f32], side: usize, width: usize, height: usize) -> Vec<f32> {
    let mut all = Vec::with_capacity(width * height);
    rows(logits, side, width, height, |row| all.extend(row.iter().map(|&x| x as f32)));
    all
}

/// Row by row: a mask of a large picture needs no floats for all of it.
fn rows(logits: &[f32], side: usize, width: usize, height: usize, mut each: impl FnMut(&[f64])) {
    assert_eq!(logits.len(), side * side, "mask logits are a square");
    let columns = between(side, width);
    let blend = |at: &Between, low: f64, high: f64| low * (1.0 - at.share) + high * at.share;
    let wide: Vec<f64> = logits
        .chunks_exact(side)
        .flat_map(|row| columns.iter().map(move |at| blend(at, row[at.low].into(), row[at.high].into())))
        .collect();
    let mut row = vec![0.0; width];
    for at in between(side, height) {
        let [low, high] = [at.low, at.high].map(|row| &wide[row * width..][..width]);
        row.iter_mut().zip(low.iter().zip(high)).for_each(|(to, (&low, &high))| *to = blend(&at, low, high));
        each(&row);
    }
}

fn between(from: usize, to: usize) -> Vec<Between> {
    let scale = from as f64 / to as f64;
    let place = |at: usize| {
        let place = ((at as f64 + 0.5) * scale - 0.5).max(0.0);
        let low = (place as usize).min(from - 1);
        Between { low, high: (low + 1).min(from - 1), share: place - low as f64 }
    };
    (0..to).map(place).collect()
}
