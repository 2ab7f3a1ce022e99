use ocelli::{
    kernels::{ActId, AddShared, Operand, Rows, Run, VectorRef, WeightId},
    quant::{Format, Matrix},
    random::Random,
};

use crate::case::{Case, changed, with_others, words};

pub fn cases() -> Vec<Case> {
    // Items, tokens that they share, columns: one of all, tails, published shapes.
    let shapes = [(1, 1, 1), (3, 5, 7), (2, 37, 24), (4, 485, 64)];
    let shared = shapes.map(|(batch, tokens, dim)| case(batch, tokens, dim));
    // Items, tokens, columns, rows before the first position, tokens of earlier runs: a prompt, a step, beams.
    let positions = [(1, 5, 7, 2, 0), (1, 1, 24, 2, 6), (3, 1, 12, 0, 3), (2, 4, 5, 1, 9)];
    shared
        .into_iter()
        .chain(positions.map(|(batch, tokens, dim, first, past)| placed([batch, tokens, dim, first, past])))
        .collect()
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
    let rows = Rows::PerItem(tokens as u32);
    let right = AddShared { x: Operand::Act(ActId(0)), y, rows, dim: dim as u32, first: 0 };
    let build = |change: fn(&mut AddShared)| changed(&right, &[], change);
    if tokens > 1 {
        wrong.push(("one token less", build(|k| k.rows = Rows::PerItem(k.rows.each(Run::items(1)) - 1))));
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

/// Learned positions, which tokens of later runs go on with.
fn placed([batch, tokens, dim, first, past]: [usize; 5]) -> Case {
    let mut random = Random::new((batch * tokens * 31 + dim + past) as u64);
    let (rows, item) = (first + past + tokens + 1, tokens * dim);
    let (table, before) = (random.floats(rows * dim), random.floats(batch * item));
    let from =
        |row: usize| words(&(0..before.len()).map(|at| before[at] + table[row * dim + at % item]).collect::<Vec<_>>());
    let mut others = vec![("the row after", from(first + past + 1))];
    if first > 0 {
        others.push(("rows before the first position", from(past)));
    }
    if past > 0 {
        others.push(("as in the first run", from(first)));
    }
    let (acts, y, mut wrong) = with_others(Vec::new(), others, words(&before), batch);
    let weights = [Matrix::new(Format::F32, &table, table.len()).expect("small weights")];
    let x = Operand::Vector(VectorRef { id: WeightId(0), len: table.len() as u32 });
    let right = AddShared { x, y, rows: Rows::PerToken, dim: dim as u32, first: first as u32 };
    wrong.push(("one row further on", changed(&right, &weights, |k| k.first += 1)));
    if past > 0 {
        wrong.push(("items of a fixed length", changed(&right, &weights, |k| k.rows = Rows::PerItem(1))));
    }
    Case {
        name: format!("add_shared batch={batch} tokens={tokens} dim={dim} positions from {first} past={past}"),
        acts,
        rough: None,
        run: Run { batch: batch as u32, tokens: tokens as u32, past: past as u32 },
        right: changed(&right, &weights, |_| ()),
        wrong,
        // A sum of two is rounded rightly everywhere.
        bound: None,
    }
}
