//! Texts that keep to a pattern: whatever a model would say, the text matches, by another engine's judgement; whatever matches may be said;
//! and what this reads otherwise than JavaScript is refused.

use std::{fmt::Write as _, sync::Arc};

use ocelli::{
    config::TokenizerFiles,
    random::Random,
    sampling::Sampling,
    text::{Guide, Tokenizer},
};
use regex::Regex;
use serde_json::{Value, json};

use crate::common;

/// Tokenizers of each kind, what stands before an answer, what they tell of that, and a token that ends one.
const TOKENIZERS: [[&str; 4]; 6] = [
    ["smolvlm", " ", " ", "<end_of_utterance>"],
    ["llama", "", "", "<|im_end|>"],
    ["qwen2", "", "", "<|im_end|>"],
    ["gemma", "", "", "<eos>"],
    ["llava", " ", "", "</s>"],
    [METASPACE, " ", "", "</s>"],
];
/// LLaVA's with another decoder, which leaves out what stands for spaces in a first token.
const METASPACE: &str = "metaspace";
/// More tokens than any vocabulary here.
const VOCAB: usize = 2000;
/// Random patterns for each tokenizer.
const PATTERNS: u64 = 60;

struct Speaker {
    name: &'static str,
    tokenizer: Arc<Tokenizer>,
    lead: &'static str,
    told: &'static str,
    end: u32,
}

fn speakers() -> Vec<Speaker> {
    let speaker = |[name, lead, told, end]: [&'static str; 4]| {
        let model = if name == METASPACE { "llava" } else { name };
        let path = common::fixtures().join("decoders").join(model).join("tokenizer.json");
        let mut json: Value = serde_json::from_slice(&std::fs::read(path).expect("a fixture")).expect("JSON");
        if name == METASPACE {
            let metaspace = json!({ "type": "Metaspace", "replacement": "▁", "prepend_scheme": "always" });
            json["decoder"] = json!({ "type": "Sequence", "decoders": [{ "type": "ByteFallback" }, metaspace] });
        }
        let json = TokenizerFiles::Json(json.to_string().into_bytes());
        let tokenizer = Arc::new(Tokenizer::new(&json, false).expect("a sound fixture"));
        let end = tokenizer.id(end).expect("a token");
        Speaker { name, tokenizer, lead, told, end }
    };
    TOKENIZERS.into_iter().map(speaker).collect()
}

impl Speaker {
    fn guide(&self, pattern: &str) -> ocelli::Result<Guide> {
        Guide::new(&self.tokenizer, pattern, self.lead, &[self.end], VOCAB)
    }
}

/// A pattern as JavaScript writes it and as the judge does, and a text that matches it.
#[derive(Clone, Default)]
struct Made {
    pattern: String,
    judged: String,
    text: String,
}

fn pick<'a, T: ?Sized>(random: &mut Random, from: &[&'a T]) -> &'a T {
    from[random.below(from.len())]
}

fn made(random: &mut Random, depth: u32) -> Made {
    let same = |pattern: &str, text: &str| Made { pattern: pattern.into(), judged: pattern.into(), text: text.into() };
    let kinds = if depth == 0 { 7 } else { 12 };
    match random.below(kinds) {
        0 | 1 => {
            let text = pick(random, &["a", "dog", "1", "é", "猫", "🐱", " ", "the ", "\n", "it's", "snow"]);
            same(text, text)
        }
        2 => {
            let text = pick(random, &[".", "*", "(", "[", "{", "\\", "|", "^", "$", "?", "+", "/", "-"]);
            same(&format!("\\{text}"), text)
        }
        3 => {
            let text = pick(random, &["x", "é", "猫", "🐱", " "]);
            Made { pattern: ".".into(), judged: r"[^\n\r\u{2028}\u{2029}]".into(), text: text.into() }
        }
        4 => {
            let (class, judged, text) = *pick(
                random,
                &[
                    &(r"\d", "[0-9]", "7"),
                    &(r"\D", "[^0-9]", "x"),
                    &(r"\w", "[0-9A-Za-z_]", "b"),
                    &(r"\W", "[^0-9A-Za-z_]", "é"),
                    &(
                        r"\s",
                        r"[\t-\r \u{a0}\u{1680}\u{2000}-\u{200a}\u{2028}\u{2029}\u{202f}\u{205f}\u{3000}\u{feff}]",
                        "\t",
                    ),
                    &(
                        r"\S",
                        r"[^\t-\r \u{a0}\u{1680}\u{2000}-\u{200a}\u{2028}\u{2029}\u{202f}\u{205f}\u{3000}\u{feff}]",
                        "é",
                    ),
                    &(r"\u{1f431}", r"\u{1f431}", "🐱"),
                    &(r"\u00e9", r"\u{e9}", "é"),
                    &(
                        r"[^\d\s]",
                        r"[^0-9\t-\r \u{a0}\u{1680}\u{2000}-\u{200a}\u{2028}\u{2029}\u{202f}\u{205f}\u{3000}\u{feff}]",
                        "猫",
                    ),
                ],
            );
            Made { pattern: class.into(), judged: judged.into(), text: text.into() }
        }
        5 => {
            let (class, text) = *pick(
                random,
                &[&("[a-f]", "c"), &("[^a-f]", "猫"), &("[xyz🐱]", "🐱"), &("[\\]\\-à-ü]", "ö"), &("[0-9.]", ".")],
            );
            same(class, text)
        }
        6 => Made::default(),
        7 | 8 => {
            let [a, b] = [0; 2].map(|_| made(random, depth - 1));
            let c = made(random, depth - 1);
            Made {
                pattern: format!("{}{}{}", a.pattern, b.pattern, c.pattern),
                judged: format!("{}{}{}", a.judged, b.judged, c.judged),
                text: a.text + &b.text + &c.text,
            }
        }
        9 => {
            let [a, b] = [0; 2].map(|_| made(random, depth - 1));
            let text = if random.below(2) == 0 { a.text } else { b.text };
            Made {
                pattern: format!("(?:{}|{})", a.pattern, b.pattern),
                judged: format!("(?:{}|{})", a.judged, b.judged),
                text,
            }
        }
        _ => {
            let inner = made(random, depth - 1);
            let (count, times) = *pick(
                random,
                &[&("?", 1), &("*", 2), &("+", 3), &("{2}", 2), &("{1,3}", 2), &("{0,2}?", 0), &("{2,}", 4)],
            );
            Made {
                pattern: format!("({}){count}", inner.pattern),
                judged: format!("(?:{}){count}", inner.judged),
                text: inner.text.repeat(times),
            }
        }
    }
}

fn judge(made: &Made) -> Regex {
    Regex::new(&format!(r"\A(?:{})\z", made.judged)).expect("a pattern of the judge's")
}

/// Random patterns, some of which nothing long matches.
fn patterns(seed: u64) -> impl Iterator<Item = Made> {
    let mut random = Random::new(seed);
    (0..PATTERNS).map(move |_| made(&mut random, 3))
}

/// A text by random logits: its tokens, and whether it has ended. `keep` is off where the constraint is.
fn written(speaker: &Speaker, pattern: &str, seed: u64, sampling: &Sampling, keep: bool) -> (Vec<u32>, String, bool) {
    let mut random = Random::new(seed);
    let mut guide = speaker.guide(pattern).expect("a pattern");
    let (mut tokens, mut text) = (Vec::new(), String::new());
    let mut stream = speaker.tokenizer.stream(true).expect("it is spelled");
    let known = speaker.tokenizer.vocab_size();
    for _ in 0..120 {
        let mut logits: Vec<f32> = (0..known).map(|_| 6.0 * random.float()).collect();
        // So that some end soon and some late.
        logits[speaker.end as usize] += (seed % 7) as f32;
        let allowed = if keep { Some(guide.allowed().expect("some token goes on").to_vec()) } else { None };
        if allowed.as_ref().is_some_and(|words| words.iter().all(|&word| word == 0)) {
            return (tokens, text, true);
        }
        let token = sampling.pick_among(&logits, &tokens, allowed.as_deref());
        if token == speaker.end {
            return (tokens, text, true);
        }
        tokens.push(token);
        text += &if keep { guide.push(token) } else { stream.push(token) };
    }
    (tokens, text, false)
}

/// How tokens are drawn.
fn samplings(seed: u64) -> Sampling {
    let warm = Sampling { temperature: 1.0, seed, ..Sampling::default() };
    match seed % 4 {
        0 => Sampling::default(),
        1 => warm,
        2 => Sampling { top_k: Some(3), repetition_penalty: 1.3, ..warm },
        _ => Sampling { top_p: 0.5, temperature: 0.7, ..warm },
    }
}

#[test]
fn every_text_matches() {
    for speaker in speakers() {
        let (mut ended, mut wrong, mut tokens_of_some) = (0, 0, 0);
        for (at, made) in patterns(1).enumerate() {
            let (regex, seed) = (judge(&made), at as u64);
            let (tokens, text, whole) = written(&speaker, &made.pattern, seed, &samplings(seed), true);
            let told = speaker.tokenizer.decode(&tokens, true).expect("a text");
            if whole {
                assert!(regex.is_match(&text), "{}: {:?} does not match {:?}", speaker.name, text, made.pattern);
                assert_eq!(told, format!("{}{text}", speaker.told), "{}: {:?}", speaker.name, made.pattern);
                ended += 1;
            }
            tokens_of_some += usize::from(tokens.len() > 3);
            // Without the constraint.
            let (_, text, _) = written(&speaker, &made.pattern, seed, &samplings(seed), false);
            wrong += usize::from(!regex.is_match(&text));
        }
        println!(
            "{}: {ended} ended, {tokens_of_some} of more than three tokens; without a constraint {wrong} did not match",
            speaker.name
        );
        assert!(ended > PATTERNS as usize / 2 && tokens_of_some > PATTERNS as usize / 4);
        assert!(
            wrong > PATTERNS as usize * 9 / 10,
            "{}: without a constraint only {wrong} did not match",
            speaker.name
        );
    }
}

#[test]
fn whatever_matches_may_be_written() {
    for speaker in speakers() {
        let (mut said, mut refused) = (0, 0);
        for made in patterns(2) {
            assert!(judge(&made).is_match(&made.text), "{:?} {:?}", made.pattern, made.text);
            let mut guide = speaker.guide(&made.pattern).expect("a pattern");
            let whole = format!("{}{}", speaker.told, made.text);
            let tokens = speaker.tokenizer.encode_plain(&whole).expect("tokens");
            // Some do not know a character.
            if speaker.tokenizer.decode(&tokens, true).expect("a text") != whole {
                continue;
            }
            let may = |guide: &mut Guide, id: u32| {
                let words = guide.allowed().expect("some token goes on");
                words[id as usize / 32] >> (id % 32) & 1 == 1
            };
            let mut text = String::new();
            for &token in &tokens {
                assert!(
                    may(&mut guide, token),
                    "{}: {:?} in {:?}: token {token}",
                    speaker.name,
                    made.text,
                    made.pattern
                );
                text += &guide.push(token);
            }
            assert_eq!(text, made.text, "{}: {:?}", speaker.name, made.pattern);
            let nothing_more = guide.allowed().expect("it is whole").iter().all(|&word| word == 0);
            assert!(nothing_more || may(&mut guide, speaker.end), "{}: {:?}", speaker.name, made.pattern);
            said += 1;
            refused += usize::from(nothing_more || !may(&mut guide, tokens.first().copied().unwrap_or(0)));
        }
        println!("{}: {said} texts, after {refused} of which their first token may not come", speaker.name);
        assert!(said > PATTERNS as usize / 2 && refused > 5);
    }
}

/// Special tokens, and others that were added, are no text.
#[test]
fn added_tokens_never_come() {
    for speaker in speakers() {
        let mut guide = speaker.guide(r"[\s\S]*").expect("a pattern");
        let words = guide.allowed().expect("some token goes on").to_vec();
        let may = |id: u32| words[id as usize / 32] >> (id % 32) & 1 == 1;
        let (mut come, mut special) = (0, 0);
        for id in 0..speaker.tokenizer.vocab_size() as u32 {
            let said = |skip| speaker.tokenizer.decode(&[id], skip).expect("a text");
            come += usize::from(may(id));
            if said(true) != said(false) {
                assert!(id == speaker.end || !may(id), "{}: token {id}, {:?}", speaker.name, said(false));
                special += 1;
            }
        }
        assert!(
            come > 10 && special >= 2 && may(speaker.end) == speaker.told.is_empty(),
            "{}: {come}, {special}",
            speaker.name
        );
        // Written out they are characters.
        let mut spelled = speaker.guide("<\\|im_end\\|>|</s>|<eos>|<end_of_utterance>").expect("a pattern");
        let words = spelled.allowed().expect("some token goes on");
        assert_eq!(words[speaker.end as usize / 32] >> (speaker.end % 32) & 1, 0, "{}", speaker.name);
    }
}

#[test]
fn what_is_no_pattern_of_javascripts_is_refused() {
    let speaker = &speakers()[1];
    for (pattern, what) in [
        (r"x\b", "pattern, character 2: expected no look-around, found \"\\b\""),
        ("(?=a)b", "character 1: expected no look-around"),
        ("(?<!a)b", "character 1: expected no look-around"),
        (r"(a)\1", "character 4: expected no reference back to a group"),
        ("(?i)a", "expected no flags"),
        ("(?s:.)", "expected no flags"),
        ("[[a]]", r"expected \[ in a class"),
        ("[]a]", r"expected \] and \- at the beginning"),
        ("[^]a]", r"expected \] and \- at the beginning"),
        ("[--a]", r"expected \] and \- at the beginning"),
        ("[a&&b]", "expected no &&, -- and ~~ in a class"),
        ("[a-z--b]", "expected no &&, -- and ~~ in a class"),
        ("[[:alpha:]]", "expected no class in a class"),
        (r"\pL", "expected a property such as"),
        (r"\p{^L}", "expected a property such as"),
        (r"\p{Nonsense}", "Unicode property not found"),
        (r"\A.", "expected no look-around"),
        (r"\a", "expected an escape of JavaScript's"),
        (r"\x{41}", "expected an escape of JavaScript's"),
        ("a{,3}", "expected JavaScript's syntax"),
        ("a{2, 3}", "expected a count such as {2,5}"),
        ("a**", "expected something to repeat"),
        ("a^b", "expected ^ at the beginning alone"),
        ("(a$)b", "expected $ at the end alone"),
        ("(a", "unclosed group"),
        ("猫🐱(", "character 3"),
        ("(?P<n>a)", "expected a group such as (?<name>…)"),
        ("a{9999999}", "a larger one: repeat less"),
        (r"x[^\s\S]", "found one that none does"),
    ] {
        let error = speaker.guide(pattern).err().expect("expected this to be refused");
        assert!(error.code() == "bad-input" && error.to_string().contains(what), "{pattern}: {error}");
    }
    for pattern in [
        "^a$",
        "^(?:a|b$)",
        "(^a|b)$",
        "(?<n>a)",
        r"\p{L}+",
        r"\P{Lu}",
        r"[\p{L}\d_]",
        r"\/\-\u{1f431}",
        "x[^\\s\\S]|y",
        "",
    ] {
        speaker.guide(pattern).expect(pattern);
    }
}

/// The same masks by states, however long a text becomes and however many states it meets.
#[test]
fn long_texts() {
    let speaker = &speakers()[1];
    let mut pattern = String::from("(?:");
    (0..40).for_each(|n| write!(pattern, "w{n}|").expect("room"));
    pattern += "猫){400}";
    let regex = Regex::new(&format!(r"\A{pattern}\z")).expect("a pattern of the judge's");
    let mut guide = speaker.guide(&pattern).expect("a pattern");
    let (mut random, mut text, mut count) = (Random::new(7), String::new(), 0);
    loop {
        let words = guide.allowed().expect("some token goes on").to_vec();
        if words.iter().all(|&word| word == 0) {
            break;
        }
        let logits: Vec<f32> = (0..speaker.tokenizer.vocab_size()).map(|_| random.float()).collect();
        text += &guide.push(Sampling::default().pick_among(&logits, &[], Some(&words)));
        count += 1;
    }
    assert!(regex.is_match(&text) && count > 800, "{count} tokens");
}
