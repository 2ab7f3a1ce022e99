//! One or two awkward cases of every kernel and of every variant of it that a model can need. Small: the naive twin runs in
//! the browser too. `tests/kernels` has hundreds.

use super::{
    case::{Case, Step, case, poison, rough, small, vector, words},
    davit, decoder, pictures,
};
use crate::{
    config::{Activation, Mask, WRITES},
    kernels::{
        ActId, AddShared, Attention, Best, ClassHead, Gather, Keys, LayerNorm, Matmul, MatrixRef, Modulate, Normalize,
        Operand, Place, Positions, Queries, Rows, Shuffle, Taps, Unfold, WeightId,
    },
    quant::Format,
    random::Random,
    reference,
};

/// All cases of the self-test, each with its step.
#[must_use]
pub fn cases() -> Vec<(Case, Step)> {
    let mut all = Vec::new();
    for format in [Format::F32, Format::F16, Format::Q8, Format::Q4] {
        // Tails in every dimension, K in whole vectors and not, more than one block of scales.
        all.push(matmul(format, [5, 41, 7], Activation::None, true));
        all.push(matmul(format, [33, 72, 6], Activation::None, false));
        // More than one tile in every dimension.
        all.push(matmul(format, [67, 136, 70], Activation::None, true));
    }
    let gelus = [Activation::QuickGelu, Activation::Gelu, Activation::GeluTanh];
    for activation in gelus.into_iter().chain([Activation::Relu, Activation::Silu]) {
        all.push(matmul(Format::F32, [3, 36, 5], activation, false));
    }
    for (size, mask) in [(72, Mask::None), (80, Mask::Causal), (88, Mask::None), (7, Mask::Causal)] {
        all.push(attention(size, [9, 9], mask, Asked::All));
    }
    all.push(attention(72, [1, 17], Mask::None, Asked::Probe));
    // More than two tiles of keys, and of queries.
    all.push(attention(64, [37, 70], Mask::None, Asked::All));
    all.push(attention(64, [70, 70], Mask::Causal, Asked::All));
    // So many queries that a workgroup takes more of them.
    all.push(attention(64, [520, 30], Mask::None, Asked::All));
    all.push(attention(64, [1, 70], Mask::Causal, Asked::Placed));
    all.push(attention(64, [70, 70], Mask::None, Asked::Padded));
    all.push(attention(7, [9, 9], Mask::None, Asked::Padded));
    all.extend([
        layer_norm(false),
        layer_norm(true),
        gather(true),
        gather(false),
        placed(true),
        placed(false),
        normalize(1e30, 0.0),
        normalize(1e-6, 1e-6),
        shuffled(),
        columns(),
        class_head(),
        best(),
        modulate(),
        add_shared(),
        unfold(Taps::AROUND),
        unfold(Taps { side: 5, stride: 3, padding: 2 }),
    ]);
    if WRITES {
        all.extend([(64, 1), (256, 1), (64, 12)].map(|(size, tokens)| decoder_attention(size, tokens)));
        all.extend(decoder::cases());
        all.extend(davit::cases());
    }
    all.extend(pictures::cases());
    all
}

fn matmul(format: Format, [m, k, n]: [usize; 3], activation: Activation, accumulate: bool) -> (Case, Step) {
    let mut random = Random::new((m * 31 + k * 7 + n) as u64);
    let mut x = random.floats(m * k);
    // One channel a hundred times larger, as trained models have them.
    x.iter_mut().step_by(k).for_each(|v| *v *= 100.0);
    let matrix = small(format, &random.floats(k * n), k);
    let bias = random.floats(n);
    let y = if accumulate { words(&random.floats(m * n)) } else { poison(m * n) };
    let absolute = |v: &[f32]| v.iter().map(|x| x.abs()).collect::<Vec<_>>();
    let rows: Vec<f32> = (0..n).flat_map(|row| absolute(&matrix.row(row))).collect();
    let all = small(Format::F32, &rows, k);
    let magnitude = reference::matmul(&absolute(&x), &all, Some(&absolute(&bias)), Activation::None);
    let kernel = Matmul {
        x: Operand::Act(ActId(0)),
        weight: MatrixRef { id: WeightId(0), format, rows: n as u32, cols: k as u32 },
        bias: Some(vector(1, n)),
        y: ActId(1),
        rows: Rows::Shared(m as u32),
        activation,
        place: if accumulate { Place::Add } else { Place::Set },
    };
    let added = if accumulate { ", added" } else { "" };
    let name = format!("matmul {} {m} × {k} × {n}, {activation:?}{added}", format.name());
    let weights = vec![matrix, small(Format::F32, &bias, n)];
    let (mut case, step) = case(name, vec![words(&x), y], 1, None, (kernel, weights));
    // K / 4 additions of a product of four, each rounding by at most 2^-24 of the running magnitude, and a few for bias and
    // activation.
    let magnitude: Vec<f32> = magnitude.iter().map(|m| m + 1.0).collect();
    case.rough = Some(rough(&absolute(&x), &rows, k, &magnitude));
    case.bound = Some((magnitude, (k as f64 / 4.0 + 16.0) * 2f64.powi(-24)));
    (case, step)
}

/// What is asked: all queries, one for all items, one of each item by its place, or all queries where keys are padded.
#[derive(Clone, Copy, PartialEq)]
enum Asked {
    All,
    Probe,
    Placed,
    Padded,
}

fn attention(size: usize, [q_len, kv_len]: [usize; 2], mask: Mask, asked: Asked) -> (Case, Step) {
    const HEADS: usize = 2;
    const BATCH: usize = 2;
    let mut random = Random::new((size * 100 + q_len) as u64);
    let dim = HEADS * size;
    let q = random.floats(if asked == Asked::Probe { 1 } else { BATCH } * q_len * dim);
    let kv = random.floats(BATCH * kv_len * 2 * dim);
    let len = |tokens: usize| Rows::PerItem(tokens as u32);
    let q_rows = if asked == Asked::Probe { Rows::Shared(q_len as u32) } else { len(q_len) };
    let [index, lengths] = [Asked::Placed, Asked::Padded].map(|how| (asked == how).then_some(ActId(2)));
    let q_at = Queries { act: ActId(0), len: q_rows, stride: dim as u32, index };
    let kv_at =
        Keys { act: ActId(1), len: len(kv_len), stride: 2 * dim as u32, k: 0, v: dim as u32, most: None, lengths };
    let kernel = Attention::new(q_at, kv_at, ActId(3), [HEADS as u32, size as u32], mask);
    let how = match asked {
        Asked::All => "",
        Asked::Probe => ", one probe",
        Asked::Placed => ", one query of each item",
        Asked::Padded => ", padded",
    };
    let places = vec![kv_len as u32 / 2, kv_len as u32 - 1];
    case(
        format!("attention heads of {size}, {mask:?}{how}"),
        vec![words(&q), words(&kv), places, poison(BATCH * q_len * dim)],
        BATCH as u32,
        // Scores of up to √size, a few in practice, are known to 2^-24 of that, times size / 4 additions; exp turns that into
        // a relative error, and a driver's own exp may be off by 2^-21. Values stay within 1.
        Some((1.0, 2f64.powi(-21) * 8.0 + (size as f64).powf(1.5) / 4.0 * 2f64.powi(-24))),
        (kernel, Vec::new()),
    )
}

/// A decoder's tokens over what a state holds: heads share keys, scores are capped, and a window narrows what is seen.
fn decoder_attention(size: usize, tokens: u32) -> (Case, Step) {
    const HEADS: u32 = 4;
    const BATCH: usize = 2;
    const PAST: u32 = 150;
    let mut random = Random::new(16 + u64::from(tokens));
    let (dim, room) = (HEADS * size as u32, PAST + tokens + 3);
    let q = random.floats(BATCH * (tokens * dim) as usize);
    // Two heads of keys, and as many of values.
    let kv = random.floats(BATCH * (room * dim) as usize);
    let len = Rows::PerItem(tokens);
    let queries = Queries { act: ActId(0), len, stride: dim, index: None };
    let keys = Keys { act: ActId(1), len, stride: dim, k: 0, v: dim / 2, most: Some(room), lengths: None };
    let kernel = Attention {
        kv_heads: HEADS / 2,
        scale: 0.2,
        cap: Some(2.0),
        window: Some(140),
        ..Attention::new(queries, keys, ActId(2), [HEADS, size as u32], Mask::Causal)
    };
    let (mut case, step) = case(
        format!("attention of a decoder, heads of {size}, {tokens} tokens"),
        vec![words(&q), words(&kv), poison(BATCH * (tokens * dim) as usize)],
        BATCH as u32,
        // As above, with another scale; a driver's own tanh may be off as much as its exp.
        Some((1.0, 2f64.powi(-21) * 10.0 + (size as f64).powi(2) * 0.2 / 4.0 * 2f64.powi(-24))),
        (kernel, Vec::new()),
    );
    case.run.past = PAST;
    (case, step)
}

/// Of rows, or of rows times their item's class token.
fn layer_norm(merge: bool) -> (Case, Step) {
    const ROWS: usize = 3;
    const DIM: usize = 77;
    let mut random = Random::new(5);
    // A mean far from zero: a variance from one pass would cancel.
    let lead = usize::from(merge);
    let mut x: Vec<f32> = random.floats((lead + ROWS) * DIM).into_iter().map(|v| v + 30.0).collect();
    // Products of the same magnitude.
    x[..lead * DIM].iter_mut().for_each(|v| *v /= 30.0);
    let weights = vec![small(Format::F32, &random.floats(DIM), DIM), small(Format::F32, &random.floats(DIM), DIM)];
    let (weight, bias) = (vector(0, DIM), vector(1, DIM));
    let rows = Rows::PerItem(ROWS as u32);
    let kernel = LayerNorm { x: ActId(0), weight, bias, y: ActId(1), rows, eps: 1e-5, merge };
    // Inputs near 30 are known to 2^-24 · 31, divided by a deviation of about 0.6; the mean of so many adds its rounding.
    let bound = Some((1.0, (64.0 + DIM as f64) * 31.0 * 2.0 * 2f64.powi(-24)));
    let merged = if merge { ", merged" } else { "" };
    let name = format!("layer_norm {ROWS} × {DIM}{merged}");
    case(name, vec![words(&x), poison(ROWS * DIM)], 1, bound, (kernel, weights))
}

/// One row of each item.
fn gather(indexed: bool) -> (Case, Step) {
    const BATCH: usize = 3;
    const OF: u32 = 7;
    const DIM: usize = 13;
    let x = Random::new(8).floats(BATCH * OF as usize * DIM);
    let index = indexed.then_some(ActId(1));
    let kernel = Gather { x: ActId(0), index, y: ActId(2), of: Rows::PerItem(OF), dim: DIM as u32 };
    let name = format!("gather {}", if indexed { "by index" } else { "the first" });
    let acts = vec![words(&x), vec![6, 0, 3], poison(BATCH * DIM)];
    // A copy.
    case(name, acts, BATCH as u32, None, (kernel, Vec::new()))
}

/// A patch embedding, and where its patches are.
fn placed(class: bool) -> (Case, Step) {
    const BATCH: usize = 2;
    const TOKENS: usize = 9;
    const DIM: usize = 6;
    const K: usize = 12;
    let mut random = Random::new(6);
    let x = random.floats(BATCH * TOKENS * K);
    let weights = vec![
        small(Format::F32, &random.floats(DIM * K), K),
        small(Format::F32, &random.floats(DIM), DIM),
        small(Format::F32, &random.floats(TOKENS * DIM), TOKENS * DIM),
    ];
    let kernel = Matmul {
        x: Operand::Act(ActId(0)),
        weight: MatrixRef { id: WeightId(0), format: Format::F32, rows: DIM as u32, cols: K as u32 },
        bias: Some(vector(1, DIM)),
        y: ActId(1),
        rows: Rows::PerItem(TOKENS as u32),
        activation: Activation::None,
        place: Place::Positions(Positions {
            class_token: class.then_some(vector(1, DIM)),
            table: vector(2, TOKENS * DIM),
        }),
    };
    let name = format!("matmul with positions{}", if class { " and a class token" } else { "" });
    // Products of numbers up to 1.
    let magnitude = vec![K as f32 + 3.0; BATCH * TOKENS * DIM];
    let acts = vec![words(&x), poison(BATCH * TOKENS * DIM)];
    let (mut case, step) = case(name, acts, BATCH as u32, None, (kernel, weights));
    case.rough = Some(rough(&x, &[1.0; DIM * K], K, &magnitude));
    case.bound = Some((magnitude, 16.0 * 2f64.powi(-24)));
    (case, step)
}

/// Of numbers whose squares overflow f32, or with an epsilon that counts.
fn normalize(scale: f32, eps: f32) -> (Case, Step) {
    const BATCH: usize = 2;
    const DIM: usize = 40;
    let x: Vec<f32> = Random::new(9).floats(BATCH * DIM).into_iter().map(|v| v * scale).collect();
    let kernel = Normalize { x: ActId(0), y: ActId(1), dim: DIM as u32, rows: Rows::PerItem(1), eps };
    // `DIM` additions under a square root, three divisions that WGSL lets be off by 2.5 units in the last place.
    let bound = Some((1.0, (DIM as f64 / 2.0 + 13.0) * 2f64.powi(-24)));
    let name = format!("normalize {DIM}, epsilon {eps:e}");
    case(name, vec![words(&x), poison(BATCH * DIM)], BATCH as u32, bound, (kernel, Vec::new()))
}

/// A transposed convolution.
fn shuffled() -> (Case, Step) {
    const BATCH: usize = 2;
    const GRID: usize = 3;
    const K: usize = 8;
    const CHANNELS: usize = 3;
    const KERNEL: usize = 2;
    let (rows, outputs) = (1 + GRID * GRID, CHANNELS * KERNEL * KERNEL);
    let mut random = Random::new(12);
    let x = random.floats(BATCH * rows * K);
    let weights = vec![
        small(Format::F32, &random.floats(outputs * K), K),
        small(Format::F32, &random.floats(CHANNELS), CHANNELS),
    ];
    let weight = MatrixRef { id: WeightId(0), format: Format::F32, rows: outputs as u32, cols: K as u32 };
    let kernel = Matmul {
        bias: Some(vector(1, CHANNELS)),
        place: Place::Shuffle(Shuffle { lead: 1, grid: GRID as u32, kernel: KERNEL as u32 }),
        ..Matmul::new(ActId(0), weight, ActId(1), Rows::PerItem(rows as u32))
    };
    let n = BATCH * (GRID * KERNEL).pow(2) * CHANNELS;
    let acts = vec![words(&x), poison(n)];
    let (mut case, step) = case("matmul shuffled".into(), acts, BATCH as u32, None, (kernel, weights));
    // Products of numbers up to 1.
    let magnitude = vec![K as f32 + 2.0; n];
    case.rough = Some(rough(&vec![1.0; n / outputs * K], &[1.0; CHANNELS * KERNEL * KERNEL * K], K, &magnitude));
    case.bound = Some((magnitude, 16.0 * 2f64.powi(-24)));
    (case, step)
}

/// Among columns that others fill.
fn columns() -> (Case, Step) {
    const ROWS: usize = 3;
    const K: usize = 8;
    const N: usize = 5;
    const OF: usize = 11;
    let mut random = Random::new(17);
    let acts = vec![words(&random.floats(ROWS * K)), words(&random.floats(ROWS * OF))];
    let weights = vec![small(Format::F32, &random.floats(N * K), K), small(Format::F32, &random.floats(N), N)];
    let weight = MatrixRef { id: WeightId(0), format: Format::F32, rows: N as u32, cols: K as u32 };
    let kernel = Matmul {
        bias: Some(vector(1, N)),
        place: Place::Columns { first: 4, of: OF as u32 },
        ..Matmul::new(ActId(0), weight, ActId(1), Rows::Shared(ROWS as u32))
    };
    // Products of numbers up to 1.
    case("matmul in some columns".into(), acts, 1, Some((K as f32 + 2.0, 16.0 * 2f64.powi(-24))), (kernel, weights))
}

fn class_head() -> (Case, Step) {
    const ROWS: usize = 4;
    const LABELS: usize = 3;
    let mut random = Random::new(13);
    let cos = random.floats(ROWS * LABELS);
    // On both sides of 0, where the halves of elu are.
    let scale = [0.3, 2.5, -0.7, -1.5, 1.1, 0.4, 0.0, -3.0];
    let rows = Rows::PerItem(ROWS as u32);
    let kernel = ClassHead { cos: ActId(0), scale: ActId(1), y: ActId(2), labels: LABELS as u32, rows };
    let acts = vec![words(&cos), words(&scale), poison(ROWS * LABELS)];
    // WGSL lets exp be off by 3 + 2·|x| units in the last place; sums of up to 2.1, times up to 3.5.
    case("class_head".into(), acts, 1, Some((7.5, 12.0 * 2f64.powi(-23))), (kernel, Vec::new()))
}

fn best() -> (Case, Step) {
    // The largest first, last, in the middle, and more than once; all below 0.
    let x = [5.0, 1.0, 2.0, -7.0, -8.0, -0.5, 0.0, 3.0, 3.0, -2.0, -2.0, -2.0];
    let kernel = Best { x: ActId(0), y: ActId(1), labels: 3, rows: Rows::PerItem(4) };
    // Copies.
    case("best".into(), vec![words(&x), poison(8)], 1, None, (kernel, Vec::new()))
}

fn modulate() -> (Case, Step) {
    const BATCH: usize = 2;
    const TOKENS: usize = 3;
    const DIM: usize = 5;
    let mut random = Random::new(14);
    let (x, by) = (random.floats(TOKENS * DIM), random.floats(BATCH * 2 * DIM));
    let kernel = Modulate { x: ActId(0), by: ActId(1), y: ActId(2), tokens: TOKENS as u32, dim: DIM as u32 };
    let acts = vec![words(&x), words(&by), poison(BATCH * TOKENS * DIM)];
    // One multiplication and one addition of numbers up to 1, fused or not.
    case("modulate".into(), acts, BATCH as u32, Some((2.0, 2f64.powi(-23))), (kernel, Vec::new()))
}

fn add_shared() -> (Case, Step) {
    const BATCH: usize = 2;
    const TOKENS: usize = 3;
    const DIM: usize = 5;
    let mut random = Random::new(15);
    let acts = vec![words(&random.floats((2 + TOKENS) * DIM)), words(&random.floats(BATCH * TOKENS * DIM))];
    let rows = Rows::PerItem(TOKENS as u32);
    let kernel = AddShared { x: ActId(0).into(), y: ActId(1), rows, dim: DIM as u32, first: 2 };
    // A sum of two is rounded rightly everywhere.
    case("add_shared".into(), acts, BATCH as u32, None, (kernel, Vec::new()))
}

fn unfold(taps: Taps) -> (Case, Step) {
    const BATCH: usize = 2;
    const GRID: usize = 6;
    const DIM: usize = 5;
    let x = Random::new(16).floats(BATCH * (1 + GRID * GRID) * DIM);
    let kernel = Unfold { x: ActId(0), y: ActId(1), grid: GRID as u32, dim: DIM as u32, lead: 1, taps };
    let numbers = (taps.outputs(GRID as u32) * taps.side).pow(2) as usize;
    let acts = vec![words(&x), poison(BATCH * numbers * DIM)];
    // Copies.
    case(format!("unfold {taps:?}"), acts, BATCH as u32, None, (kernel, Vec::new()))
}
