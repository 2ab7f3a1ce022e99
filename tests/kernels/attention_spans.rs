//! Keys that are shared out among workgroups, and what joins their sums; and that both come to what the whole attention gives.

use libtest_mimic::Failed;
use ocelli::{
    config::Mask,
    kernels::{ActId, Attention, AttentionJoin, AttentionSpans, Keys, Queries, Rows, Run, Spans},
    plan::Plan,
    random::Random,
    reference,
};

use crate::{
    case::{Case, Wrong, changed, poison, with_others, words},
    common::compare,
};

#[derive(Clone, Copy)]
struct Shape {
    batch: usize,
    heads: usize,
    group: usize,
    size: usize,
    /// Queries, the last of the keys.
    tokens: usize,
    keys: usize,
    cap: Option<f32>,
    window: Option<usize>,
    mask: Mask,
}

/// Keys of a span, as the kernel has them.
const SPAN: usize = 128;

pub fn cases() -> Vec<Case> {
    shapes().into_iter().flat_map(|shape| [spans(shape), join(shape)]).collect()
}

/// Just more than are left whole, whole spans and one key more; shared and wide heads; several queries, of which the first sees no key of
/// the last span; windows that end in a span and hide whole ones; all keys for all queries.
fn shapes() -> Vec<Shape> {
    let base = Shape {
        batch: 1,
        heads: 4,
        group: 2,
        size: 64,
        tokens: 1,
        keys: 257,
        cap: None,
        window: None,
        mask: Mask::Causal,
    };
    vec![
        base,
        Shape { batch: 2, keys: 384, ..base },
        Shape { heads: 9, group: 3, keys: 385, tokens: 7, ..base },
        Shape { size: 256, heads: 2, keys: 300, cap: Some(2.0), ..base },
        Shape { size: 12, group: 1, keys: 600, window: Some(300), ..base },
        Shape { keys: 900, tokens: 3, window: Some(513), ..base },
        Shape { keys: 513, tokens: 2, mask: Mask::None, ..base },
    ]
}

/// The attention, over activations 0 to 2, and its output.
fn attention(s: Shape, y: ActId) -> Attention {
    let [heads, size, tokens] = [s.heads, s.size, s.tokens].map(|n| n as u32);
    let width = heads / s.group as u32 * size;
    let len = Rows::PerItem(tokens);
    let q = Queries { act: ActId(0), len, stride: heads * size, index: None };
    let most = Some(s.keys as u32 + 3);
    let kv = Keys { act: ActId(1), len, stride: 2 * width, k: 0, v: width, most, lengths: None };
    Attention {
        kv_heads: heads / s.group as u32,
        // Of many keys each must weigh enough to be missed.
        scale: 0.02,
        cap: s.cap,
        window: s.window.map(|window| window as u32),
        ..Attention::new(q, kv, y, [heads, size], s.mask)
    }
}

fn run(s: Shape) -> Run {
    Run { batch: s.batch as u32, tokens: 1, past: (s.keys - s.tokens) as u32 }
}

/// Queries, keys with what a state has room for and does not hold, and an index that nobody reads.
fn inputs(s: Shape) -> Vec<Vec<u32>> {
    let mut random = Random::new((s.size * 100 + s.keys) as u64);
    let mut scaled = |count| random.floats(count).into_iter().map(|x| x * 4.0).collect::<Vec<_>>();
    let q = scaled(s.batch * s.tokens * s.heads * s.size);
    let (room, token) = (s.keys + 3, 2 * s.heads / s.group * s.size);
    let mut kv = scaled(s.batch * room * token);
    kv.chunks_exact_mut(room * token).for_each(|item| item[s.keys * token..].fill(f32::NAN));
    vec![words(&q), words(&kv), vec![0; s.batch]]
}

fn spans_of(s: Shape) -> usize {
    s.window.unwrap_or(s.keys).min(s.keys).div_ceil(SPAN)
}

fn name(s: Shape) -> String {
    let Shape { batch, heads, group, size, tokens, keys, cap, window, mask } = s;
    format!(
        "batch={batch} heads={heads} group={group} size={size} q={tokens} kv={keys} cap={cap:?} window={window:?} {mask:?}"
    )
}

/// Scores of up to 16·size·scale are known to 2^-24 of that, times size additions, and a driver's exp and tanh may be off by 2^-21: so is
/// each of up to [`SPAN`] shares, whose values stay within 4.
fn share(s: Shape) -> f64 {
    2f64.powi(-21) * (8.0 + f64::from(s.cap.unwrap_or(0.0))) + 16.0 * (s.size as f64).powi(2) * 0.02 * 2f64.powi(-24)
}

fn spans(s: Shape) -> Case {
    let rows = s.batch * s.tokens * s.heads * spans_of(s);
    let right = AttentionSpans { of: attention(s, ActId(2)), y: ActId(3) };
    let build = |change: fn(&mut AttentionSpans)| changed(&right, &[], change);
    let mut wrong: Wrong = vec![
        ("keys and values exchanged", build(|k| (k.of.kv.k, k.of.kv.v) = (k.of.kv.v, k.of.kv.k))),
        ("twice the scale", build(|k| k.of.scale *= 2.0)),
        ("not split", build(|k| k.of.kv.most = None)),
    ];
    if s.group > 1 {
        wrong.push(("every head has its own keys", build(|k| k.of.kv_heads = k.of.heads)));
    }
    // The first of several queries sees fewer keys.
    if s.tokens > 1 && s.window.is_none() {
        let other = |k: &mut AttentionSpans| {
            k.of.mask = if k.of.mask == Mask::None { Mask::Causal } else { Mask::None };
        };
        wrong.push(("mask exchanged", build(other)));
    }
    if s.window.is_some() {
        wrong.push(("a window too narrow", build(|k| k.of.window = k.of.window.map(|window| window - 1))));
    }
    // Sums of up to 128 values within 4, then the peak and the total.
    let magnitude = [vec![4.0 * SPAN as f32; s.size], vec![64.0, SPAN as f32, 1.0, 1.0]].concat().repeat(rows);
    let y = poison(magnitude.len());
    Case {
        name: format!("attention_spans {}", name(s)),
        acts: [inputs(s), vec![y]].concat(),
        rough: None,
        run: run(s),
        right: build(|_| ()),
        wrong,
        bound: Some((magnitude, share(s))),
    }
}

fn join(s: Shape) -> Case {
    let (rows, spans) = (s.batch * s.tokens * s.heads, spans_of(s));
    let mut random = Random::new((s.size + s.keys) as u64);
    let mut x = Vec::new();
    for at in 0..rows * spans {
        x.extend(random.floats(s.size).iter().map(|v| v * 4.0));
        // Peaks far from 0 and near each other; the last span of every second head has seen no key.
        let empty = at % spans == spans - 1 && at / spans % 2 == 1;
        x.extend(if empty { [-3.0e38, 0.0, 0.0, 0.0] } else { [90.0 + 2.0 * random.floats(1)[0], 1.5, 0.0, 0.0] });
    }
    let changed_tails = |change: fn(&mut [f32])| {
        let mut x = x.clone();
        x.chunks_exact_mut(s.size + 4).for_each(|span| change(&mut span[s.size..]));
        words(&reference::attention_join(&x, spans, s.size))
    };
    let others = vec![
        ("every span weighs the same", changed_tails(|tail| tail[0] = 0.0)),
        ("totals not joined", changed_tails(|tail| tail[1] = 1.0)),
    ];
    let (acts, y, mut wrong) = with_others(vec![words(&x)], others, poison(rows * s.size), 1);
    let right = AttentionJoin { x: ActId(0), of: attention(s, y) };
    let build = |change: fn(&mut AttentionJoin)| changed(&right, &[], change);
    let less = |k: &mut AttentionJoin| {
        k.of.mask = Mask::Causal;
        k.of.window = Some(k.of.window.unwrap_or(k.of.kv.most.unwrap_or(0) - 3) - SPAN as u32);
    };
    wrong.extend([("a span less", build(less)), ("heads of another size", build(|k| k.of.head_size += 4))]);
    Case {
        name: format!("attention_join {}", name(s)),
        acts,
        rough: None,
        run: run(s),
        right: build(|_| ()),
        wrong,
        // Of values within 4, shares whose exp may be off by 2^-21, and a few sums; a total may be small beside them.
        bound: Some((vec![4.0; rows * s.size], 2f64.powi(-19))),
    }
}

/// What is recorded, as a GPU splits it, comes to what the whole attention gives; in runs of few keys, too.
pub fn split_is_the_whole() -> Result<(), Failed> {
    for (keys, s) in shapes().into_iter().flat_map(|s| [(s.keys, s), (20, s)]) {
        let s = Shape { keys, ..s };
        let y = ActId(3);
        let whole = attention(s, y);
        let plan = |spans: Option<ActId>| {
            let mut plan = Plan::default();
            let [q, kv, index] = [0, 1, 2].map(|at| inputs(s)[at].clone());
            for words in [&q, &kv, &index] {
                plan.input("act", Rows::Shared(1), words.len());
            }
            plan.scratch("y", Rows::Shared(1), s.batch * s.tokens * s.heads * s.size);
            let words = Attention::span_words([s.heads, s.size].map(|n| n as u32), keys as u32);
            assert_eq!(plan.scratch("spans", Rows::PerItem(1), words), ActId(4));
            plan.step("attention", Attention { spans: spans.map_or(Spans::Whole, Spans::Into), ..whole.clone() });
            (plan, [q, kv, index])
        };
        let computed = |(plan, inputs): (Plan, [Vec<u32>; 3])| {
            let inputs: Vec<(ActId, &[u32])> =
                inputs.iter().enumerate().map(|(at, words)| (ActId(at), &words[..])).collect();
            plan.run_reference(&[], &inputs, run(s)).acts[y.0].clone()
        };
        let (split, inputs) = plan(Some(ActId(4)));
        let split = split.split();
        assert_eq!(split.len(), 3);
        let (found, expected) = (computed((split, inputs)), computed(plan(None)));
        let magnitude = vec![4.0; expected.len()];
        compare("split", bytemuck::cast_slice(&found), bytemuck::cast_slice(&expected), &magnitude, 1e-6)?;
    }
    Ok(())
}
