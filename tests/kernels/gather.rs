use ocelli::{
    kernels::{ActId, Gather, Rows, Run},
    random::Random,
};

use crate::case::{Build, Case, changed, output, poison, words};

pub fn cases() -> Vec<Case> {
    // The last row, the first and one between; rows of a fixed number and as many as a run has tokens.
    let shapes = [(1, 1, 1, true), (3, 7, 13, true), (3, 7, 70, false), (2, 77, 65, true), (3, 77, 768, false)];
    shapes
        .into_iter()
        .flat_map(|(batch, of, dim, indexed)| [false, true].map(|tokens| case(batch, of, dim, indexed, tokens)))
        .collect()
}

fn case(batch: usize, of: usize, dim: usize, indexed: bool, tokens: bool) -> Case {
    let x = Random::new((batch + of * dim) as u64).floats(batch * of * dim);
    let index: Vec<u32> = (0..batch).map(|b| [of - 1, 0, of / 2][b] as u32).collect();
    let build = |of: u32, index: Option<ActId>| {
        let of = if tokens { Rows::PerToken } else { Rows::PerItem(of) };
        let kernel = Gather { x: ActId(0), index, y: output(2), of, dim: dim as u32 };
        changed(&kernel, &[], |_| ())
    };
    let (own, other) = if indexed { (Some(ActId(1)), None) } else { (None, Some(ActId(1))) };
    let mut wrong: Vec<(&'static str, Build)> = Vec::new();
    if of > 1 {
        wrong.push(("index seen or not seen", build(of as u32, other)));
        if !tokens {
            wrong.push(("items of another length", build(of as u32 - 1, own)));
        }
    }
    Case {
        name: format!("gather batch={batch} one of {of} dim={dim} indexed={indexed} tokens={tokens}"),
        acts: vec![words(&x), index, poison(batch * dim)],
        run: if tokens { Run::tokens(batch as u32, of as u32) } else { Run::items(batch as u32) },
        right: build(of as u32, own),
        wrong,
        // A copy.
        bound: None,
        rough: None,
    }
}
