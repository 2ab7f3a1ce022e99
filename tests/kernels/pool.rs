use ocelli::{
    kernels::{ActId, Pool},
    random::Random,
};

use crate::case::{Build, Case, Step, output, poison, words};

pub fn cases() -> Vec<Case> {
    let shapes = [(1, 1, 1, true), (4, 77, 13, true), (3, 9, 36, false), (2, 16, 768, true)];
    shapes.map(|(batch, tokens, dim, index)| case(batch, tokens, dim, index)).into()
}

fn case(batch: usize, tokens: usize, dim: usize, indexed: bool) -> Case {
    let mut random = Random::new((batch + tokens * dim) as u64);
    let x = random.floats(batch * tokens * dim);
    // The last token first, then others.
    let index: Vec<u32> = (0..batch).map(|b| ((tokens - 1) + b * 3) as u32 % tokens as u32).collect();
    let build = move |indexed: bool, tokens: usize| -> Build {
        Box::new(move || Step {
            kernel: Box::new(Pool {
                x: ActId(0),
                index: indexed.then_some(ActId(1)),
                y: output(2),
                tokens: tokens as u32,
                dim: dim as u32,
            }),
            weights: Vec::new(),
        })
    };
    let mut wrong = Vec::new();
    if tokens > 1 {
        wrong.push(("the other rule", build(!indexed, tokens)));
    }
    if batch > 1 {
        wrong.push(("items a token too short", build(indexed, tokens - 1)));
    }
    Case {
        name: format!("pool batch={batch} tokens={tokens} dim={dim} index={indexed}"),
        acts: vec![words(&x), index, poison(batch * dim)],
        rough: None,
        batch: batch as u32,
        right: build(indexed, tokens),
        wrong,
        // A copy.
        bound: None,
    }
}
