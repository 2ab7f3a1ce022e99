//! What plans run on: a GPU, or the CPU where there is none. A session is written once for both.

mod cpu;
mod gpu;

use std::{collections::HashMap, ops::Range};

pub use cpu::{Cpu, CpuPlan};

use crate::{error::Result, gpu::Tier, kernels::ActId, plan::Plan, weights::Store};

/// A device.
pub trait Backend: Sized + 'static {
    /// Weights, by [`crate::kernels::WeightId`].
    type Weights: Default;
    /// A plan made ready to run.
    type Executor: Executor<Self>;
    /// Numbers on their way back.
    type Readback;

    /// What it calls itself, as far as the driver or the browser tells.
    fn name(&self) -> String;
    /// How it computes.
    fn tier(&self) -> Tier;
    /// Where weights go.
    fn store<'a>(&'a self, weights: &'a mut Self::Weights) -> Box<dyn Store + 'a>;
    /// Items a run, at most `most`, so that every activation finds room.
    ///
    /// # Errors
    /// [`crate::Error::Gpu`] if not even one fits.
    fn capacity(&self, plan: &Plan, most: u32) -> Result<u32>;
    /// Makes a plan ready for up to `capacity` items. The weights may be filled afterwards.
    ///
    /// # Errors
    /// [`crate::Error::Gpu`] if there is no room.
    fn compile(&self, plan: Plan, weights: &Self::Weights, capacity: u32) -> Result<Self::Executor>;
    /// Waits for what was submitted.
    fn bytes(&self, readback: Self::Readback) -> impl Future<Output = Result<Vec<u8>>>;
    /// Learns that so many operations took so long.
    fn took(&self, flops: u64, milliseconds: f64);
}

/// A plan made ready.
pub trait Executor<B: Backend> {
    /// The recorded steps.
    fn plan(&self) -> &Plan;
    /// Most items a run.
    fn capacity(&self) -> u32;
    /// Fills an activation from item `item` on, before the next run.
    fn write(&self, device: &B, act: ActId, item: u32, bytes: &[u8]);
    /// Runs some steps.
    fn run(&self, device: &B, batch: u32, steps: Range<usize>);
    /// Runs all steps, for results that stay where they are.
    fn run_all(&self, device: &B, batch: u32);
    /// Runs all steps and reads an activation's first `batch` items.
    fn submit(&self, device: &B, batch: u32, output: ActId) -> B::Readback;
    /// Reads item 0 of an activation as the last run left it.
    fn read(&self, device: &B, act: ActId) -> B::Readback;
    /// Copies item 0 of an activation into item `item` of another plan's, which has items of the same size.
    fn hand_over(&self, device: &B, act: ActId, into: (&Self, ActId), item: u32);
    /// Runs all steps and reads every tap as it stands in its place.
    fn taps(&self, device: &B, batch: u32) -> impl Future<Output = Result<HashMap<String, Vec<f32>>>>;
}
