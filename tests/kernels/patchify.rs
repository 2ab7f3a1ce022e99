use ocelli::{
    kernels::{ActId, Patchify, Pictures, Rows, Run},
    random::Random,
};

use crate::case::{Case, changed, output, poison, words};

/// Columns and lengths of the pictures, and lengths without padding.
const COLUMNS: ActId = ActId(1);
const LENGTHS: ActId = ActId(2);
const ROOM: ActId = ActId(3);

pub fn cases() -> Vec<Case> {
    // Whole patches, a rest that is dropped, odd patches, one patch.
    let shapes = [(1, 4, 4, 0), (2, 48, 16, 1), (3, 45, 14, 0), (1, 10, 3, 2), (2, 7, 7, 1)];
    let squares = shapes.map(|(batch, size, side, lead)| square(batch, size, side, lead));
    let floats = shapes.map(|(batch, size, side, lead)| floats(batch, size, side, lead));
    // One patch; no padding; wide, tall and square in one run.
    let naflex = [(4, 1, &[[1, 1]][..]), (3, 6, &[[2, 3], [3, 2]]), (5, 10, &[[9, 1], [1, 10], [3, 3]])]
        .map(|(side, rows, grids)| naflex(side, rows, grids));
    squares.into_iter().chain(floats).chain(naflex).collect()
}

fn square(batch: usize, size: usize, side: usize, lead: usize) -> Case {
    let pictures = Pictures::Squares { size: size as u32, lead: lead as u32 };
    let name = format!("patchify batch={batch} size={size} patch={side} lead={lead}");
    case(name, [batch, size * size, side, lead + (size / side).pow(2)], pictures, &[])
}

fn floats(batch: usize, size: usize, side: usize, lead: usize) -> Case {
    let pictures = Pictures::Floats { size: size as u32, lead: lead as u32 };
    let name = format!("patchify floats batch={batch} size={size} patch={side} lead={lead}");
    case(name, [batch, size * size, side, lead + (size / side).pow(2)], pictures, &[])
}

/// Pictures of these columns and rows of patches, with room for `rows` patches each.
fn naflex(side: usize, rows: usize, grids: &[[u32; 2]]) -> Case {
    let pictures = Pictures::Naflex { columns: COLUMNS, lengths: LENGTHS };
    let name = format!("patchify NaFlex patch={side} rows={rows} grids={grids:?}");
    case(name, [grids.len(), rows * side * side, side, rows], pictures, grids)
}

fn case(name: String, [batch, area, side, rows]: [usize; 4], pictures: Pictures, grids: &[[u32; 2]]) -> Case {
    let mut random = Random::new((batch + area * side) as u64);
    // Alpha is random too, and must not matter.
    let pixels: Vec<u32> = match pictures {
        Pictures::Floats { .. } => {
            words(&random.floats(3 * batch * area).iter().map(|x| x.abs() * 255.0).collect::<Vec<_>>())
        }
        _ => (0..batch * area).map(|_| random.bits()).collect(),
    };
    let right = Patchify {
        pixels: ActId(0),
        y: output(4),
        rows: Rows::PerItem(rows as u32),
        pictures,
        patch: side as u32,
        scale: [0.0146, 0.015, 0.0142],
        shift: [-1.79, -1.75, -1.48],
    };
    let build = |change: fn(&mut Patchify)| changed(&right, &[], change);
    let mut wrong = vec![
        ("red and blue exchanged", build(|k| k.scale.swap(0, 2))),
        ("mean not subtracted", build(|k| k.shift = [0.0; 3])),
    ];
    if let Pictures::Floats { size, lead } = pictures {
        let bytes = Patchify { pictures: Pictures::Squares { size, lead }, ..right.clone() };
        wrong.push(("bytes for floats", changed(&bytes, &[], |_| ())));
    }
    let lengths: Vec<u32> = grids.iter().map(|g| g[0] * g[1]).collect();
    if lengths.iter().any(|&length| length < rows as u32) {
        wrong.push(("padding not zero", build(|k| k.pictures = Pictures::Naflex { columns: COLUMNS, lengths: ROOM })));
    }
    if grids.iter().any(|g| g[1] > 1) {
        wrong.push(("one row", build(|k| k.pictures = Pictures::Naflex { columns: LENGTHS, lengths: LENGTHS })));
    }
    let n = batch * rows * 3 * side * side;
    let columns = grids.iter().map(|g| g[0]).collect();
    Case {
        name,
        acts: vec![pixels, columns, lengths, vec![rows as u32; batch], poison(n)],
        rough: None,
        run: Run::items(batch as u32),
        right: build(|_| ()),
        wrong,
        // One multiplication and one addition of numbers up to 4, fused or not.
        bound: Some((vec![4.0; n], 2f64.powi(-23))),
    }
}
