use ocelli::{
    kernels::{ActId, Patchify, Run},
    random::Random,
};

use crate::case::{Build, Case, Step, output, poison};

pub fn cases() -> Vec<Case> {
    // Whole patches, a rest that is dropped, odd patches, one patch.
    [(1, 4, 4, 0), (2, 48, 16, 1), (3, 45, 14, 0), (1, 10, 3, 2), (2, 7, 7, 1)]
        .map(|(batch, size, side, lead)| case(batch, size, side, lead))
        .into()
}

fn case(batch: usize, size: usize, side: usize, lead: usize) -> Case {
    let mut random = Random::new((batch + size * side) as u64);
    // Alpha is random too, and must not matter.
    let pixels: Vec<u32> = (0..batch * size * size).map(|_| random.bits()).collect();
    let right = Patchify {
        pixels: ActId(0),
        y: output(1),
        size: size as u32,
        patch: side as u32,
        lead: lead as u32,
        scale: [0.0146, 0.015, 0.0142],
        shift: [-1.79, -1.75, -1.48],
    };
    let build = |change: fn(&mut Patchify)| -> Build {
        let mut kernel = right.clone();
        change(&mut kernel);
        Box::new(move || Step { kernel: Box::new(kernel.clone()), weights: Vec::new() })
    };
    let n = batch * (lead + (size / side).pow(2)) * 3 * side * side;
    Case {
        name: format!("patchify batch={batch} size={size} patch={side} lead={lead}"),
        acts: vec![pixels, poison(n)],
        rough: None,
        run: Run::items(batch as u32),
        right: build(|_| ()),
        wrong: vec![
            ("red and blue exchanged", build(|k| k.scale.swap(0, 2))),
            ("mean not subtracted", build(|k| k.shift = [0.0; 3])),
        ],
        // One multiplication and one addition of numbers up to 4, fused or not.
        bound: Some((vec![4.0; n], 2f64.powi(-23))),
    }
}
