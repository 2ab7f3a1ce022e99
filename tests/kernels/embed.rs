use ocelli::{
    kernels::{ActId, Embed, MatrixRef, PICTURE, Rows, Run, WeightId},
    quant::{Format, Matrix},
    random::Random,
};

use crate::case::{Case, changed, with_others, words};

#[derive(Clone, Copy)]
struct Shape {
    batch: usize,
    tokens: usize,
    dim: usize,
    /// Rows of this part of the table, and the id of the first.
    part: [usize; 2],
    scale: f32,
    pictures: bool,
}

pub fn cases() -> Vec<Case> {
    let base = Shape { batch: 1, tokens: 1, dim: 1, part: [1, 0], scale: 1.0, pictures: false };
    // A whole table, the first part of one, one from its middle; pictures here or elsewhere; rows of one block, of less, not a
    // multiple of 4.
    let shapes = [
        base,
        Shape { batch: 2, tokens: 7, dim: 30, part: [40, 0], scale: 5.477, ..base },
        Shape { tokens: 37, dim: 7, part: [9, 5], pictures: true, ..base },
        Shape { tokens: 50, dim: 576, part: [300, 0], pictures: true, ..base },
        Shape { batch: 3, tokens: 20, dim: 100, part: [33, 1000], scale: 10.0, pictures: true },
        Shape { tokens: 11, dim: 64, part: [21, 3], scale: 8.0, ..base },
    ];
    let formats = [Format::F32, Format::F16, Format::Q8, Format::Q4];
    shapes.into_iter().flat_map(|shape| formats.map(|format| case(shape, format))).collect()
}

fn case(s: Shape, format: Format) -> Case {
    let Shape { dim, part: [count, first], .. } = s;
    let mut random = Random::new((s.tokens * 31 + dim * 7 + count) as u64);
    let (rows, pictures) = (s.batch * s.tokens, 12);
    let table = Matrix::new(format, &random.floats(count * dim), dim).expect("small weights");
    let pixels = random.floats(pictures * dim);
    // What other parts wrote, or will overwrite.
    let y = random.floats(rows * dim);
    // The last row, one beyond, then ids on both sides of the part, and every third one a picture's.
    let id = |at: usize, random: &mut Random| match at {
        0 | 1 => first + count - 1 + at,
        _ if at % 3 == 2 => PICTURE as usize + random.below(pictures),
        _ => (first + random.below(count + 8)).saturating_sub(4),
    };
    let ids: Vec<u32> = (0..rows).map(|at| id(at, &mut random) as u32).collect();
    let row_of = |id: u32| (id as usize).checked_sub(first).filter(|&row| row < count);
    // By what becomes of a row of the table, of a picture's, and of one that is neither.
    let by_hand = |of: &dyn Fn(&mut [f32], u32)| {
        let mut y = y.clone();
        ids.iter().zip(y.chunks_exact_mut(dim)).for_each(|(&id, y)| of(y, id));
        words(&y)
    };
    let from_table = |y: &mut [f32], row: usize, scale: f32| {
        y.iter_mut().zip(table.row(row)).for_each(|(y, w)| *y = w * scale);
    };
    let picture = |id: u32| &pixels[(id - PICTURE) as usize * dim..][..dim];
    let right = |y: &mut [f32], id: u32| match row_of(id) {
        Some(row) => from_table(y, row, s.scale),
        None if id >= PICTURE && s.pictures => y.copy_from_slice(picture(id)),
        None => {}
    };
    let mut others = Vec::new();
    if rows > 1 {
        others.push((
            "all else zeros",
            by_hand(&|y, id| {
                y.fill(0.0);
                right(y, id);
            }),
        ));
        others.push((
            "added to what was there",
            by_hand(&|y, id| {
                let before = y.to_vec();
                right(y, id);
                if row_of(id).is_some() {
                    y.iter_mut().zip(before).for_each(|(y, before)| *y += before);
                }
            }),
        ));
        others.push((
            "ids beyond the part are its last row",
            by_hand(&|y, id| match id {
                PICTURE.. => right(y, id),
                _ => from_table(y, (id as usize).saturating_sub(first).min(count - 1), s.scale),
            }),
        ));
        if s.pictures {
            others.push(("pictures in the order of their tokens", {
                let mut pictures = pixels.chunks_exact(dim).cycle();
                let mut y = y.clone();
                for (&id, y) in ids.iter().zip(y.chunks_exact_mut(dim)) {
                    match id {
                        PICTURE.. => y.copy_from_slice(pictures.next().expect("they are turned round")),
                        _ => right(y, id),
                    }
                }
                words(&y)
            }));
            if s.scale != 1.0 {
                others.push((
                    "pictures scaled too",
                    by_hand(&|y, id| {
                        right(y, id);
                        if id >= PICTURE {
                            y.iter_mut().for_each(|y| *y *= s.scale);
                        }
                    }),
                ));
            }
        }
    }
    let (acts, out, mut wrong) = with_others(vec![ids.clone(), words(&pixels)], others, words(&y), s.batch);
    let kernel = Embed {
        ids: ActId(0),
        table: MatrixRef { id: WeightId(0), format, rows: count as u32, cols: dim as u32 },
        first: first as u32,
        pictures: s.pictures.then_some(ActId(1)),
        y: out,
        rows: Rows::PerToken,
        scale: s.scale,
    };
    let weights = vec![table.clone()];
    let build = |change: fn(&mut Embed)| changed(&kernel, &weights, change);
    wrong.push(("another first id", build(|k| k.first += 1)));
    wrong.push(("another scale", build(|k| k.scale *= 1.001)));
    if rows > 1 {
        wrong.push(("one row", build(|k| k.rows = Rows::Shared(1))));
    }
    if s.pictures {
        wrong.push(("no pictures", build(|k| k.pictures = None)));
    }
    if !s.pictures && rows > 1 {
        wrong.push(("pictures that are another part's", build(|k| k.pictures = Some(ActId(1)))));
    }
    Case {
        name: format!(
            "embed batch={} tokens={} dim={dim} ids {first}..{} {} scale={} pictures={}",
            s.batch,
            s.tokens,
            first + count,
            format.name(),
            s.scale,
            s.pictures
        ),
        acts,
        rough: None,
        run: Run::tokens(s.batch as u32, s.tokens as u32),
        right: build(|_| ()),
        wrong,
        // A block's scale and the table's, each rounded once, of numbers up to 1.
        bound: Some((vec![s.scale.max(1.0); rows * dim], 2f64.powi(-22))),
    }
}
