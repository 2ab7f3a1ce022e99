//! Plans on the CPU, step by step.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    mem,
    ops::Range,
    rc::Rc,
};

use super::{Backend, Executor};
use crate::{
    error::Result,
    gpu::Tuning,
    kernels::{ActId, Host, Run},
    plan::{Kind, Plan},
    quant::{Format, Order},
    threads::Threads,
    weights::{HostStore, Plane, Store},
};

/// This machine's CPU.
#[derive(Debug)]
pub struct Cpu {
    threads: Threads,
}

impl Cpu {
    /// So many threads; without a number, as many as `OMP_NUM_THREADS` says, or as there are cores.
    ///
    /// # Errors
    /// [`crate::Error::BadInput`] for 0 threads, and if the system starts none.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn new(threads: Option<usize>) -> Result<Self> {
        Ok(Self { threads: Threads::new(threads)? })
    }

    /// The vector instructions that this CPU has, of those that there are kernels for.
    #[cfg(not(target_arch = "wasm32"))]
    #[must_use]
    pub fn instructions() -> &'static str {
        crate::cpu::instructions()
    }

    /// How many threads share the work.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.threads.count()
    }
}

impl From<Threads> for Cpu {
    fn from(threads: Threads) -> Self {
        Self { threads }
    }
}

/// All cores; in browsers, the thread that this runs on.
impl Default for Cpu {
    fn default() -> Self {
        #[cfg(not(target_arch = "wasm32"))]
        let threads = Threads::new(None).unwrap_or_default();
        #[cfg(target_arch = "wasm32")]
        let threads = Threads::ONE;
        Self { threads }
    }
}

/// Weights in memory, shared by the plans that use them.
#[derive(Clone)]
pub struct CpuWeights(Rc<RefCell<HostStore>>);

impl Default for CpuWeights {
    fn default() -> Self {
        Self(Rc::new(RefCell::new(HostStore { order: Order::Panels, ..HostStore::default() })))
    }
}

/// Words of an activation that plans share.
type Words = Rc<RefCell<Vec<u32>>>;

struct Shared<'a>(&'a CpuWeights);

impl Store for Shared<'_> {
    fn make_room(&mut self, label: &str, format: Format, rows: usize, cols: usize) -> Result<()> {
        self.0.0.borrow_mut().make_room(label, format, rows, cols)
    }
    fn write(&mut self, index: usize, plane: Plane, offset: usize, bytes: &[u8]) {
        self.0.0.borrow_mut().write(index, plane, offset, bytes);
    }
}

impl Backend for Cpu {
    type Weights = CpuWeights;
    type States = HashMap<String, Words>;
    type Executor = CpuPlan;
    type Readback = Vec<u8>;

    fn name(&self) -> String {
        "CPU".into()
    }
    fn threads(&self) -> &Threads {
        &self.threads
    }
    fn store<'a>(&'a self, weights: &'a mut CpuWeights) -> Box<dyn Store + 'a> {
        Box::new(Shared(weights))
    }
    fn capacity(&self, _: &Plan, most: Run) -> Result<u32> {
        Ok(most.batch)
    }
    fn compile(
        &self,
        plan: Plan,
        weights: &CpuWeights,
        _: &Tuning,
        most: Run,
        states: &mut Self::States,
    ) -> Result<CpuPlan> {
        let words = |size| Rc::new(RefCell::new(vec![0; size]));
        let acts = plan.acts().iter().map(|act| match act.kind {
            Kind::State { .. } => {
                let state = states.entry(act.name.clone()).or_insert_with(|| words(act.size(most))).clone();
                let (size, found) = (act.size(most), state.borrow().len());
                assert!(found >= size, "{}: expected a state of {size} words, found {found}", act.name);
                state
            }
            _ => words(act.size(most)),
        });
        let acts = acts.collect();
        Ok(CpuPlan { plan, weights: weights.clone(), acts, begun: Cell::new(false), most })
    }
    async fn bytes(&self, readback: Vec<u8>) -> Result<Vec<u8>> {
        Ok(readback)
    }
    fn observe(&self, _: u64, _: f64) {}
}

/// A plan with its activations.
pub struct CpuPlan {
    plan: Plan,
    weights: CpuWeights,
    /// By [`ActId`], each as large as the largest run wants it.
    acts: Vec<Words>,
    /// Whether it has run, and with it what is run once.
    begun: Cell<bool>,
    most: Run,
}

impl CpuPlan {
    /// Runs steps; before each, and after the last, `at` sees the activations.
    fn each(&self, cpu: &Cpu, run: Run, steps: Range<usize>, mut at: impl FnMut(usize, &[Vec<u32>])) {
        let most = self.most;
        assert!(
            (1..=most.batch).contains(&run.batch) && (1..=most.tokens).contains(&run.tokens),
            "run: expected at most {most:?}, found {run:?}"
        );
        let store = self.weights.0.borrow();
        let acts = self.acts.iter().map(|act| mem::take(&mut *act.borrow_mut())).collect();
        let mut host = Host { acts, weights: &store.weights, threads: &cpu.threads };
        let last = steps.end;
        for step in steps {
            at(step, &host.acts);
            if let Some(kernel) = self.plan.kernel(step, self.begun.get()) {
                kernel.cpu(run, &mut host);
            }
        }
        at(last, &host.acts);
        for (act, words) in self.acts.iter().zip(host.acts) {
            act.replace(words);
        }
        if last == self.plan.len() {
            self.begun.set(true);
        }
    }

    fn bytes(&self, act: ActId, words: usize) -> Vec<u8> {
        bytemuck::cast_slice(&self.acts[act.0].borrow()[..words]).to_vec()
    }
}

impl Executor<Cpu> for CpuPlan {
    fn plan(&self) -> &Plan {
        &self.plan
    }
    fn most(&self) -> Run {
        self.most
    }
    fn write(&self, _: &Cpu, act: ActId, at: usize, bytes: &[u8]) {
        let mut words = self.acts[act.0].borrow_mut();
        bytemuck::cast_slice_mut::<u32, u8>(&mut words)[at * 4..][..bytes.len()].copy_from_slice(bytes);
    }
    fn run(&self, cpu: &Cpu, run: Run, steps: Range<usize>) {
        self.each(cpu, run, steps, |_, _| {});
    }
    fn run_all(&self, cpu: &Cpu, run: Run) {
        self.run(cpu, run, 0..self.plan.len());
    }
    fn submit(&self, cpu: &Cpu, run: Run, outputs: &[ActId]) -> Vec<u8> {
        self.run_all(cpu, run);
        outputs.iter().flat_map(|&act| self.bytes(act, self.plan.acts()[act.0].size(run))).collect()
    }
    fn read(&self, _: &Cpu, act: ActId) -> Vec<u8> {
        self.bytes(act, self.plan.acts()[act.0].item(self.most))
    }
    fn hand_over(&self, cpu: &Cpu, act: ActId, (into, to): (&Self, ActId), item: u32) {
        let item_words = self.plan.acts()[act.0].item(self.most);
        into.write(cpu, to, item as usize * item_words, &self.bytes(act, item_words));
    }
    async fn taps(&self, cpu: &Cpu, run: Run) -> Result<HashMap<String, Vec<f32>>> {
        let mut taps = HashMap::new();
        self.each(cpu, run, 0..self.plan.len(), |at, acts| {
            for (name, act) in self.plan.taps_at(at) {
                let words = self.plan.acts()[act.0].size(run);
                taps.insert(name.to_string(), bytemuck::cast_slice(&acts[act.0][..words]).to_vec());
            }
        });
        Ok(taps)
    }
}
