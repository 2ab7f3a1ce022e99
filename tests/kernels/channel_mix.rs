use ocelli::{
    kernels::{ActId, ChannelMix, Channels, Rows, Run},
    random::Random,
};

use crate::case::{Case, changed, poison, with_others, words};

pub fn cases() -> Vec<Case> {
    // Items, tokens, groups, columns of one: a number, odd groups, more tokens than a part has, a published size.
    let shapes = [(1, 1, 1, 1), (2, 9, 3, 7), (2, 300, 2, 6), (1, 40, 4, 32)];
    shapes.map(|(batch, tokens, groups, size)| case([batch, tokens, groups, size])).into()
}

fn case([batch, tokens, groups, size]: [usize; 4]) -> Case {
    let dim = groups * size;
    let mut random = Random::new((batch + tokens * 31 + groups * 7 + size) as u64);
    let (shares, qkv) = (random.floats(batch * dim * size), random.floats(batch * tokens * 3 * dim));
    // By the part that is mixed, and by which share of a group's a column takes of another.
    let other = |part: usize, share: &dyn Fn(usize, usize) -> usize| {
        let number = |at: usize| {
            let (row, c) = (at / dim, at % dim);
            let group = row / tokens * groups + c / size;
            let of = |d: usize| {
                let value = qkv[(row * 3 + part) * dim + c / size * size + d];
                f64::from(shares[group * size * size + share(c % size, d)]) * f64::from(value)
            };
            (0..size).map(of).sum::<f64>() as f32
        };
        words(&(0..batch * tokens * dim).map(number).collect::<Vec<_>>())
    };
    let mut others = vec![
        ("queries in place of values", other(0, &|c, d| c * size + d)),
        ("keys in place of values", other(1, &|c, d| c * size + d)),
    ];
    if size > 1 {
        others.push(("shares the other way", other(2, &|c, d| d * size + c)));
    }
    let inputs = vec![words(&shares), words(&qkv)];
    let (acts, y, mut wrong) = with_others(inputs, others, poison(batch * tokens * dim), batch);
    let of = Channels { qkv: ActId(1), rows: Rows::PerItem(tokens as u32), groups: groups as u32, size: size as u32 };
    let right = ChannelMix { shares: ActId(0), of, y };
    if tokens > 1 {
        let less = |k: &mut ChannelMix| k.of.rows = Rows::PerItem(k.of.rows.each(Run::items(1)) - 1);
        wrong.push(("one token less", changed(&right, &[], less)));
    }
    Case {
        name: format!("channel_mix batch={batch} tokens={tokens} groups={groups} size={size}"),
        acts,
        rough: None,
        run: Run::items(batch as u32),
        right: changed(&right, &[], |_| ()),
        wrong,
        // As many sums of products of numbers up to 1.
        bound: Some((vec![size as f32; batch * tokens * dim], (size as f64 + 1.0) * 2f64.powi(-24))),
    }
}
