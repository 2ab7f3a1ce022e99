//! A decoder's step, small: the kernels that only models that write have.

use super::work::{Numbers, Work};
use crate::{
    backend::Backend,
    config::{Activation, Mask, Rope as Turns},
    error::Result,
    kernels::{
        ActId, Attention, Embed, Gated, Keys, Matmul, MatrixRef, Pick, Queries, RmsNorm, Rope, Rows, Run, Spans,
        VectorRef, WeightId,
    },
    plan::Plan,
    quant::{Format, Matrix},
    random::Random,
};

/// A step behind so many keys that they are split, and a prompt.
pub const RUNS: [Run; 2] = [Run { batch: 1, tokens: 1, past: 300 }, Run { batch: 1, tokens: 16, past: 5 }];

/// Heads of queries, which share one of keys and values.
const HEADS: u32 = 2;
const HEAD_SIZE: u32 = 64;
const WIDTH: u32 = HEADS * HEAD_SIZE;
/// Outputs of the one matrix: queries, keys and values, then gate and up, then logits; and its rows as the table of tokens.
const WIDE: u32 = 2 * WIDTH;
/// Tokens that there is room for.
const ROOM: u32 = 384;

/// Activations in the order in which the plan makes them.
const X: ActId = ActId(0);
const CACHE: ActId = ActId(1);

/// The steps with numbers for a run.
pub fn work<B: Backend>(device: &B, run: Run) -> Result<Work<B>> {
    Work::new(device, || record().0, run, numbers(run)?, record().1)
}

/// The steps, and which activations they are judged by.
fn record() -> (Plan, Vec<ActId>) {
    let each = Rows::PerToken;
    let mut plan = Plan::default();
    let x = plan.input("step.x", each, WIDTH as usize);
    let cache = plan.state("step.kv", ROOM, 2 * HEAD_SIZE as usize);
    debug_assert_eq!([x, cache], [X, CACHE]);
    let [normed, q, mixed, gated] =
        ["normed", "q", "mixed", "gated"].map(|name| plan.scratch(&format!("step.{name}"), each, WIDTH as usize));
    let [qkv, wide] = ["qkv", "wide"].map(|name| plan.scratch(&format!("step.{name}"), each, WIDE as usize));
    let spans = plan.scratch("step.spans", Rows::PerItem(1), Attention::span_words([HEADS, HEAD_SIZE], ROOM));
    let next = plan.scratch("step.next", each, 1);
    let token = plan.scratch("step.token", each, WIDTH as usize);
    let matrix = MatrixRef { id: WeightId(0), format: Format::Q8, rows: WIDE, cols: WIDTH };
    let weight = VectorRef { id: WeightId(1), len: WIDTH };
    let table = Some(VectorRef { id: WeightId(2), len: ROOM * HEAD_SIZE });
    plan.step("step.norm", RmsNorm { x, weight, y: normed, rows: each, eps: 1e-6, one_plus: false, accumulate: false });
    plan.step("step.qkv", Matmul::new(normed, matrix, qkv, each));
    let rope = Rope {
        x: qkv,
        y: q,
        table,
        norm: None,
        eps: 0.0,
        one_plus: false,
        rows: each,
        stride: WIDE,
        from: 0,
        heads: HEADS,
        copied: 0,
        head_size: HEAD_SIZE,
        most: None,
    };
    let keys = Rope { y: cache, from: WIDTH, heads: 1, copied: 1, most: Some(ROOM), ..rope.clone() };
    plan.step("step.rope_q", rope);
    plan.step("step.rope_kv", keys);
    let queries = Queries { act: q, len: each, stride: WIDTH, index: None };
    let kv = Keys { act: cache, len: each, stride: 2 * HEAD_SIZE, k: 0, v: HEAD_SIZE, most: Some(ROOM), lengths: None };
    let attention = Attention::new(queries, kv, mixed, [HEADS, HEAD_SIZE], Mask::Causal);
    plan.step("step.attention", Attention { kv_heads: 1, spans: Spans::Into(spans), ..attention });
    plan.step("step.gate_up", Matmul::new(mixed, matrix, wide, each));
    plan.step("step.gated", Gated { x: wide, y: gated, rows: each, dim: WIDTH, activation: Activation::Silu });
    plan.step("step.pick", Pick { x: wide, y: next, rows: each, count: WIDE });
    plan.step(
        "step.embed",
        Embed { ids: next, table: matrix, first: 0, pictures: None, y: token, rows: each, scale: 1.0 },
    );
    (plan, vec![mixed, gated, token])
}

/// Weights and inputs. Behind the tokens that are there the state has no numbers: none of them may be seen.
fn numbers(run: Run) -> Result<Numbers> {
    let mut random = Random::new(2);
    let [width, head, room] = [WIDTH, HEAD_SIZE, ROOM].map(|n| n as usize);
    let turns = Turns { theta: 10_000.0, factor: 1.0 }.table(room, head);
    let matrices = vec![
        Matrix::new(Format::Q8, &random.floats(2 * width * width), width)?,
        Matrix::new(Format::F32, &random.floats(width), width)?,
        Matrix::new(Format::F32, &turns, room * head)?,
    ];
    let mut cache = vec![f32::NAN; room * 2 * head];
    let past = run.past as usize * 2 * head;
    cache[..past].copy_from_slice(&random.floats(past));
    let x = random.floats(run.tokens as usize * width);
    Ok((matrices, vec![(X, x), (CACHE, cache)]))
}
