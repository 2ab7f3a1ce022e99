//! What Florence-2 writes as words, as typed results: `Florence2PostProcessor` in transformers' `processing_florence2.py`. A place is
//! `<loc_0>` to `<loc_999>`, in thousandths of a picture's width or height; boxes are left, top, right, bottom. What is broken in an answer
//! leaves the rest as it is.

use serde::Serialize;

use super::Bounds;
use crate::config::{AnswerForm, PLACES};

/// A part of a picture, and what was said of it. As JSON it has its label, the smallest box around it, and its corners.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(into = "Plain")]
pub struct Region {
    /// What it is called; empty where nothing was said.
    pub label: String,
    /// Where it is.
    pub shape: Shape,
}

/// Where something is, in whole pixels of the picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// Left, top, right and bottom edge.
    Edges([i32; 4]),
    /// x and y of four corners, from the upper left one on.
    Quad([i32; 8]),
    /// x and y of the corners of each polygon.
    Polygons(Vec<Vec<i32>>),
}

/// A region as JSON has it.
#[derive(Serialize)]
struct Plain {
    label: String,
    /// None of a polygon without corners.
    #[serde(rename = "box")]
    bounds: Option<Bounds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quad: Option<[i32; 8]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    polygons: Option<Vec<Vec<i32>>>,
}

impl From<Region> for Plain {
    fn from(Region { label, shape }: Region) -> Self {
        let bounds = shape.bounds();
        let (quad, polygons) = match shape {
            Shape::Edges(_) => (None, None),
            Shape::Quad(corners) => (Some(corners), None),
            Shape::Polygons(polygons) => (None, Some(polygons)),
        };
        Self { label, bounds, quad, polygons }
    }
}

/// What a model has written. As JSON it is `{"text": …}` or `{"regions": …}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Answer {
    /// Words.
    Text(String),
    /// Parts of the picture, in the order in which they were written.
    Regions(Vec<Region>),
}

impl Shape {
    /// The smallest box around it; none of a polygon without corners.
    #[must_use]
    pub fn bounds(&self) -> Option<Bounds> {
        let numbers: Vec<i32> = match self {
            Self::Edges(edges) => edges.to_vec(),
            Self::Quad(corners) => corners.to_vec(),
            Self::Polygons(polygons) => polygons.concat(),
        };
        let along = |first: usize| numbers.iter().skip(first).step_by(2).copied();
        let edges = [along(0).min()?, along(1).min()?, along(0).max()?, along(1).max()?];
        Some(Bounds::of_edges(edges.map(f64::from)))
    }
}

/// Reads an answer in which special tokens are written out, about a picture of this width and height.
#[must_use]
pub fn parse(form: AnswerForm, text: &str, size: (u32, u32)) -> Answer {
    let words = text.replace("<s>", "").replace("</s>", "");
    if form == AnswerForm::Text {
        return Answer::Text(stripped(&words).into());
    }
    let text = words.replace("<pad>", "");
    Answer::Regions(match form {
        AnswerForm::Quads => quads(&text, size),
        AnswerForm::Polygons => polygons(&text, false, size),
        AnswerForm::BoxesOrPolygons if text.contains("<poly>") => polygons(&text, true, size),
        AnswerForm::Proposals => boxes(&text, false, size),
        AnswerForm::Phrases => {
            let mut all = boxes(&text, true, size);
            all.retain(|region| !NO_THINGS.contains(&region.label.as_str()));
            ascii(all)
        }
        _ => ascii(boxes(&text, true, size)),
    })
}

/// The words of a caption that stand for nothing in the picture: those that the published processors leave out.
const NO_THINGS: [&str; 72] = [
    "it",
    "I",
    "me",
    "mine",
    "you",
    "your",
    "yours",
    "he",
    "him",
    "his",
    "she",
    "her",
    "hers",
    "they",
    "them",
    "their",
    "theirs",
    "one",
    "oneself",
    "we",
    "us",
    "our",
    "ours",
    "its",
    "myself",
    "yourself",
    "himself",
    "herself",
    "itself",
    "ourselves",
    "yourselves",
    "themselves",
    "this",
    "that",
    "these",
    "those",
    "who",
    "whom",
    "whose",
    "which",
    "what",
    "all",
    "another",
    "any",
    "anybody",
    "anyone",
    "anything",
    "each",
    "everybody",
    "everyone",
    "everything",
    "few",
    "many",
    "nobody",
    "none",
    "several",
    "some",
    "somebody",
    "someone",
    "something",
    "each other",
    "one another",
    "the image",
    "image",
    "images",
    "the",
    "a",
    "an",
    "a group",
    "other objects",
    "lots",
    "a set",
];

/// A token that means a place or a part of a polygon.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Token {
    Place(u64),
    Between,
    Begin,
    End,
}

/// The token at the start of a text, and what follows it.
fn token(text: &str) -> Option<(Token, &str)> {
    for (word, token) in [("<sep>", Token::Between), ("<poly>", Token::Begin), ("</poly>", Token::End)] {
        if let Some(rest) = text.strip_prefix(word) {
            return Some((token, rest));
        }
    }
    let (number, rest) = text.strip_prefix("<loc_")?.split_once('>')?;
    let digits = !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit());
    // So many digits mean nothing in any picture.
    digits.then(|| (Token::Place(number.parse().unwrap_or(u64::MAX)), rest))
}

/// The tokens that a text begins with, of those that are wanted, and what follows them.
fn run(text: &str, wanted: impl Fn(Token) -> bool) -> (Vec<Token>, &str) {
    let (mut all, mut rest) = (Vec::new(), text);
    while let Some((token, after)) = token(rest).filter(|(token, _)| wanted(*token)) {
        all.push(token);
        rest = after;
    }
    (all, rest)
}

fn is_place(token: Token) -> bool {
    matches!(token, Token::Place(_))
}

fn places(tokens: &[Token]) -> Vec<u64> {
    let place = |token: &Token| match token {
        Token::Place(place) => Some(*place),
        _ => None,
    };
    tokens.iter().filter_map(place).collect()
}

/// The middle of a place, cut to a whole pixel; in f32, as the reference has it.
fn pixel(place: u64, side: u32) -> i32 {
    ((place as f32 + 0.5) * (f64::from(side) / PLACES) as f32) as i32
}

/// Pixels of places along x and y in turn.
fn pixels(places: &[u64], (width, height): (u32, u32)) -> Vec<i32> {
    places.iter().enumerate().map(|(at, &place)| pixel(place, if at % 2 == 0 { width } else { height })).collect()
}

/// Runs of at least four tokens, each with the words before it; with `labelled` only those that have some. The words hold no `<`.
fn phrases(text: &str, labelled: bool, wanted: impl Fn(Token) -> bool) -> Vec<(&str, Vec<Token>)> {
    let (mut found, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        let words = rest.find('<').unwrap_or(rest.len());
        let (before, tokens) = rest.split_at(words);
        let (all, after) = run(tokens, &wanted);
        if all.len() >= 4 && !(labelled && before.is_empty()) {
            found.push((if labelled { before } else { "" }, all));
            rest = after;
        } else {
            // The next place at which words, or tokens, may begin.
            let next = tokens.chars().next().map_or(0, char::len_utf8);
            rest = &tokens[next..];
        }
    }
    found
}

/// As Python's `str.isspace` has it.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

fn stripped(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// A label; none where a line ends in its middle.
fn label(words: &str) -> Option<&str> {
    (!words.trim_start_matches(is_space).contains('\n')).then(|| stripped(words))
}

fn boxes(text: &str, labelled: bool, size: (u32, u32)) -> Vec<Region> {
    let mut found = Vec::new();
    for (words, tokens) in phrases(text, labelled, is_place) {
        let Some(label) = label(words) else { continue };
        for four in places(&tokens).chunks_exact(4) {
            let edges = pixels(four, size).try_into().expect("four of four");
            found.push(Region { label: label.into(), shape: Shape::Edges(edges) });
        }
    }
    found
}

/// Labels without what is no ASCII, as the reference hands them out.
fn ascii(mut regions: Vec<Region>) -> Vec<Region> {
    regions.iter_mut().for_each(|region| region.label.retain(|c| c.is_ascii()));
    regions
}

fn quads(text: &str, size: (u32, u32)) -> Vec<Region> {
    let (mut found, mut rest) = (Vec::new(), text);
    // Words go on to the first eight places behind at least one character; no line ends in them.
    'lines: while !rest.is_empty() {
        let line = rest.find('\n').unwrap_or(rest.len());
        for (at, _) in rest[..line].char_indices().skip(1).filter(|(_, c)| *c == '<') {
            let (places_here, _) = run(&rest[at..], is_place);
            if places_here.len() >= 8 {
                let corners = pixels(&places(&places_here)[..8], size).try_into().expect("eight of eight");
                found.push(Region { label: stripped(&rest[..at]).into(), shape: Shape::Quad(corners) });
                rest = (0..8).fold(&rest[at..], |rest, _| token(rest).map_or(rest, |(_, rest)| rest));
                continue 'lines;
            }
        }
        rest = rest.get(line + 1..).unwrap_or_default();
    }
    found
}

fn polygons(text: &str, labelled: bool, size: (u32, u32)) -> Vec<Region> {
    let mut found = Vec::new();
    for (words, tokens) in phrases(text, labelled, |_| true) {
        // What stands before the first place or polygon is the label. Without words, the first place does not count.
        let skipped = usize::from(words.is_empty() && is_place(tokens[0]));
        let starts = |token: &Token| is_place(*token) || *token == Token::Begin;
        let Some(first) = tokens[skipped..].iter().position(starts) else { continue };
        let spelled = |token: &Token| if *token == Token::Between { "<sep>" } else { "</poly>" };
        let words: String = [words].into_iter().chain(tokens[skipped..skipped + first].iter().map(spelled)).collect();
        let Some(label) = label(&words).map(String::from) else { continue };
        for tokens in parts(&tokens) {
            let all = outlines(tokens);
            if !all.is_empty() {
                let polygons = all.into_iter().map(|places| pixels(&places, size)).collect();
                found.push(Region { label: label.clone(), shape: Shape::Polygons(polygons) });
            }
        }
    }
    found
}

/// What stands between `<poly>` and `</poly>`; all of it where there is not both.
fn parts(tokens: &[Token]) -> Vec<&[Token]> {
    if !(tokens.contains(&Token::Begin) && tokens.contains(&Token::End)) {
        return vec![tokens];
    }
    let (mut found, mut rest) = (Vec::new(), tokens);
    while let Some(begin) = rest.iter().position(|token| *token == Token::Begin) {
        let inside = &rest[begin + 1..];
        let Some(end) = inside.iter().position(|token| *token == Token::End) else { break };
        found.push(&inside[..end]);
        rest = &inside[end + 1..];
    }
    found
}

/// Runs of places that `<sep>` or the end follows, each an even number of them.
fn outlines(tokens: &[Token]) -> Vec<Vec<u64>> {
    let mut found = Vec::new();
    let mut rest = tokens;
    while let Some(begin) = rest.iter().position(|token| is_place(*token)) {
        let length = rest[begin..].iter().take_while(|token| is_place(**token)).count();
        let after = &rest[begin + length..];
        if matches!(after.first(), None | Some(Token::Between)) {
            found.push(places(&rest[begin..begin + length - length % 2]));
        }
        rest = after;
    }
    found
}
