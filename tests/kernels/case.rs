//! A case and its wrong variants: the same inputs, other steps.

pub use ocelli::verify::{Rough, Step, poison, rough, words};
use ocelli::{backend::Backend, gpu::Tier, kernels::ActId, verify};

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
    /// As [`verify::Case`] has it.
    pub rough: Option<Rough>,
}

/// The output, by its place: after all inputs.
pub fn output(inputs: usize) -> ActId {
    ActId(inputs)
}

impl Case {
    /// Tiers in which this kernel is another shader, the plain one first; the GPU must be able to.
    pub fn tiers(&self) -> Vec<Tier> {
        let kernel = (self.right)().kernel;
        let mut tiers: Vec<Tier> = Vec::new();
        for tier in Tier::ALL {
            if !tiers.iter().any(|&t| kernel.shader(t).key() == kernel.shader(tier).key()) {
                tiers.push(tier);
            }
        }
        tiers
    }

    pub fn check(&self, tier: Tier, variant: &Build) -> Result<(), String> {
        let gpu = gpu();
        gpu.set_tier(tier).map_err(|e| e.to_string())?;
        self.check_on(gpu, variant)
    }

    /// On whatever runs plans.
    pub fn check_on(&self, device: &impl Backend, variant: &Build) -> Result<(), String> {
        let (acts, bound, rough) = (self.acts.clone(), self.bound.clone(), self.rough.clone());
        let case = verify::Case { name: self.name.clone(), acts, batch: self.batch, bound, rough };
        let expected = case.expected(&(self.right)());
        let found = pollster::block_on(case.run(device, variant(), 1)).map_err(|e| e.to_string())?;
        case.judge(device.tier(), &found[0], &expected).map(drop)
    }
}
