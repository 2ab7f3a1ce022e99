//! A case: inputs of one step, and how far its output may be from the naive twin's.

use crate::{
    backend::{Backend, Executor},
    error::Result,
    gpu::{Tier, Tuning},
    kernels::{ActId, Host, Kernel, Rows, Run, VectorRef, WeightId},
    plan::Plan,
    quant::{Format, Matrix},
    threads::Threads,
    weights::Plane,
};

/// The largest error as a share of its bound, 0 where things must be equal and are; or what is wrong and where.
pub type Judged = std::result::Result<f64, String>;

/// A kernel and its weights.
pub struct Step {
    /// The kernel; its activations are those of the case, in the same order.
    pub kernel: Box<dyn Kernel>,
    /// The weights, by [`crate::kernels::WeightId`].
    pub weights: Vec<Matrix>,
}

/// The inputs of a kernel, and how its output is judged.
pub struct Case {
    /// Kernel, sizes and variant, for messages.
    pub name: String,
    /// Contents of every activation; the last is the output, whose contents count as input too (residual).
    pub acts: Vec<Vec<u32>>,
    /// Items, tokens and what is past.
    pub run: Run,
    /// Magnitude of each output, and the share of it that the error may have; none means that words must be equal.
    pub bound: Option<(Vec<f32>, f64)>,
    /// The bound in tiers that round more than f32, if the kernel has such tiers.
    pub rough: Option<Rough>,
}

/// Gives the magnitudes and the share of [`Case::bound`] for a tier that is not exact.
pub type Rough = std::sync::Arc<dyn Fn(Tier) -> (Vec<f32>, f64) + Send + Sync>;

/// How a product of x `[rows, k]` with the weights' magnitudes `[cols, k]` may differ in tiers that round. Half precision: inputs,
/// products and sums of four are each rounded to 11 bits. 8-bit dot products: inputs are off by half a step of the 127 of their
/// block of 32; weights and sums are exact. Activations have slopes up to 1.2.
#[must_use]
pub fn rough(x: &[f32], weights: &[f32], k: usize, magnitude: &[f32]) -> Rough {
    let block = |(x, w): (&[f32], &[f32])| {
        let peak = x.iter().fold(0.0f32, |peak, v| peak.max(v.abs()));
        peak / 254.0 * w.iter().sum::<f32>()
    };
    let rounding = |x: &[f32], w: &[f32]| x.chunks(32).zip(w.chunks(32)).map(block).sum::<f32>();
    let rows = x.chunks_exact(k);
    let steps: Vec<f32> = rows.flat_map(|x| weights.chunks_exact(k).map(move |w| rounding(x, w))).collect();
    let products = magnitude.to_vec();
    std::sync::Arc::new(move |tier| match tier {
        Tier::Dot8 => (steps.iter().zip(&products).map(|(s, p)| s + p * 1e-4).collect(), 1.2),
        _ => (products.clone(), 1.2 * 6.0 * 2f64.powi(-11) + 1e-4),
    })
}

/// Words after every activation that no kernel may read or write: a NaN, so that a read shows.
const GUARD: usize = 67;
const POISON: u32 = 0x7fc0_dead;

/// Converts floats to the words of an activation.
#[must_use]
pub fn words(floats: &[f32]) -> Vec<u32> {
    bytemuck::cast_slice(floats).to_vec()
}

/// An output full of a NaN, so that words that were not written show.
#[must_use]
pub fn poison(words: usize) -> Vec<u32> {
    vec![POISON; words]
}

/// A weight of small numbers.
pub(super) fn small(format: Format, data: &[f32], cols: usize) -> Matrix {
    Matrix::new(format, data, cols).expect("small weights")
}

/// A step's weight number `id`, a vector.
pub(super) fn vector(id: usize, len: usize) -> VectorRef {
    VectorRef { id: WeightId(id), len: len as u32 }
}

/// A case of so many items, whose outputs all have one magnitude and bound.
pub(super) fn case(
    name: String,
    acts: Vec<Vec<u32>>,
    batch: u32,
    bound: Option<(f32, f64)>,
    (kernel, weights): (impl Kernel + 'static, Vec<Matrix>),
) -> (Case, Step) {
    let n = acts.last().expect("an output").len();
    let bound = bound.map(|(magnitude, bound)| (vec![magnitude; n], bound));
    (Case { name, acts, run: Run::items(batch), bound, rough: None }, Step { kernel: Box::new(kernel), weights })
}

impl Case {
    /// Every activation with its guard.
    fn guarded(&self) -> Vec<Vec<u32>> {
        self.acts.iter().map(|act| [&act[..], &poison(GUARD)].concat()).collect()
    }

    /// The output of the naive twin, and its guard.
    ///
    /// # Panics
    /// If there are no activations.
    #[must_use]
    pub fn expected(&self, step: &Step) -> Vec<u32> {
        let mut host = Host { acts: self.guarded(), weights: &step.weights, lent: &[], threads: &Threads::ONE };
        step.kernel.reference(self.run, &mut host);
        host.acts.pop().expect("an output")
    }

    /// The output on a device, and its guard, of so many `times` with the same inputs.
    ///
    /// # Errors
    /// [`crate::Error::Gpu`].
    pub async fn run<B: Backend>(&self, device: &B, tuning: &Tuning, step: Step, times: u32) -> Result<Vec<Vec<u32>>> {
        let mut weights = B::Weights::default();
        let mut store = device.store(&mut weights);
        for (at, m) in step.weights.iter().enumerate() {
            store.make_room("weight", m.format, m.rows, m.cols)?;
            store.write(at, Plane::Values, 0, &m.packed.values);
            if !m.packed.scales.is_empty() {
                store.write(at, Plane::Scales, 0, &m.packed.scales);
            }
        }
        drop(store);
        let inputs = self.guarded();
        let mut plan = Plan::default();
        for act in &inputs {
            plan.input("act", Rows::Shared(1), act.len());
        }
        plan.push("case", step.kernel);
        let plan = device.compile(plan, &weights, tuning, self.run, &mut B::States::default())?;
        let mut outputs = Vec::new();
        for _ in 0..times {
            for (i, act) in inputs.iter().enumerate() {
                plan.write(device, ActId(i), 0, bytemuck::cast_slice(act));
            }
            let bytes = device.bytes(plan.submit(device, self.run, &[ActId(inputs.len() - 1)])).await?;
            outputs.push(bytemuck::pod_collect_to_vec(&bytes));
        }
        Ok(outputs)
    }

    /// Whether an output in this tier, with its guard, is what was expected.
    ///
    /// # Errors
    /// What is wrong and where.
    ///
    /// # Panics
    /// If there are no activations.
    pub fn judge(&self, tier: Tier, found: &[u32], expected: &[u32]) -> Judged {
        let written = self.acts.last().expect("an output").len();
        if let Some(at) = found[written..].iter().position(|&word| word != POISON) {
            return Err(format!("word {at} after the output was overwritten"));
        }
        let (found, expected) = (&found[..written], &expected[..written]);
        let rough = self.rough.as_ref().filter(|_| !tier.exact()).map(|rough| rough(tier));
        match rough.as_ref().or(self.bound.as_ref()) {
            None => match (0..written).find(|&i| found[i] != expected[i]) {
                None => Ok(0.0),
                Some(i) => Err(format!("word {i}: expected {:#010x}, found {:#010x}", expected[i], found[i])),
            },
            Some((magnitude, bound)) => {
                compare(bytemuck::cast_slice(found), bytemuck::cast_slice(expected), magnitude, *bound)
            }
        }
    }
}

/// Each number may differ by `bound` times its own `magnitude`; NaN and infinity never pass.
///
/// # Errors
/// The number that is farthest off, or why nothing can be compared.
pub fn compare(found: &[f32], expected: &[f32], magnitude: &[f32], bound: f64) -> Judged {
    if found.len() != expected.len() || magnitude.len() != expected.len() {
        return Err(format!("expected {} numbers, found {}", expected.len(), found.len()));
    }
    if let Some(i) = found.iter().chain(expected).position(|x| !x.is_finite()) {
        return Err(format!("expected finite numbers, found another at {i} of {} (found, then expected)", found.len()));
    }
    let ratio = |i: usize| f64::from((found[i] - expected[i]).abs()) / f64::from(magnitude[i]).max(1e-30);
    let worst = (0..found.len()).max_by(|&a, &b| ratio(a).total_cmp(&ratio(b)));
    match worst {
        Some(i) if ratio(i) > bound => Err(format!(
            "at {i} expected {}, found {}: {:e} of its magnitude {}, expected at most {bound:e}",
            expected[i],
            found[i],
            ratio(i),
            magnitude[i]
        )),
        Some(i) => Ok(ratio(i) / bound),
        None => Err("expected numbers to compare, found none".into()),
    }
}
