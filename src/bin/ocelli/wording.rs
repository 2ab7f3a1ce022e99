//! How near captions are to those of people: BLEU and CIDEr-D, pure functions over words.
//!
//! BLEU is that of Papineni et al. (ACL 2002) over all pictures together; CIDEr-D that of Vedantam, Zitnick and Parikh, "CIDEr:
//! Consensus-based Image Description Evaluation" (CVPR 2015), with document frequencies of the references at hand. `pycocoevalcap` of
//! github.com/tylin/coco-caption has the same rules, but its words come from a Java program; [`words`] says what ours are.

use std::collections::{HashMap, HashSet};

/// The longest n-grams.
const MOST: usize = 4;
/// Of CIDEr-D's Gaussian over differences in length.
const SIGMA: f64 = 6.0;
/// Marks that are no words.
const PUNCTUATION: &str = ".,:;?!-–—'‘’\"“”`…()[]{}";
/// What English joins to a word with an apostrophe.
const CLITICS: [&str; 7] = ["n't", "'s", "'m", "'d", "'re", "'ve", "'ll"];

/// A caption, and people's captions of the same picture, in words.
pub struct Case {
    pub candidate: Vec<String>,
    pub references: Vec<Vec<String>>,
}

/// The words of a caption: small letters; what an apostrophe joins is a word of its own (`do n't`, `dog 's`), as in the Penn treebank;
/// punctuation is left out, and other symbols are words. Hyphens within a word stay, and so do points, commas and colons between digits.
pub fn words(text: &str) -> Vec<String> {
    let letters: Vec<char> = text.to_lowercase().chars().map(|c| if c == '’' { '\'' } else { c }).collect();
    let (mut words, mut word) = (Vec::new(), String::new());
    for (at, &letter) in letters.iter().enumerate() {
        let between = |test: fn(&char) -> bool| {
            at > 0 && letters.get(at - 1).is_some_and(test) && letters.get(at + 1).is_some_and(test)
        };
        let part = match letter {
            '\'' | '-' => between(|c| c.is_alphanumeric()),
            '.' | ',' | ':' => between(char::is_ascii_digit),
            other => other.is_alphanumeric(),
        };
        if part {
            word.push(letter);
            continue;
        }
        push(&mut words, &mut word);
        if !letter.is_whitespace() && !PUNCTUATION.contains(letter) {
            words.push(letter.into());
        }
    }
    push(&mut words, &mut word);
    words
}

/// Ends a word.
fn push(words: &mut Vec<String>, word: &mut String) {
    let whole = std::mem::take(word);
    let clitic = CLITICS.iter().find_map(|clitic| Some((whole.strip_suffix(clitic)?, *clitic)));
    match clitic.or((whole == "cannot").then_some(("can", "not"))) {
        Some((stem, clitic)) if !stem.is_empty() => words.extend([stem.into(), clitic.into()]),
        _ if whole.is_empty() => {}
        _ => words.push(whole),
    }
}

/// How often each n-gram is there.
fn grams(words: &[String], n: usize) -> HashMap<&[String], usize> {
    let mut counts = HashMap::new();
    words.windows(n).for_each(|gram| *counts.entry(gram).or_insert(0) += 1);
    counts
}

/// BLEU-1 to BLEU-4, from 0 to 1. Of references that are equally near in length the shorter counts.
pub fn bleu(cases: &[Case]) -> [f64; MOST] {
    let (mut right, mut said) = ([0, 0, 0, 0], [0, 0, 0, 0]);
    let (mut length, mut expected) = (0, 0);
    for Case { candidate, references } in cases {
        length += candidate.len();
        let near = |reference: &Vec<String>| (reference.len().abs_diff(candidate.len()), reference.len());
        expected += references.iter().map(near).min().map_or(0, |(_, length)| length);
        for n in 1..=MOST {
            let known: Vec<_> = references.iter().map(|reference| grams(reference, n)).collect();
            for (gram, count) in grams(candidate, n) {
                // No more often than in the reference that has it most often.
                let most = known.iter().filter_map(|counts| counts.get(gram)).max().copied().unwrap_or(0);
                right[n - 1] += count.min(most);
                said[n - 1] += count;
            }
        }
    }
    let brevity = if length < expected { (1.0 - expected as f64 / length as f64).exp() } else { 1.0 };
    let mut product = 1.0;
    std::array::from_fn(|at| {
        product *= if said[at] == 0 { 0.0 } else { right[at] as f64 / said[at] as f64 };
        brevity * f64::powf(product, 1.0 / (at + 1) as f64)
    })
}

/// Weights of a caption's n-grams, and how long they are as a vector.
struct Weighted<'a> {
    weights: HashMap<&'a [String], f64>,
    norm: f64,
}

/// CIDEr-D of each caption, from 0 to 10. Of one picture all are 0: what every picture's references have weighs nothing.
pub fn cider(cases: &[Case]) -> Vec<f64> {
    let mut sums = vec![0.0; cases.len()];
    for n in 1..=MOST {
        // In how many pictures' references an n-gram is.
        let mut pictures: HashMap<&[String], usize> = HashMap::new();
        for case in cases {
            let known: HashSet<&[String]> = case.references.iter().flat_map(|words| words.windows(n)).collect();
            known.into_iter().for_each(|gram| *pictures.entry(gram).or_insert(0) += 1);
        }
        let rarity = |gram: &[String]| (cases.len() as f64 / pictures.get(gram).copied().unwrap_or(1) as f64).ln();
        for (sum, case) in sums.iter_mut().zip(cases) {
            let candidate = Weighted::new(&case.candidate, n, rarity);
            for reference in &case.references {
                let difference = case.candidate.len() as f64 - reference.len() as f64;
                let near = (-difference.powi(2) / (2.0 * SIGMA.powi(2))).exp();
                let share = 10.0 / (MOST * case.references.len()) as f64;
                *sum += share * near * candidate.likeness(&Weighted::new(reference, n, rarity));
            }
        }
    }
    sums
}

impl<'a> Weighted<'a> {
    fn new(words: &'a [String], n: usize, rarity: impl Fn(&[String]) -> f64) -> Self {
        let weigh = |(gram, count): (&'a [String], usize)| (gram, count as f64 * rarity(gram));
        let weights: HashMap<&[String], f64> = grams(words, n).into_iter().map(weigh).collect();
        let norm = weights.values().map(|weight| weight * weight).sum::<f64>().sqrt();
        Self { weights, norm }
    }

    /// A cosine in which nothing counts more often than in the reference.
    fn likeness(&self, reference: &Self) -> f64 {
        let common =
            |(gram, own): (&&[String], &f64)| Some(own.min(*reference.weights.get(gram)?) * reference.weights[gram]);
        let sum: f64 = self.weights.iter().filter_map(common).sum();
        if sum == 0.0 { 0.0 } else { sum / (self.norm * reference.norm) }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Picture {
        candidate: String,
        references: Vec<String>,
    }

    #[derive(Deserialize)]
    struct Captions {
        pictures: Vec<Picture>,
        bleu: [f64; MOST],
        cider: Vec<f64>,
        /// By usual mistakes.
        wrong_bleu: HashMap<String, [f64; MOST]>,
        wrong_cider: HashMap<String, Vec<f64>>,
    }

    #[derive(Deserialize)]
    struct File {
        captions: Captions,
    }

    fn case(candidate: &str, references: &[&str]) -> Case {
        Case { candidate: words(candidate), references: references.iter().map(|text| words(text)).collect() }
    }

    fn near(a: &[f64], b: &[f64]) -> bool {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-9)
    }

    /// What `tools/make_text_scores.py` counts, and not what it counts with a mistake.
    #[test]
    fn scores_are_the_tools() {
        let file: File =
            serde_json::from_str(include_str!("../../../tests/fixtures/text-scores.json")).expect("a fixture");
        let Captions { pictures, bleu: blue, cider: consensus, wrong_bleu, wrong_cider } = file.captions;
        let case = |Picture { candidate, references }: &Picture| {
            case(candidate, &references.iter().map(String::as_str).collect::<Vec<_>>())
        };
        let cases: Vec<Case> = pictures.iter().map(case).collect();
        assert!(near(&bleu(&cases), &blue), "{:?}", bleu(&cases));
        assert!(near(&cider(&cases), &consensus), "{:?}", cider(&cases));
        assert!(wrong_bleu.len() >= 4 && wrong_cider.len() >= 5);
        wrong_bleu.iter().for_each(|(mistake, wrong)| assert!(!near(wrong, &blue), "{mistake}"));
        wrong_cider.iter().for_each(|(mistake, wrong)| assert!(!near(wrong, &consensus), "{mistake}"));
    }

    #[test]
    fn bleu_by_hand() {
        // The paper's own example: "the" counts twice of seven.
        let the = case("the the the the the the the", &["the cat is on the mat", "there is a cat on the mat"]);
        assert!(near(&bleu(&[the]), &[2.0 / 7.0, 0.0, 0.0, 0.0]));
        assert!(near(&bleu(&[case("a dog runs in snow", &["a dog runs in snow", "snow"])]), &[1.0; 4]));
        // Three words where five are expected: e^(1 − 5/3).
        let short = bleu(&[case("a dog runs", &["a dog runs in snow"])]);
        assert!(near(&short, &[(-2.0_f64 / 3.0).exp(), (-2.0_f64 / 3.0).exp(), (-2.0_f64 / 3.0).exp(), 0.0]));
        assert!(near(&bleu(&[case("", &["a dog"])]), &[0.0; 4]));
        assert!(near(&bleu(&[]), &[0.0; 4]));
    }

    #[test]
    fn cider_by_hand() {
        // Two pictures with nothing in common, said again word for word: 10 each, if they have four words.
        let same = [case("a dog in snow", &["a dog in snow"]), case("two cats on mats", &["two cats on mats"])];
        assert!(near(&cider(&same), &[10.0, 10.0]));
        // Three words have no n-gram of four: three quarters.
        let three = [case("dog in snow", &["dog in snow"]), case("two cats on mats", &["two cats on mats"])];
        assert!(near(&cider(&three), &[7.5, 10.0]));
        // One word more at the end: cosines 4/√20, 3/√12, 2/√6, 1/√2, each by e^(−1/72).
        let longer = [case("a dog in snow today", &["a dog in snow"]), case("two cats on mats", &["two cats on mats"])];
        let cosines = 4.0 / 20.0_f64.sqrt() + 3.0 / 12.0_f64.sqrt() + 2.0 / 6.0_f64.sqrt() + 1.0 / 2.0_f64.sqrt();
        assert!(near(&cider(&longer)[..1], &[2.5 * cosines * (-1.0_f64 / 72.0).exp()]));
        assert!(near(&cider(&[case("a dog", &["a dog"])]), &[0.0]), "of one picture nothing is rare");
        assert!(near(&cider(&[case("", &["a dog"]), case("a cat", &["a cat"])])[..1], &[0.0]));
    }

    #[test]
    fn words_by_hand() {
        let cases = [
            ("Two dogs, in the snow.", "two dogs in the snow"),
            ("The dog's ball isn't red – it’s blue!", "the dog 's ball is n't red it 's blue"),
            ("I can't; you cannot", "i ca n't you can not"),
            ("a well-lit room - at 5:30, 3.5 m by 1,000", "a well-lit room at 5:30 3.5 m by 1,000"),
            ("\"50%\" of the dogs' toys & (one) o'clock", "50 % of the dogs toys & one o'clock"),
            ("Ein Café …", "ein café"),
            (" ", ""),
        ];
        cases.iter().for_each(|(text, expected)| assert_eq!(words(text).join(" "), *expected, "{text:?}"));
    }
}
