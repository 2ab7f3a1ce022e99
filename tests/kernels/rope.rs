use ocelli::{
    kernels::{ActId, Rope, Rows, Run, VectorRef, WeightId},
    quant::{Format, Matrix},
    random::Random,
};

use crate::case::{Case, changed, with_others, words};

const EPS: f32 = 0.01;

#[derive(Clone, Copy)]
struct Shape {
    batch: usize,
    tokens: usize,
    past: usize,
    /// Floats of a row of x before the heads, and after them.
    around: [usize; 2],
    heads: usize,
    copied: usize,
    size: usize,
    /// Whether heads are normed, and if so by 1 + weight.
    norm: Option<bool>,
    most: Option<usize>,
}

impl Shape {
    /// Floats of a row of y.
    fn width(self) -> usize {
        (self.heads + self.copied) * self.size
    }
    fn stride(self) -> usize {
        self.around[0] + self.width() + self.around[1]
    }
    /// Rows of an item of y, and where this run's begin.
    fn item(self) -> [usize; 2] {
        self.most.map_or([self.tokens, 0], |most| [most, self.past])
    }
}

pub fn cases() -> Vec<Case> {
    let base =
        Shape { batch: 1, tokens: 1, past: 0, around: [0; 2], heads: 1, copied: 0, size: 2, norm: None, most: None };
    // The smallest head; queries among keys and values; keys and values that go to a state, in its middle, to its end, one token and
    // many; heads of published models, with norms; more heads than one dimension of a dispatch has.
    let shapes = [
        base,
        Shape { batch: 2, tokens: 5, around: [0, 16], heads: 3, size: 8, ..base },
        Shape { batch: 2, tokens: 5, past: 3, around: [24, 0], heads: 2, copied: 2, size: 8, most: Some(11), ..base },
        Shape { past: 70, around: [576, 0], heads: 3, copied: 3, size: 64, most: Some(80), ..base },
        Shape { tokens: 37, past: 2, around: [0, 7], heads: 4, size: 128, norm: Some(false), ..base },
        Shape {
            batch: 3,
            tokens: 4,
            past: 6,
            around: [256, 0],
            copied: 1,
            size: 256,
            norm: Some(true),
            most: Some(10),
            ..base
        },
        Shape { batch: 2, tokens: 3, past: 1, heads: 2, size: 10, norm: Some(true), ..base },
        Shape { tokens: 22_000, heads: 3, copied: 1, around: [1, 0], ..base },
        // Nothing is turned: all goes to a state as it is.
        Shape { batch: 3, tokens: 2, past: 5, around: [8, 0], heads: 0, copied: 4, size: 4, most: Some(9), ..base },
    ];
    shapes.into_iter().map(case).collect()
}

/// What becomes of a head, by its number and its place.
type Rule<'a> = &'a dyn Fn(&[f64], usize, usize) -> Vec<f64>;

/// y by another rule; what nothing goes to stays as it is.
fn by_hand(s: Shape, x: &[f32], y: &[f32], rule: Rule<'_>) -> Vec<u32> {
    let (mut y, [item, first]) = (y.to_vec(), s.item());
    for (row, x) in x.chunks_exact(s.stride()).enumerate() {
        let token = row % s.tokens;
        let y = &mut y[(row / s.tokens * item + first + token) * s.width()..][..s.width()];
        let heads = x[s.around[0]..][..s.width()].chunks_exact(s.size).zip(y.chunks_exact_mut(s.size));
        for (number, (x, y)) in heads.enumerate() {
            let head: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
            y.iter_mut().zip(rule(&head, number, s.past + token)).for_each(|(y, value)| *y = value as f32);
        }
    }
    words(&y)
}

fn case(s: Shape) -> Case {
    let mut random = Random::new((s.tokens * 31 + s.size * 7 + s.heads) as u64);
    let x = random.floats(s.batch * s.tokens * s.stride());
    // What a state holds already.
    let y = random.floats(s.batch * s.item()[0] * s.width());
    // Angles of a model, but never 0.
    let half = s.size / 2;
    let angle = |place: usize, i: usize| (place + 1) as f64 * 100f64.powf(-(i as f64) / half as f64);
    let places = s.past + s.tokens + 1;
    let turn = |place: usize| {
        let of = |f: fn(f64) -> f64| (0..half).map(move |i| f(angle(place, i)) as f32);
        of(f64::cos).chain(of(f64::sin)).collect::<Vec<f32>>()
    };
    let table: Vec<f32> = (0..places).flat_map(turn).collect();
    let weight = random.floats(s.size);

    // The rule as it is said, in parts that can be exchanged.
    let factor = |i: usize| f64::from(weight[i]) + if s.norm == Some(true) { 1.0 } else { 0.0 };
    let mean = |head: &[f64]| head.iter().map(|x| x * x).sum::<f64>() / head.len() as f64;
    let divided = |head: &[f64]| match s.norm {
        Some(_) => head.iter().map(|x| x / (mean(head) + f64::from(EPS)).sqrt()).collect(),
        None => head.to_vec(),
    };
    let weighed = |head: Vec<f64>| match s.norm {
        Some(_) => head.iter().enumerate().map(|(i, x)| x * factor(i)).collect(),
        None => head,
    };
    let normed = |head: &[f64]| weighed(divided(head));
    // Which number stands with which, and on which side of the pair.
    let turned = |head: &[f64], place: usize, sign: f64, other: &dyn Fn(usize) -> (usize, usize, f64)| -> Vec<f64> {
        let value = |i: usize| {
            let (with, frequency, side) = other(i);
            head[i] * angle(place, frequency).cos() + sign * side * head[with] * angle(place, frequency).sin()
        };
        (0..head.len()).map(value).collect()
    };
    let halves = |i: usize| if i < half { (i + half, i, -1.0) } else { (i - half, i - half, 1.0) };
    let pairs = |i: usize| if i.is_multiple_of(2) { (i + 1, i / 2, -1.0) } else { (i - 1, i / 2, 1.0) };
    let other = |rule: &dyn Fn(&[f64], usize) -> Vec<f64>| {
        let of = |head: &[f64], number: usize, place: usize| {
            if number < s.heads { rule(head, place) } else { head.to_vec() }
        };
        by_hand(s, &x, &y, &of)
    };
    let all = |head: &[f64], _: usize, place: usize| turned(&normed(head), place, 1.0, &halves);
    let mut others = vec![("values turned too", by_hand(s, &x, &y, &all))];
    others.retain(|_| s.copied > 0);
    let turns = [
        ("not turned", other(&|head, _| normed(head))),
        ("turned the other way", other(&|head, place| turned(&normed(head), place, -1.0, &halves))),
        ("the next place", other(&|head, place| turned(&normed(head), place + 1, 1.0, &halves))),
    ];
    others.extend(turns.into_iter().filter(|_| s.heads > 0));
    if half > 1 && s.heads > 0 {
        others.push(("pairs in place of halves", other(&|head, place| turned(&normed(head), place, 1.0, &pairs))));
        let backwards = |i: usize| (halves(i).0, half - 1 - halves(i).1, halves(i).2);
        others.push(("frequencies backwards", other(&|head, place| turned(&normed(head), place, 1.0, &backwards))));
    }
    if s.norm.is_some() {
        others.push((
            "weighed after the turn",
            other(&|head, place| weighed(turned(&divided(head), place, 1.0, &halves))),
        ));
        others.push(("a norm without its weight", other(&|head, place| turned(&divided(head), place, 1.0, &halves))));
    }
    // Each number is at most the length of a pair.
    let heads = x.chunks_exact(s.stride()).flat_map(|row| row[s.around[0]..][..s.width()].chunks_exact(s.size));
    let largest = heads.flat_map(|head| normed(&head.iter().map(|&x| f64::from(x)).collect::<Vec<_>>()));
    let magnitude = vec![2.0 * largest.fold(1.0, |most: f64, x| most.max(x.abs())) as f32; y.len()];

    let (acts, out, mut wrong) = with_others(vec![words(&x)], others, words(&y), s.batch);
    let weights: Vec<Matrix> =
        [table, weight].map(|v| Matrix::new(Format::F32, &v, v.len()).expect("small weights")).into();
    let right = Rope {
        x: ActId(0),
        y: out,
        table: (s.heads > 0).then_some(VectorRef { id: WeightId(0), len: (places * s.size) as u32 }),
        norm: s.norm.map(|_| VectorRef { id: WeightId(1), len: s.size as u32 }),
        eps: EPS,
        one_plus: s.norm == Some(true),
        rows: Rows::PerToken,
        stride: s.stride() as u32,
        from: s.around[0] as u32,
        heads: s.heads as u32,
        copied: s.copied as u32,
        head_size: s.size as u32,
        most: s.most.map(|most| most as u32),
    };
    let build = |change: fn(&mut Rope)| changed(&right, &weights, change);
    if s.norm.is_some() {
        wrong.push(("norm dropped", build(|k| k.norm = None)));
        wrong.push(("one added or left out", build(|k| k.one_plus = !k.one_plus)));
        wrong.push(("no epsilon", build(|k| k.eps = 0.0)));
    }
    if s.around[0] > 0 {
        wrong.push(("another part of the row", build(|k| k.from -= 1)));
    }
    if s.most.is_some() {
        wrong.push(("not where the state goes on", build(|k| k.most = None)));
    }
    if s.batch > 1 && s.most.is_some() {
        wrong.push(("room for one token less", build(|k| k.most = k.most.map(|most| most - 1))));
    }
    if s.heads > 1 {
        wrong.push((
            "one head not turned",
            build(|k| {
                k.heads -= 1;
                k.copied += 1;
            }),
        ));
    }
    Case {
        name: format!(
            "rope batch={} tokens={} past={} heads={}+{} of {} norm={:?} state={:?}",
            s.batch, s.tokens, s.past, s.heads, s.copied, s.size, s.norm, s.most
        ),
        acts,
        rough: None,
        run: Run { batch: s.batch as u32, tokens: s.tokens as u32, past: s.past as u32 },
        right: build(|_| ()),
        wrong,
        // A product of two and a sum; the norm adds up `size` squares under a root and multiplies twice.
        bound: Some((magnitude, if s.norm.is_some() { s.size as f64 / 2.0 + 20.0 } else { 4.0 } * 2f64.powi(-24))),
    }
}
