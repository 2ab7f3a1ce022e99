//! What plans run on: a GPU, or the CPU where there is none. A session is written once for both.

mod cpu;
mod cpu_plan;
#[cfg(not(target_arch = "wasm32"))]
mod device;
mod gpu;
mod team;

use std::{collections::HashMap, ops::Range};

pub use cpu::{Cpu, CpuReadback};
pub use cpu_plan::{CpuPlan, CpuWeights};
#[cfg(not(target_arch = "wasm32"))]
pub use device::{Device, DeviceStates, DeviceWeights, Of};
pub use gpu::{GpuPlan, GpuWeights};
pub use team::Team;

use crate::{
    error::Result,
    gpu::Tuning,
    kernels::{ActId, Run},
    plan::Plan,
    threads::Threads,
    weights::Store,
};

/// A device.
pub trait Backend: Sized + 'static {
    /// Weights, by [`crate::kernels::WeightId`].
    type Weights: Default;
    /// States by name, for plans that share them.
    type States: Default;
    /// A plan made ready to run.
    type Executor: Executor<Self>;
    /// Numbers on their way back.
    type Readback;

    /// What it calls itself, as far as the driver or the browser tells.
    fn name(&self) -> String;
    /// What shares the work of converting weights.
    fn threads(&self) -> &Threads {
        static ONE: Threads = Threads::ONE;
        &ONE
    }
    /// Where weights go.
    fn store<'a>(&'a self, weights: &'a mut Self::Weights) -> Box<dyn Store + 'a>;
    /// Where the weights of a model go, of which a device has one: it may share them out.
    fn model_store<'a>(&'a self, weights: &'a mut Self::Weights) -> Box<dyn Store + 'a> {
        self.store(weights)
    }
    /// Items a run, at most those of `most`, so that every activation finds room.
    ///
    /// # Errors
    /// [`crate::Error::Gpu`] if not even one fits.
    fn capacity(&self, plan: &Plan, most: Run) -> Result<u32>;
    /// Makes a plan ready for runs of up to `most`, in the tiers of `tuning`. The weights may be filled afterwards; states that
    /// are there already are shared.
    ///
    /// # Errors
    /// [`crate::Error::Gpu`] if there is no room.
    fn compile(
        &self,
        plan: Plan,
        weights: &Self::Weights,
        tuning: &Tuning,
        most: Run,
        states: &mut Self::States,
    ) -> Result<Self::Executor>;
    /// Waits for what was submitted.
    fn bytes(&self, readback: Self::Readback) -> impl Future<Output = Result<Vec<u8>>>;
    /// Steps of a text that are best under way at a time: a device that works by itself need not wait until each is read.
    fn steps_ahead(&self) -> usize {
        1
    }
    /// Learns that so many operations took so long.
    fn observe(&self, flops: u64, milliseconds: f64);
}

/// A plan made ready.
pub trait Executor<B: Backend> {
    /// The recorded steps.
    fn plan(&self) -> &Plan;
    /// The largest run.
    fn most(&self) -> Run;
    /// Fills an activation from word `at` on, before the next run.
    fn write(&self, device: &B, act: ActId, at: usize, bytes: &[u8]);
    /// Runs some steps.
    fn run(&self, device: &B, run: Run, steps: Range<usize>);
    /// Runs all steps, for results that stay where they are.
    fn run_all(&self, device: &B, run: Run);
    /// Runs all steps and reads activations, which come one after the other.
    fn submit(&self, device: &B, run: Run, outputs: &[ActId]) -> B::Readback;
    /// Reads item 0 of an activation as the last run left it.
    fn read(&self, device: &B, act: ActId) -> B::Readback;
    /// Copies item 0 of an activation into item `item` of another plan's, which has items of the same size.
    fn hand_over(&self, device: &B, act: ActId, into: (&Self, ActId), item: u32);
    /// Runs all steps, hands item 0 of an activation over to a plan that runs then, and reads what that comes to: on a GPU in one
    /// submission where the first plan is not long.
    fn submit_through(
        &self,
        device: &B,
        run: Run,
        act: ActId,
        (into, to): (&Self, ActId),
        (then, outputs): (Run, &[ActId]),
    ) -> B::Readback {
        self.run_all(device, run);
        self.hand_over(device, act, (into, to), 0);
        into.submit(device, then, outputs)
    }
    /// Runs all steps and reads every tap as it stands in its place.
    fn taps(&self, device: &B, run: Run) -> impl Future<Output = Result<HashMap<String, Vec<f32>>>>;
}
