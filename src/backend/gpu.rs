//! [`GpuPlan`] as an executor.

use std::{collections::HashMap, ops::Range};

use super::{Backend, Executor};
use crate::{
    error::Result,
    gpu::{Gpu, Readback, Tier},
    kernels::ActId,
    plan::{GpuPlan, GpuWeights, Plan, capacity},
    weights::{GpuStore, Store},
};

impl Backend for Gpu {
    type Weights = GpuWeights;
    type Executor = GpuPlan;
    type Readback = Readback;

    fn name(&self) -> String {
        self.name().into()
    }
    fn tier(&self) -> Tier {
        self.tier()
    }
    fn store<'a>(&'a self, weights: &'a mut GpuWeights) -> Box<dyn Store + 'a> {
        Box::new(GpuStore { gpu: self, weights })
    }
    fn capacity(&self, plan: &Plan, most: u32) -> Result<u32> {
        capacity(self, plan, most)
    }
    fn compile(&self, plan: Plan, weights: &GpuWeights, capacity: u32) -> Result<GpuPlan> {
        GpuPlan::new(self, plan, weights, capacity)
    }
    async fn bytes(&self, readback: Readback) -> Result<Vec<u8>> {
        readback.bytes(self).await
    }
    fn took(&self, flops: u64, milliseconds: f64) {
        self.took(flops, milliseconds);
    }
}

impl Executor<Gpu> for GpuPlan {
    fn plan(&self) -> &Plan {
        self.plan()
    }
    fn capacity(&self) -> u32 {
        self.capacity()
    }
    fn write(&self, gpu: &Gpu, act: ActId, item: u32, bytes: &[u8]) {
        self.write(gpu, act, item, bytes);
    }
    fn run(&self, gpu: &Gpu, batch: u32, steps: Range<usize>) {
        self.submit_steps(gpu, batch, steps);
    }
    fn run_all(&self, gpu: &Gpu, batch: u32) {
        self.run(gpu, batch);
    }
    fn submit(&self, gpu: &Gpu, batch: u32, output: ActId) -> Readback {
        self.submit(gpu, batch, output)
    }
    fn read(&self, gpu: &Gpu, act: ActId) -> Readback {
        self.read(gpu, act)
    }
    fn hand_over(&self, gpu: &Gpu, act: ActId, (into, to): (&Self, ActId), item: u32) {
        self.hand_over(gpu, act, into.buffer(to), item);
    }
    async fn taps(&self, gpu: &Gpu, batch: u32) -> Result<HashMap<String, Vec<f32>>> {
        self.run_taps(gpu, batch).await
    }
}
