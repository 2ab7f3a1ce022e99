use ocelli::{
    kernels::{ActId, Assemble, VectorRef, WeightId},
    quant::{Format, Matrix},
    random::Random,
};

use crate::case::{Build, Case, Step, output, poison, words};

pub fn cases() -> Vec<Case> {
    [(1, 2), (3, 480), (2, 1379), (1, 3)].map(|(batch, item)| case(batch, item)).into()
}

/// `item` numbers are the tokens of one text, or of one picture.
fn case(batch: usize, item: usize) -> Case {
    let mut random = Random::new((batch + item) as u64);
    let x = random.floats(batch * item);
    let weights: Vec<Matrix> =
        (0..2).map(|_| Matrix::new(Format::F32, &random.floats(item), item).expect("small weights")).collect();
    let build = move |positions: usize| -> Build {
        let weights = weights.clone();
        Box::new(move || Step {
            kernel: Box::new(Assemble {
                x: ActId(0),
                positions: VectorRef { id: WeightId(positions), len: item as u32 },
                y: output(1),
            }),
            weights: weights.clone(),
        })
    };
    Case {
        name: format!("assemble batch={batch} item={item}"),
        acts: vec![words(&x), poison(batch * item)],
        batch: batch as u32,
        right: build(0),
        wrong: vec![("other positions", build(1))],
        // One addition of two floats is the same everywhere.
        bound: None,
        rough: None,
    }
}
