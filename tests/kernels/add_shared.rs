use ocelli::{
    kernels::{ActId, AddShared, Run},
    random::Random,
};

use crate::case::{Case, changed, with_others, words};

pub fn cases() -> Vec<Case> {
    // Items, tokens that they share, columns: one of all, tails, published shapes.
    let shapes = [(1, 1, 1), (3, 5, 7), (2, 37, 24), (4, 485, 64)];
    shapes.map(|(batch, tokens, dim)| case(batch, tokens, dim)).into()
}

fn case(batch: usize, tokens: usize, dim: usize) -> Case {
    let mut random = Random::new((batch * tokens * 31 + dim) as u64);
    let (x, before) = (random.floats(tokens * dim), random.floats(batch * tokens * dim));
    let item = tokens * dim;
    let of = |number: &dyn Fn(usize) -> f32| words(&(0..before.len()).map(number).collect::<Vec<_>>());
    let mut others = vec![
        ("nothing added", words(&before)),
        ("set in place of added", of(&|at| x[at % item])),
        ("taken away", of(&|at| before[at] - x[at % item])),
        ("added twice", of(&|at| before[at] + 2.0 * x[at % item])),
    ];
    if batch > 1 {
        others.push(("added to the first item only", of(&|at| before[at] + x.get(at).unwrap_or(&0.0))));
    }
    if tokens > 1 {
        others
            .push(("not to the class token", of(&|at| before[at] + if at % item < dim { 0.0 } else { x[at % item] })));
    }
    let (acts, y, mut wrong) = with_others(vec![words(&x)], others, words(&before), batch);
    let right = AddShared { x: ActId(0), y, tokens: tokens as u32, dim: dim as u32 };
    let build = |change: fn(&mut AddShared)| changed(&right, &[], change);
    if tokens > 1 {
        wrong.push(("one token less", build(|k| k.tokens -= 1)));
    }
    Case {
        name: format!("add_shared batch={batch} tokens={tokens} dim={dim}"),
        acts,
        rough: None,
        run: Run::items(batch as u32),
        right: build(|_| ()),
        wrong,
        // A sum of two is rounded rightly everywhere.
        bound: None,
    }
}
