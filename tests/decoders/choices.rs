//! One of several answers: how likely each is, as `tools/make_choices.py` has it.

use std::collections::BTreeMap;

use ocelli::{
    Session,
    backend::{Backend, Cpu},
    sampling::Sampling,
    session::{Choosing, Options},
};
use serde::Deserialize;

use crate::{
    Outcome,
    golden::{Golden, folder, prompt, session},
    steps::write,
};

pub const MODELS: [&str; 8] =
    ["llama", "qwen2", "gemma2", "gemma3", "smolvlm", "paligemma", "llava", "llava-onevision"];

/// Of the natural logarithm of a whole answer's probability; the reference computes in f32 itself.
const OFF: f64 = 1e-4;

#[derive(Deserialize)]
struct Choices {
    stops: Vec<u32>,
    tokens: Vec<Vec<u32>>,
    log_probabilities: Vec<f64>,
    probabilities: Vec<f64>,
    best: usize,
    /// Of usual mistakes: how far they move a logarithm.
    wrong: BTreeMap<String, f64>,
}

impl Choices {
    fn of(model: &str) -> Self {
        let bytes = std::fs::read(folder("choices.json")).expect("a fixture");
        let mut all: BTreeMap<String, Self> = serde_json::from_slice(&bytes).expect("a sound fixture");
        all.remove(model).expect("a model")
    }
}

/// Answers that were weighed.
fn weighed<B: Backend>(
    session: &Session<B>,
    ids: &[u32],
    answers: &[Vec<u32>],
    ends: &[u32],
) -> ocelli::Result<Choosing<B>> {
    let mut choosing = session.choose(ids, answers.to_vec(), ends)?;
    while !pollster::block_on(session.weigh(&mut choosing))? {}
    Ok(choosing)
}

fn off(found: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

pub fn probabilities<B: Backend>(model: &str, device: &dyn Fn() -> B) -> Outcome {
    let (golden, choices, session) = (Golden::of(model), Choices::of(model), session(device(), model));
    let ids = prompt(&session, model, &golden.ids, &golden.images);
    let found = weighed(&session, &ids, &choices.tokens, &choices.stops)?;
    let logs = off(found.log_probabilities(), &choices.log_probabilities);
    println!("{model}: logarithms off by at most {logs:.1e}");
    assert!(logs <= OFF, "expected at most {OFF}, found {logs}");
    assert!(off(&found.probabilities(), &choices.probabilities) <= OFF, "{:?}", found.probabilities());
    let best = found.pick(&Sampling::default());
    assert_eq!((best, found.tokens(best)), (choices.best, &choices.tokens[choices.best][..]));
    // Mistakes are far away.
    assert!(choices.wrong.len() >= 3 && choices.wrong.values().all(|&wrong| wrong > 1000.0 * OFF));
    let some = &choices.stops[1..];
    if !some.is_empty() {
        let wrong = weighed(&session, &ids, &choices.tokens, some)?;
        assert!(off(wrong.log_probabilities(), &choices.log_probabilities) > 1000.0 * OFF);
    }
    // The order in which they are given does not matter, nor what else is there.
    let reversed: Vec<_> = choices.tokens.iter().rev().cloned().collect();
    let mut again = weighed(&session, &ids, &reversed, &choices.stops)?.log_probabilities().to_vec();
    again.reverse();
    assert!(off(&again, &choices.log_probabilities) <= OFF);
    let alone = weighed(&session, &ids, &choices.tokens[2..3], &choices.stops)?;
    assert!(off(alone.log_probabilities(), &choices.log_probabilities[2..3]) <= OFF);
    assert_eq!(alone.probabilities(), [1.0]);
    // What follows is not changed by what was weighed.
    let (tokens, ..) = write(&session, &ids, Options { max_tokens: Some(golden.tokens.len()), ..Options::default() })?;
    assert_eq!(tokens, golden.tokens);
    // Draws have these probabilities, and one of one is the likeliest.
    let draws = 4000;
    let warm = |seed, top_k| Sampling { temperature: 1.0, seed, top_k, ..Sampling::default() };
    let mut counts = vec![0.0; choices.tokens.len()];
    (0..draws).for_each(|seed| counts[found.pick(&warm(seed, None))] += 1.0 / draws as f64);
    assert!(off(&counts, &choices.probabilities) < 0.04, "{counts:?}");
    assert!((0..100).all(|seed| found.pick(&warm(seed, Some(1))) == choices.best));
    Ok(())
}

pub fn errors(model: &str) -> Outcome {
    let (golden, session) = (Golden::of(model), session(Cpu::default(), model));
    let ids = prompt(&session, model, &golden.ids, &golden.images);
    let room = session.context()? - ids.len();
    for (answers, ends, code, what) in [
        (vec![], vec![2], "bad-input", "expected different ones"),
        (vec![vec![]], vec![2], "bad-input", "expected different ones"),
        (vec![vec![5], vec![5]], vec![2], "bad-input", "expected different ones"),
        (vec![vec![9999]], vec![2], "bad-input", "tokens below"),
        (vec![vec![5]], vec![], "bad-input", "what ends its texts"),
        (vec![vec![5]], vec![9999], "bad-input", "what ends its texts"),
        (vec![vec![5; room + 1]], vec![2], "context-full", "found"),
    ] {
        let error = session.choose(&ids, answers, &ends).err().expect("expected this to be refused");
        assert!(error.code() == code && error.to_string().contains(what), "{error}");
    }
    // To the last token that there is room for.
    let longest = weighed(&session, &ids, &[vec![5; room]], &[2])?;
    assert!(longest.log_probabilities()[0].is_finite());
    // Another prompt ends it.
    let mut first = session.choose(&ids, vec![vec![5]], &[2])?;
    write(&session, &ids, Options { max_tokens: Some(1), ..Options::default() })?;
    assert!(pollster::block_on(session.weigh(&mut first)).is_err_and(|e| e.code() == "bad-input"));
    Ok(())
}
