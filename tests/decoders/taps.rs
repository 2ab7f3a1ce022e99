//! Every step between token ids and logits.

use ocelli::{backend::Backend, kernels::PICTURE};

use crate::{
    Outcome,
    common::compare,
    golden::{Golden, distance, prompt as put, session, show},
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

/// The tower, the pictures' tokens, and what follows from other pictures.
pub fn pictures<B: Backend>(model: &str, device: &dyn Fn() -> B) -> Outcome {
    let (golden, session) = (Golden::of(model), session(device(), model));
    let ids = put(&session, model, &golden.ids, &golden.images);
    // Of the last square.
    let (found, all) = (&pollster::block_on(session.taps_of_square())?["tower"], &golden.taps["tower"]);
    near("tower", found, &all[all.len() - found.len()..])?;
    let found = pollster::block_on(session.taps_of_prompt(&ids))?;
    near("picture", &rows(&ids, &found["embed"]), &golden.taps["picture"])?;
    for other in &golden.others {
        let name = other.name();
        let ids = show(&session, model, &other.ids, &other.images, other.low);
        let found = pollster::block_on(session.taps_of_prompt(&ids))?;
        let (picture, expected) = (rows(&ids, &found["embed"]), &golden.taps[&format!("picture.{name}")]);
        near(&name, &picture, expected)?;
        // Those of the first picture in its place.
        let short = picture.len().min(golden.taps["picture"].len());
        assert!(near(&name, &picture[..short], &golden.taps["picture"][..short]).is_err(), "{name}: any will do");
        let off = distance(&found["logits"], &golden.taps[&format!("logits.{name}")]);
        println!("{model}: {name}: logits off by {off:.1e}");
        assert!(off <= LOGITS, "{name}: expected at most {LOGITS}, found {off}");
        // Another picture is another answer.
        assert!(distance(&found["logits"], &golden.taps["logits"]) > 100.0 * LOGITS, "{name}: the first picture's");
    }
    Ok(())
}

fn near(name: &str, found: &[f32], expected: &[f32]) -> Outcome {
    let largest = expected.iter().fold(0.0f32, |a, b| a.max(b.abs()));
    Ok(compare(name, found, expected, &vec![largest; expected.len()], TAP)?)
}

/// The pictures' tokens of what a decoder's first block takes.
fn rows(ids: &[u32], embed: &[f32]) -> Vec<f32> {
    let rows = embed.chunks_exact(embed.len() / ids.len()).zip(ids);
    rows.filter(|(_, id)| **id >= PICTURE).flat_map(|(row, _)| row).copied().collect()
}
