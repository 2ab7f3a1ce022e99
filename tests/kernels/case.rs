//! A case and its wrong variants: the same inputs, other steps.

use std::sync::Arc;

pub use ocelli::verify::{Rough, Step, poison, rough, words};
use ocelli::{
    backend::Backend,
    gpu::{Tier, Tuning},
    kernels::{ActId, Gather, Kernel, Rows, Run},
    quant::Matrix,
    random::Random,
    verify,
};

use crate::common::gpu;

/// What a step is built from: the same inputs for every variant.
pub type Build = Box<dyn Fn() -> Step + Send + Sync>;

pub struct Case {
    /// Prints itself: kernel, sizes, variant.
    pub name: String,
    /// As [`verify::Case`] has them.
    pub acts: Vec<Vec<u32>>,
    pub run: Run,
    /// The naive twin of this is the truth.
    pub right: Build,
    pub wrong: Wrong,
    /// As [`verify::Case`] has it.
    pub bound: Option<(Vec<f32>, f64)>,
    /// As [`verify::Case`] has it.
    pub rough: Option<Rough>,
}

/// The output, by its place: after all inputs.
pub fn output(inputs: usize) -> ActId {
    ActId(inputs)
}

/// Builds a kernel over these weights, with a change.
pub fn changed<K: Kernel + Clone + Send + Sync + 'static>(kernel: &K, weights: &[Matrix], change: fn(&mut K)) -> Build {
    let (mut kernel, weights) = (kernel.clone(), weights.to_vec());
    change(&mut kernel);
    Box::new(move || Step { kernel: Box::new(kernel.clone()), weights: weights.clone() })
}

/// What is wrong, and what is built to show it.
pub type Wrong = Vec<(&'static str, Build)>;

/// Inputs with what other formulas make of them, and then the output, which holds `y`; where that is; and for each of the others a wrong
/// variant that hands it out as it is.
pub fn with_others(
    mut acts: Vec<Vec<u32>>,
    others: Vec<(&'static str, Vec<u32>)>,
    y: Vec<u32>,
    batch: usize,
) -> (Vec<Vec<u32>>, ActId, Wrong) {
    let (first, out) = (acts.len(), output(acts.len() + others.len()));
    let dim = (y.len() / batch) as u32;
    let copy = |from| {
        let kernel = Gather { x: ActId(from), index: None, y: out, of: Rows::PerItem(1), dim };
        changed(&kernel, &[], |_| ())
    };
    let mut wrong = Wrong::new();
    for (at, (what, words)) in others.into_iter().enumerate() {
        assert_eq!(words.len(), y.len(), "{what}");
        wrong.push((what, copy(first + at)));
        acts.push(words);
    }
    acts.push(y);
    (acts, out, wrong)
}

impl Case {
    /// A part of the step, which is cut into three; the rows of the others stay as they were.
    pub fn cut(mut self, part: usize) -> Self {
        let (run, whole) = (self.run, Arc::new(self.right));
        let build = |part: usize| -> Build {
            let whole = whole.clone();
            Box::new(move || {
                let Step { kernel, weights } = whole();
                Step { kernel: kernel.cut(run, 1).swap_remove(part), weights }
            })
        };
        let others = (0..3).filter(|other| *other != part).map(|other| ("another part", build(other)));
        let all = whole.clone();
        let all: (_, Build) = ("all rows", Box::new(move || all()));
        let wrong = others.chain([all]).collect();
        let y = self.acts.last_mut().expect("an output");
        *y = words(&Random::new(7).floats(y.len()));
        Self { name: format!("{}, part {part}", self.name), right: build(part), wrong, ..self }
    }

    /// Tiers in which this kernel has a shader of its own, each with the one that a device is tuned to for it; the GPU must be able to.
    pub fn tiers(&self) -> Vec<(Tier, Tier)> {
        let kernel = (self.right)().kernel;
        let mut tiers: Vec<(Tier, Tier)> = Vec::new();
        for tuned in Tier::ALL {
            let tier = kernel.variant(&Tuning::all(tuned), self.run);
            // A tier that this kernel has no variant of falls back to another.
            if tiers.iter().all(|(known, _)| *known != tier) {
                tiers.push((tier, tuned));
            }
        }
        tiers
    }

    pub fn check(&self, tier: Tier, variant: &Build) -> Result<(), String> {
        self.check_on(gpu(), tier, variant)
    }

    /// On whatever runs plans.
    pub fn check_on(&self, device: &impl Backend, tier: Tier, variant: &Build) -> Result<(), String> {
        let (acts, bound, rough) = (self.acts.clone(), self.bound.clone(), self.rough.clone());
        let case = verify::Case { name: self.name.clone(), acts, run: self.run, bound, rough };
        let expected = case.expected(&(self.right)());
        let found =
            pollster::block_on(case.run(device, &Tuning::all(tier), variant(), 1)).map_err(|e| e.to_string())?;
        case.judge(tier, &found[0], &expected).map(drop)
    }
}
