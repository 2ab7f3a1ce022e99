use ocelli::{
    config::{Alpha, Filter},
    kernels::{ActId, ResizeFloat, Rows, Run},
    preprocess::{Axis, Strides, TABLE_HEAD},
    random::Random,
};

use crate::case::{Case, changed, output, poison, words};

/// One table for the right way, three for wrong ones.
const TABLES: usize = 4;

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    // Down, up, the same, from one pixel, far down, and most of it padding.
    for (pixels, padded, full, lines) in
        [(61, 61, 48, 7), (5, 5, 42, 3), (36, 36, 36, 9), (1, 1, 8, 2), (5000, 5000, 24, 2), (9, 97, 24, 70)]
    {
        let axis = Axis::new(Filter::Smooth, padded, full, 0..full as isize).within(0..pixels);
        for alpha in [Alpha::Drop, Alpha::White] {
            cases.push(rows(pixels, &axis, lines, alpha));
        }
        for add in [false, true] {
            cases.push(columns(pixels, &axis, lines, add));
        }
    }
    cases
}

/// The first pass: rows of bytes.
fn rows(width: usize, axis: &Axis, lines: usize, alpha: Alpha) -> Case {
    let mut random = Random::new((width + lines) as u64);
    let pixels: Vec<u32> = (0..width * lines).map(|_| random.bits()).collect();
    let strides = Strides { step: 1, line: width, out_step: 3, out_line: 3 * axis.first.len() };
    let name = format!("resize_float {width} -> {} pixels, {lines} rows, alpha {alpha:?}", axis.first.len());
    let out = poison(3 * lines * axis.first.len());
    case(name, pixels, [axis.table(0, strides, alpha), axis.table(0, strides, other(alpha))], true, lines, out)
}

fn other(alpha: Alpha) -> Alpha {
    match alpha {
        Alpha::Drop => Alpha::White,
        Alpha::White => Alpha::Drop,
    }
}

/// The second pass: columns of floats.
fn columns(height: usize, axis: &Axis, lines: usize, add: bool) -> Case {
    let mut random = Random::new((height + lines) as u64);
    let mut floats = |count: usize| -> Vec<f32> { random.floats(count).iter().map(|x| x.abs() * 255.0).collect() };
    let strides = Strides { step: 3 * lines, line: 3, out_step: 3 * lines, out_line: 3 };
    let mut table = axis.table(0, strides, Alpha::Drop);
    let mut other = table.clone();
    let adding = if add { &mut table } else { &mut other };
    adding[TABLE_HEAD - 1] = 1;
    let pixels = words(&floats(3 * height * lines));
    let size = 3 * lines * axis.first.len();
    let out = if add { words(&floats(size)) } else { poison(size) };
    let name = format!("resize_float {height} -> {} pixels, {lines} columns, add {add}", axis.first.len());
    case(name, pixels, [table, other], false, lines, out)
}

/// With the right table and one that differs in its head.
fn case(name: String, pixels: Vec<u32>, tables: [Vec<i32>; 2], first: bool, lines: usize, out: Vec<u32>) -> Case {
    let [table, head] = tables.map(|table| bytemuck::cast_slice::<i32, u32>(&table).to_vec());
    let (mut shorter, mut shifted) = (table.clone(), table.clone());
    shorter[1] = 1;
    // The first output's second weight in the place of its first one, or none.
    shifted[TABLE_HEAD + 2] = shifted.get(TABLE_HEAD + 3).copied().filter(|_| table[0] > 1).unwrap_or(0);
    let (taps, outputs) = (table[0], table[1]);
    let right = ResizeFloat {
        source: ActId(0),
        table: ActId(1),
        out: output(1 + TABLES),
        first,
        // As many outputs as there are, or fewer: an invocation then computes several.
        usual: if lines.is_multiple_of(2) { outputs } else { 5 },
        lines: Rows::PerItem(lines as u32),
    };
    let build = |change: fn(&mut ResizeFloat)| changed(&right, &[], change);
    let numbers = out.len();
    Case {
        name,
        acts: vec![pixels, table, shorter, shifted, head, out],
        rough: None,
        run: Run::items(1),
        right: build(|_| ()),
        wrong: vec![
            ("last line left out", build(|k| k.lines = Rows::PerItem(k.lines.of(Run::items(1)) - 1))),
            ("all outputs but the first left out", build(|k| k.table = ActId(2))),
            ("another weight", build(|k| k.table = ActId(3))),
            ("the other rule for alpha, or for what was there", build(|k| k.table = ActId(4))),
            ("bytes and floats exchanged", build(|k| k.first ^= true)),
        ],
        // A product and an addition for each tap, of weights that add up to 1, and what was there.
        bound: Some((vec![510.0; numbers], f64::from(taps + 3) * 2f64.powi(-24))),
    }
}
