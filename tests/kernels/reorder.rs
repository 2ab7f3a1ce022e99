use ocelli::{
    kernels::{ActId, Reorder, Run},
    random::Random,
};

use crate::case::{Case, changed, with_others, words};

pub fn cases() -> Vec<Case> {
    // Which item each goes on from, tokens there are and there is room for, columns: one alone, all from one, a circle, some as they are.
    let shapes: [(&[u32], usize, usize, usize); 5] = [
        (&[0], 3, 4, 5),
        (&[1, 1], 1, 1, 3),
        (&[2, 0, 1], 7, 9, 12),
        (&[0, 0, 1, 3], 30, 33, 7),
        (&[2, 2, 0], 0, 4, 6),
    ];
    shapes.into_iter().map(|(from, past, most, dim)| case(from, past, most, dim)).collect()
}

fn case(from: &[u32], past: usize, most: usize, dim: usize) -> Case {
    let (batch, item) = (from.len(), most * dim);
    let state = Random::new((batch * 31 + past * 7 + dim) as u64).floats(batch * item);
    let other = |tokens: usize, rule: &dyn Fn(usize) -> usize| {
        let number = |at: usize| {
            let (own, at) = (at / item, at % item);
            state[if at < tokens * dim { rule(own) } else { own } * item + at]
        };
        words(&(0..state.len()).map(number).collect::<Vec<_>>())
    };
    // One item after the other, so that some are read after they were written.
    let in_turn = |past: usize| {
        let mut state = state.clone();
        for (to, &from) in from.iter().enumerate() {
            state.copy_within(from as usize * item..from as usize * item + past * dim, to * item);
        }
        words(&state)
    };
    let right = other(past, &|own| from[own] as usize);
    let mut others = vec![
        ("as it was", other(0, &|own| own)),
        ("the other way", other(past, &|own| from.iter().position(|&from| from as usize == own).unwrap_or(own))),
        ("one item after the other", in_turn(past)),
        ("one token less", other(past.saturating_sub(1), &|own| from[own] as usize)),
        ("what is not there yet, too", other(most, &|own| from[own] as usize)),
        ("all from the first", other(past, &|_| 0)),
        ("another item", other(most, &|own| (own + 1) % batch.max(2) % batch)),
    ];
    // Some of them happen to be right here.
    others.retain(|(_, words)| *words != right);
    if others.is_empty() {
        let zeros = words(&vec![0.0; state.len()]);
        others.push(("nothing left", zeros));
    }
    let (acts, y, wrong) = with_others(vec![from.to_vec()], others, words(&state), batch);
    let kernel = Reorder { from: ActId(0), state: y, most: most as u32, dim: dim as u32 };
    Case {
        name: format!("reorder from={from:?} past={past} of {most} dim={dim}"),
        acts,
        rough: None,
        run: Run { batch: batch as u32, tokens: 1, past: past as u32 },
        right: changed(&kernel, &[], |_| ()),
        wrong,
        // Copies.
        bound: None,
    }
}
