use ocelli::{
    config::Activation,
    kernels::{ActId, Gated, Rows, Run},
    random::Random,
    reference::activate,
};

use crate::case::{Case, changed, poison, with_others, words};

pub fn cases() -> Vec<Case> {
    // Items, rows of each, columns: one of all, tails, a published width, and more workgroups than one dimension has.
    let shapes = [[1, 1, 1], [3, 5, 7], [2, 37, 24], [1, 3, 1536]];
    let small =
        shapes.into_iter().flat_map(|shape| [Activation::Silu, Activation::GeluTanh].map(|act| case(shape, act)));
    small.chain([case([1, 66_000, 70], Activation::Silu)]).collect()
}

fn case([batch, rows, dim]: [usize; 3], activation: Activation) -> Case {
    let mut random = Random::new((batch * rows * 31 + dim) as u64);
    let numbers = batch * rows * dim;
    // Gates far on both sides of 0, where activations are flat, and a few so far that their exponentials are no numbers in f32.
    let mut x: Vec<f32> = random.floats(2 * numbers).iter().map(|v| v * 8.0).collect();
    x.iter_mut().step_by(41).skip(1).for_each(|v| *v *= 100.0);
    // By activation, gate and up.
    let by_hand = |of: fn(Activation, f64, f64) -> f64, place: &dyn Fn(usize) -> [usize; 2]| {
        let value = |at: usize| {
            let [gate, up] = place(at % dim).map(|column| f64::from(x[at / dim * 2 * dim + column]));
            of(activation, gate, up) as f32
        };
        words(&(0..numbers).map(value).collect::<Vec<_>>())
    };
    let halves = |d: usize| [d, dim + d];
    let product = |act: Activation, gate: f64, up: f64| activate(act, gate) * up;
    let mut others = Vec::new();
    // One number may be 0 by any rule, and of millions the kernel's own wrong variants are enough.
    if (2..1 << 20).contains(&numbers) {
        others.push(("gate and up exchanged", by_hand(product, &|d| [dim + d, d])));
        others.push(("a sum in place of the product", by_hand(|act, gate, up| activate(act, gate) + up, &halves)));
        others.push(("up activated too", by_hand(|act, gate, up| activate(act, gate) * activate(act, up), &halves)));
        others.push(("the product activated", by_hand(|act, gate, up| activate(act, gate * up), &halves)));
        others.push(("a sigmoid alone", by_hand(|_, gate, up| up / (1.0 + (-gate).exp()), &halves)));
        if dim > 1 {
            others.push(("pairs in place of halves", by_hand(product, &|d| [2 * d, 2 * d + 1])));
        }
    }
    let magnitude = x.chunks_exact(2 * dim).flat_map(|row| (0..dim).map(|d| (row[d] * row[dim + d]).abs())).collect();
    let (acts, y, mut wrong) = with_others(vec![words(&x)], others, poison(numbers), batch);
    let right = Gated { x: ActId(0), y, rows: Rows::PerItem(rows as u32), dim: dim as u32, activation };
    let build = |change: fn(&mut Gated)| changed(&right, &[], change);
    // Where one gate is far above 0 it is the identity.
    if numbers > 1 {
        wrong.push(("activation dropped", build(|k| k.activation = Activation::None)));
    }
    if numbers > 30 {
        wrong.push(match activation {
            Activation::Silu => ("quick_gelu in place of silu", build(|k| k.activation = Activation::QuickGelu)),
            _ => ("the other gelu", build(|k| k.activation = Activation::Gelu)),
        });
    }
    if batch * rows > 1 {
        wrong.push(("one row", build(|k| k.rows = Rows::Shared(1))));
    }
    if dim > 1 {
        wrong.push(("rows one shorter", build(|k| k.dim -= 1)));
    }
    Case {
        name: format!("gated batch={batch} rows={rows} dim={dim} {activation:?}"),
        acts,
        rough: None,
        run: Run::items(batch as u32),
        right: build(|_| ()),
        wrong,
        // WGSL lets exp be off by 3 + 2·|x| units in the last place, here 19 where it is not negligible, and a division by 2.5.
        bound: Some((magnitude, 28.0 * 2f64.powi(-23))),
    }
}
