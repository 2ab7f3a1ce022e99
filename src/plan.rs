//! A flat, printable list of kernel steps. Recording is pure: nothing here knows a device, and [`crate::backend`] executes it.

use std::{collections::HashMap, fmt, ops::Range};

use crate::{
    gpu::Tier,
    kernels::{ActId, Host, Kernel, Operand, Rows, Run},
    quant::Matrix,
    threads::Threads,
};

/// What an activation is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Filled before each run.
    Input,
    /// Filled by the steps of a run, and nothing after it.
    Scratch,
    /// Outlives a run, with room for so many rows an item; plans that are compiled with the same states share it by its name.
    State {
        /// Rows an item.
        most: u32,
    },
}

/// An activation: `[rows, words]`, in 32-bit words.
#[derive(Debug, Clone)]
pub struct Act {
    /// For labels, printing, and shared states.
    pub name: String,
    /// Rows in a run. A state has [`Kind::State::most`] for each item.
    pub rows: Rows,
    /// Words in a row.
    pub words: usize,
    /// What it is for.
    pub kind: Kind,
}

impl Act {
    /// Words of one item; all of them where items share the rows.
    #[must_use]
    pub fn item(&self, run: Run) -> usize {
        match self.kind {
            Kind::State { most } => most as usize * self.words,
            _ => self.rows.each(run) as usize * self.words,
        }
    }

    /// Words in a run.
    #[must_use]
    pub fn size(&self, run: Run) -> usize {
        match self.rows {
            Rows::Shared(_) => self.item(run),
            _ => self.item(run) * run.batch as usize,
        }
    }
}

struct Step {
    label: String,
    /// Run by the first run only.
    once: bool,
    kernel: Box<dyn Kernel>,
}

/// An activation worth looking at, as it stands after a step.
#[derive(Debug, Clone)]
struct Tap {
    name: String,
    act: ActId,
    after: usize,
}

/// Kernel steps in order, the activations that they share, and which of these are results.
#[derive(Default)]
pub struct Plan {
    acts: Vec<Act>,
    steps: Vec<Step>,
    taps: Vec<Tap>,
    outputs: Vec<(String, ActId)>,
}

impl Plan {
    fn act(&mut self, name: &str, rows: Rows, words: usize, kind: Kind) -> ActId {
        self.acts.push(Act { name: name.into(), rows, words, kind });
        ActId(self.acts.len() - 1)
    }

    /// Adds an activation `[rows, words]` that is filled before each run.
    pub fn input(&mut self, name: &str, rows: Rows, words: usize) -> ActId {
        self.act(name, rows, words, Kind::Input)
    }

    /// Adds an activation `[rows, words]` that the steps fill.
    pub fn scratch(&mut self, name: &str, rows: Rows, words: usize) -> ActId {
        self.act(name, rows, words, Kind::Scratch)
    }

    /// Adds an activation `[most, words]` for each item that outlives a run. Plans that are compiled with the same states share
    /// it by its name.
    pub fn state(&mut self, name: &str, most: u32, words: usize) -> ActId {
        self.act(name, Rows::PerToken, words, Kind::State { most })
    }

    /// Adds such an activation `[most, words]` of which there is one for all items.
    pub fn shared_state(&mut self, name: &str, most: u32, words: usize) -> ActId {
        self.act(name, Rows::Shared(most), words, Kind::State { most })
    }

    /// Names a result.
    pub fn output(&mut self, name: &str, act: ActId) {
        self.outputs.push((name.into(), act));
    }

    /// Adds a step.
    pub fn step(&mut self, label: impl Into<String>, kernel: impl Kernel + 'static) {
        self.push(label, Box::new(kernel));
    }

    /// Adds a step whose kernel is in a box already.
    pub fn push(&mut self, label: impl Into<String>, kernel: Box<dyn Kernel>) {
        self.steps.push(Step { label: label.into(), once: false, kernel });
    }

    /// Adds a step that gives the same in every run, because it sees weights only: the first run is its only one.
    pub fn once(&mut self, label: impl Into<String>, kernel: impl Kernel + 'static) {
        self.steps.push(Step { label: label.into(), once: true, kernel: Box::new(kernel) });
    }

    /// Names what an activation holds here, for tests and bisection; free unless the executor is asked for taps.
    pub fn tap(&mut self, name: impl Into<String>, act: ActId) {
        self.taps.push(Tap { name: name.into(), act, after: self.steps.len() });
    }

    /// Names of the taps, in order.
    pub fn taps(&self) -> impl Iterator<Item = &str> {
        self.taps.iter().map(|tap| tap.name.as_str())
    }

    /// The activations, by [`ActId`].
    #[must_use]
    pub fn acts(&self) -> &[Act] {
        &self.acts
    }

    /// The results by name.
    #[must_use]
    pub fn outputs(&self) -> &[(String, ActId)] {
        &self.outputs
    }

    /// Number of steps.
    #[must_use]
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether there is no step.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// What a step runs; nothing if that was done by an earlier run and is the same in every one.
    #[must_use]
    pub fn kernel(&self, step: usize, again: bool) -> Option<&dyn Kernel> {
        let step = &self.steps[step];
        (!step.once || !again).then_some(step.kernel.as_ref())
    }

    /// Taps that stand before step `at`: name and activation.
    pub fn taps_at(&self, at: usize) -> impl Iterator<Item = (&str, ActId)> {
        self.taps.iter().filter(move |tap| tap.after == at).map(|tap| (tap.name.as_str(), tap.act))
    }

    /// Number of dispatches in one run, the first left aside.
    #[must_use]
    pub fn dispatches(&self) -> usize {
        self.steps.iter().filter(|step| !step.once).count()
    }

    /// Floating-point operations of one run, of the kernels that have many.
    #[must_use]
    pub fn flops(&self, run: Run) -> u64 {
        self.steps.iter().map(|step| step.kernel.flops(run)).sum()
    }

    /// Bytes of weights and of a run's activations that a step binds.
    #[must_use]
    pub fn bytes(&self, step: usize, run: Run) -> u64 {
        let kernel = self.kernel(step, false).expect("every step runs the first time");
        let operands = kernel.operands().into_iter().map(|operand| match operand {
            Operand::Act(id) => self.acts[id.0].size(run) as u64 * 4,
            Operand::Vector(vector) => u64::from(vector.len) * 4,
            Operand::Nothing => 0,
        });
        let matrix = kernel.matrix().map_or(0, |m| {
            let (rows, cols) = (m.rows as usize, m.cols as usize);
            (rows * (m.format.row_bytes(cols) + m.format.scale_bytes(cols))) as u64
        });
        operands.sum::<u64>() + matrix
    }

    /// Label and kernel of every step.
    pub fn steps(&self) -> impl Iterator<Item = (&str, &dyn Kernel)> {
        self.steps.iter().map(|step| (step.label.as_str(), step.kernel.as_ref()))
    }

    /// All steps, cut where a part would have more operations than `most`; a step alone may have more.
    #[must_use]
    pub fn parts(&self, run: Run, most: u64) -> Vec<Range<usize>> {
        let (mut parts, mut start, mut sum) = (Vec::new(), 0, 0);
        for (at, step) in self.steps.iter().enumerate() {
            let flops = step.kernel.flops(run);
            if at > start && sum + flops > most {
                parts.push(start..at);
                (start, sum) = (at, 0);
            }
            sum += flops;
        }
        parts.push(start..self.steps.len());
        parts
    }

    /// The same with each step that takes more operations than `most` as several, where that can be.
    #[must_use]
    pub fn cut(self, run: Run, most: u64) -> Self {
        self.with_parts(|kernel| kernel.cut(run, most))
    }

    /// The same with each step as [`Kernel::split`] has it.
    #[must_use]
    pub fn split(self) -> Self {
        self.with_parts(|kernel| kernel.split())
    }

    /// The same with several kernels in the place of one; none leave it as it is.
    fn with_parts(self, parts_of: impl Fn(&dyn Kernel) -> Vec<Box<dyn Kernel>>) -> Self {
        let mut steps = Vec::new();
        // Where each step begins now, and the end.
        let mut starts = Vec::new();
        for step in self.steps {
            starts.push(steps.len());
            let parts = parts_of(step.kernel.as_ref());
            if parts.is_empty() {
                steps.push(step);
                continue;
            }
            let part = |kernel| Step { label: step.label.clone(), once: step.once, kernel };
            steps.extend(parts.into_iter().map(part));
        }
        starts.push(steps.len());
        let taps = self.taps.into_iter().map(|tap| Tap { after: starts[tap.after], ..tap }).collect();
        Self { steps, taps, ..self }
    }

    /// The same with other kernels in the places of its own, by their labels: for tests that break a step.
    #[must_use]
    pub fn with_kernels(self, mut other: impl FnMut(&str, Box<dyn Kernel>) -> Box<dyn Kernel>) -> Self {
        let step = |step: Step| Step { kernel: other(&step.label, step.kernel), ..step };
        Self { steps: self.steps.into_iter().map(step).collect(), ..self }
    }

    /// The largest activation of a run, in bytes.
    #[must_use]
    pub fn largest_act(&self, run: Run) -> u64 {
        self.acts.iter().map(|act| act.size(run) as u64 * 4).max().unwrap_or(0)
    }

    /// Runs the naive twins. `inputs` fill activations before the first step; the result is all activations and taps.
    #[must_use]
    pub fn run_reference(&self, weights: &[Matrix], inputs: &[(ActId, &[u32])], run: Run) -> HostRun {
        let acts = self.acts.iter().map(|act| vec![0; act.size(run)]).collect();
        let mut host = Host { acts, weights, lent: &[], threads: &Threads::ONE };
        for (act, words) in inputs {
            host.acts[act.0][..words.len()].copy_from_slice(words);
        }
        let mut taps = HashMap::new();
        for at in 0..=self.steps.len() {
            for (name, act) in self.taps_at(at) {
                taps.insert(name.to_string(), bytemuck::cast_slice(&host.acts[act.0]).to_vec());
            }
            if let Some(step) = self.steps.get(at) {
                step.kernel.reference(run, &mut host);
            }
        }
        HostRun { acts: host.acts, taps }
    }
}

/// What a run on the CPU leaves behind.
pub struct HostRun {
    /// By [`ActId`].
    pub acts: Vec<Vec<u32>>,
    /// By name.
    pub taps: HashMap<String, Vec<f32>>,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.steps.iter().enumerate() {
            writeln!(f, "{at:4}  {:24} {}", step.label, step.kernel.shader(Tier::Plain).key())?;
        }
        Ok(())
    }
}
