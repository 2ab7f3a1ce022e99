//! Average precision of detections as COCO's and LVIS's tools compute it: pure functions over boxes.
//!
//! The numbers are those of `pycocotools.cocoeval` and `lvis.eval` for boxes of any size, steps and rounding included: ten IoUs from
//! 0.5 to 0.95, 101 recalls, precision as high as at any higher recall.

use std::collections::{BTreeMap, HashSet};

use ocelli::found::Bounds;

/// IoUs from which on a detection may be right: [`iou_at`].
pub const IOUS: usize = 10;
/// Recalls at which precision is taken.
const RECALLS: usize = 101;
/// COCO's most detections of a category in a picture.
const MOST_OF_A_CATEGORY: usize = 100;

/// A thing that is in a picture. Pictures and categories are numbered from 0 in the order of their ids, which breaks ties.
#[derive(Debug, Clone, Copy)]
pub struct Truth {
    pub picture: usize,
    pub category: usize,
    pub bounds: Bounds,
    /// A region of many: it counts neither when found nor when missed, and any number may be found within it.
    pub crowd: bool,
}

/// A thing that was found in a picture.
#[derive(Debug, Clone, Copy)]
pub struct Found {
    pub picture: usize,
    pub category: usize,
    pub bounds: Bounds,
    pub score: f64,
}

/// What counts.
pub enum Rule {
    /// Every category in every picture; the best 100 of each category in a picture.
    Coco,
    /// What the annotations of each picture can judge.
    Lvis(Vec<Judged>),
}

/// LVIS annotates some categories in a picture only.
#[derive(Debug, Default)]
pub struct Judged {
    /// Categories that are known not to be there.
    pub absent: HashSet<usize>,
    /// Categories of which there may be more than is annotated: what is found besides is not wrong.
    pub not_exhaustive: HashSet<usize>,
}

/// The average precision of each category at each IoU; none for a category that is in no picture.
pub struct Precision(pub Vec<Option<[f64; IOUS]>>);

/// A category in a picture.
#[derive(Default)]
struct Place<'a> {
    truths: Vec<&'a Truth>,
    found: Vec<&'a Found>,
}

/// What becomes of a detection at an IoU.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Verdict {
    Right,
    Wrong,
    /// It does not count.
    Passed,
}

/// The IoU of a place in [`Precision`]: numpy's `linspace(0.5, 0.95, 10)`.
pub fn iou_at(place: usize) -> f64 {
    if place + 1 == IOUS { 0.95 } else { 0.5 + place as f64 * ((0.95 - 0.5) / (IOUS - 1) as f64) }
}

/// The average precision of all categories.
pub fn precision(truths: &[Truth], found: &[Found], categories: usize, rule: &Rule) -> Precision {
    let mut by_place: BTreeMap<(usize, usize), Place> = BTreeMap::new();
    for truth in truths {
        by_place.entry((truth.category, truth.picture)).or_default().truths.push(truth);
    }
    for one in found {
        let place = (one.category, one.picture);
        match rule {
            Rule::Coco => by_place.entry(place).or_default().found.push(one),
            Rule::Lvis(judged) if judged[one.picture].absent.contains(&one.category) => {
                by_place.entry(place).or_default().found.push(one);
            }
            // Nobody knows whether it is there, unless some of it is annotated.
            Rule::Lvis(_) => drop(by_place.get_mut(&place).map(|place| place.found.push(one))),
        }
    }
    let mut of = vec![0; categories];
    let mut verdicts: Vec<Vec<(f64, [Verdict; IOUS])>> = vec![Vec::new(); categories];
    for ((category, picture), Place { truths, found }) in by_place {
        let forgiven = match rule {
            Rule::Coco => false,
            Rule::Lvis(judged) => judged[picture].not_exhaustive.contains(&category),
        };
        let most = if matches!(rule, Rule::Coco) { MOST_OF_A_CATEGORY } else { usize::MAX };
        of[category] += truths.iter().filter(|truth| !truth.crowd).count();
        verdicts[category].extend(judge(truths, found, most, forgiven));
    }
    let average = |(mut verdicts, of): (Vec<(f64, [Verdict; IOUS])>, usize)| {
        verdicts.sort_by(|a, b| b.0.total_cmp(&a.0));
        (of > 0).then(|| std::array::from_fn(|at| average(verdicts.iter().map(|(_, verdicts)| verdicts[at]), of)))
    };
    Precision(verdicts.into_iter().zip(of).map(average).collect())
}

/// Detections of a category in a picture, best first, with what becomes of each.
fn judge(mut truths: Vec<&Truth>, mut found: Vec<&Found>, most: usize, forgiven: bool) -> Vec<(f64, [Verdict; IOUS])> {
    truths.sort_by_key(|truth| truth.crowd);
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
    found.truncate(most);
    let overlaps: Vec<Vec<f64>> =
        found.iter().map(|one| truths.iter().map(|truth| overlap(one.bounds, truth)).collect()).collect();
    let mut verdicts: Vec<_> = found.iter().map(|one| (one.score, [Verdict::Wrong; IOUS])).collect();
    for place in 0..IOUS {
        let mut taken = vec![false; truths.len()];
        for (overlaps, (_, verdicts)) in overlaps.iter().zip(&mut verdicts) {
            verdicts[place] = match choose(&truths, overlaps, &taken, iou_at(place)) {
                Some(truth) => {
                    taken[truth] = true;
                    if truths[truth].crowd { Verdict::Passed } else { Verdict::Right }
                }
                None if forgiven => Verdict::Passed,
                None => Verdict::Wrong,
            };
        }
    }
    verdicts
}

/// Of the things that are free, the one that is overlapped best, the last of equal ones; a crowd only where there is nothing else.
fn choose(truths: &[&Truth], overlaps: &[f64], taken: &[bool], least: f64) -> Option<usize> {
    let (mut best, mut chosen) = (least, None);
    for (at, truth) in truths.iter().enumerate() {
        if taken[at] && !truth.crowd {
            continue;
        }
        if truth.crowd && chosen.is_some_and(|chosen: usize| !truths[chosen].crowd) {
            break;
        }
        if overlaps[at] >= best {
            (best, chosen) = (overlaps[at], Some(at));
        }
    }
    chosen
}

/// IoU; within a crowd the share of the detection that lies in it.
fn overlap(found: Bounds, truth: &Truth) -> f64 {
    if truth.crowd && found.area() > 0.0 {
        return found.intersection(truth.bounds) / found.area();
    }
    found.iou(truth.bounds)
}

/// The mean precision over recalls of verdicts, best score first, on `of` things.
fn average(verdicts: impl Iterator<Item = Verdict>, of: usize) -> f64 {
    let (mut right, mut wrong) = (0.0, 0.0);
    let (mut recalls, mut precisions) = (Vec::new(), Vec::new());
    for verdict in verdicts.filter(|&verdict| verdict != Verdict::Passed) {
        if verdict == Verdict::Right {
            right += 1.0;
        } else {
            wrong += 1.0;
        }
        recalls.push(right / of as f64);
        precisions.push(right / (wrong + right + f64::EPSILON));
    }
    for at in (1..precisions.len()).rev() {
        precisions[at - 1] = precisions[at].max(precisions[at - 1]);
    }
    // numpy's linspace(0, 1, 101)
    let recall = |at: usize| if at + 1 == RECALLS { 1.0 } else { at as f64 * 0.01 };
    let at = |place| precisions.get(recalls.partition_point(|&found| found < recall(place))).unwrap_or(&0.0);
    (0..RECALLS).map(at).sum::<f64>() / RECALLS as f64
}

impl Precision {
    /// The mean over the categories that are in some picture, and over IoUs, or at one of them; none if there is no such category.
    pub fn mean(&self, iou: Option<usize>, wanted: impl Fn(usize) -> bool) -> Option<f64> {
        let each = |precisions: &[f64; IOUS]| match iou {
            Some(at) => precisions[at],
            None => precisions.iter().sum::<f64>() / IOUS as f64,
        };
        let wanted = self.0.iter().enumerate().filter(|(category, _)| wanted(*category));
        let all: Vec<f64> = wanted.filter_map(|(_, precisions)| precisions.as_ref().map(each)).collect();
        (!all.is_empty()).then(|| all.iter().sum::<f64>() / all.len() as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `tools/make_found_fixtures.py` has of pycocotools and lvis.
    const REFERENCE: &str = include_str!("../../../tests/fixtures/found/precision.json");

    #[derive(serde::Deserialize)]
    struct Case {
        name: String,
        pictures: usize,
        categories: usize,
        /// picture, category, crowd, x, y, width, height
        truths: Vec<(usize, usize, u8, f64, f64, f64, f64)>,
        /// picture, category, score, x, y, width, height
        found: Vec<(usize, usize, f64, f64, f64, f64, f64)>,
        lvis: Option<Lvis>,
        ap: f64,
        ap50: f64,
        ap75: f64,
        each: Vec<Option<f64>>,
    }

    #[derive(serde::Deserialize)]
    struct Lvis {
        absent: Vec<HashSet<usize>>,
        not_exhaustive: Vec<HashSet<usize>>,
        frequency: Vec<String>,
        ap_rare: f64,
        ap_common: f64,
        ap_frequent: f64,
    }

    impl Case {
        fn precision(&self, change: impl Fn(&mut Vec<Truth>, &mut Vec<Found>, &mut Rule)) -> Precision {
            let mut truths = self
                .truths
                .iter()
                .map(|&(picture, category, crowd, x, y, width, height)| Truth {
                    picture,
                    category,
                    bounds: Bounds { x, y, width, height },
                    crowd: crowd == 1,
                })
                .collect();
            let mut found = self
                .found
                .iter()
                .map(|&(picture, category, score, x, y, width, height)| Found {
                    picture,
                    category,
                    bounds: Bounds { x, y, width, height },
                    score,
                })
                .collect();
            let mut rule = match &self.lvis {
                None => Rule::Coco,
                Some(lvis) => Rule::Lvis(
                    (0..self.pictures)
                        .map(|at| Judged {
                            absent: lvis.absent[at].clone(),
                            not_exhaustive: lvis.not_exhaustive[at].clone(),
                        })
                        .collect(),
                ),
            };
            change(&mut truths, &mut found, &mut rule);
            precision(&truths, &found, self.categories, &rule)
        }

        /// Whether these are the reference's numbers.
        fn same(&self, found: &Precision) -> bool {
            let near = |a: Option<f64>, b: f64| a.is_some_and(|a| (a - b).abs() < 1e-12);
            let each = found.0.iter().zip(&self.each).all(|(found, expected)| match (found, expected) {
                (Some(found), Some(expected)) => near(Some(found.iter().sum::<f64>() / IOUS as f64), *expected),
                (found, expected) => found.is_none() && expected.is_none(),
            });
            let rare = |letter: &'static str, lvis: &Lvis| found.mean(None, |at| lvis.frequency[at] == letter);
            let groups = self.lvis.as_ref().is_none_or(|lvis| {
                near(rare("r", lvis), lvis.ap_rare)
                    && near(rare("c", lvis), lvis.ap_common)
                    && near(rare("f", lvis), lvis.ap_frequent)
            });
            let all = |iou| found.mean(iou, |_| true);
            each && groups && near(all(None), self.ap) && near(all(Some(0)), self.ap50) && near(all(Some(5)), self.ap75)
        }
    }

    fn cases() -> Vec<Case> {
        serde_json::from_str(REFERENCE).expect("a fixture")
    }

    #[test]
    fn as_the_references() {
        for case in cases() {
            let found = case.precision(|_, _, _| ());
            let means = [None, Some(0), Some(5)].map(|iou| found.mean(iou, |_| true));
            assert!(
                case.same(&found),
                "{}: expected {} {} {}, found {means:?}",
                case.name,
                case.ap,
                case.ap50,
                case.ap75
            );
        }
    }

    type Wrong = fn(&mut Vec<Truth>, &mut Vec<Found>, &mut Rule);

    #[test]
    fn wrong_variants_are_seen() {
        let wrong: [(&str, &str, Wrong); 9] = [
            ("coco", "a crowd as one thing", |truths, _, _| truths.iter_mut().for_each(|truth| truth.crowd = false)),
            ("coco", "no crowd at all", |truths, _, _| truths.retain(|truth| !truth.crowd)),
            ("coco", "scores turned round", |_, found, _| found.iter_mut().for_each(|one| one.score = -one.score)),
            ("coco", "ties by another order", |_, found, _| found.reverse()),
            ("coco", "a picture left out", |_, found, _| found.retain(|one| one.picture != 0)),
            ("many", "all of a category counted", |_, _, rule| {
                let judged = || Judged { absent: (0..3).collect(), ..Judged::default() };
                *rule = Rule::Lvis(vec![judged(), judged(), judged()]);
            }),
            ("lvis", "not federated", |_, _, rule| *rule = Rule::Coco),
            ("lvis", "nothing known to be absent", |_, _, rule| each_of(rule, |judged| judged.absent.clear())),
            ("lvis", "nothing forgiven", |_, _, rule| each_of(rule, |judged| judged.not_exhaustive.clear())),
        ];
        for (case, name, change) in wrong {
            let cases = cases();
            let case = cases.iter().find(|other| other.name == case).expect("a case");
            assert!(!case.same(&case.precision(change)), "{name}");
        }
    }

    fn each_of(rule: &mut Rule, change: fn(&mut Judged)) {
        if let Rule::Lvis(judged) = rule {
            judged.iter_mut().for_each(change);
        }
    }

    #[test]
    fn by_hand() {
        // Two things; found best first: one right, one wrong, the other right. Recall 1/2 at precision 1, 1 at 2/3.
        let verdicts = [Verdict::Right, Verdict::Wrong, Verdict::Passed, Verdict::Right];
        let found = average(verdicts.into_iter(), 2);
        // Recalls 0 … 0.5 are 51 of the 101.
        assert!((found - (51.0 + 50.0 * 2.0 / 3.0) / 101.0).abs() < 1e-12, "{found}");
        assert_eq!(average([Verdict::Passed].into_iter(), 3), 0.0);
        assert_eq!((iou_at(0), iou_at(5), iou_at(9)), (0.5, 0.75, 0.95));
    }
}
