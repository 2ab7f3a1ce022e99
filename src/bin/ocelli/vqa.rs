//! How right answers to questions about pictures are: pure functions over texts.
//!
//! The rule is that of Antol et al., "VQA: Visual Question Answering" (ICCV 2015), as `vqaEval.py` of github.com/GT-Vision-Lab/VQA has it:
//! ten people have answered, and each who agrees makes an answer a third righter, until it is wholly right; each of the ten is left out
//! once, and the ten numbers are averaged. Where all ten say the same, that tool compares letter for letter; here all answers are made
//! plain first, as the rule's description has it: "Yes." is right where all say "yes".

use serde::Serialize;

use crate::metrics::Share;

/// People who must agree for an answer to be wholly right.
const AGREE: usize = 3;
const ARTICLES: [&str; 3] = ["a", "an", "the"];
const NUMBERS: [(&str, &str); 12] = [
    ("none", "0"),
    ("zero", "0"),
    ("one", "1"),
    ("two", "2"),
    ("three", "3"),
    ("four", "4"),
    ("five", "5"),
    ("six", "6"),
    ("seven", "7"),
    ("eight", "8"),
    ("nine", "9"),
    ("ten", "10"),
];
/// Apostrophes, colons and periods are not among them.
const PUNCTUATION: &str = ";/[]\"{}()=+\\_-><@`,?!";
/// Words that are written without some of their apostrophes.
const CONTRACTIONS: &str = "\
    ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't haven't he'd \
    he'd've he's how'd how'll how's isn't it'd it'd've it'll ma'am might've mightn't mightn't've must've mustn't \
    needn't not've o'clock oughtn't shan't she'd've should've shouldn't shouldn't've somebody'd've somebody'll \
    somebody's someone'd someone'd've someone'll someone's something'd something'd've something'll that's \
    there'd there'd've there're there's they'd they'd've they'll they're they've 'twas wasn't we'd've we've \
    weren't what'll what're what's what've when's where'd where's where've who'd who'd've who'll who's who've \
    why'll why're why's won't would've wouldn't wouldn't've y'all y'all'd've y'all'll you'd you'd've you'll \
    you're you've";

/// An answer as it is compared: small letters and single spaces, without articles and most punctuation, numbers up to ten in digits.
pub fn plain(text: &str) -> String {
    let text = without_punctuation(text.trim());
    let words = text.to_lowercase();
    let words = words.split_whitespace().map(digits).filter(|word| !ARTICLES.contains(word)).map(contracted);
    words.collect::<Vec<_>>().join(" ")
}

/// Punctuation beside a space is left out, other punctuation becomes a space. In a text with a number such as 1,000 all of it is left out.
fn without_punctuation(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).collect();
    let letters: Vec<char> = text.chars().collect();
    let thousands = letters.windows(3).any(|w| w[1] == ',' && w[0].is_ascii_digit() && w[2].is_ascii_digit());
    let beside = |mark: char| letters.windows(2).any(|w| *w == [mark, ' '] || *w == [' ', mark]);
    let mut out = String::new();
    for (at, &letter) in letters.iter().enumerate() {
        match letter {
            '.' if !letters.get(at + 1).is_some_and(char::is_ascii_digit) => {}
            mark if !PUNCTUATION.contains(mark) => out.push(mark),
            mark if thousands || beside(mark) => {}
            _ => out.push(' '),
        }
    }
    out
}

fn digits(word: &str) -> &str {
    NUMBERS.iter().find(|(name, _)| *name == word).map_or(word, |(_, digits)| digits)
}

fn contracted(word: &str) -> &str {
    let same = |other: &&str| other.chars().filter(|c| *c != '\'').eq(word.chars().filter(|c| *c != '\''));
    CONTRACTIONS.split_whitespace().find(same).unwrap_or(word)
}

/// How right an answer is, from 0 to 1; none if so few have answered that it could not be wholly right. All are plain.
pub fn accuracy(answer: &str, truths: &[String]) -> Option<f64> {
    let (matches, of) = (truths.iter().filter(|truth| *truth == answer).count(), truths.len());
    let right = |others: usize| (others as f64 / AGREE as f64).min(1.0);
    // Where one of the matches is left out there is one less.
    let sum = matches as f64 * right(matches.saturating_sub(1)) + (of - matches) as f64 * right(matches);
    (of > AGREE).then(|| sum / of as f64)
}

/// Yes or no, by the answer that most people gave; none of another question. Plain.
pub fn truth(truths: &[String]) -> Option<bool> {
    let votes = |truth: &String| truths.iter().filter(|other| *other == truth).count();
    // Of equally many the first.
    yes_or_no(truths.iter().rev().max_by_key(|truth| votes(truth))?)
}

/// What an answer begins with, yes or no. Plain.
pub fn said(answer: &str) -> Option<bool> {
    yes_or_no(answer.split(' ').next()?)
}

fn yes_or_no(word: &str) -> Option<bool> {
    match word {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

/// Answers to questions of yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct YesNo {
    /// Of the questions whose answer is yes those that are answered so.
    pub yes: Share,
    /// Of the questions whose answer is no those that are answered so.
    pub no: Share,
    /// The mean of both shares; none without questions of both kinds.
    pub balanced: Option<f64>,
    /// The share of all answers that are yes.
    pub rate_of_yes: f64,
}

impl YesNo {
    /// Of what is true and what was said; an answer that is neither is wrong. None without a question.
    pub fn of(answers: &[(bool, Option<bool>)]) -> Option<Self> {
        let share = |kind: bool| {
            let asked = answers.iter().filter(|(truth, _)| *truth == kind);
            Share::new(asked.clone().filter(|(_, said)| *said == Some(kind)).count(), asked.count())
        };
        let (yes, no) = (share(true), share(false));
        let rate = answers.iter().filter(|(_, said)| *said == Some(true)).count() as f64 / answers.len() as f64;
        let balanced = (yes.of > 0 && no.of > 0).then(|| f64::midpoint(yes.share, no.share));
        (!answers.is_empty()).then_some(Self { yes, no, balanced, rate_of_yes: rate })
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Case {
        answer: String,
        answers: Vec<String>,
        plain: String,
        accuracy: f64,
        wrong: f64,
    }

    #[derive(Deserialize)]
    struct Cases {
        vqa: Vec<Case>,
    }

    fn plains(texts: &[String]) -> Vec<String> {
        texts.iter().map(|text| plain(text)).collect()
    }

    /// What `tools/make_text_scores.py` counts, one subset after the other.
    #[test]
    fn accuracy_is_the_tools() {
        let cases: Cases =
            serde_json::from_str(include_str!("../../../tests/fixtures/text-scores.json")).expect("a fixture");
        for Case { answer, answers, plain: expected, accuracy: share, .. } in &cases.vqa {
            assert_eq!(plain(answer), *expected, "{answer:?}");
            let found = accuracy(&plain(answer), &plains(answers)).expect("ten answers");
            assert!((found - share).abs() < 1e-12, "{answer:?}: expected {share}, found {found}");
        }
        // Matches of all ten over three, none left out: seen where two, one or three agree.
        let off = cases.vqa.iter().filter(|case| (case.accuracy - case.wrong).abs() > 0.01).count();
        assert!(off >= 3, "{off} cases tell the rule from one without subsets");
    }

    #[test]
    fn accuracy_by_hand() {
        let people = |agree: usize| [vec!["cat".to_string(); agree], vec!["dog".to_string(); 10 - agree]].concat();
        // Of ten agree m: m subsets have m − 1 of them, the others m.
        for (agree, expected) in [(0, 0.0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1.0), (10, 1.0)] {
            let found = accuracy("cat", &people(agree)).expect("ten answers");
            assert!((found - expected).abs() < 1e-12, "{agree}: {found}");
        }
        assert_eq!(accuracy("cat", &people(3)[..3]), None);
    }

    #[test]
    fn texts_are_made_plain() {
        let cases = [
            ("A Dog.", "dog"),
            ("Two\ndogs", "2 dogs"),
            ("The 1,000 - or so - cats!", "1000 or so cats"),
            ("hot-dog", "hot dog"),
            ("black / white", "black white"),
            ("3.5 m.", "3.5 m"),
            ("Yes, it is.", "yes it is"),
            ("dont know", "don't know"),
            ("couldntve", "couldn't've"),
            ("it's 5:30", "it's 5:30"),
            ("the", ""),
            ("", ""),
        ];
        cases.iter().for_each(|(text, expected)| assert_eq!(plain(text), *expected, "{text:?}"));
    }

    #[test]
    fn yes_and_no_by_hand() {
        let text = |words: &[&str]| words.iter().map(|word| (*word).to_string()).collect::<Vec<_>>();
        assert_eq!(truth(&text(&["no", "yes", "yes"])), Some(true));
        assert_eq!(truth(&text(&["no", "yes"])), Some(false), "of equally many the first");
        assert_eq!(truth(&text(&["2", "2", "yes"])), None);
        assert_eq!((said("yes there is"), said("no"), said("there is no")), (Some(true), Some(false), None));

        // Of three that are yes two are right, of one that is no none.
        let answers = [(true, Some(true)), (true, Some(true)), (true, None), (false, Some(true))];
        let found = YesNo::of(&answers).expect("questions");
        assert_eq!((found.yes.right, found.yes.of, found.no.right, found.no.of), (2, 3, 0, 1));
        // Not the accuracy, which is a half.
        assert!((found.balanced.expect("both kinds") - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!(found.rate_of_yes, 0.75);
        assert_eq!(YesNo::of(&answers[..3]).expect("questions").balanced, None);
        assert_eq!(YesNo::of(&[]), None);
    }
}
