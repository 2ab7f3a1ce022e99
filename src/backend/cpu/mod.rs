//! The same plans on the CPU, step by step: matrix products and attention fast, all else by the naive twins.

mod attention;
mod math;
mod matmul;
mod product;

use std::{
    any::Any,
    cell::{Cell, RefCell},
    collections::HashMap,
    mem,
    ops::Range,
    rc::Rc,
};

use super::{Backend, Executor};
use crate::{
    error::Result,
    gpu::Tier,
    kernels::{ActId, Attention, Host, Kernel, Matmul},
    plan::Plan,
    quant::Format,
    weights::{HostStore, Plane, Store},
};

/// This machine's CPU.
#[derive(Debug, Default)]
pub struct Cpu;

/// Weights in memory, shared by the plans that use them.
pub type CpuWeights = Rc<RefCell<HostStore>>;

struct Shared<'a>(&'a CpuWeights);

impl Store for Shared<'_> {
    fn make_room(&mut self, label: &str, format: Format, rows: usize, cols: usize) -> Result<()> {
        self.0.borrow_mut().make_room(label, format, rows, cols)
    }
    fn write(&mut self, index: usize, plane: Plane, offset: usize, bytes: &[u8]) {
        self.0.borrow_mut().write(index, plane, offset, bytes);
    }
}

impl Backend for Cpu {
    type Weights = CpuWeights;
    type Executor = CpuPlan;
    type Readback = Vec<u8>;

    fn name(&self) -> String {
        "CPU".into()
    }
    fn tier(&self) -> Tier {
        Tier::Plain
    }
    fn store<'a>(&'a self, weights: &'a mut CpuWeights) -> Box<dyn Store + 'a> {
        Box::new(Shared(weights))
    }
    fn capacity(&self, _: &Plan, most: u32) -> Result<u32> {
        Ok(most)
    }
    fn compile(&self, plan: Plan, weights: &CpuWeights, capacity: u32) -> Result<CpuPlan> {
        let acts = plan.acts().iter().map(|act| vec![0; act.words * capacity as usize]).collect();
        Ok(CpuPlan { plan, weights: weights.clone(), acts: RefCell::new(acts), begun: Cell::new(false), capacity })
    }
    async fn bytes(&self, readback: Vec<u8>) -> Result<Vec<u8>> {
        Ok(readback)
    }
    fn took(&self, _: u64, _: f64) {}
}

/// A plan with its activations.
pub struct CpuPlan {
    plan: Plan,
    weights: CpuWeights,
    acts: RefCell<Vec<Vec<u32>>>,
    /// Whether it has run, and with it what is run once.
    begun: Cell<bool>,
    capacity: u32,
}

impl CpuPlan {
    /// Runs steps; before each, and after the last, `at` sees the activations.
    fn each(&self, batch: u32, steps: Range<usize>, mut at: impl FnMut(usize, &[Vec<u32>])) {
        assert!(batch >= 1 && batch <= self.capacity, "batch: expected 1 to {}, found {batch}", self.capacity);
        let store = self.weights.borrow();
        let mut acts = self.acts.borrow_mut();
        let mut host = Host { acts: mem::take(&mut *acts), weights: &store.weights };
        // The twins work on all of an activation.
        for (words, act) in self.plan.acts().iter().zip(&mut host.acts) {
            act.truncate(words.words * batch as usize);
        }
        let last = steps.end;
        for step in steps {
            at(step, &host.acts);
            if let Some(kernel) = self.plan.kernel(step, self.begun.get()) {
                execute(kernel, batch, &mut host);
            }
        }
        at(last, &host.acts);
        for (words, act) in self.plan.acts().iter().zip(&mut host.acts) {
            act.resize(words.words * self.capacity as usize, 0);
        }
        *acts = host.acts;
        if last == self.plan.len() {
            self.begun.set(true);
        }
    }

    fn bytes(&self, act: ActId, items: u32) -> Vec<u8> {
        let words = self.plan.acts()[act.0].words * items as usize;
        bytemuck::cast_slice(&self.acts.borrow()[act.0][..words]).to_vec()
    }
}

/// One step: fast where it counts.
fn execute(kernel: &dyn Kernel, batch: u32, host: &mut Host) {
    let any: &dyn Any = kernel;
    if let Some(boxed) = any.downcast_ref::<Box<dyn Kernel>>() {
        return execute(boxed.as_ref(), batch, host);
    }
    if let Some(matmul) = any.downcast_ref::<Matmul>() {
        matmul::run(matmul, batch, host);
    } else if let Some(attention) = any.downcast_ref::<Attention>() {
        attention::run(attention, batch, host);
    } else {
        kernel.reference(batch, host);
    }
}

impl Executor<Cpu> for CpuPlan {
    fn plan(&self) -> &Plan {
        &self.plan
    }
    fn capacity(&self) -> u32 {
        self.capacity
    }
    fn write(&self, _: &Cpu, act: ActId, item: u32, bytes: &[u8]) {
        let start = self.plan.acts()[act.0].words * item as usize * 4;
        let mut acts = self.acts.borrow_mut();
        bytemuck::cast_slice_mut::<u32, u8>(&mut acts[act.0])[start..start + bytes.len()].copy_from_slice(bytes);
    }
    fn run(&self, _: &Cpu, batch: u32, steps: Range<usize>) {
        self.each(batch, steps, |_, _| {});
    }
    fn run_all(&self, cpu: &Cpu, batch: u32) {
        self.run(cpu, batch, 0..self.plan.len());
    }
    fn submit(&self, cpu: &Cpu, batch: u32, output: ActId) -> Vec<u8> {
        self.run_all(cpu, batch);
        self.bytes(output, batch)
    }
    fn read(&self, _: &Cpu, act: ActId) -> Vec<u8> {
        self.bytes(act, 1)
    }
    fn hand_over(&self, cpu: &Cpu, act: ActId, (into, to): (&Self, ActId), item: u32) {
        into.write(cpu, to, item, &self.bytes(act, 1));
    }
    async fn taps(&self, _: &Cpu, batch: u32) -> Result<HashMap<String, Vec<f32>>> {
        let mut taps = HashMap::new();
        self.each(batch, 0..self.plan.len(), |at, acts| {
            for (name, act, words) in self.plan.taps_at(at) {
                let words = words * batch as usize;
                taps.insert(name.to_string(), bytemuck::cast_slice(&acts[act.0][..words]).to_vec());
            }
        });
        Ok(taps)
    }
}
