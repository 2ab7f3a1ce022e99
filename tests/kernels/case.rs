//! A case: weights, inputs, a kernel, and how far its output may be from the naive twin's.

use ocelli::{
    kernels::{ActId, Kernel},
    plan::{GpuPlan, Plan},
    quant::Matrix,
};

use crate::common::{compare, gpu, upload};

/// What a step is built from: the same inputs for every variant.
pub type Build = Box<dyn Fn() -> Step + Send + Sync>;

/// A kernel and the weights that it sees.
pub struct Step {
    pub kernel: Box<dyn Kernel>,
    pub weights: Vec<Matrix>,
}

pub struct Case {
    /// Prints itself: kernel, sizes, variant.
    pub name: String,
    /// Contents of every activation but the last, which is the output; its contents count as input too (residual).
    pub acts: Vec<Vec<u32>>,
    pub batch: u32,
    /// The naive twin of this is the truth.
    pub right: Build,
    pub wrong: Vec<(&'static str, Build)>,
    /// Magnitude of each output, and the share of it that the error may have; none means that words must be equal.
    pub bound: Option<(Vec<f32>, f64)>,
}

/// The output, by its place: after all inputs.
pub fn output(inputs: usize) -> ActId {
    ActId(inputs)
}

/// Words after every activation that no kernel may read or write: a NaN, so that a read shows.
const GUARD: usize = 67;
const POISON: u32 = 0x7fc0_dead;

pub fn words(floats: &[f32]) -> Vec<u32> {
    bytemuck::cast_slice(floats).to_vec()
}

/// An output that holds nothing yet.
pub fn poison(words: usize) -> Vec<u32> {
    vec![POISON; words]
}

impl Case {
    pub fn check(&self, variant: &Build) -> Result<(), String> {
        let expected = self.run_reference();
        let found = self.run_gpu(variant())?;
        let written = self.acts.last().expect("an output").len();
        if let Some(at) = found[written..].iter().position(|&w| w != POISON) {
            return Err(format!("word {at} after the output was overwritten"));
        }
        match &self.bound {
            None => match (0..written).find(|&i| found[i] != expected[i]) {
                None => Ok(()),
                Some(i) => Err(format!("word {i}: expected {:#010x}, found {:#010x}", expected[i], found[i])),
            },
            Some((magnitude, bound)) => compare(
                &self.name,
                bytemuck::cast_slice(&found[..written]),
                bytemuck::cast_slice(&expected[..written]),
                magnitude,
                *bound,
            ),
        }
    }

    fn plan(&self) -> (Plan, Vec<(ActId, Vec<u32>)>) {
        let mut plan = Plan::default();
        let mut inputs = Vec::new();
        for (i, data) in self.acts.iter().enumerate() {
            // A plan counts words an item; a case, of all items.
            let per_item = (data.len() + GUARD).div_ceil(self.batch as usize);
            let act = plan.act(&format!("act {i}"), per_item);
            let mut guarded = data.clone();
            guarded.resize(per_item * self.batch as usize, POISON);
            inputs.push((act, guarded));
        }
        (plan, inputs)
    }

    fn run_reference(&self) -> Vec<u32> {
        let Step { kernel, weights } = (self.right)();
        let (mut plan, inputs) = self.plan();
        plan.step("reference", kernel);
        let inputs: Vec<(ActId, &[u32])> = inputs.iter().map(|(act, data)| (*act, data.as_slice())).collect();
        plan.run_reference(&weights, &inputs, self.batch).acts.pop().expect("an output")
    }

    fn run_gpu(&self, step: Step) -> Result<Vec<u32>, String> {
        let gpu = gpu();
        let Step { kernel, weights } = step;
        let (mut plan, inputs) = self.plan();
        plan.step("gpu", kernel);
        let weights = upload(gpu, &weights);
        let plan = GpuPlan::new(gpu, plan, &weights, self.batch).map_err(|e| e.to_string())?;
        for (act, data) in &inputs {
            plan.write(gpu, *act, 0, bytemuck::cast_slice(data));
        }
        let output = ActId(self.acts.len() - 1);
        let bytes = pollster::block_on(plan.submit(gpu, self.batch, output).bytes(gpu)).map_err(|e| e.to_string())?;
        Ok(bytemuck::pod_collect_to_vec(&bytes))
    }
}
