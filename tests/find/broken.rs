//! Recorded plans with one step broken, as the naive twins compute them: each usual mistake must be far beyond the bounds.

use std::collections::HashMap;

use ocelli::{
    Checkpoint,
    backend::Cpu,
    kernels::{ActId, Host, Kernel, MatrixRef, Operand, Run, WeightId},
    model::{Decoder, InMemory, Look, question},
    plan::Plan,
    quant::{Format, Matrix},
};

use crate::{
    Outcome, Test,
    altered::{Altered, Reference},
    boxes::{BOXES, LOGITS, sigmoid},
    common::distance,
    golden::{Golden, TAP_IMAGE, folder, open, session, tensors},
    masks::MASKS,
    wrong::MARGIN,
};

/// The activation of a binding, counted from the end if below 0.
fn act(kernel: &dyn Kernel, at: isize) -> ActId {
    let operands = kernel.operands();
    match operands[at.rem_euclid(operands.len() as isize) as usize] {
        Operand::Act(id) => id,
        other => panic!("expected an activation, found {other:?}"),
    }
}

fn floats<'a>(host: &'a mut Host<'_>, id: ActId) -> &'a mut [f32] {
    bytemuck::cast_slice_mut(&mut host.acts[id.0])
}

/// y = x
fn copy(kernel: &dyn Kernel, _: Run, host: &mut Host) {
    let x = host.floats(act(kernel, 0)).to_vec();
    floats(host, act(kernel, -1)).copy_from_slice(&x);
}

/// Runs the step on other tokens, with a class token that changes nothing.
fn merged(kernel: &dyn Kernel, run: Run, host: &mut Host, token: impl Fn(f32, f32) -> f32) {
    let (x, y) = (act(kernel, 0), act(kernel, -1));
    let tokens = grid_of(host, y) + 1;
    let all = floats(host, x);
    let dim = all.len() / tokens;
    let (class, patches) = all.split_at_mut(dim);
    patches.iter_mut().enumerate().for_each(|(i, patch)| *patch = token(*patch, class[i % dim]));
    class.fill(1.0);
    kernel.reference(run, host);
}

/// Tokens of the fixtures, whose detectors have 48 floats a token, or 32.
fn grid_of(host: &Host, merged: ActId) -> usize {
    let len = host.acts[merged.0].len();
    if len.is_multiple_of(48) { len / 48 } else { len / 32 }
}

/// Runs the box head's last layer, and moves what it gives by what another bias would.
fn biased(kernel: &dyn Kernel, run: Run, host: &mut Host, other: fn(usize, usize, usize, f64) -> f64) {
    kernel.reference(run, host);
    let raw = floats(host, act(kernel, -1));
    let tokens = raw.len() / 4;
    let side = tokens.isqrt();
    for (i, x) in raw.iter_mut().enumerate() {
        *x += other(i / 4, i % 4, side, 1e-4) as f32 - right_bias(i / 4, i % 4, side) as f32;
    }
}

fn log_odds(x: f64, eps: f64) -> f64 {
    (x + eps).ln() - (1.0 - x + eps).ln()
}

fn place(patch: usize, number: usize, side: usize) -> usize {
    if number.is_multiple_of(2) { patch % side } else { patch / side }
}

fn right_bias(patch: usize, number: usize, side: usize) -> f64 {
    let n = side as f64;
    log_odds(if number < 2 { (place(patch, number, side) + 1) as f64 / n } else { 1.0 / n }, 1e-4)
}

/// The class head's formula.
fn class_head(kernel: &dyn Kernel, host: &mut Host, formula: fn(f32, f32, f32) -> f32) {
    let (cos, scale) = (host.floats(act(kernel, 0)).to_vec(), host.floats(act(kernel, 1)).to_vec());
    let y = floats(host, act(kernel, -1));
    let labels = 2 * y.len() / scale.len();
    for (i, y) in y.iter_mut().enumerate() {
        let [shift, scale] = [0, 1].map(|at| scale[i / labels * 2 + at]);
        *y = formula(cos[i], shift, scale);
    }
}

fn elu(x: f32) -> f32 {
    if x > 0.0 { x } else { x.exp_m1() }
}

/// What, the step's label, and its wrong work.
const BOXES_BROKEN: [(&str, &str, Reference); 15] = [
    ("no merge", "merge", |k, run, host| merged(k, run, host, |x, _| x)),
    ("merged by a sum", "merge", |k, run, host| merged(k, run, host, |x, class| x + class)),
    ("no post_layernorm", "post_norm", copy),
    ("post_layernorm on the class token only", "post_norm", |k, run, host| {
        let x = host.floats(act(k, 0)).to_vec();
        k.reference(run, host);
        let y = floats(host, act(k, -1));
        let dim = if y.len().is_multiple_of(48) { 48 } else { 32 };
        y[dim..].copy_from_slice(&x[dim..]);
    }),
    ("grid transposed", "merge", |k, run, host| {
        k.reference(run, host);
        let y = act(k, -1);
        let (tokens, right) = (grid_of(host, y), host.floats(y).to_vec());
        let (side, dim) = (tokens.isqrt(), right.len() / tokens);
        for (i, y) in floats(host, y).iter_mut().enumerate() {
            let token = i / dim;
            *y = right[(token % side * side + token / side) * dim + i % dim];
        }
    }),
    ("no box bias", "box_head.dense2", |k, run, host| biased(k, run, host, |_, _, _, _| 0.0)),
    ("box bias at the patches' centres", "box_head.dense2", |k, run, host| {
        biased(k, run, host, |patch, number, side, eps| {
            let at = place(patch, number, side) as f64 + 0.5;
            if number < 2 { log_odds(at / side as f64, eps) } else { right_bias(patch, number, side) }
        });
    }),
    ("box bias with x and y exchanged", "box_head.dense2", |k, run, host| {
        biased(k, run, host, |patch, number, side, _| right_bias(patch, number ^ 1, side));
    }),
    ("box bias without its epsilon", "box_head.dense2", |k, run, host| {
        biased(k, run, host, |patch, number, side, _| {
            let at = if number < 2 { place(patch, number, side) + 1 } else { 1 };
            log_odds(at as f64 / side as f64, 1e-12)
        });
    }),
    ("class embeddings not normalised", "normalize", copy),
    ("no shift", "class_head", |k, _, host| class_head(k, host, |cos, _, scale| cos * (elu(scale) + 1.0))),
    ("cos · scale + shift", "class_head", |k, _, host| {
        class_head(k, host, |cos, shift, scale| cos * (elu(scale) + 1.0) + shift);
    }),
    ("scale is exp", "class_head", |k, _, host| class_head(k, host, |cos, shift, scale| (cos + shift) * scale.exp())),
    ("scale without + 1", "class_head", |k, _, host| {
        class_head(k, host, |cos, shift, scale| (cos + shift) * elu(scale));
    }),
    ("right", "", copy),
];

/// Runs the last convolution, and turns each of its squares.
fn turned(kernel: &dyn Kernel, run: Run, host: &mut Host, from: fn(usize, usize, usize) -> (usize, usize)) {
    kernel.reference(run, host);
    let y = act(kernel, -1);
    let right = host.floats(y).to_vec();
    let side = (right.len() / 2).isqrt();
    // Of the refined decoder 4, of the simple one a patch.
    let cell = if side == 96 { 4 } else { 8 };
    for (i, y) in floats(host, y).iter_mut().enumerate() {
        let (mask, row, column) = (i / (side * side), i / side % side, i % side);
        let (dy, dx) = from(row % cell, column % cell, cell);
        *y = right[mask * side * side + (row / cell * cell + dy) * side + column / cell * cell + dx];
    }
}

/// y = x for each item.
fn shared(kernel: &dyn Kernel, _: Run, host: &mut Host) {
    let x = host.floats(act(kernel, 0)).to_vec();
    let y = floats(host, act(kernel, -1));
    y.iter_mut().zip(x.iter().cycle()).for_each(|(y, x)| *y = *x);
}

const MASKS_BROKEN: [(&str, &str, Reference); 8] = [
    ("no FiLM", "modulate", shared),
    ("FiLM not on the class token", "modulate", |k, run, host| {
        k.reference(run, host);
        let x = host.floats(act(k, 0)).to_vec();
        let dim = host.acts[act(k, 1).0].len() / 4;
        for y in floats(host, act(k, -1)).chunks_exact_mut(x.len()) {
            y[..dim].copy_from_slice(&x[..dim]);
        }
    }),
    ("FiLM's factor and addend exchanged", "film", |k, run, host| {
        k.reference(run, host);
        let by = floats(host, act(k, -1));
        let dim = by.len() / 4;
        by.chunks_exact_mut(2 * dim).for_each(|by| by.rotate_left(dim));
    }),
    ("no sum with the layer before", "decoder.1.add", shared),
    ("a norm left out", "decoder.0.norm1", copy),
    ("transposed convolutions with x and y exchanged", "masks", |k, run, host| turned(k, run, host, |y, x, _| (x, y))),
    ("transposed convolutions flipped", "masks", |k, run, host| {
        turned(k, run, host, |y, x, cell| (cell - 1 - y, cell - 1 - x));
    }),
    ("right", "", copy),
];

fn broken(plan: Plan, label: &str, work: Reference) -> (Plan, usize) {
    let mut steps = 0;
    let plan = plan.with_kernels(|found, inner| {
        if found != label {
            return inner;
        }
        steps += 1;
        Altered::mistaken(inner, work)
    });
    (plan, steps)
}

/// Logits, and of a detector boxes before the sigmoid, with one step broken.
fn found(model: &str, label: &str, work: Reference) -> Result<HashMap<String, Vec<f32>>, libtest_mimic::Failed> {
    let golden = Golden::<serde_json::Value>::of(model);
    let (pixels, _) = pollster::block_on(session(Cpu::default(), model).seen(&open(TAP_IMAGE)))?;
    let checkpoint = Checkpoint::open(&folder(model))?;
    let InMemory { model: recorded, mut weights, .. } = InMemory::load(&checkpoint, None)?;
    let Look { plan, pixels: into, features, .. } = recorded.look.expect("a picture tower");
    let (plan, in_look) = broken(plan, label, work);
    let run = plan.run_reference(&weights, &[(into, &pixels)], Run::items(1));
    let features: Vec<&[u32]> = features.iter().map(|(_, act)| run.acts[act.0].as_slice()).collect();
    let (asked, in_question) = match recorded.decoder {
        Some(Decoder { plan, condition, reduced, .. }) => {
            let (plan, steps) = broken(plan, label, work);
            let prompts: Vec<f32> = golden.texts[..2].iter().flat_map(|text| text.projection.clone()).collect();
            let mut inputs: Vec<(ActId, &[u32])> = reduced.into_iter().zip(features).collect();
            inputs.push((condition, bytemuck::cast_slice(&prompts)));
            (plan.run_reference(&weights, &inputs, Run::items(2)), steps)
        }
        None => {
            let (queries, dim) =
                (golden.texts.iter().flat_map(|text| text.embedding.clone()), checkpoint.config.embedding);
            let (id, cols) = (WeightId(weights.len()), dim as u32);
            weights.push(Matrix::new(Format::F32, &queries.collect::<Vec<_>>(), dim)?);
            let labels = MatrixRef { id, format: Format::F32, rows: golden.texts.len() as u32, cols };
            let asked = question(labels, checkpoint.config.vision.grid().pow(2) as u32);
            let (plan, steps) = broken(asked.plan, label, work);
            let inputs = asked.inputs.map(|(act, place)| (act, features[place]));
            (plan.run_reference(&weights, &inputs, Run::items(1)), steps)
        }
    };
    assert!(in_look + in_question == usize::from(!label.is_empty()), "{label}: expected one such step");
    let mut taps: HashMap<String, Vec<f32>> = run.taps.into_iter().chain(asked.taps).collect();
    if let Some(masks) = taps.remove("masks") {
        taps.insert("logits".into(), masks);
    }
    Ok(taps)
}

/// How many bounds logits or boxes are away, whichever are farther.
fn away(model: &str, label: &str, work: Reference) -> Result<f64, libtest_mimic::Failed> {
    let (golden, expected) = (Golden::<serde_json::Value>::of(model), tensors(model, "taps.safetensors"));
    let found = found(model, label, work)?;
    let logits = distance(&found["logits"], &expected["logits"]) / golden.unrelated_distance["logits"];
    let Some(raw) = found.get("box.biased") else { return Ok(logits / MASKS) };
    Ok((logits / LOGITS).max(crate::boxes::apart(&sigmoid(raw), &expected["boxes"]) / BOXES))
}

fn all(model: &str, mistakes: &[(&str, &str, Reference)]) -> Outcome {
    for &(what, label, work) in mistakes {
        let away = away(model, label, work)?;
        println!("{model}: {what}: {away:.1} bounds");
        match label {
            "" => assert!(away <= 1.0, "{what}: expected at most 1 bound, found {away:.2}"),
            _ => assert!(away > MARGIN, "{what}: expected more than {MARGIN} bounds, found {away:.2}"),
        }
    }
    Ok(())
}

pub fn detectors(model: &str) -> Outcome {
    all(model, &BOXES_BROKEN)
}

pub fn segmenters(model: &str) -> Outcome {
    all(model, &MASKS_BROKEN)
}

pub const TESTS: [(&str, bool, Test); 2] = [
    ("wrong: a step of a detector's plans", false, detectors),
    ("wrong: a step of a segmenter's plans", false, segmenters),
];
