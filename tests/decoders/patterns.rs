//! Texts that keep to a pattern, by a model's own logits: on every device the same, and none without the constraint.

use std::sync::Arc;

use ocelli::{
    Checkpoint, Session,
    backend::{Backend, Cpu},
    sampling::Sampling,
    session::{Finish, Options},
    text::{Guide, Tokenizer},
};
use regex::Regex;

use crate::{
    Outcome,
    golden::{Golden, folder, prompt, session},
    steps::write,
};

pub const MODELS: [&str; 4] = ["llama", "gemma3", "paligemma", "llava"];

/// As JavaScript and as the judge has them.
const PATTERNS: [&str; 5] = [
    "yes|no|a dog(?: in the snow)?",
    r#"\{"what": "(?:dog|cat|[a-f]{2,4})", "count": [0-9]{1,3}\}"#,
    "(?:[A-Z][a-z]{0,4}[ ,.]){3}",
    "[猫犬é🐱]{2,5}",
    r"[^\n]{0,12}\n",
];

/// Tokens and text; `kept` says whether the constraint is on.
fn written<B: Backend>(
    session: &Session<B>,
    ids: &[u32],
    mut guide: Guide,
    options: Options,
    kept: bool,
) -> ocelli::Result<(Vec<u32>, String, Finish)> {
    let mut generation = session.generate(ids, Options { constrained: true, ..options })?;
    let (mut tokens, mut text) = (Vec::new(), String::new());
    loop {
        let allowed = if kept { Some(guide.allowed()?) } else { None };
        let Some(token) = pollster::block_on(session.next_token_among(&mut generation, allowed))? else { break };
        tokens.push(token.id);
        if kept {
            text += &guide.push(token.id);
        }
    }
    Ok((tokens, text, generation.finish().expect("it has ended")))
}

pub fn texts<B: Backend>(model: &str, device: &dyn Fn() -> B) -> Outcome {
    let (golden, on_device, on_cpu) = (Golden::of(model), session(device(), model), session(Cpu::default(), model));
    let checkpoint = Checkpoint::open(&folder(model))?;
    let tokenizer = Arc::new(Tokenizer::new(&checkpoint.tokenizer, checkpoint.config.text_rule.byte_fallback)?);
    let generator = checkpoint.config.generator()?;
    let ids = prompt(&on_device, model, &golden.ids, &golden.images);
    prompt(&on_cpu, model, &golden.ids, &golden.images);
    for (at, pattern) in PATTERNS.into_iter().enumerate() {
        let regex = Regex::new(&format!(r"\A(?:{pattern})\z")).expect("a pattern of the judge's");
        let guide = || Guide::new(&tokenizer, pattern, "", &generator.stops, generator.decoder.vocab);
        let warm = Sampling { temperature: 1.5, top_k: Some(20), seed: at as u64, ..Sampling::default() };
        for sampling in [Sampling::default(), warm] {
            let options =
                Options { sampling, stops: generator.stops.clone(), max_tokens: Some(100), ..Options::default() };
            let (tokens, text, finish) = written(&on_device, &ids, guide()?, options.clone(), true)?;
            assert!(finish == Finish::Stop && regex.is_match(&text), "{model}: {text:?} ({finish:?}) for {pattern:?}");
            assert_eq!(written(&on_cpu, &ids, guide()?, options.clone(), true)?.0, tokens, "{model}: {pattern:?}");
            // Without the constraint nothing of it is left.
            let (free, ..) = written(&on_device, &ids, guide()?, options.clone(), false)?;
            assert!(!regex.is_match(&tokenizer.decode(&free, true)?), "{model}: {pattern:?}");
            // What is cut begins like it.
            let count = tokens.len() / 2;
            let (cut, start, finish) =
                written(&on_device, &ids, guide()?, Options { max_tokens: Some(count), ..options }, true)?;
            assert_eq!((&cut[..], finish), (&tokens[..count], Finish::Length), "{model}: {pattern:?}");
            assert!(text.starts_with(&start), "{model}: {start:?}");
        }
    }
    // What follows is free.
    let (tokens, ..) =
        write(&on_device, &ids, Options { max_tokens: Some(golden.tokens.len()), ..Options::default() })?;
    assert_eq!(tokens, golden.tokens);
    Ok(())
}
