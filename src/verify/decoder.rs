//! Cases of the kernels that only text decoders have.

use super::case::{Case, Step, case, poison, small, vector, words};
use crate::{
    config::{Activation, Mask},
    kernels::{
        ActId, Attention, AttentionJoin, AttentionSpans, Embed, Gated, Keys, MatrixRef, PICTURE, Pick, PixelShuffle,
        Queries, RmsNorm, Rope, Rows, Run, WeightId,
    },
    quant::Format,
    random::Random,
};

pub(super) fn cases() -> Vec<(Case, Step)> {
    let formats = [Format::F32, Format::F16, Format::Q8, Format::Q4];
    let mut all: Vec<_> = formats.map(embed).into();
    all.extend([rms_norm(false), rms_norm(true), gated(Activation::Silu), gated(Activation::GeluTanh)]);
    all.extend([rope(false), rope(true), pick(), pixel_shuffle(), attention_spans(), attention_join()]);
    all
}

fn rms_norm(one_plus: bool) -> (Case, Step) {
    const ROWS: usize = 3;
    const DIM: usize = 77;
    let mut random = Random::new(20);
    // So small that epsilon counts.
    let x: Vec<f32> = random.floats(ROWS * DIM).iter().map(|v| v * 0.01).collect();
    let weights = vec![small(Format::F32, &random.floats(DIM), DIM)];
    let (weight, rows) = (vector(0, DIM), Rows::Shared(ROWS as u32));
    let kernel = RmsNorm { x: ActId(0), weight, y: ActId(1), rows, eps: 1e-5, one_plus, accumulate: false };
    let how = if one_plus { ", 1 + weight" } else { "" };
    let acts = vec![words(&x), poison(ROWS * DIM)];
    // `DIM` additions of squares under a root, and a few more roundings; numbers up to 4.
    let bound = Some((4.0, (DIM as f64 / 2.0 + 16.0) * 2f64.powi(-24)));
    case(format!("rms_norm {DIM}{how}"), acts, 1, bound, (kernel, weights))
}

/// By a part of a table, among pictures and what is another part's.
fn embed(format: Format) -> (Case, Step) {
    const COUNT: usize = 6;
    const DIM: usize = 37;
    let mut random = Random::new(23);
    let ids = vec![9, 4, PICTURE + 1, 3, 7, 10, PICTURE];
    let (pictures, y) = (random.floats(2 * DIM), random.floats(ids.len() * DIM));
    let weights = vec![small(format, &random.floats(COUNT * DIM), DIM)];
    let kernel = Embed {
        ids: ActId(0),
        table: MatrixRef { id: WeightId(0), format, rows: COUNT as u32, cols: DIM as u32 },
        first: 4,
        pictures: Some(ActId(1)),
        y: ActId(2),
        rows: Rows::Shared(ids.len() as u32),
        scale: 3.0,
    };
    let acts = vec![ids, words(&pictures), words(&y)];
    // Two roundings of numbers up to 3.
    case(format!("embed {}", format.name()), acts, 1, Some((3.0, 2f64.powi(-23))), (kernel, weights))
}

/// Queries, or keys that are normed and go with their values to a state that holds others.
fn rope(keys: bool) -> (Case, Step) {
    const TOKENS: usize = 3;
    const PAST: usize = 2;
    const HEADS: usize = 2;
    const SIZE: usize = 12;
    let mut random = Random::new(22);
    let copied = if keys { HEADS } else { 0 };
    let (width, stride) = ((HEADS + copied) * SIZE, 5 * HEADS * SIZE);
    let x = random.floats(TOKENS * stride);
    let places = PAST + TOKENS;
    let turn = |place: usize| {
        let of = |f: fn(f32) -> f32| (0..SIZE / 2).map(move |i| f((place + 1) as f32 / (i + 1) as f32));
        of(f32::cos).chain(of(f32::sin)).collect::<Vec<_>>()
    };
    let table: Vec<f32> = (0..places).flat_map(turn).collect();
    let weights = vec![small(Format::F32, &table, table.len()), small(Format::F32, &random.floats(SIZE), SIZE)];
    let y = random.floats(if keys { places + 2 } else { TOKENS } * width);
    let kernel = Rope {
        x: ActId(0),
        y: ActId(1),
        table: Some(vector(0, table.len())),
        norm: keys.then(|| vector(1, SIZE)),
        eps: 0.01,
        one_plus: keys,
        rows: Rows::PerToken,
        stride: stride as u32,
        from: (SIZE * HEADS) as u32,
        heads: HEADS as u32,
        copied: copied as u32,
        head_size: SIZE as u32,
        most: keys.then_some(places as u32 + 2),
    };
    let name = format!("rope {}", if keys { "of normed keys" } else { "of queries" });
    // Products of numbers up to 8, and what the norm rounds.
    let bound = Some((8.0, 32.0 * 2f64.powi(-24)));
    let (mut case, step) = case(name, vec![words(&x), words(&y)], 1, bound, (kernel, weights));
    case.run = Run { batch: 1, tokens: TOKENS as u32, past: PAST as u32 };
    (case, step)
}

fn gated(activation: Activation) -> (Case, Step) {
    const ROWS: usize = 3;
    const DIM: usize = 23;
    let mut x: Vec<f32> = Random::new(21).floats(2 * ROWS * DIM).iter().map(|v| v * 4.0).collect();
    // The exponential of this is no number in f32.
    x[0] = -100.0;
    let (rows, dim) = (Rows::Shared(ROWS as u32), DIM as u32);
    let kernel = Gated { x: ActId(0), y: ActId(1), rows, dim, activation };
    let acts = vec![words(&x), poison(ROWS * DIM)];
    // WGSL lets exp be off by 3 + 2·|x| units in the last place; products of numbers up to 4.
    case(format!("gated {activation:?}"), acts, 1, Some((16.0, 16.0 * 2f64.powi(-23))), (kernel, Vec::new()))
}

fn pixel_shuffle() -> (Case, Step) {
    const ITEMS: usize = 2;
    const GRID: usize = 6;
    const DIM: usize = 5;
    let x = Random::new(25).floats(ITEMS * (1 + GRID * GRID) * DIM);
    let (grid, dim) = (GRID as u32, DIM as u32);
    let kernel = PixelShuffle { x: ActId(0), y: ActId(1), grid, scale: 3, lead: 1, dim };
    let acts = vec![words(&x), poison(ITEMS * GRID * GRID * DIM)];
    case("pixel_shuffle".into(), acts, ITEMS as u32, None, (kernel, Vec::new()))
}

/// Two tokens over so many keys that they are split: the window hides whole spans of them, and the cap bends most scores.
fn split() -> (Attention, Run) {
    const HEADS: u32 = 4;
    const SIZE: u32 = 64;
    let run = Run { batch: 1, tokens: 2, past: 420 };
    let queries = Queries { act: ActId(0), len: Rows::PerToken, stride: HEADS * SIZE, index: None };
    let stride = HEADS * SIZE;
    let keys = Keys { act: ActId(1), len: Rows::PerToken, stride, k: 0, v: stride / 2, most: Some(425), lengths: None };
    let attention = Attention {
        kv_heads: HEADS / 2,
        scale: 0.2,
        cap: Some(2.0),
        window: Some(SPLIT_WINDOW),
        ..Attention::new(queries, keys, ActId(1), [HEADS, SIZE], Mask::Causal)
    };
    (attention, run)
}

/// Keys that a query sees there: two spans and a part of a third.
const SPLIT_WINDOW: u32 = 290;
const SPLIT_SPANS: usize = 3;

fn attention_spans() -> (Case, Step) {
    let (of, run) = split();
    let size = of.head_size as usize;
    let mut random = Random::new(26);
    let q = random.floats((run.tokens * of.q.stride) as usize);
    let mut kv = random.floats((425 * of.kv.stride) as usize);
    kv[(422 * of.kv.stride) as usize..].fill(f32::NAN);
    let spans = (run.tokens * of.heads) as usize * SPLIT_SPANS;
    // Sums of 128 values within 1, the peak, and the total.
    let magnitude = [vec![128.0; size], vec![4.0, 128.0, 1.0, 1.0]].concat().repeat(spans);
    let acts = vec![words(&q), words(&kv), vec![0], poison(magnitude.len())];
    let kernel = AttentionSpans { of, y: ActId(3) };
    let (mut case, step) = case("attention_spans".into(), acts, 1, Some((1.0, 1.0)), (kernel, Vec::new()));
    case.run = run;
    // As whole attention has it.
    case.bound = Some((magnitude, 2f64.powi(-21) * 10.0 + (size as f64).powi(2) * 0.2 / 4.0 * 2f64.powi(-24)));
    (case, step)
}

/// The last span of every second head has seen no key.
fn attention_join() -> (Case, Step) {
    let (of, run) = split();
    let rows = (run.tokens * of.heads) as usize;
    let mut random = Random::new(27);
    let mut x = Vec::new();
    for at in 0..rows * SPLIT_SPANS {
        x.extend(random.floats(of.head_size as usize));
        let empty = at % SPLIT_SPANS == SPLIT_SPANS - 1 && at / SPLIT_SPANS % 2 == 1;
        x.extend(if empty { [-3.0e38, 0.0, 0.0, 0.0] } else { [50.0 + random.floats(1)[0], 1.5, 0.0, 0.0] });
    }
    let acts = vec![words(&x), poison(rows * of.head_size as usize)];
    let kernel = AttentionJoin { x: ActId(0), of };
    // exp may be off by 2^-21; a few sums of values within 1.
    let (mut case, step) = case("attention_join".into(), acts, 1, Some((1.0, 2f64.powi(-19))), (kernel, Vec::new()));
    case.run = run;
    (case, step)
}

fn pick() -> (Case, Step) {
    const ROWS: usize = 3;
    const COUNT: usize = 600;
    // Below 0 and often more than once; the largest of a row first and last, in one lane, and in two of which the first is later.
    let mut x: Vec<f32> = Random::new(24).floats(ROWS * COUNT).iter().map(|v| (v * 9.0).round() - 20.0).collect();
    let places = [[0, 599], [7, 7 + 256], [300, 40 + 512]];
    for (row, [first, later]) in x.chunks_exact_mut(COUNT).zip(places) {
        (row[first], row[later]) = (-1.0, -1.0);
    }
    let kernel = Pick { x: ActId(0), y: ActId(1), rows: Rows::Shared(ROWS as u32), count: COUNT as u32 };
    // Whole numbers.
    case("pick".into(), vec![words(&x), poison(ROWS)], 1, None, (kernel, Vec::new()))
}
