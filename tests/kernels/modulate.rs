use ocelli::{
    kernels::{ActId, Modulate, Run},
    random::Random,
};

use crate::case::{Case, changed, poison, with_others, words};

pub fn cases() -> Vec<Case> {
    // Items, tokens that they share, columns: one of all, tails, published shapes.
    let shapes = [(1, 1, 1), (3, 5, 7), (2, 37, 24), (4, 485, 64), (1, 485, 16)];
    shapes.map(|(batch, tokens, dim)| case(batch, tokens, dim)).into()
}

fn case(batch: usize, tokens: usize, dim: usize) -> Case {
    let mut random = Random::new((batch * tokens * 31 + dim) as u64);
    let x = random.floats(tokens * dim);
    let by = random.floats(batch * 2 * dim);
    let n = batch * tokens * dim;
    let all = |of: &dyn Fn(f64, f64, f64) -> f64, item_of: fn(usize) -> usize| {
        let number = |at: usize| {
            let by = &by[item_of(at / (tokens * dim)) * 2 * dim + at % dim..];
            of(f64::from(x[at % (tokens * dim)]), f64::from(by[0]), f64::from(by[dim])) as f32
        };
        (0..n).map(number).collect::<Vec<f32>>()
    };
    let own: fn(usize) -> usize = |item| item;
    let mut others = vec![
        ("factor and addend exchanged", words(&all(&|x, factor, addend| addend * x + factor, own))),
        ("the addend before the factor", words(&all(&|x, factor, addend| (x + addend) * factor, own))),
        ("no factor", words(&all(&|x, _, addend| x + addend, own))),
        ("no addend", words(&all(&|x, factor, _| factor * x, own))),
        ("one more than the factor", words(&all(&|x, factor, addend| (1.0 + factor) * x + addend, own))),
    ];
    if batch > 1 {
        others.push(("the first item's for all", words(&all(&|x, factor, addend| factor * x + addend, |_| 0))));
    }
    if tokens > 1 {
        // Of the first token, which is the class token.
        let mut skipped = all(&|x, factor, addend| factor * x + addend, own);
        skipped.chunks_exact_mut(tokens * dim).for_each(|item| item[..dim].copy_from_slice(&x[..dim]));
        others.push(("not on the class token", words(&skipped)));
    }
    let (acts, y, mut wrong) = with_others(vec![words(&x), words(&by)], others, poison(n), batch);
    let right = Modulate { x: ActId(0), by: ActId(1), y, tokens: tokens as u32, dim: dim as u32 };
    let build = |change: fn(&mut Modulate)| changed(&right, &[], change);
    if tokens > 1 {
        wrong.push(("one token less", build(|k| k.tokens -= 1)));
    }
    if dim > 1 {
        wrong.push(("rows one shorter", build(|k| k.dim -= 1)));
    }
    Case {
        name: format!("modulate batch={batch} tokens={tokens} dim={dim}"),
        acts,
        rough: None,
        run: Run::items(batch as u32),
        right: build(|_| ()),
        wrong,
        // One multiplication and one addition of numbers up to 1, fused or not.
        bound: Some((vec![2.0; n], 2f64.powi(-23))),
    }
}
