//! A flat, printable list of kernel steps, and two of its executors: the GPU, and the naive reference on the CPU.

use std::{cell::Cell, collections::HashMap, fmt, ops::Range, rc::Rc};

use crate::{
    error::{Error, Result},
    gpu::{Bind, Bound, Buffer, Gpu, Readback, Tier},
    kernels::{ActId, Host, Kernel, Operand},
    quant::Matrix,
};

/// An activation buffer: 32-bit words for each item of the batch.
#[derive(Debug, Clone)]
pub struct Act {
    /// For labels and printing.
    pub name: String,
    /// Words an item.
    pub words: usize,
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
    words: usize,
}

/// Kernel steps in order. Recording is pure: nothing here touches a GPU.
#[derive(Default)]
pub struct Plan {
    acts: Vec<Act>,
    steps: Vec<Step>,
    taps: Vec<Tap>,
}

impl Plan {
    /// Adds an activation of so many 32-bit words an item.
    pub fn act(&mut self, name: &str, words: usize) -> ActId {
        self.acts.push(Act { name: name.into(), words });
        ActId(self.acts.len() - 1)
    }

    /// Adds a step.
    pub fn step(&mut self, label: impl Into<String>, kernel: impl Kernel + 'static) {
        self.steps.push(Step { label: label.into(), once: false, kernel: Box::new(kernel) });
    }

    /// Adds a step that gives the same in every run, because it sees weights only: the first run is its only one.
    pub fn once(&mut self, label: impl Into<String>, kernel: impl Kernel + 'static) {
        self.steps.push(Step { label: label.into(), once: true, kernel: Box::new(kernel) });
    }

    /// Names the first `words` words an item of what an activation holds here, for tests and bisection; free unless the
    /// executor is asked for taps.
    pub fn tap(&mut self, name: impl Into<String>, act: ActId, words: usize) {
        self.taps.push(Tap { name: name.into(), act, after: self.steps.len(), words });
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

    /// Taps that stand before step `at`: name, activation, and words of it.
    pub fn taps_at(&self, at: usize) -> impl Iterator<Item = (&str, ActId, usize)> {
        self.taps.iter().filter(move |tap| tap.after == at).map(|tap| (tap.name.as_str(), tap.act, tap.words))
    }

    /// Number of dispatches in one run, the first left aside.
    #[must_use]
    pub fn dispatches(&self) -> usize {
        self.steps.iter().filter(|step| !step.once).count()
    }

    /// Floating-point operations of one run, of the kernels that have many.
    #[must_use]
    pub fn flops(&self, batch: u32) -> u64 {
        self.steps.iter().map(|step| step.kernel.flops(batch)).sum()
    }

    /// Label, kernel and place of every step.
    pub fn steps(&self) -> impl Iterator<Item = (&str, &dyn Kernel)> {
        self.steps.iter().map(|step| (step.label.as_str(), step.kernel.as_ref()))
    }

    /// All steps, cut where a part would have more operations than `most`; a step alone may have more.
    #[must_use]
    pub fn parts(&self, batch: u32, most: u64) -> Vec<Range<usize>> {
        let (mut parts, mut start, mut sum) = (Vec::new(), 0, 0);
        for (at, step) in self.steps.iter().enumerate() {
            let flops = step.kernel.flops(batch);
            if at > start && sum + flops > most {
                parts.push(start..at);
                (start, sum) = (at, 0);
            }
            sum += flops;
        }
        parts.push(start..self.steps.len());
        parts
    }

    /// The largest activation of one item, in bytes.
    #[must_use]
    pub fn largest_act(&self) -> u64 {
        self.acts.iter().map(|a| a.words as u64 * 4).max().unwrap_or(0)
    }

    /// Runs the naive twins. `inputs` fill activations before the first step; the result is all activations and taps.
    #[must_use]
    pub fn run_reference(&self, weights: &[Matrix], inputs: &[(ActId, &[u32])], batch: u32) -> HostRun {
        let mut host = Host { acts: self.acts.iter().map(|a| vec![0; a.words * batch as usize]).collect(), weights };
        for (act, words) in inputs {
            host.acts[act.0][..words.len()].copy_from_slice(words);
        }
        let mut taps = HashMap::new();
        for at in 0..=self.steps.len() {
            for tap in self.taps.iter().filter(|t| t.after == at) {
                let words = tap.words * batch as usize;
                taps.insert(tap.name.clone(), bytemuck::cast_slice(&host.acts[tap.act.0][..words]).to_vec());
            }
            if let Some(step) = self.steps.get(at) {
                step.kernel.reference(batch, &mut host);
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

/// Weights on the GPU by [`crate::kernels::WeightId`]: values, and scales where the format has them.
pub type GpuWeights = Vec<(Buffer, Option<Buffer>)>;

/// Uniform buffers are bound at multiples of this (WebGPU's default `minUniformBufferOffsetAlignment`).
const PARAMS_STRIDE: usize = 256;

/// A plan with its buffers and bind groups, made once and submitted again and again with new inputs.
pub struct GpuPlan {
    plan: Plan,
    acts: Vec<Rc<Buffer>>,
    bound: Vec<Bound>,
    params: Buffer,
    /// The batch that `params` were last written for; 0 for none.
    written: Cell<u32>,
    /// Whether a run was submitted, and with it what is run once.
    begun: Cell<bool>,
    tier: Tier,
    capacity: u32,
}

impl GpuPlan {
    /// Allocates for batches of up to `capacity` items and compiles every pipeline, in the GPU's tier as it is now.
    ///
    /// # Errors
    /// [`Error::Gpu`] if an activation is larger than a binding may be, or the GPU has no room.
    pub fn new(gpu: &Gpu, plan: Plan, weights: &GpuWeights, capacity: u32) -> Result<Self> {
        let tier = gpu.tier();
        let acts: Vec<Rc<Buffer>> = plan
            .acts
            .iter()
            .map(|a| gpu.buffer(&a.name, a.words as u64 * 4 * u64::from(capacity)).map(Rc::new))
            .collect::<Result<_>>()?;
        let params = Buffer::uniform(gpu, "params", (plan.steps.len() * PARAMS_STRIDE) as u64);
        let mut bound = Vec::new();
        for (index, step) in plan.steps.iter().enumerate() {
            let kernel = &step.kernel;
            let params_bytes = kernel.params(capacity).len() as u64;
            let mut group0 = vec![Bind::Slice(&params, (index * PARAMS_STRIDE) as u64, params_bytes)];
            group0.extend(kernel.operands().iter().map(|operand| match operand {
                Operand::Act(id) => Bind::Whole(&acts[id.0]),
                Operand::Vector(vector) => Bind::Whole(&weights[vector.id.0].0),
                Operand::Nothing => Bind::Whole(gpu.nothing()),
            }));
            let group1 = kernel.matrix().map_or_else(Vec::new, |matrix| {
                let (values, scales) = &weights[matrix.id.0];
                [Some(values), scales.as_ref()].into_iter().flatten().map(Bind::Whole).collect()
            });
            bound.push(gpu.pipeline(&kernel.shader(tier)).bind(gpu, &[group0, group1]));
        }
        gpu.check()?;
        Ok(Self { plan, acts, bound, params, written: Cell::new(0), begun: Cell::new(false), tier, capacity })
    }

    /// Most items a run.
    #[must_use]
    pub fn capacity(&self) -> u32 {
        self.capacity
    }

    /// The recorded steps.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The buffer behind an activation.
    #[must_use]
    pub fn buffer(&self, act: ActId) -> &Rc<Buffer> {
        &self.acts[act.0]
    }

    /// Bytes of weights and of a batch's activations that a step binds.
    #[must_use]
    pub fn bytes(&self, step: usize, batch: u32) -> u64 {
        let kernel = &self.plan.steps[step].kernel;
        let act = |id: ActId| self.plan.acts[id.0].words as u64 * 4 * u64::from(batch);
        let operands = kernel.operands().into_iter().map(|operand| match operand {
            Operand::Act(id) => act(id),
            Operand::Vector(vector) => u64::from(vector.len) * 4,
            Operand::Nothing => 0,
        });
        let matrix = kernel.matrix().map_or(0, |m| {
            let (rows, cols) = (m.rows as usize, m.cols as usize);
            (rows * (m.format.row_bytes(cols) + m.format.scale_bytes(cols))) as u64
        });
        operands.sum::<u64>() + matrix
    }

    /// Fills an activation from item `item` on, before the next submit.
    pub fn write(&self, gpu: &Gpu, act: ActId, item: u32, bytes: &[u8]) {
        gpu.write(&self.acts[act.0], (item as usize * self.plan.acts[act.0].words * 4) as u64, bytes);
    }

    /// Submits all steps and the copy of an activation's first `batch` items. What takes a slow device long is submitted in
    /// parts, so that a page's own drawing finds its place between them.
    #[must_use]
    pub fn submit(&self, gpu: &Gpu, batch: u32, output: ActId) -> Readback {
        let parts = self.plan.parts(batch, gpu.part_flops());
        let (last, before) = parts.split_last().expect("there is one at least");
        for part in before {
            self.submit_steps(gpu, batch, part.clone());
        }
        let mut encoder = encoder(gpu);
        self.encode(gpu, &mut encoder, batch, last.clone());
        let bytes = self.plan.acts[output.0].words as u64 * 4 * u64::from(batch);
        let readback = Readback::record(gpu, &mut encoder, &self.acts[output.0], bytes);
        readback.after(gpu.queue.submit([encoder.finish()]))
    }

    /// Submits all steps, for results that stay on the GPU.
    pub fn run(&self, gpu: &Gpu, batch: u32) {
        for part in self.plan.parts(batch, gpu.part_flops()) {
            self.submit_steps(gpu, batch, part);
        }
    }

    /// Submits some steps: for plans whose inputs come in pieces.
    pub fn submit_steps(&self, gpu: &Gpu, batch: u32, steps: Range<usize>) {
        let mut encoder = encoder(gpu);
        self.encode(gpu, &mut encoder, batch, steps);
        gpu.queue.submit([encoder.finish()]);
    }

    /// Submits some steps so many times over, for measuring.
    pub fn submit_runs(&self, gpu: &Gpu, batch: u32, steps: Range<usize>, runs: u32) {
        let mut encoder = encoder(gpu);
        for _ in 0..runs {
            self.encode(gpu, &mut encoder, batch, steps.clone());
        }
        gpu.queue.submit([encoder.finish()]);
    }

    /// Copies item 0 of an activation into item `item` of another plan's buffer that has items of the same size.
    pub fn hand_over(&self, gpu: &Gpu, act: ActId, into: &Buffer, item: u32) {
        let bytes = self.plan.acts[act.0].words as u64 * 4;
        let mut encoder = encoder(gpu);
        encoder.copy_buffer_to_buffer(self.acts[act.0].raw(), 0, into.raw(), bytes * u64::from(item), Some(bytes));
        gpu.queue.submit([encoder.finish()]);
    }

    /// Reads item 0 of an activation as the steps submitted so far leave it.
    #[must_use]
    pub fn read(&self, gpu: &Gpu, act: ActId) -> Readback {
        let mut encoder = encoder(gpu);
        let bytes = self.plan.acts[act.0].words as u64 * 4;
        let readback = Readback::record(gpu, &mut encoder, &self.acts[act.0], bytes);
        gpu.queue.submit([encoder.finish()]);
        readback
    }

    /// Submits all steps and reads every tap as it stands in its place.
    ///
    /// # Errors
    /// As [`Readback::bytes`].
    pub async fn run_taps(&self, gpu: &Gpu, batch: u32) -> Result<HashMap<String, Vec<f32>>> {
        let mut copies = Vec::new();
        let mut encoder = encoder(gpu);
        for at in 0..=self.bound.len() {
            for tap in self.plan.taps.iter().filter(|t| t.after == at) {
                let bytes = (tap.words * 4) as u64 * u64::from(batch);
                copies.push((tap, Readback::record(gpu, &mut encoder, &self.acts[tap.act.0], bytes)));
            }
            if at < self.bound.len() {
                self.encode(gpu, &mut encoder, batch, at..at + 1);
            }
        }
        gpu.queue.submit([encoder.finish()]);
        let mut taps = HashMap::new();
        for (tap, copy) in copies {
            let bytes = copy.bytes(gpu).await?;
            taps.insert(tap.name.clone(), bytemuck::pod_collect_to_vec(&bytes));
        }
        Ok(taps)
    }

    fn encode(&self, gpu: &Gpu, encoder: &mut wgpu::CommandEncoder, batch: u32, steps: Range<usize>) {
        assert!(batch >= 1 && batch <= self.capacity, "batch: expected 1 to {}, found {batch}", self.capacity);
        if self.written.replace(batch) != batch {
            let mut params = vec![0; self.plan.steps.len() * PARAMS_STRIDE];
            for (slot, step) in params.chunks_exact_mut(PARAMS_STRIDE).zip(&self.plan.steps) {
                let bytes = step.kernel.params(batch);
                slot[..bytes.len()].copy_from_slice(&bytes);
            }
            gpu.write(&self.params, 0, &params);
        }
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        let last = steps.end == self.bound.len();
        for (bound, step) in self.bound[steps.clone()].iter().zip(&self.plan.steps[steps]) {
            if step.once && self.begun.get() {
                continue;
            }
            bound.dispatch(&mut pass, step.kernel.workgroups(self.tier, batch));
        }
        if last {
            self.begun.set(true);
        }
    }
}

fn encoder(gpu: &Gpu) -> wgpu::CommandEncoder {
    gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default())
}

/// Items a run so that no activation outgrows a binding.
///
/// # Errors
/// [`Error::Gpu`] if not even one fits.
pub fn capacity(gpu: &Gpu, plan: &Plan, most: u32) -> Result<u32> {
    let fits = gpu.max_binding() / plan.largest_act().max(1);
    match u32::try_from(fits).unwrap_or(u32::MAX).min(most) {
        0 => Err(Error::Gpu(format!(
            "expected activations of at most {} bytes, found {}: this model is too large for this GPU",
            gpu.max_binding(),
            plan.largest_act()
        ))),
        n => Ok(n),
    }
}
