//! How well masks fit: intersection over union at a threshold, and average precision over pixels. Pure functions over counts, those of
//! CLIPSeg's `metrics.FixedIntervalMetrics`, with which its figures were made.

/// Thresholds of the curve: numpy's `linspace(0, 1, 51)` without its ends.
pub const STEPS: usize = 49;

/// Pixels of one prompt or of many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// In the mask and in the truth.
    pub both: u64,
    /// In the mask only.
    pub extra: u64,
    /// In the truth only.
    pub missed: u64,
}

/// Counts at one threshold of the user's, and at each of the curve's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Curve {
    pub chosen: Counts,
    pub steps: [Counts; STEPS],
}

/// The threshold of a place in [`Curve::steps`].
pub fn step(place: usize) -> f64 {
    (place + 1) as f64 * 0.02
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.both += other.both;
        self.extra += other.extra;
        self.missed += other.missed;
    }

    /// Intersection over union; as in the reference one pixel is added to the union, so that an empty one is 0.
    pub fn iou(self) -> f64 {
        self.both as f64 / (1 + self.both + self.extra + self.missed) as f64
    }
}

impl Curve {
    pub const EMPTY: Self = Self {
        chosen: Counts { both: 0, extra: 0, missed: 0 },
        steps: [Counts { both: 0, extra: 0, missed: 0 }; STEPS],
    };

    /// Counts of a picture's logits against what is true of each pixel. A pixel is in the mask if its score is above the threshold.
    pub fn of(logits: &[f32], truth: &[bool], threshold: f64) -> Self {
        let mut curve = Self::EMPTY;
        // For each number of thresholds below a score: pixels outside and inside of the truth.
        let mut below = [[0_u64; 2]; STEPS + 1];
        for (&logit, &inside) in logits.iter().zip(truth) {
            let score = score(logit);
            curve.chosen.count(score > threshold as f32, inside);
            // One off at most, for rounding.
            let mut place = ((f64::from(score) * (STEPS + 1) as f64) as usize).min(STEPS);
            while place > 0 && score <= step(place - 1) as f32 {
                place -= 1;
            }
            while place < STEPS && score > step(place) as f32 {
                place += 1;
            }
            below[place][usize::from(inside)] += 1;
        }
        let total: u64 = below.iter().map(|[_, inside]| inside).sum();
        let [mut extra, mut both] = [0, 0];
        for place in (0..STEPS).rev() {
            let [outside, inside] = below[place + 1];
            extra += outside;
            both += inside;
            curve.steps[place] = Counts { both, extra, missed: total - both };
        }
        curve
    }

    pub fn add(&mut self, other: &Self) {
        self.chosen.add(other.chosen);
        self.steps.iter_mut().zip(&other.steps).for_each(|(sum, &counts)| sum.add(counts));
    }

    /// The area below precision over recall, by Simpson's rule over the thresholds at which anything is in the mask.
    pub fn average_precision(&self) -> f64 {
        let any = self.steps.iter().filter(|counts| counts.both + counts.extra > 0);
        let of = |counts: &Counts| {
            let both = counts.both as f64;
            [both / (1 + counts.both + counts.missed) as f64, both / (1 + counts.both + counts.extra) as f64]
        };
        let mut points: Vec<[f64; 2]> = any.map(of).collect();
        points.sort_by(|a, b| a[0].total_cmp(&b[0]).then(a[1].total_cmp(&b[1])));
        points.dedup();
        simpson(&points)
    }
}

impl Counts {
    fn count(&mut self, found: bool, inside: bool) {
        match (found, inside) {
            (true, true) => self.both += 1,
            (true, false) => self.extra += 1,
            (false, true) => self.missed += 1,
            (false, false) => {}
        }
    }
}

/// In f32, as the reference compares it.
fn score(logit: f32) -> f32 {
    (1.0 / (1.0 + (-f64::from(logit)).exp())) as f32
}

/// The area below points at uneven distances: `scipy.integrate.simpson`. Of an even number of points, the last stretch takes the
/// parabola through the last three.
fn simpson(points: &[[f64; 2]]) -> f64 {
    let or_zero = |value: f64| if value.is_finite() { value } else { 0.0 };
    let parabola = |three: &[[f64; 2]]| {
        let [[x0, y0], [x1, y1], [x2, y2]] = [three[0], three[1], three[2]];
        let (h0, h1) = (x1 - x0, x2 - x1);
        let (sum, product, ratio) = (h0 + h1, h0 * h1, or_zero(h0 / h1));
        let ends = y0 * (2.0 - or_zero(1.0 / ratio)) + y2 * (2.0 - ratio);
        sum / 6.0 * (ends + y1 * sum * or_zero(sum / product))
    };
    let trapezoid = |two: &[[f64; 2]]| 0.5 * (two[1][0] - two[0][0]) * (two[0][1] + two[1][1]);
    let whole = |points: &[[f64; 2]]| (2..points.len()).step_by(2).map(|end| parabola(&points[end - 2..=end])).sum();
    match points.len() {
        0 | 1 => 0.0,
        2 => trapezoid(points),
        len if len % 2 == 1 => whole(points),
        len => {
            // Cartwright, "Simpson's rule cumulative integration with MS Excel and irregularly-spaced data" (2017).
            let [[x0, y0], [x1, y1], [x2, y2]] = [points[len - 3], points[len - 2], points[len - 1]];
            let (h0, h1) = (x1 - x0, x2 - x1);
            let last = or_zero((2.0 * h1 * h1 + 3.0 * h0 * h1) / (6.0 * (h1 + h0)));
            let middle = or_zero((h1 * h1 + 3.0 * h0 * h1) / (6.0 * h0));
            let first = or_zero(h1 * h1 * h1 / (6.0 * h0 * (h0 + h1)));
            whole(&points[..len - 1]) + last * y2 + middle * y1 - first * y0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Reference {
        threshold: f64,
        prompts: Vec<Prompt>,
        ap: f64,
        fg_iou: f64,
        miou: f64,
        /// At each step.
        mious: Vec<f64>,
    }

    #[derive(serde::Deserialize)]
    struct Prompt {
        logits: Vec<f32>,
        truth: Vec<u8>,
    }

    fn reference() -> Reference {
        serde_json::from_str(include_str!("../../../tests/fixtures/found/overlap.json")).expect("a fixture")
    }

    fn curves(reference: &Reference, change: impl Fn(f32) -> f32) -> Vec<Curve> {
        let curve = |prompt: &Prompt| {
            let logits: Vec<f32> = prompt.logits.iter().map(|&logit| change(logit)).collect();
            let truth: Vec<bool> = prompt.truth.iter().map(|&bit| bit == 1).collect();
            Curve::of(&logits, &truth, reference.threshold)
        };
        reference.prompts.iter().map(curve).collect()
    }

    fn same(reference: &Reference, curves: &[Curve]) -> bool {
        let mut all = Curve::EMPTY;
        curves.iter().for_each(|curve| all.add(curve));
        let mean = |of: &dyn Fn(&Curve) -> Counts| {
            curves.iter().map(|curve| of(curve).iou()).sum::<f64>() / curves.len() as f64
        };
        let near = |a: f64, b: f64| (a - b).abs() < 1e-12;
        let steps = reference.mious.iter().enumerate();
        near(all.average_precision(), reference.ap)
            && near(all.chosen.iou(), reference.fg_iou)
            && near(mean(&|curve| curve.chosen), reference.miou)
            && steps.into_iter().all(|(at, &expected)| near(mean(&|curve| curve.steps[at]), expected))
    }

    #[test]
    fn as_the_reference() {
        let reference = reference();
        assert!(same(&reference, &curves(&reference, |logit| logit)));
        for wrong in [|logit: f32| -logit, |logit: f32| logit + 0.1, |logit: f32| logit * 1.1] {
            assert!(!same(&reference, &curves(&reference, wrong)));
        }
        let mut first = curves(&reference, |logit| logit);
        first.pop();
        assert!(!same(&reference, &first), "a prompt left out");
    }

    #[test]
    fn a_score_at_a_step_is_not_above_it() {
        // σ(0) is 0.5, which is step 24.
        let curve = Curve::of(&[0.0, 100.0, -100.0], &[true, true, true], 0.5);
        assert_eq!(step(24), 0.5);
        assert_eq!(curve.chosen, Counts { both: 1, extra: 0, missed: 2 });
        assert_eq!((curve.steps[24].both, curve.steps[23].both, curve.steps[0].both), (1, 2, 2));
    }

    #[test]
    fn simpson_by_hand() {
        // Exact for parabolas: x² from 0 to 3 is 9, whatever the points.
        let parabola = |at: &[f64]| simpson(&at.iter().map(|&x| [x, x * x]).collect::<Vec<_>>());
        for at in
            [&[0.0, 1.0, 3.0][..], &[0.0, 0.5, 1.0, 2.5, 3.0], &[0.0, 1.0, 2.0, 3.0], &[0.0, 0.1, 2.0, 2.9, 2.95, 3.0]]
        {
            assert!((parabola(at) - 9.0).abs() < 1e-12, "{at:?}");
        }
        assert_eq!(simpson(&[[0.0, 1.0], [2.0, 3.0]]), 4.0);
        assert_eq!(simpson(&[[0.5, 1.0]]), 0.0);
    }
}
