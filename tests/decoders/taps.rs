//! Every step between token ids and logits.

use ocelli::backend::Backend;

use crate::{
    Outcome,
    common::compare,
    golden::{Golden, distance, prompt as put, session},
};

/// Of logits, as a share of their spread; the reference computes in f32 itself.
pub const LOGITS: f64 = 1e-5;
/// Of the largest number of a tap.
const TAP: f64 = 1e-5;

pub fn prompt<B: Backend>(model: &str, device: &dyn Fn() -> B) -> Outcome {
    let (golden, session) = (Golden::of(model), session(device(), model));
    let ids = put(&session, model, &golden.ids, &golden.images);
    let found = pollster::block_on(session.taps_of_prompt(&ids))?;
    let layers = session.config.generator()?.decoder.layers;
    let blocks = (0..layers).map(|layer| format!("block.{layer}"));
    for name in std::iter::once("embed".to_string()).chain(blocks).chain(["norm".into()]) {
        // Of the last norm the last token alone.
        let expected = &golden.taps[&name];
        let found = &found[&name];
        let expected = &expected[expected.len() - found.len()..];
        let largest = expected.iter().fold(0.0f32, |a, b| a.max(b.abs()));
        compare(&name, found, expected, &vec![largest; expected.len()], TAP)?;
    }
    let mut logits = found["logits"].clone();
    if let Some(cap) = session.config.generator()?.decoder.logit_cap {
        logits.iter_mut().for_each(|logit| *logit = cap * (*logit / cap).tanh());
    }
    let off = distance(&logits, &golden.taps["logits"]);
    println!("{model}: logits off by {off:.1e}");
    assert!(off <= LOGITS, "logits: expected at most {LOGITS}, found {off}");
    Ok(())
}

/// The tower, the connector, and what follows from other pictures.
pub fn pictures<B: Backend>(model: &str, device: &dyn Fn() -> B) -> Outcome {
    let (golden, session) = (Golden::of(model), session(device(), model));
    put(&session, model, &golden.ids, &golden.images);
    let found = pollster::block_on(session.taps_of_tile())?;
    for name in ["tower", "picture"] {
        // Of the last tile.
        let (found, all) = (&found[name], &golden.taps[name]);
        let expected = &all[all.len() - found.len()..];
        let largest = expected.iter().fold(0.0f32, |a, b| a.max(b.abs()));
        compare(name, found, expected, &vec![largest; expected.len()], TAP)?;
    }
    for other in &golden.others {
        let name = other.images.iter().map(|name| name.trim_end_matches(".png")).collect::<Vec<_>>().join("+");
        let ids = put(&session, model, &other.ids, &other.images);
        let found = pollster::block_on(session.taps_of_prompt(&ids))?;
        let off = distance(&found["logits"], &golden.taps[&format!("logits.{name}")]);
        println!("{model}: {name}: logits off by {off:.1e}");
        assert!(off <= LOGITS, "{name}: expected at most {LOGITS}, found {off}");
        // Another picture is another answer.
        assert!(distance(&found["logits"], &golden.taps["logits"]) > 100.0 * LOGITS, "{name}: the first picture's");
    }
    Ok(())
}
