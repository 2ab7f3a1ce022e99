use ocelli::{
    kernels::{ActId, Assemble, VectorRef, WeightId},
    quant::{Format, Matrix},
    random::Random,
};

use crate::case::{Build, Case, Step, output, poison, words};

pub fn cases() -> Vec<Case> {
    let shapes = [(1, 2, 1, true), (3, 10, 48, true), (2, 9, 36, false), (2, 197, 7, true), (1, 1, 3, false)];
    shapes.map(|(batch, tokens, dim, class)| case(batch, tokens, dim, class)).into()
}

fn case(batch: usize, tokens: usize, dim: usize, class: bool) -> Case {
    let mut random = Random::new((batch + tokens * dim) as u64);
    let x = random.floats(batch * (tokens - usize::from(class)) * dim);
    let weights = vec![
        Matrix::new(Format::F32, &random.floats(dim), dim).expect("small weights"),
        Matrix::new(Format::F32, &random.floats(tokens * dim), tokens * dim).expect("small weights"),
        Matrix::new(Format::F32, &random.floats(tokens * dim), tokens * dim).expect("small weights"),
    ];
    let build = move |class: bool, positions: usize| -> Build {
        let weights = weights.clone();
        Box::new(move || Step {
            kernel: Box::new(Assemble {
                x: ActId(0),
                class_token: class.then_some(VectorRef { id: WeightId(0), len: dim as u32 }),
                positions: VectorRef { id: WeightId(positions), len: (tokens * dim) as u32 },
                y: output(1),
                tokens: tokens as u32,
            }),
            weights: weights.clone(),
        })
    };
    let mut wrong = vec![("other positions", build(class, 2))];
    if class {
        wrong.push(("class token left out", build(false, 1)));
    }
    Case {
        name: format!("assemble batch={batch} tokens={tokens} dim={dim} class={class}"),
        acts: vec![words(&x), poison(batch * tokens * dim)],
        rough: None,
        batch: batch as u32,
        right: build(class, 1),
        wrong,
        // One addition of two floats is the same everywhere.
        bound: None,
    }
}
