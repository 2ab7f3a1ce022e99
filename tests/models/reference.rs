//! The naive twins run a whole plan on the CPU and must give the reference's activations: they judge the shaders.

use std::collections::HashMap;

use libtest_mimic::Failed;
use ocelli::{Checkpoint, quant::Format, verify::Twins};
use safetensors::SafeTensors;

use crate::{
    Outcome,
    common::{compare, fixtures},
    golden::{folder, golden, open, words},
    picture::Picture,
};

/// Share of the largest activation of a tap. The reference itself computes in f32.
pub const TAP_BOUND: f64 = 1e-5;

pub fn golden_taps(model: &str) -> HashMap<String, Vec<f32>> {
    let bytes = std::fs::read(fixtures().join(model).join("taps.safetensors")).expect("a fixture");
    let file = SafeTensors::deserialize(&bytes).expect("a sound fixture");
    file.tensors().into_iter().map(|(name, t)| (name, bytemuck::pod_collect_to_vec(t.data()))).collect()
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
    Ok(Twins::run(checkpoint, format, (&words(picture), width, height), text)?.taps())
}

pub fn taps(name: &str) -> Outcome {
    let mut taps = host_taps(name, None)?;
    let expected = golden_taps(name);
    check_taps(&taps, &expected, TAP_BOUND)?;
    // The comparison must see one wrong activation.
    for value in taps.get_mut("vision.block.1").expect("a tap") {
        *value *= 1.001;
    }
    assert!(check_taps(&taps, &expected, TAP_BOUND).is_err(), "the comparison does not see a wrong block");
    Ok(())
}
