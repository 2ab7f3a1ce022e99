//! A plan with its activations in memory.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    mem,
    ops::Range,
    rc::Rc,
};

use crate::{
    kernels::{ActId, Host, Kernel, Run},
    plan::Plan,
    quant::Order,
    threads::Threads,
    weights::HostStore,
};

/// Weights in memory, shared by the plans that use them.
#[derive(Clone)]
pub struct CpuWeights(pub(super) Rc<RefCell<HostStore>>);

impl Default for CpuWeights {
    fn default() -> Self {
        Self(Rc::new(RefCell::new(HostStore { order: Order::Panels, ..HostStore::default() })))
    }
}

/// Words of an activation, which plans may share.
pub type Words = Rc<RefCell<Vec<u32>>>;

/// A plan with its activations; a clone is the same plan.
#[derive(Clone)]
pub struct CpuPlan {
    pub(super) plan: Rc<Plan>,
    weights: CpuWeights,
    /// By [`ActId`], each as large as the largest run wants it.
    acts: Vec<Words>,
    /// Whether it has run, and with it what is run once.
    begun: Rc<Cell<bool>>,
    pub(super) most: Run,
}

impl CpuPlan {
    /// `acts` by [`ActId`], each as large as `most` wants it.
    pub(super) fn new(plan: Plan, weights: &CpuWeights, acts: Vec<Words>, most: Run) -> Self {
        Self { plan: plan.into(), weights: weights.clone(), acts, begun: Rc::default(), most }
    }

    pub(super) fn check(&self, run: Run) {
        let most = self.most;
        assert!(
            (1..=most.batch).contains(&run.batch) && (1..=most.tokens).contains(&run.tokens),
            "run: expected at most {most:?}, found {run:?}"
        );
    }

    /// Works on the activations.
    pub(super) fn with_host<R>(&self, threads: &Threads, work: impl FnOnce(&mut Host) -> R) -> R {
        let store = self.weights.0.borrow();
        let acts = self.acts.iter().map(|act| mem::take(&mut *act.borrow_mut())).collect();
        let mut host = Host { acts, weights: &store.weights, lent: &store.lent, threads };
        let result = work(&mut host);
        for (act, words) in self.acts.iter().zip(host.acts) {
            act.replace(words);
        }
        result
    }

    /// What a step runs; nothing if that was done by an earlier run and is the same in every one.
    pub(super) fn kernel(&self, step: usize) -> Option<&dyn Kernel> {
        self.plan.kernel(step, self.begun.get())
    }

    /// All steps up to this one are done.
    pub(super) fn done(&self, end: usize) {
        if end == self.plan.len() {
            self.begun.set(true);
        }
    }

    /// Runs steps; before each, and after the last, `at` sees the activations.
    pub(super) fn each(
        &self,
        threads: &Threads,
        run: Run,
        steps: Range<usize>,
        mut at: impl FnMut(usize, &[Vec<u32>]),
    ) {
        let last = steps.end;
        self.with_host(threads, |host| {
            for step in steps {
                at(step, &host.acts);
                if let Some(kernel) = self.kernel(step) {
                    kernel.cpu(run, host);
                }
            }
            at(last, &host.acts);
        });
        self.done(last);
    }

    pub(super) fn bytes(&self, act: ActId, words: usize) -> Vec<u8> {
        bytemuck::cast_slice(&self.acts[act.0].borrow()[..words]).to_vec()
    }

    pub(super) fn put(&self, act: ActId, at: usize, bytes: &[u8]) {
        let mut words = self.acts[act.0].borrow_mut();
        bytemuck::cast_slice_mut::<u32, u8>(&mut words)[at * 4..][..bytes.len()].copy_from_slice(bytes);
    }

    /// Notes the taps before a step.
    pub(super) fn note(&self, run: Run, at: usize, acts: &[Vec<u32>], taps: &mut HashMap<String, Vec<f32>>) {
        for (name, act) in self.plan.taps_at(at) {
            let words = self.plan.acts()[act.0].size(run);
            taps.insert(name.to_string(), bytemuck::cast_slice(&acts[act.0][..words]).to_vec());
        }
    }
}
