use ocelli::{
    kernels::{ActId, ChannelScores, Channels, Rows, Run},
    random::Random,
};

use crate::case::{Case, changed, poison, with_others, words};

pub fn cases() -> Vec<Case> {
    // Items, tokens, groups, columns of one: a number, odd groups, more tokens than are added up at a time, published sizes.
    let shapes = [(1, 1, 1, 1), (2, 9, 3, 7), (1, 529, 2, 6), (2, 700, 1, 32), (1, 40, 4, 32), (1, 5, 2, 70)];
    shapes.map(|(batch, tokens, groups, size)| case([batch, tokens, groups, size])).into()
}

fn case([batch, tokens, groups, size]: [usize; 4]) -> Case {
    let dim = groups * size;
    let mut random = Random::new((batch + tokens * 31 + groups * 7 + size) as u64);
    let qkv: Vec<f32> = random.floats(batch * tokens * 3 * dim).iter().map(|x| 2.0 * x).collect();
    // Scores by where the columns of a group are, the part that takes and the part that is taken, and a scale.
    let shares = |column: &dyn Fn(usize, usize) -> usize, [q, k]: [usize; 2], scale: f64, over_rows: bool| {
        let mut y = Vec::new();
        for (item, g) in (0..batch * groups).map(|at| (at / groups, at % groups)) {
            let number =
                |part: usize, t: usize, c: usize| f64::from(qkv[((item * tokens + t) * 3 + part) * dim + column(g, c)]);
            let score =
                |c: usize, d: usize| (0..tokens).map(|t| number(q, t, c) * number(k, t, d)).sum::<f64>() * scale;
            let all: Vec<f64> = (0..size * size).map(|at| score(at / size, at % size)).collect();
            for (c, d) in (0..size * size).map(|at| (at / size, at % size)) {
                let along = |i: usize| if over_rows { all[i * size + d] } else { all[c * size + i] };
                let peak = (0..size).map(along).fold(f64::MIN, f64::max);
                let total: f64 = (0..size).map(|i| (along(i) - peak).exp()).sum();
                y.push(((all[c * size + d] - peak).exp() / total) as f32);
            }
        }
        words(&y)
    };
    let (scale, together) = ((tokens as f64).powf(-0.5), |g: usize, c: usize| g * size + c);
    let mut others = Vec::new();
    if size > 1 {
        others.push(("softmax over the other axis", shares(&together, [0, 1], scale, true)));
        others.push(("keys for queries", shares(&together, [1, 0], scale, false)));
        others.push(("values for keys", shares(&together, [0, 2], scale, false)));
        others.push(("no scale", shares(&together, [0, 1], if tokens == 1 { 3.0 } else { 1.0 }, false)));
        if size != tokens {
            others.push(("by the root of the columns", shares(&together, [0, 1], (size as f64).powf(-0.5), false)));
        }
        if groups > 1 {
            others.push(("groups of every so manyth column", shares(&|g, c| c * groups + g, [0, 1], scale, false)));
        }
    }
    let (acts, y, mut wrong) = with_others(vec![words(&qkv)], others, poison(batch * dim * size), batch);
    let of = Channels { qkv: ActId(0), rows: Rows::PerItem(tokens as u32), groups: groups as u32, size: size as u32 };
    let right = ChannelScores { of, y };
    if tokens > 1 && size > 1 {
        let less = |k: &mut ChannelScores| k.of.rows = Rows::PerItem(k.of.rows.each(Run::items(1)) - 1);
        wrong.push(("one token less", changed(&right, &[], less)));
    }
    if size == 1 {
        // Any share of one column is 1.
        wrong.push(("twice as many columns", changed(&right, &[], |k| k.of.size = 2)));
    }
    Case {
        name: format!("channel_scores batch={batch} tokens={tokens} groups={groups} size={size}"),
        acts,
        rough: None,
        run: Run::items(batch as u32),
        right: changed(&right, &[], |_| ()),
        wrong,
        // A score is at most 4 · √tokens, and adds up at most this many numbers one after the other, in strips of a workgroup or in
        // parts of 256 tokens; exp turns what that loses into a relative error, twice, and a driver's own exp may be off by 2^-21.
        bound: Some((
            vec![1.0; batch * dim * size],
            2f64.powi(-21) * 8.0
                + 8.0
                    * (tokens as f64).sqrt()
                    * (tokens.min(256).max(tokens * size / 256) + 20) as f64
                    * 2f64.powi(-24),
        )),
    }
}
