//! What is counted: pure functions over scores and ranks, without a model, a file or a GPU.
//!
//! Ranks start at 1. [`rank`] and [`top`] break ties by order, as an argmax does: of equal scores the earlier one wins.
//! Retrieval breaks them against the model (`retrieval.rs`).

use std::collections::BTreeMap;

use serde::Serialize;

/// Standard normal quantile of a two-sided 95 % interval.
const Z95: f64 = 1.959_963_984_540_054;

/// A share with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Share {
    pub right: usize,
    pub of: usize,
    /// right / of; 0 if `of` is 0.
    pub share: f64,
    pub low: f64,
    pub high: f64,
}

impl Share {
    pub fn new(right: usize, of: usize) -> Self {
        let [low, high] = wilson(right, of);
        Self { right, of, share: if of == 0 { 0.0 } else { right as f64 / of as f64 }, low, high }
    }

    /// The share of ranks that are at most `k`.
    pub fn within(k: usize, ranks: &[usize]) -> Self {
        Self::new(ranks.iter().filter(|&&rank| rank <= k).count(), ranks.len())
    }
}

/// The score interval of E. B. Wilson, "Probable inference, the law of succession, and statistical inference" (JASA 22, 1927),
/// for a share at 95 %: unlike p ± 1.96 s it stays within 0 and 1, and says something about 0 and 100 %.
pub fn wilson(right: usize, of: usize) -> [f64; 2] {
    if of == 0 {
        return [0.0, 1.0];
    }
    let n = of as f64;
    let (p, zz) = (right as f64 / n, Z95 * Z95);
    let centre = (p + zz / (2.0 * n)) / (1.0 + zz / n);
    let half = Z95 / (1.0 + zz / n) * (p * (1.0 - p) / n + zz / (4.0 * n * n)).sqrt();
    // The ends are exact: rounding must not make 0 % less likely than nothing.
    let low = if right == 0 { 0.0 } else { centre - half };
    let high = if right == of { 1.0 } else { centre + half };
    [low, high]
}

/// Places of the `k` highest scores, best first; of equal scores the earlier.
pub fn top(scores: &[f32], k: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].partial_cmp(&scores[a]).expect("embeddings are checked to be finite"));
    order.truncate(k);
    order
}

/// Rank of `truth` in the order of [`top`], from 1.
pub fn rank(scores: &[f32], truth: usize) -> usize {
    let own = scores[truth];
    1 + scores.iter().enumerate().filter(|&(at, &s)| s > own || (s == own && at < truth)).count()
}

/// Σ aᵢ bᵢ: the cosine of unit vectors. Eight sums side by side, which compilers turn into vector instructions.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len(), "embeddings of one model have one length");
    let mut sums = [0.0_f32; 8];
    let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f32 = a8.remainder().iter().zip(b8.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in a8.zip(b8) {
        for lane in 0..8 {
            sums[lane] += x[lane] * y[lane];
        }
    }
    sums.iter().sum::<f32>() + rest
}

/// A vector as long as 1 in the direction of `sum`; none if it has no direction.
pub fn unit(sum: &[f64]) -> Option<Vec<f32>> {
    let length = sum.iter().map(|x| x * x).sum::<f64>().sqrt();
    (length.is_finite() && length > 0.0).then(|| sum.iter().map(|x| (x / length) as f32).collect())
}

/// How often pictures of one class were taken for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Confusion {
    pub truth: usize,
    pub predicted: usize,
    pub count: usize,
}

/// All confusions in (true, predicted) pairs, the most frequent first, then by class.
pub fn confusions(answers: &[(usize, usize)]) -> Vec<Confusion> {
    let mut counts = BTreeMap::new();
    for &(truth, predicted) in answers.iter().filter(|(truth, predicted)| truth != predicted) {
        *counts.entry((truth, predicted)).or_insert(0) += 1;
    }
    let mut all: Vec<Confusion> =
        counts.into_iter().map(|((truth, predicted), count)| Confusion { truth, predicted, count }).collect();
    all.sort_by_key(|c| std::cmp::Reverse(c.count));
    all
}

/// For each class: its pictures, and how many of them have it first and among the first five.
pub fn by_class(classes: usize, ranks: impl Iterator<Item = (usize, usize)>) -> Vec<[usize; 3]> {
    let mut counts = vec![[0; 3]; classes];
    for (truth, rank) in ranks {
        let [pictures, top1, top5] = &mut counts[truth];
        *pictures += 1;
        *top1 += usize::from(rank <= 1);
        *top5 += usize::from(rank <= 5);
    }
    counts
}

/// Classes that have pictures and mistakes, the lowest share of right ones first, then the most mistakes.
pub fn worst(counts: &[[usize; 3]]) -> Vec<usize> {
    let wrong = |c: usize| counts[c][0] - counts[c][1];
    let mut classes: Vec<usize> = (0..counts.len()).filter(|&c| wrong(c) > 0).collect();
    // a / b < c / d without division
    classes.sort_by(|&a, &b| {
        let ([na, ra, _], [nb, rb, _]) = (counts[a], counts[b]);
        (ra * nb).cmp(&(rb * na)).then(wrong(b).cmp(&wrong(a)))
    });
    classes
}

/// One picture as it was answered: its class, and the class that came first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer<'a> {
    pub truth: &'a str,
    pub first: &'a str,
}

/// How far two results over the same pictures agree.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Agreement {
    /// Pictures with the same answer, right or wrong.
    pub same: Share,
    /// Pictures that are right here and wrong there.
    pub right_only_here: usize,
    /// Pictures that are wrong here and right there.
    pub right_only_there: usize,
    /// Accuracy here less accuracy there, in percentage points.
    pub points: f64,
}

/// How far two results agree, (here, there) a picture.
pub fn agreement(answers: &[(Answer, Answer)]) -> Agreement {
    let count = |test: &dyn Fn(&(Answer, Answer)) -> bool| answers.iter().filter(|a| test(a)).count();
    let right = |a: &Answer| a.truth == a.first;
    let right_only_here = count(&|(here, there)| right(here) && !right(there));
    let right_only_there = count(&|(here, there)| !right(here) && right(there));
    let of = answers.len().max(1) as f64;
    Agreement {
        same: Share::new(count(&|(here, there)| here.first == there.first), answers.len()),
        right_only_here,
        right_only_there,
        points: 100.0 * (right_only_here as f64 - right_only_there as f64) / of,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() < 5e-5
    }

    #[test]
    fn wilson_by_hand() {
        // n = 10, p = 1/2: centre 1/2, half 1.96 / (1 + z²/10) · √(1/40 + z²/400) = 0.26341
        let [low, high] = wilson(5, 10);
        assert!(near(low, 0.23659) && near(high, 0.76341), "{low} {high}");
        // Of 8, all right: low = n / (n + z²) = 8 / 11.84146
        let [low, high] = wilson(8, 8);
        assert!(near(low, 0.67559) && high == 1.0, "{low} {high}");
        // None right is its mirror image.
        let [low, high] = wilson(0, 8);
        assert!(low == 0.0 && near(high, 0.32441), "{low} {high}");
        // centre (0.03448 + 0.06623) / 1.13246 = 0.08893, half 1.73071 · √0.00229 = 0.08282
        let [low, high] = wilson(1, 29);
        assert!(near(low, 0.00611) && near(high, 0.17176), "{low} {high}");
        assert_eq!(wilson(0, 0), [0.0, 1.0]);
        // The simple interval, which it must not be: 0.5 ± 1.96 · √0.025 = 0.19010
        assert!(!near(wilson(5, 10)[0], 0.19010));
    }

    #[test]
    fn top_and_rank_agree_and_ties_go_by_order() {
        let scores = [0.1, 0.7, 0.3, 0.7, -0.2];
        assert_eq!(top(&scores, 3), [1, 3, 2]);
        assert_eq!((0..5).map(|truth| rank(&scores, truth)).collect::<Vec<_>>(), [4, 1, 3, 2, 5]);
        assert_eq!(top(&scores, 9), [1, 3, 2, 0, 4]);
        // A model that knows nothing is right as often as chance: only for the first class.
        let same = [0.5; 4];
        assert_eq!((0..4).filter(|&truth| rank(&same, truth) == 1).count(), 1);
        // Zeros of both signs are one score: the order is the earlier one's.
        assert_eq!((rank(&[-0.0, 0.0], 0), top(&[-0.0, 0.0], 1)), (1, vec![0]));
    }

    #[test]
    fn shares_of_ranks() {
        let ranks = [1, 2, 5, 6, 1];
        assert_eq!(Share::within(1, &ranks).right, 2);
        assert_eq!(Share::within(5, &ranks).right, 4);
        assert_eq!(Share::within(5, &ranks).share, 0.8);
        assert_eq!(Share::within(1, &[]).share, 0.0);
    }

    #[test]
    fn dot_and_unit() {
        let a: Vec<f32> = (0..19).map(|x| x as f32).collect();
        // Σ x² for 0 … 18
        assert_eq!(dot(&a, &a), 2109.0);
        assert_eq!(unit(&[3.0, -4.0]).expect("a direction"), [0.6, -0.8]);
        assert_eq!(unit(&[0.0, 0.0]), None);
        assert_eq!(unit(&[f64::NAN, 1.0]), None);
        // The mean of unit vectors, not of their sum's coordinates scaled twice: (1,0) + (0,1) points at 45°.
        let mean = unit(&[1.0, 1.0]).expect("a direction");
        assert!(near(f64::from(mean[0]), 0.5_f64.sqrt()));
    }

    #[test]
    fn confusions_by_hand() {
        let answers = [(0, 1), (0, 1), (2, 0), (1, 1), (1, 0), (0, 0), (1, 0), (1, 0)];
        let expected =
            [(1, 0, 3), (0, 1, 2), (2, 0, 1)].map(|(truth, predicted, count)| Confusion { truth, predicted, count });
        assert_eq!(confusions(&answers), expected);
        assert!(confusions(&[(1, 1)]).is_empty(), "a right answer is no confusion");
    }

    #[test]
    fn classes_by_hand() {
        // Class 0: 1 of 2; 1: nothing; 2: 0 of 1; 3: 1 of 1; 4: 0 of 2
        let ranks = [(0, 1), (0, 3), (2, 6), (3, 1), (4, 2), (4, 9)];
        let counts = by_class(5, ranks.into_iter());
        assert_eq!(counts, [[2, 1, 2], [0, 0, 0], [1, 0, 0], [1, 1, 1], [2, 0, 1]]);
        assert_eq!(worst(&counts), [4, 2, 0]);
    }

    #[test]
    fn agreement_by_hand() {
        let answer = |truth, first| Answer { truth, first };
        let pairs = [
            (answer("a", "a"), answer("a", "a")),
            (answer("a", "b"), answer("a", "b")),
            (answer("b", "b"), answer("b", "a")),
            (answer("b", "b"), answer("b", "c")),
            (answer("c", "a"), answer("c", "c")),
        ];
        let found = agreement(&pairs);
        assert_eq!((found.same.right, found.same.of), (2, 5));
        assert_eq!((found.right_only_here, found.right_only_there), (2, 1));
        // 3 of 5 here, 2 of 5 there
        assert!(near(found.points, 20.0));
        // Two wrong answers that differ are not the same answer.
        assert_eq!(agreement(&[(answer("a", "b"), answer("a", "c"))]).same.right, 0);
    }
}
