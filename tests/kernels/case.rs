//! A case and its wrong variants: the same inputs, other steps.

pub use ocelli::verify::{Step, poison, words};
use ocelli::{kernels::ActId, verify};

use crate::common::gpu;

/// What a step is built from: the same inputs for every variant.
pub type Build = Box<dyn Fn() -> Step + Send + Sync>;

pub struct Case {
    /// Prints itself: kernel, sizes, variant.
    pub name: String,
    /// As [`verify::Case`] has them.
    pub acts: Vec<Vec<u32>>,
    pub batch: u32,
    /// The naive twin of this is the truth.
    pub right: Build,
    pub wrong: Vec<(&'static str, Build)>,
    /// As [`verify::Case`] has it.
    pub bound: Option<(Vec<f32>, f64)>,
}

/// The output, by its place: after all inputs.
pub fn output(inputs: usize) -> ActId {
    ActId(inputs)
}

impl Case {
    pub fn check(&self, variant: &Build) -> Result<(), String> {
        let (acts, bound) = (self.acts.clone(), self.bound.clone());
        let case = verify::Case { name: self.name.clone(), acts, batch: self.batch, bound };
        let expected = case.expected(&(self.right)());
        let found = pollster::block_on(case.run(gpu(), variant(), 1)).map_err(|e| e.to_string())?;
        case.judge(&found[0], &expected).map(drop)
    }
}
