use ocelli::{
    config::Mask,
    kernels::{ActId, Attention, Keys, Queries, Rows, Run},
    random::Random,
};

use crate::case::{Build, Case, Step, output, poison, words};

/// Which queries there are.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Asked {
    /// Each item's own; with a causal mask the last one has the last place.
    Own,
    /// One probe for all items, as SigLIP's head has it.
    Shared,
    /// Each item's own, from a place that `index` says.
    Placed,
    /// Each item's own, of keys that are padded.
    Padded,
    /// One probe, of keys that are padded.
    SharedPadded,
}

impl Asked {
    fn shared(self) -> bool {
        matches!(self, Self::Shared | Self::SharedPadded)
    }
    fn padded(self) -> bool {
        matches!(self, Self::Padded | Self::SharedPadded)
    }
}

#[derive(Clone, Copy)]
struct Shape {
    batch: usize,
    heads: usize,
    size: usize,
    q_len: usize,
    kv_len: usize,
    mask: Mask,
    asked: Asked,
    /// Tokens of an item that a state holds from earlier runs, and room for more than there are.
    state: Option<(usize, usize)>,
}

pub fn cases() -> Vec<Case> {
    let base =
        Shape { batch: 2, heads: 3, size: 8, q_len: 5, kv_len: 5, mask: Mask::None, asked: Asked::Own, state: None };
    let square = |size, len, mask, shape: Shape| Shape { size, q_len: len, kv_len: len, mask, ..shape };
    let mut shapes = vec![
        Shape { batch: 1, heads: 1, size: 1, q_len: 1, kv_len: 1, ..base },
        base,
        Shape { mask: Mask::Causal, ..base },
        // Head sizes of published models, and odd ones
        square(72, 9, Mask::None, Shape { heads: 2, ..base }),
        square(80, 9, Mask::Causal, Shape { heads: 2, ..base }),
        square(128, 3, Mask::None, Shape { heads: 2, ..base }),
        square(15, 77, Mask::Causal, Shape { heads: 5, ..base }),
        square(7, 257, Mask::None, Shape { heads: 1, batch: 1, ..base }),
        Shape { batch: 3, heads: 4, size: 9, q_len: 1, kv_len: 50, asked: Asked::Shared, ..base },
        Shape { batch: 3, heads: 2, size: 64, q_len: 1, kv_len: 70, asked: Asked::Shared, ..base },
        Shape { batch: 2, q_len: 4, kv_len: 11, ..base },
        // One query of each item, at a place of its own
        Shape { q_len: 1, kv_len: 9, mask: Mask::Causal, asked: Asked::Placed, ..base },
        Shape { heads: 2, size: 64, q_len: 1, kv_len: 77, mask: Mask::Causal, asked: Asked::Placed, ..base },
        Shape { heads: 2, size: 7, q_len: 3, kv_len: 20, mask: Mask::Causal, asked: Asked::Placed, ..base },
        // Pictures of other numbers of patches in one run
        Shape { asked: Asked::Padded, ..base },
        Shape { heads: 2, size: 64, q_len: 70, kv_len: 70, asked: Asked::Padded, ..base },
        Shape { heads: 4, size: 9, q_len: 1, kv_len: 50, asked: Asked::SharedPadded, ..base },
        Shape { heads: 2, size: 64, q_len: 1, kv_len: 70, asked: Asked::SharedPadded, ..base },
        // The keys of earlier runs: the first step, one token more, several more
        Shape { mask: Mask::Causal, state: Some((0, 9)), ..base },
        Shape { q_len: 1, kv_len: 8, mask: Mask::Causal, state: Some((7, 9)), ..base },
        Shape { heads: 2, size: 64, q_len: 5, kv_len: 45, mask: Mask::Causal, state: Some((40, 64)), ..base },
        Shape { heads: 2, size: 7, q_len: 3, kv_len: 11, state: Some((8, 11)), ..base },
    ];
    // Several tiles of keys, where a running softmax is carried from tile to tile.
    for mask in [Mask::None, Mask::Causal] {
        for len in [33, 77, 197, 257] {
            shapes.push(square(64, len, mask, Shape { heads: 2, batch: if len > 100 { 1 } else { 2 }, ..base }));
        }
        shapes.push(square(88, 40, mask, Shape { heads: 2, ..base }));
        shapes.push(square(128, 40, mask, Shape { heads: 2, ..base }));
    }
    // So many queries that a workgroup takes more of them, with heads of published models.
    let many = |size, q_len, mask, asked| Shape {
        heads: 2,
        size,
        q_len,
        kv_len: if mask == Mask::Causal { q_len } else { 70 },
        mask,
        asked,
        ..base
    };
    shapes.extend([16, 64, 80, 128].map(|size| many(size, 520, Mask::None, Asked::Own)));
    shapes.extend([many(64, 513, Mask::Causal, Asked::Own), many(16, 512, Mask::None, Asked::Padded)]);
    // Some of the queries: 150 are cut into 64, 64 and 22.
    let long = |size, mask, batch, asked| Shape { size, q_len: 150, kv_len: 150, mask, batch, asked, heads: 2, ..base };
    let cut = [
        (long(7, Mask::None, 2, Asked::Own), 1),
        (long(64, Mask::None, 2, Asked::Own), 2),
        (long(64, Mask::Causal, 1, Asked::Own), 1),
        (long(16, Mask::None, 2, Asked::Padded), 0),
        (many(64, 600, Mask::None, Asked::Own), 1),
    ];
    shapes.into_iter().map(case).chain(cut.into_iter().map(|(shape, part)| case(shape).cut(part))).collect()
}

fn case(s: Shape) -> Case {
    let mut random = Random::new((s.size * 100 + s.q_len) as u64);
    let dim = s.heads * s.size;
    let q_items = if s.asked.shared() { 1 } else { s.batch };
    let scaled = |v: Vec<f32>| v.into_iter().map(|x| x * 4.0).collect::<Vec<_>>();
    let room = s.state.map_or(s.kv_len, |(_, most)| most);
    let q = scaled(random.floats(q_items * s.q_len * dim));
    let kv = scaled(random.floats(s.batch * room * 2 * dim));
    let places: Vec<u32> = match s.asked.padded() {
        false => (0..s.batch).map(|b| [s.kv_len / 2, s.kv_len.saturating_sub(s.q_len), 0][b] as u32).collect(),
        true => (0..s.batch).map(|b| [s.kv_len / 2, s.kv_len][b] as u32).collect(),
    };
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
        // Without it a causal mask would have fewer keys than queries, which is no attention at all.
        let enough = s.mask == Mask::None || s.kv_len > s.q_len;
        if enough && s.asked != Asked::Placed && !s.asked.padded() {
            wrong.push(("last key left out", build(s, |a| a.kv.len = Rows::PerItem(a.kv.len.each(Run::items(1)) - 1))));
        }
        if s.q_len == s.kv_len {
            let other = |a: &mut Attention| a.mask = if a.mask == Mask::None { Mask::Causal } else { Mask::None };
            wrong.push(("mask exchanged", build(s, other)));
        }
    }
    match s.asked {
        Asked::Own => {}
        Asked::Padded | Asked::SharedPadded => wrong.push(("padding seen", build(s, |a| a.kv.lengths = None))),
        Asked::Shared => {
            let own = |a: &mut Attention| a.q.len = Rows::PerItem(1);
            wrong.push(("probe taken for each item's own", build(s, own)));
        }
        Asked::Placed => {
            wrong.push(("place not seen", build(s, |a| a.q.index = None)));
            wrong.push(("mask off", build(s, |a| a.mask = Mask::None)));
        }
    }
    if let Some((past, most)) = s.state {
        if most > s.kv_len {
            wrong.push((
                "items of the state as long as what is in it",
                build(s, |a| a.kv.most = a.kv.most.map(|m| m - 1)),
            ));
        }
        if past > 0 {
            wrong.push(("what is past not seen", build(s, |a| a.kv.most = None)));
        }
    }
    let past = s.state.map_or(0, |(past, _)| past) as u32;
    Case {
        name: format!(
            "attention batch={} heads={} size={} q={} kv={} {:?} {:?} state={:?}",
            s.batch, s.heads, s.size, s.q_len, s.kv_len, s.mask, s.asked, s.state
        ),
        acts: vec![words(&q), words(&kv), places, poison(s.batch * s.q_len * dim)],
        rough: None,
        run: Run { batch: s.batch as u32, tokens: 1, past },
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
    let q_len = s.q_len as u32;
    let past = s.state.map_or(0, |(past, _)| past);
    Attention {
        q: Queries {
            act: ActId(0),
            len: if s.asked.shared() { Rows::Shared(q_len) } else { Rows::PerItem(q_len) },
            stride: dim,
            index: (s.asked == Asked::Placed).then_some(ActId(2)),
        },
        kv: Keys {
            act: ActId(1),
            len: Rows::PerItem((s.kv_len - past) as u32),
            stride: 2 * dim,
            k: 0,
            v: dim,
            most: s.state.map(|(_, most)| most as u32),
            lengths: s.asked.padded().then_some(ActId(2)),
        },
        y: output(3),
        heads: s.heads as u32,
        head_size: s.size as u32,
        mask: s.mask,
    }
}
