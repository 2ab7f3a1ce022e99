use ocelli::{
    config::{Alpha, Filter},
    kernels::{ActId, Resize, Rows, Run},
    preprocess::{Axis, Strides, resample},
    random::Random,
};

use crate::case::{Case, changed, output, poison};

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for filter in [Filter::Lanczos, Filter::Bilinear, Filter::Bicubic] {
        // Down, up, the same, from one pixel, a crop of the middle, a crop beyond the picture, far down.
        for (source, full, window, lines) in [
            (61, 48, 0..48, 7),
            (5, 42, 0..42, 3),
            (36, 36, 0..36, 9),
            (1, 8, 0..8, 2),
            (97, 60, 12..48, 5),
            (20, 10, -3..14, 4),
            (5000, 24, 0..24, 2),
        ] {
            for (vertical, alpha) in [(false, Alpha::Drop), (true, Alpha::White)] {
                cases.push(case(
                    filter,
                    source,
                    &Axis::new(filter, source, full, window.clone()),
                    lines,
                    vertical,
                    alpha,
                ));
            }
        }
    }
    cases
}

fn case(filter: Filter, source: usize, axis: &Axis, lines: usize, vertical: bool, alpha: Alpha) -> Case {
    let mut random = Random::new((source + lines) as u64);
    // Black, white and extremes beside each other, so that the cubic's overshoot is clipped, with alpha of all kinds.
    let pixels: Vec<u32> = (0..source * lines)
        .map(|_| match random.bits() % 3 {
            0 => 0,
            1 => u32::MAX,
            _ => random.bits(),
        })
        .collect();
    let outputs = axis.first.len();
    let strides = if vertical {
        Strides { step: lines, line: 1, out_step: lines, out_line: 1 }
    } else {
        Strides { step: 1, line: source, out_step: 1, out_line: outputs }
    };
    // As many outputs as a rule, or fewer: an invocation then computes several.
    let usual = if lines.is_multiple_of(2) { outputs } else { 5 };
    let lines_of = |lines: usize| Rows::PerItem(lines as u32);
    let right =
        Resize { source: ActId(0), table: ActId(1), out: output(3), usual: usual as u32, lines: lines_of(lines) };
    // The kernel's twin reads the same table; the oracle in `preprocess` does not, so check the twin against it here.
    let words = |alpha| -> Vec<u32> { axis.table(0, strides, alpha).iter().map(|&v| v as u32).collect() };
    let oracle = resample(&pixels, axis, strides.step, strides.line, lines);
    let twin = |alpha| ocelli::reference::resize(&pixels, &words(alpha), lines);
    assert_eq!(twin(Alpha::Drop), oracle, "twin and oracle");
    assert_ne!(twin(Alpha::White), oracle, "transparent pixels are put on white");
    let table = words(alpha);
    let mut shorter = table.clone();
    shorter[1] -= 1;
    let build = |change: fn(&mut Resize)| changed(&right, &[], change);
    Case {
        name: format!(
            "resize {filter:?} {source} -> {outputs} pixels, {lines} lines, {}, alpha {alpha:?}",
            if vertical { "vertical" } else { "horizontal" }
        ),
        acts: vec![pixels, table, shorter, poison(outputs * lines)],
        rough: None,
        run: Run::items(1),
        right: build(|_| ()),
        wrong: vec![
            ("last line left out", build(|k| k.lines = Rows::PerItem(k.lines.of(Run::items(1)) - 1))),
            ("last output left out", build(|k| k.table = ActId(2))),
        ],
        // Integers.
        bound: None,
    }
}
