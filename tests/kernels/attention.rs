use ocelli::{
    config::Mask,
    kernels::{ActId, Attention, Keys, Queries},
    random::Random,
};

use crate::case::{Build, Case, Step, output, poison, words};

#[derive(Clone, Copy)]
struct Shape {
    batch: usize,
    heads: usize,
    size: usize,
    q_len: usize,
    kv_len: usize,
    mask: Mask,
    shared: bool,
}

pub fn cases() -> Vec<Case> {
    let base = Shape { batch: 2, heads: 3, size: 8, q_len: 5, kv_len: 5, mask: Mask::None, shared: false };
    [
        Shape { batch: 1, heads: 1, size: 1, q_len: 1, kv_len: 1, ..base },
        base,
        Shape { mask: Mask::Causal, ..base },
        // Head sizes of published models, and odd ones
        Shape { heads: 2, size: 72, q_len: 9, kv_len: 9, ..base },
        Shape { heads: 2, size: 80, q_len: 9, kv_len: 9, mask: Mask::Causal, ..base },
        Shape { heads: 2, size: 128, q_len: 3, kv_len: 3, ..base },
        Shape { heads: 5, size: 15, q_len: 77, kv_len: 77, mask: Mask::Causal, ..base },
        Shape { heads: 1, size: 7, q_len: 257, kv_len: 257, batch: 1, ..base },
        // One probe for all items, as SigLIP's head has it
        Shape { batch: 3, heads: 4, size: 9, q_len: 1, kv_len: 50, shared: true, ..base },
        Shape { batch: 2, q_len: 4, kv_len: 11, ..base },
    ]
    .map(case)
    .into()
}

fn case(s: Shape) -> Case {
    let mut random = Random::new((s.size * 100 + s.q_len) as u64);
    let dim = s.heads * s.size;
    let q_items = if s.shared { 1 } else { s.batch };
    let scaled = |v: Vec<f32>| v.into_iter().map(|x| x * 4.0).collect::<Vec<_>>();
    let q = scaled(random.floats(q_items * s.q_len * dim));
    let kv = scaled(random.floats(s.batch * s.kv_len * 2 * dim));
    let build = |s: Shape, change: fn(&mut Attention)| -> Build {
        Box::new(move || {
            let mut kernel = kernel(s);
            change(&mut kernel);
            Step { kernel: Box::new(kernel), weights: Vec::new() }
        })
    };
    let mut wrong: Vec<(&'static str, Build)> = Vec::new();
    if s.kv_len > 1 {
        wrong.push(("keys and values exchanged", build(s, |a| (a.kv.k, a.kv.v) = (a.kv.v, a.kv.k))));
        wrong.push(("last key left out", build(s, |a| a.kv.len -= 1)));
        if s.q_len == s.kv_len {
            wrong.push((
                "mask exchanged",
                build(s, |a| {
                    a.mask = if a.mask == Mask::None { Mask::Causal } else { Mask::None };
                }),
            ));
        }
    }
    if s.shared {
        wrong.push(("probe taken for each item's own", build(s, |a| a.q.shared = false)));
    }
    Case {
        name: format!(
            "attention batch={} heads={} size={} q={} kv={} {:?} shared={}",
            s.batch, s.heads, s.size, s.q_len, s.kv_len, s.mask, s.shared
        ),
        acts: vec![words(&q), words(&kv), poison(s.batch * s.q_len * dim)],
        rough: None,
        batch: s.batch as u32,
        right: build(s, |_| ()),
        wrong,
        // Scores of up to 16·√size are known to 2^-24 of that, times size additions; exp turns that into a relative error,
        // and a driver's own exp may be off by 2^-21. Values stay within 4.
        bound: Some((
            vec![4.0; s.batch * s.q_len * dim],
            2f64.powi(-21) * 8.0 + 16.0 * (s.size as f64).powf(1.5) * 2f64.powi(-24),
        )),
    }
}

fn kernel(s: Shape) -> Attention {
    let dim = (s.heads * s.size) as u32;
    Attention {
        q: Queries { act: ActId(0), len: s.q_len as u32, stride: dim, shared: s.shared },
        kv: Keys { act: ActId(1), len: s.kv_len as u32, stride: 2 * dim, k: 0, v: dim },
        y: output(2),
        heads: s.heads as u32,
        head_size: s.size as u32,
        mask: s.mask,
    }
}
