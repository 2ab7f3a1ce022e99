use ocelli::{
    config::Mask,
    kernels::{ActId, Attention, Keys, Queries, Rows, Run},
    random::Random,
    verify,
};

use crate::case::{Build, Case, Step, output, poison, with_others, words};

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
    /// Each item's own, of one set of keys for all items, of which each sees as many as it has: cross attention of beams.
    Cross,
}

impl Asked {
    fn shared(self) -> bool {
        matches!(self, Self::Shared | Self::SharedPadded)
    }
    fn padded(self) -> bool {
        matches!(self, Self::Padded | Self::SharedPadded | Self::Cross)
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
    /// Heads of a query token that share one of a key token.
    group: usize,
    /// In place of 1 / √size.
    scale: Option<f32>,
    cap: Option<f32>,
    window: Option<usize>,
    /// Parts of an item that see nothing of each other.
    windows: usize,
}

pub fn cases() -> Vec<Case> {
    let base = Shape {
        batch: 2,
        heads: 3,
        size: 8,
        q_len: 5,
        kv_len: 5,
        mask: Mask::None,
        asked: Asked::Own,
        state: None,
        group: 1,
        scale: None,
        cap: None,
        window: None,
        windows: 1,
    };
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
    shapes.extend(decoders(base));
    // Windows of a picture: several of an item, with heads of whole vectors and not; as published.
    shapes.extend([(2, 9, 4), (4, 25, 9), (2, 144, 4), (3, 7, 1)].map(|(heads, len, windows)| {
        let size = if len == 7 { 5 } else { 32 };
        Shape { heads, size, q_len: len, kv_len: len, windows, ..base }
    }));
    // One set of keys for all items: one query and several, few keys and so many that they are split.
    for (size, q_len, kv_len) in [(64, 1, 40), (64, 2, 600), (12, 1, 33), (7, 3, 20), (64, 9, 70)] {
        shapes.push(Shape { batch: 2, heads: 2, size, q_len, kv_len, asked: Asked::Cross, ..base });
    }
    // Some of the queries: 150 are cut into 64, 64 and 22.
    let long = |size, mask, batch, asked| Shape { size, q_len: 150, kv_len: 150, mask, batch, asked, heads: 2, ..base };
    let cut = [
        (long(7, Mask::None, 2, Asked::Own), 1),
        (long(64, Mask::None, 2, Asked::Own), 2),
        (long(64, Mask::Causal, 1, Asked::Own), 1),
        (long(16, Mask::None, 2, Asked::Padded), 0),
        (many(64, 600, Mask::None, Asked::Own), 1),
        (Shape { group: 2, window: Some(50), cap: Some(2.0), ..long(64, Mask::Causal, 1, Asked::Own) }, 2),
        (long(160, Mask::Causal, 1, Asked::Own), 1),
    ];
    shapes.into_iter().map(case).chain(cut.into_iter().map(|(shape, part)| case(shape).cut(part))).collect()
}

/// What decoders need: shared heads of keys, windows, caps, scales of their own, wide heads; steps of one token and of several.
fn decoders(base: Shape) -> Vec<Shape> {
    let causal = Shape { mask: Mask::Causal, ..base };
    let step = |heads, group, size, q_len, kv_len| Shape {
        heads,
        group,
        size,
        q_len,
        kv_len,
        state: Some((kv_len - q_len, kv_len + 5)),
        // Of many keys each must weigh enough to be missed.
        scale: (kv_len >= 100).then_some(0.02),
        ..causal
    };
    let mut shapes = vec![
        // Steps: the first token, several chunks of keys and their edges, as many queries as are few, and one more.
        step(9, 3, 64, 1, 1),
        step(9, 3, 64, 1, 300),
        step(2, 2, 64, 1, 127),
        step(2, 2, 64, 1, 128),
        step(4, 2, 64, 1, 129),
        step(4, 2, 72, 7, 45),
        step(4, 2, 64, 8, 45),
        step(6, 3, 7, 3, 20),
        step(4, 1, 16, 2, 30),
        step(14, 7, 64, 1, 33),
        // Wide heads
        step(4, 4, 256, 1, 140),
        step(4, 2, 256, 9, 30),
        Shape { heads: 2, size: 132, q_len: 3, kv_len: 7, ..base },
        Shape { heads: 4, group: 4, size: 256, q_len: 20, kv_len: 20, ..base },
        Shape { heads: 2, size: 160, q_len: 1, kv_len: 20, asked: Asked::Shared, ..base },
        Shape { heads: 2, size: 160, q_len: 3, kv_len: 20, asked: Asked::Placed, ..causal },
        Shape { heads: 2, size: 160, q_len: 5, kv_len: 5, asked: Asked::Padded, ..base },
        // A prompt in tiles, whole and by chunks
        Shape { heads: 4, group: 2, size: 64, q_len: 40, kv_len: 40, ..causal },
        Shape { heads: 4, group: 4, size: 128, q_len: 40, kv_len: 40, ..causal },
        Shape { heads: 6, group: 3, size: 15, q_len: 20, kv_len: 20, ..causal },
        step(4, 2, 64, 40, 70),
        Shape { heads: 4, group: 2, size: 64, q_len: 520, kv_len: 520, batch: 1, window: Some(70), ..causal },
        Shape { heads: 2, size: 64, q_len: 3, kv_len: 20, asked: Asked::Placed, window: Some(4), ..causal },
    ];
    // Narrower and wider than a tile, wider than all keys, and the query's own key alone.
    for window in [1, 9, 33, 100] {
        shapes.extend(
            [step(4, 2, 64, 1, 70), step(4, 2, 64, 3, 70), step(4, 2, 64, 40, 70), step(4, 2, 7, 20, 70)]
                .map(|shape| Shape { window: Some(window), ..shape }),
        );
    }
    shapes.push(Shape { window: Some(129), ..step(4, 2, 64, 1, 300) });
    // A cap that bends most scores: those of published models bend few.
    for shape in [step(4, 2, 64, 1, 70), step(4, 2, 64, 40, 70), step(4, 2, 256, 1, 70), step(4, 2, 7, 20, 30)] {
        shapes.push(Shape { cap: Some(2.0), ..shape });
        shapes.push(Shape { scale: Some(0.02), ..shape });
        shapes.push(Shape { cap: Some(2.0), scale: Some(0.02), window: Some(9), ..shape });
    }
    shapes
}

fn case(s: Shape) -> Case {
    let mut random = Random::new((s.size * 100 + s.q_len) as u64);
    let dim = s.heads * s.size;
    let q_items = if s.asked.shared() { 1 } else { s.batch * s.windows };
    let kv_items = if s.asked == Asked::Cross { 1 } else { s.batch * s.windows };
    let scaled = |v: Vec<f32>| v.into_iter().map(|x| x * 4.0).collect::<Vec<_>>();
    let room = s.state.map_or(s.kv_len, |(_, most)| most);
    let q = scaled(random.floats(q_items * s.q_len * dim));
    let token = 2 * dim / s.group;
    let mut kv = scaled(random.floats(kv_items * room * token));
    // What a state has room for and does not hold must not show.
    kv.chunks_exact_mut(room * token).for_each(|item| item[s.kv_len * token..].fill(f32::NAN));
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
        if enough && s.windows == 1 && s.asked != Asked::Placed && !s.asked.padded() {
            wrong.push(("last key left out", build(s, |a| a.kv.len = Rows::PerItem(a.kv.len.each(Run::items(1)) - 1))));
        }
        if s.q_len == s.kv_len {
            let other = |a: &mut Attention| a.mask = if a.mask == Mask::None { Mask::Causal } else { Mask::None };
            wrong.push(("mask exchanged", build(s, other)));
        }
    }
    match s.asked {
        Asked::Own => {}
        Asked::Cross => {
            wrong.push(("keys that the item lacks seen", build(s, |a| a.kv.lengths = None)));
            let own = |a: &mut Attention| a.kv.len = Rows::PerItem(a.kv.len.each(Run::items(1)) / 2);
            wrong.push(("keys taken for each item's own", build(s, own)));
        }
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
        if s.mask == Mask::Causal && most > s.kv_len {
            let on = |a: &mut Attention| a.kv.len = Rows::PerItem(a.kv.len.each(Run::items(1)) + 1);
            wrong.push(("a place further on", build(s, on)));
        }
        if s.mask == Mask::Causal && s.q_len > 1 {
            wrong.push(("what is to come seen", build(s, |a| a.mask = Mask::None)));
        }
    }
    if s.windows > 1 {
        wrong.push(("all windows as one", build(s, |a| a.windows = 1)));
    }
    if s.cap.is_some() {
        wrong.push(("cap left out", build(s, |a| a.cap = None)));
    }
    if s.scale.is_some() {
        wrong.push(("the usual scale", build(s, |a| a.scale = 1.0 / (a.head_size as f32).sqrt())));
    }
    if let Some(window) = s.window.filter(|window| *window < s.kv_len) {
        wrong.push(("a window too wide", build(s, |a| a.window = a.window.map(|window| window + 1))));
        wrong.push(("no window", build(s, |a| a.window = None)));
        if window > 1 {
            wrong.push(("a window too narrow", build(s, |a| a.window = a.window.map(|window| window - 1))));
        }
    }
    let past = s.state.map_or(0, |(past, _)| past) as u32;
    let run = Run { batch: s.batch as u32, tokens: 1, past };
    let mut acts = vec![words(&q), words(&kv), places, poison(s.batch * s.windows * s.q_len * dim)];
    if s.group > 1 && s.group < s.heads {
        let tiled = tiled(s, acts.clone(), run);
        let y = acts.pop().expect("the output");
        let others = vec![("heads of keys one after the other, not each several times", tiled)];
        let (with, out, copies) = with_others(acts, others, y, s.batch);
        assert_eq!(out, output_of(s));
        acts = with;
        wrong.extend(copies);
    }
    let switches: String = [
        (s.group > 1).then(|| format!(" group={}", s.group)),
        (s.windows > 1).then(|| format!(" windows={}", s.windows)),
        s.scale.map(|scale| format!(" scale={scale}")),
        s.cap.map(|cap| format!(" cap={cap}")),
        s.window.map(|window| format!(" window={window}")),
    ]
    .into_iter()
    .flatten()
    .collect();
    let scale = f64::from(kernel(s).scale);
    Case {
        name: format!(
            "attention batch={} heads={} size={} q={} kv={} {:?} {:?} state={:?}{switches}",
            s.batch, s.heads, s.size, s.q_len, s.kv_len, s.mask, s.asked, s.state
        ),
        acts,
        rough: None,
        run,
        right: build(s, |_| ()),
        wrong,
        // Scores of up to 16·size·scale are known to 2^-24 of that, times size additions; exp turns that into a relative error,
        // and a driver's own exp may be off by 2^-21, as may its tanh. Values stay within 4.
        bound: Some((
            vec![4.0; s.batch * s.windows * s.q_len * dim],
            2f64.powi(-21) * (8.0 + f64::from(s.cap.unwrap_or(0.0)))
                + 16.0 * (s.size as f64).powi(2) * scale * 2f64.powi(-24),
        )),
    }
}

/// After the inputs, and after what is made of tiled heads where heads are shared.
fn output_of(s: Shape) -> ActId {
    output(if s.group > 1 && s.group < s.heads { 4 } else { 3 })
}

/// What comes of keys whose heads are laid side by side again and again, a, b, a, b, where each should follow itself: a, a, b, b.
fn tiled(s: Shape, mut acts: Vec<Vec<u32>>, run: Run) -> Vec<u32> {
    let width = s.heads / s.group * s.size;
    let all = |part: &[u32]| part.repeat(s.group);
    acts[1] = acts[1].chunks_exact(width).flat_map(all).collect();
    let step = Step { kernel: Box::new(kernel(Shape { group: 1, ..s })), weights: Vec::new() };
    let words = acts[3].len();
    let case = verify::Case { name: String::new(), acts, run, bound: None, rough: None };
    let mut y = case.expected(&step);
    y.truncate(words);
    y
}

fn kernel(s: Shape) -> Attention {
    let dim = (s.heads * s.size) as u32;
    let kv_dim = dim / s.group as u32;
    let q_len = (s.q_len * s.windows) as u32;
    let past = s.state.map_or(0, |(past, _)| past);
    let q = Queries {
        act: ActId(0),
        len: if s.asked.shared() { Rows::Shared(q_len) } else { Rows::PerItem(q_len) },
        stride: dim,
        index: (s.asked == Asked::Placed).then_some(ActId(2)),
    };
    let kv = Keys {
        act: ActId(1),
        len: match s.asked {
            Asked::Cross => Rows::Shared(s.kv_len as u32),
            _ => Rows::PerItem(((s.kv_len - past) * s.windows) as u32),
        },
        stride: 2 * kv_dim,
        k: 0,
        v: kv_dim,
        most: s.state.map(|(_, most)| most as u32),
        lengths: s.asked.padded().then_some(ActId(2)),
    };
    let usual = Attention::new(q, kv, output_of(s), [s.heads as u32, s.size as u32], s.mask);
    Attention {
        kv_heads: (s.heads / s.group) as u32,
        scale: s.scale.unwrap_or(usual.scale),
        cap: s.cap,
        window: s.window.map(|window| window as u32),
        windows: s.windows as u32,
        ..usual
    }
}
