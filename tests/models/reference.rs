//! The naive twins run a whole plan on the CPU and must give the reference's activations: they judge the shaders.

use std::collections::HashMap;

use libtest_mimic::Failed;
use ocelli::{
    Checkpoint,
    model::InMemory,
    preprocess::{Sampling, resize},
    quant::Format,
    session::{Source, pool_index},
    text::TextEncoder,
};
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
    let InMemory { model, weights, host } = InMemory::load(checkpoint, format)?;
    let (vision, text_tower) = (model.vision.expect("both towers"), model.text.expect("both towers"));
    let (width, height) = picture.size();
    let sampling = Sampling::new(&checkpoint.config.preprocessor, width, height)?;
    let square = resize(&words(picture), width, height, &sampling);
    let mut taps = vision.plan.run_reference(&weights, &[(vision.pixels, &square)], 1).taps;

    let ids = TextEncoder::new(&checkpoint.tokenizer, &checkpoint.config)?.encode(text)?;
    let rows: Vec<f32> = ids.iter().flat_map(|&id| host[text_tower.table.0].row(id as usize)).collect();
    let index = [pool_index(checkpoint.config.text.pooling, &ids)];
    let inputs = [(text_tower.tokens, bytemuck::cast_slice(&rows)), (text_tower.index, &index[..])];
    taps.extend(text_tower.plan.run_reference(&weights, &inputs, 1).taps);
    Ok(taps)
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
