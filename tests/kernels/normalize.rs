use ocelli::{
    kernels::{ActId, Normalize, Run},
    random::Random,
};

use crate::case::{Build, Case, Step, output, poison, words};

pub fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> =
        [(1, 1, 1.0), (3, 36, 1.0), (65, 26, 1.0), (2, 768, 1.0)].map(|(b, d, s)| case(b, d, s)).into();
    // Squares of these overflow or vanish in f32.
    cases.extend([case(2, 40, 1e30), case(2, 40, 1e-25)]);
    cases
}

fn case(batch: usize, dim: usize, scale: f32) -> Case {
    let mut random = Random::new((batch + dim) as u64);
    let x: Vec<f32> = random.floats(batch * dim).iter().map(|v| v * scale).collect();
    let build = |x: usize, dim: usize| -> Build {
        Box::new(move || Step {
            kernel: Box::new(Normalize { x: ActId(x), y: output(2), dim: dim as u32 }),
            weights: Vec::new(),
        })
    };
    let mut wrong = Vec::new();
    if batch > 1 {
        wrong.push(("rows one longer", build(0, dim + 1)));
        wrong.push(("another input", build(1, dim)));
    }
    let other = random.floats(batch * dim);
    Case {
        name: format!("normalize batch={batch} dim={dim} scale={scale:e}"),
        acts: vec![words(&x), words(&other), poison(batch * dim)],
        rough: None,
        run: Run::items(batch as u32),
        right: build(0, dim),
        wrong,
        // `dim` additions under a square root, two divisions that WGSL lets be off by 2.5 units in the last place.
        bound: Some((vec![1.0; batch * dim], (dim as f64 / 2.0 + 10.0) * 2f64.powi(-24))),
    }
}
