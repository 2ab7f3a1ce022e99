//! Token by token.

use ocelli::{
    Checkpoint, Session,
    backend::{Backend, Cpu},
    gpu::{Tier, Tuning},
    kernels::PICTURE,
    quant::Format,
    sampling::Sampling,
    session::{Finish, LoadOptions, Options},
};

use crate::{
    Outcome,
    golden::{Golden, distance, folder, prompt, session},
    taps::LOGITS,
};

/// Of q8 with tokens that the reference chose, as a share of the logits' spread: in the mean over steps.
const Q8: f64 = 0.06;
/// Standard deviations by which the best token leads, where q8 must choose it, too.
const MARGIN: f64 = 0.3;

/// Tokens, and the logits that they were chosen from.
pub fn write<B: Backend>(
    session: &Session<B>,
    ids: &[u32],
    options: Options,
) -> ocelli::Result<(Vec<u32>, Vec<Vec<f32>>, Finish)> {
    let mut generation = session.generate(ids, options)?;
    let (mut tokens, mut logits) = (Vec::new(), Vec::new());
    while let Some(token) = pollster::block_on(session.next_token(&mut generation))? {
        tokens.push(token.id);
        logits.extend(token.logits);
    }
    Ok((tokens, logits, generation.finish().expect("it has ended")))
}

fn most(count: usize) -> Options {
    Options { max_tokens: Some(count), ..Options::default() }
}

pub fn greedy<B: Backend>(model: &str, device: &dyn Fn() -> B) -> Outcome {
    let (golden, session) = (Golden::of(model), session(device(), model));
    let ids = prompt(&session, model, &golden.ids, &golden.images);
    let count = golden.tokens.len();
    // Steps that are under way together, and steps by turns.
    let (tokens, _, finish) = write(&session, &ids, most(count))?;
    assert_eq!((&tokens, finish), (&golden.tokens, Finish::Length));
    let (tokens, logits, _) = write(&session, &ids, Options { logits: true, ..most(count) })?;
    assert_eq!(tokens, golden.tokens);
    let worst = logits.iter().enumerate().map(|(at, logits)| distance(logits, golden.step(at))).fold(0.0, f64::max);
    println!("{model}: steps off by at most {worst:.1e}");
    assert!(worst <= LOGITS, "logits of a step: expected at most {LOGITS}, found {worst}");
    // Another step's are far away.
    assert!(distance(&logits[1], golden.step(0)) > 100.0 * LOGITS);
    // A text ends where the model ends it, and the token that ends it is none of its own.
    let at = (1..count).find(|&at| !tokens[..at].contains(&tokens[at])).expect("not all are the same");
    let (short, _, finish) = write(&session, &ids, Options { stops: vec![tokens[at]], ..most(count) })?;
    assert_eq!((short.as_slice(), finish), (&tokens[..at], Finish::Stop));
    // One seed, one text, and another seed another.
    let warm = |seed| Options { sampling: Sampling { temperature: 1.0, seed, ..Sampling::default() }, ..most(12) };
    let [a, b, c] = [7, 7, 8].map(|seed| write(&session, &ids, warm(seed)).map(|(tokens, ..)| tokens));
    let [a, b, c] = [a?, b?, c?];
    assert!(a == b && a != c && a != tokens[..12], "{a:?} {b:?} {c:?}");
    Ok(())
}

/// The same whether a prompt is computed from its beginning or from where the last one ended.
pub fn cached<B: Backend>(model: &str, device: &dyn Fn() -> B) -> Outcome {
    let (golden, session) = (Golden::of(model), session(device(), model));
    let ids = prompt(&session, model, &golden.ids, &golden.images);
    let logits = |count| Options { logits: true, ..most(count) };
    write(&session, &ids, most(golden.tokens.len()))?;
    let longer = [&ids[..], &golden.tokens[..20]].concat();
    let (tokens, found, _) = write(&session, &longer, logits(3))?;
    // PaliGemma's prompts see all of themselves, so that a longer one is another.
    let prefix = session.config.prompt_run().is_some();
    assert_eq!(tokens == golden.tokens[20..23], !prefix);
    let off = distance(&found[0], golden.step(20));
    assert_eq!(off <= LOGITS, !prefix, "{off}");
    // Another beginning is another text.
    let mut other = longer.clone();
    other[ids.len()] = other[ids.len() + 1];
    let (_, found, _) = write(&session, &other, logits(1))?;
    assert!(distance(&found[0], golden.step(20)) > 100.0 * LOGITS);
    let (_, again, _) = write(&session, &longer, logits(1))?;
    let fresh = crate::golden::session(device(), model);
    prompt(&fresh, model, &golden.ids, &golden.images);
    let (_, expected, _) = write(&fresh, &longer, logits(1))?;
    assert!(distance(&again[0], &expected[0]) <= LOGITS);
    Ok(())
}

/// A prompt of more tokens than a run takes is one of fewer with a beginning that is there.
pub fn chunks<B: Backend>(model: &str, device: &dyn Fn() -> B) -> Outcome {
    let golden = Golden::of(model);
    let checkpoint = Checkpoint::open(&folder(model))?;
    let mut checkpoint = checkpoint;
    let ocelli::config::Head::Generate(generator) = &mut checkpoint.config.head else { panic!("it writes") };
    generator.decoder.context = 1000;
    let load = |device: B| Session::load(device, &checkpoint, LoadOptions::default());
    let ids: Vec<u32> = golden.ids.iter().cycle().take(600).copied().collect();
    let options = Options { logits: true, ..most(2) };
    let whole = load(device())?;
    let (_, expected, _) = write(&whole, &ids, options.clone())?;
    let by_parts = load(device())?;
    for end in [1, 37, 255, 256, 300, 511, 513] {
        write(&by_parts, &ids[..end], most(2))?;
    }
    let (_, found, _) = write(&by_parts, &ids, options.clone())?;
    for (found, expected) in found.iter().zip(&expected) {
        let off = distance(found, expected);
        assert!(off <= LOGITS, "expected at most {LOGITS}, found {off}");
    }
    let (_, short, _) = write(&by_parts, &ids[1..], options)?;
    assert!(distance(&short[0], &expected[0]) > 100.0 * LOGITS);
    // Steps over so many keys that a GPU splits them, in the tiers in which it does, and the same tokens as parts of a prompt.
    for tier in [Tier::Registers, Tier::Tiled] {
        let options = LoadOptions { tuning: Tuning::all(tier), ..LoadOptions::default() };
        let in_tier = Session::load(device(), &checkpoint, options)?;
        let (tokens, steps, _) = write(&in_tier, &ids, Options { logits: true, ..most(4) })?;
        for count in 1..4 {
            let longer = [&ids, &tokens[..count]].concat();
            let (_, found, _) = write(&load(device())?, &longer, Options { logits: true, ..most(1) })?;
            let off = distance(&found[0], &steps[count]);
            assert!(off <= LOGITS, "{tier:?}, step {count}: expected at most {LOGITS}, found {off}");
            assert!(distance(&found[0], &steps[count - 1]) > 100.0 * LOGITS);
        }
    }
    Ok(())
}

/// What the states hold behind the last token does not show: here the rest of a longer prompt.
pub fn poison<B: Backend>(model: &str, device: &dyn Fn() -> B) -> Outcome {
    let (golden, session) = (Golden::of(model), session(device(), model));
    let ids = prompt(&session, model, &golden.ids, &golden.images);
    let longer = [&ids[..], &golden.tokens[..]].concat();
    write(&session, &longer, most(8))?;
    let (tokens, ..) = write(&session, &ids, most(golden.tokens.len()))?;
    assert_eq!(tokens, golden.tokens);
    Ok(())
}

/// Weights of 8 bits: the reference's tokens go in, so that one other token does not make another text.
pub fn quantized<B: Backend>(model: &str, device: &dyn Fn() -> B) -> Outcome {
    let golden = Golden::of(model);
    let checkpoint = Checkpoint::open(&folder(model))?;
    let options = LoadOptions { format: Some(Format::Q8), ..LoadOptions::default() };
    let session = Session::load(device(), &checkpoint, options)?;
    let ids = prompt(&session, model, &golden.ids, &golden.images);
    let (mut offs, mut led, mut generation) =
        (Vec::new(), 0, session.generate(&ids, Options { logits: true, ..Options::default() })?);
    for (at, &token) in golden.tokens.iter().enumerate() {
        let logits = pollster::block_on(session.next_token(&mut generation))?.and_then(|token| token.logits);
        let logits = logits.expect("asked for");
        offs.push(distance(&logits, golden.step(at)));
        if margin(golden.step(at)) > MARGIN {
            led += 1;
            assert_eq!(Sampling::default().pick(&logits, &[]), token, "step {at}");
        }
        generation.replace_last(token);
    }
    let mean = offs.iter().sum::<f64>() / offs.len() as f64;
    println!(
        "{model}: q8 off by {mean:.3}, at most {:.3}; {led} steps with a clear lead",
        offs.iter().fold(0.0, |a: f64, b| a.max(*b))
    );
    assert!(mean <= Q8 && led > 4, "q8: expected at most {Q8}, found {mean}; {led} steps");
    // It is not f32 under another name.
    assert!(mean > 10.0 * LOGITS, "q8: expected to be off, found {mean}");
    Ok(())
}

/// By how many standard deviations the best leads.
fn margin(logits: &[f32]) -> f64 {
    let mut sorted: Vec<f64> = logits.iter().map(|&x| f64::from(x)).collect();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let mean = sorted.iter().sum::<f64>() / sorted.len() as f64;
    let deviation = (sorted.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / sorted.len() as f64).sqrt();
    (sorted[0] - sorted[1]) / deviation
}

pub fn errors(model: &str) -> Outcome {
    let (golden, session) = (Golden::of(model), session(Cpu::default(), model));
    let ids = prompt(&session, model, &golden.ids, &golden.images);
    let refused =
        |ids: &[u32], options: Options| session.generate(ids, options).err().map(|e| (e.code(), e.to_string()));
    let cold = Options { sampling: Sampling { temperature: -1.0, ..Sampling::default() }, ..Options::default() };
    for (wrong, code, what) in [
        (refused(&[], Options::default()), "bad-input", "expected at least one token, found none"),
        (refused(&[9999], Options::default()), "bad-input", "found 9999"),
        (refused(&ids.repeat(30), Options::default()), "context-full", "found"),
        (refused(&ids, cold), "bad-input", "temperature: expected 0 or a positive number, found -1"),
    ] {
        let (found, message) = wrong.expect("expected this to be refused");
        assert!(found == code && message.contains(what), "{found}: {message}");
    }
    // The text before ends with a new prompt; the next one goes on.
    let mut first = session.generate(&ids, Options::default())?;
    let (tokens, ..) = write(&session, &ids, most(4))?;
    assert!(pollster::block_on(session.next_token(&mut first)).is_err_and(|e| e.code() == "bad-input"));
    assert_eq!(tokens, golden.tokens[..4]);
    // To the last token that there is room for.
    let context = session.context()?;
    let (tokens, _, finish) = write(&session, &ids, Options::default())?;
    assert_eq!((ids.len() + tokens.len(), finish), (context + 1, Finish::Context));
    // No text ends with what stands for a picture.
    assert!(tokens.iter().all(|&token| token < PICTURE));
    Ok(())
}
