//! The naive twins run a whole plan on the CPU and must give the reference's activations: they judge the shaders.

use std::collections::HashMap;

use libtest_mimic::Failed;
use ocelli::{
    Checkpoint, pictures::Picture, quant::Format, session::pool_index, text::TextEncoder, verify::ReferenceRun,
};

use crate::{
    Outcome,
    common::{compare, fixtures, tensors},
    golden::{folder, golden, open, words},
};

/// Share of the largest activation of a tap. The reference itself computes in f32.
pub const TAP_BOUND: f64 = 1e-5;

/// The reference's taps, of the same rows as `found` has.
pub fn golden_taps(model: &str, found: &HashMap<String, Vec<f32>>) -> HashMap<String, Vec<f32>> {
    let all = tensors(&fixtures().join(model).join("taps.safetensors"));
    let checkpoint = Checkpoint::open(&folder(model)).expect("a sound fixture");
    let encoder = TextEncoder::new(&checkpoint.tokenizer, &checkpoint.config).expect("a sound fixture");
    let ids = encoder.encode(&golden(model).texts[0].text).expect("a sound text");
    let place = pool_index(checkpoint.config.text.pooling, &ids) as usize;
    pooled(all, found, &|name| if name.starts_with("text.") { place } else { 0 })
}

/// What the reference has of one row, where the plan has computed only that: the last block of a tower that pools a token.
/// `row` is the row of each tower.
pub fn pooled(
    taps: HashMap<String, Vec<f32>>,
    like: &HashMap<String, Vec<f32>>,
    row: &dyn Fn(&str) -> usize,
) -> HashMap<String, Vec<f32>> {
    let cut = |(name, values): (String, Vec<f32>)| {
        let Some(len) = like.get(&name).map(Vec::len).filter(|len| *len < values.len()) else { return (name, values) };
        let start = row(&name) * len;
        let values = values[start..start + len].to_vec();
        (name, values)
    };
    taps.into_iter().map(cut).collect()
}

/// Every tap that both sides have, and enough of them.
pub fn check_taps(
    found: &HashMap<String, Vec<f32>>,
    expected: &HashMap<String, Vec<f32>>,
    bound: f64,
) -> Result<(), String> {
    let mut names: Vec<&String> = expected.keys().filter(|name| found.contains_key(*name)).collect();
    names.sort();
    // embed, blocks, pooled and embedding of both towers
    if names.len() < 10 {
        return Err(format!("expected at least 10 taps in common, found {names:?}"));
    }
    for name in names {
        let peak = expected[name].iter().fold(0.0f32, |a, x| a.max(x.abs()));
        compare(name, &found[name], &expected[name], &vec![peak; expected[name].len()], bound)?;
    }
    Ok(())
}

/// What the naive twins make of a fixture's picture and its first text.
pub fn host_taps(name: &str, format: Option<Format>) -> Result<HashMap<String, Vec<f32>>, Failed> {
    twins(&Checkpoint::open(&folder(name))?, format, &open("rgb-61x37.png"), &golden(name).texts[0].text)
}

/// What the naive twins make of one picture and one text.
pub fn twins(
    checkpoint: &Checkpoint,
    format: Option<Format>,
    picture: &Picture,
    text: &str,
) -> Result<HashMap<String, Vec<f32>>, Failed> {
    let (width, height) = picture.size();
    Ok(ReferenceRun::of(checkpoint, format, (&words(picture), width, height), text)?.taps())
}

pub fn taps(name: &str) -> Outcome {
    let mut taps = host_taps(name, None)?;
    let expected = golden_taps(name, &taps);
    check_taps(&taps, &expected, TAP_BOUND)?;
    // The comparison must see one wrong activation.
    for value in taps.get_mut("vision.block.1").expect("a tap") {
        *value *= 1.001;
    }
    assert!(check_taps(&taps, &expected, TAP_BOUND).is_err(), "the comparison does not see a wrong block");
    Ok(())
}
