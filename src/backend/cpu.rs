//! Plans on the CPU, step by step.

use std::{cell::RefCell, collections::HashMap, ops::Range, rc::Rc};

use futures_channel::oneshot;

use super::{
    Backend, Executor, Team,
    cpu_plan::{CpuPlan, CpuWeights, Words},
    team::{Queue, TeamStore},
};
use crate::{
    error::{Error, Result},
    gpu::Tuning,
    kernels::{ActId, Run},
    plan::{Kind, Plan},
    quant::Format,
    threads::Threads,
    weights::{Plane, Store},
};

/// This machine's CPU.
pub struct Cpu {
    threads: Threads,
    /// Where other engines share the work.
    queue: Option<Queue>,
}

impl Cpu {
    /// So many threads; without a number, as many as `OMP_NUM_THREADS` says, or as there are cores.
    ///
    /// # Errors
    /// [`crate::Error::BadInput`] for 0 threads, and if the system starts none.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn new(threads: Option<usize>) -> Result<Self> {
        Ok(Self { threads: Threads::new(threads)?, queue: None })
    }

    /// The vector instructions that this CPU has, of those that there are kernels for.
    #[cfg(not(target_arch = "wasm32"))]
    #[must_use]
    pub fn instructions() -> &'static str {
        crate::cpu::instructions()
    }

    /// One that shares the work with other engines. Work ends only as they answer: [`Cpu::answered`].
    #[must_use]
    pub fn with_team(team: Box<dyn Team>) -> Self {
        Self { threads: Threads::ONE, queue: Some(Queue::new(team)) }
    }

    /// How many threads share the work.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.queue.as_ref().map_or(self.threads.count(), Queue::engines)
    }

    /// Takes what the parts came to that [`Team::ask`] handed out, in that order, and goes on.
    pub fn answered(&self, parts: Vec<Vec<f32>>) {
        if let Some(queue) = &self.queue {
            queue.answered(parts);
        }
    }

    /// The others will not answer any more: what waits for them ends with [`Error::WorkerLost`].
    pub fn forsaken(&self) {
        if let Some(queue) = &self.queue {
            queue.clear();
        }
    }
}

impl From<Threads> for Cpu {
    fn from(threads: Threads) -> Self {
        Self { threads, queue: None }
    }
}

/// All cores; in browsers, the thread that this runs on.
impl Default for Cpu {
    fn default() -> Self {
        #[cfg(not(target_arch = "wasm32"))]
        let threads = Threads::new(None).unwrap_or_default();
        #[cfg(target_arch = "wasm32")]
        let threads = Threads::ONE;
        Self { threads, queue: None }
    }
}

/// Numbers that are here, or that come when those before them in the queue are done.
pub enum CpuReadback {
    /// As they were at once.
    Here(Vec<u8>),
    /// They come when what was queued before them is done.
    Coming(oneshot::Receiver<Vec<u8>>),
}

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
    type Readback = CpuReadback;

    fn name(&self) -> String {
        "CPU".into()
    }
    fn threads(&self) -> &Threads {
        &self.threads
    }
    fn store<'a>(&'a self, weights: &'a mut CpuWeights) -> Box<dyn Store + 'a> {
        Box::new(Shared(weights))
    }
    fn model_store<'a>(&'a self, weights: &'a mut CpuWeights) -> Box<dyn Store + 'a> {
        match &self.queue {
            None => self.store(weights),
            Some(queue) => Box::new(TeamStore::new(queue, &weights.0)),
        }
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
        Ok(CpuPlan::new(plan, weights, acts, most))
    }
    async fn bytes(&self, readback: CpuReadback) -> Result<Vec<u8>> {
        let lost =
            |_| Error::WorkerLost("A worker that shared the work ended: the model has to be loaded again.".into());
        match readback {
            CpuReadback::Here(bytes) => Ok(bytes),
            CpuReadback::Coming(bytes) => bytes.await.map_err(lost),
        }
    }
    fn observe(&self, _: u64, _: f64) {}
}

/// Reads once all that was asked for before is done.
fn coming(cpu: &Cpu, plan: &CpuPlan, read: impl FnOnce(&CpuPlan) -> Vec<u8> + 'static) -> CpuReadback {
    let Some(queue) = &cpu.queue else { return CpuReadback::Here(read(plan)) };
    let (sender, receiver) = oneshot::channel();
    let plan = plan.clone();
    queue.then(move || {
        // Nobody may be waiting any more.
        let _ = sender.send(read(&plan));
    });
    CpuReadback::Coming(receiver)
}

impl Executor<Cpu> for CpuPlan {
    fn plan(&self) -> &Plan {
        &self.plan
    }
    fn most(&self) -> Run {
        self.most
    }
    fn write(&self, cpu: &Cpu, act: ActId, at: usize, bytes: &[u8]) {
        match &cpu.queue {
            Some(queue) if queue.busy() => {
                let (plan, bytes) = (self.clone(), bytes.to_vec());
                queue.then(move || plan.put(act, at, &bytes));
            }
            _ => self.put(act, at, bytes),
        }
    }
    fn run(&self, cpu: &Cpu, run: Run, steps: Range<usize>) {
        self.check(run);
        match &cpu.queue {
            Some(queue) => queue.steps(self, run, steps),
            None => self.each(&cpu.threads, run, steps, |_, _| {}),
        }
    }
    fn run_all(&self, cpu: &Cpu, run: Run) {
        self.run(cpu, run, 0..self.plan.len());
    }
    fn submit(&self, cpu: &Cpu, run: Run, outputs: &[ActId]) -> CpuReadback {
        self.run_all(cpu, run);
        let outputs = outputs.to_vec();
        coming(cpu, self, move |plan| {
            outputs.iter().flat_map(|&act| plan.bytes(act, plan.plan.acts()[act.0].size(run))).collect()
        })
    }
    fn read(&self, cpu: &Cpu, act: ActId) -> CpuReadback {
        coming(cpu, self, move |plan| plan.bytes(act, plan.plan.acts()[act.0].item(plan.most)))
    }
    fn hand_over(&self, cpu: &Cpu, act: ActId, (into, to): (&Self, ActId), item: u32) {
        let (from, into) = (self.clone(), into.clone());
        let copy = move || {
            let item_words = from.plan.acts()[act.0].item(from.most);
            into.put(to, item as usize * item_words, &from.bytes(act, item_words));
        };
        match &cpu.queue {
            Some(queue) => queue.then(copy),
            None => copy(),
        }
    }
    async fn taps(&self, cpu: &Cpu, run: Run) -> Result<HashMap<String, Vec<f32>>> {
        self.check(run);
        let Some(queue) = &cpu.queue else {
            let mut taps = HashMap::new();
            self.each(&cpu.threads, run, 0..self.plan.len(), |at, acts| self.note(run, at, acts, &mut taps));
            return Ok(taps);
        };
        let taps = Rc::new(RefCell::new(HashMap::new()));
        for at in 0..=self.plan.len() {
            let (plan, taps) = (self.clone(), taps.clone());
            queue.then(move || {
                plan.with_host(&Threads::ONE, |host| plan.note(run, at, &host.acts, &mut taps.borrow_mut()));
            });
            if at < self.plan.len() {
                queue.steps(self, run, at..at + 1);
            }
        }
        cpu.bytes(coming(cpu, self, |_| Vec::new())).await?;
        Ok(taps.take())
    }
}
