//! Plans on the GPU.

use std::{
    cell::Cell,
    collections::{BTreeMap, HashMap},
    ops::Range,
    rc::Rc,
};

use super::{Backend, Executor};
use crate::{
    error::{Error, Result},
    gpu::{Bind, Bound, Buffer, Gpu, Readback, Shader, Tier, Tuning},
    kernels::{ActId, Kernel, Operand, Run},
    plan::{Kind, Plan},
    weights::{GpuStore, Store},
};

/// Weights on the GPU by [`crate::kernels::WeightId`]: values, and scales where the format has them.
pub type GpuWeights = Vec<(Buffer, Option<Buffer>)>;

/// Uniform buffers are bound at multiples of this (WebGPU's default `minUniformBufferOffsetAlignment`).
const PARAMS_STRIDE: usize = 256;

impl Backend for Gpu {
    type Weights = GpuWeights;
    type States = HashMap<String, Rc<Buffer>>;
    type Executor = GpuPlan;
    type Readback = Readback;

    fn name(&self) -> String {
        self.name().into()
    }
    fn store<'a>(&'a self, weights: &'a mut GpuWeights) -> Box<dyn Store + 'a> {
        Box::new(GpuStore { gpu: self, weights })
    }
    fn capacity(&self, plan: &Plan, most: Run) -> Result<u32> {
        let fits = |batch: &u32| plan.largest_act(Run { batch: *batch, ..most }) <= self.max_binding();
        (1..=most.batch).rev().find(fits).ok_or_else(|| {
            Error::Gpu(format!(
                "expected activations of at most {} bytes, found {}: this model is too large for this GPU",
                self.max_binding(),
                plan.largest_act(Run { batch: 1, ..most })
            ))
        })
    }
    fn compile(
        &self,
        plan: Plan,
        weights: &GpuWeights,
        tuning: &Tuning,
        most: Run,
        states: &mut Self::States,
    ) -> Result<GpuPlan> {
        GpuPlan::new(self, plan, weights, tuning, most, states)
    }
    async fn bytes(&self, readback: Readback) -> Result<Vec<u8>> {
        readback.bytes(self).await
    }
    fn steps_ahead(&self) -> usize {
        4
    }
    fn observe(&self, flops: u64, milliseconds: f64) {
        self.observe(flops, milliseconds);
    }
}

/// A plan with its buffers, pipelines and bind groups, made once and submitted again and again with new inputs.
pub struct GpuPlan {
    plan: Plan,
    acts: Vec<Rc<Buffer>>,
    /// Of each step, in every tier that a run may want.
    bound: Vec<BTreeMap<Tier, Bound>>,
    params: Buffer,
    /// The run that `params` were last written for.
    written: Cell<Option<Run>>,
    /// Whether a run was submitted, and with it what is run once.
    begun: Cell<bool>,
    tuning: Tuning,
    most: Run,
}

impl GpuPlan {
    fn new(
        gpu: &Gpu,
        plan: Plan,
        weights: &GpuWeights,
        tuning: &Tuning,
        most: Run,
        states: &mut HashMap<String, Rc<Buffer>>,
    ) -> Result<Self> {
        let plan = plan.split().cut(most, gpu.step_flops());
        let acts = buffers(gpu, &plan, most, states)?;
        let params = Buffer::uniform(gpu, "params", (plan.len() * PARAMS_STRIDE) as u64);
        let runs = sample(most);
        let mut bound = Vec::new();
        for (index, (_, kernel)) in plan.steps().enumerate() {
            let params_bytes = kernel.params(most).len() as u64;
            let own = Bind::Slice(&params, (index * PARAMS_STRIDE) as u64, params_bytes);
            let groups = [[vec![own], operands(gpu, kernel, &acts, weights)].concat(), matrix(kernel, weights)];
            let mut tiers = BTreeMap::new();
            for tier in runs.iter().map(|&run| kernel.variant(tuning, run)) {
                tiers.entry(tier).or_insert_with(|| gpu.pipeline(&kernel.shader(tier)).bind(gpu, &groups));
            }
            bound.push(tiers);
        }
        gpu.check()?;
        let (written, begun) = (Cell::new(None), Cell::new(false));
        Ok(Self { plan, acts, bound, params, written, begun, tuning: *tuning, most })
    }

    /// The buffer behind an activation.
    #[must_use]
    pub fn buffer(&self, act: ActId) -> &Rc<Buffer> {
        &self.acts[act.0]
    }

    /// The tiers that it was compiled in.
    #[must_use]
    pub fn tuning(&self) -> &Tuning {
        &self.tuning
    }

    /// The tier of a step in a run, and its shader.
    ///
    /// # Panics
    /// If there are fewer steps.
    #[must_use]
    pub fn shader(&self, step: usize, run: Run) -> (Tier, Shader) {
        let kernel = self.plan.kernel(step, false).expect("every step runs the first time");
        let tier = kernel.variant(&self.tuning, run);
        (tier, kernel.shader(tier))
    }

    /// Submits some steps so many times over, for measuring.
    pub fn submit_runs(&self, gpu: &Gpu, run: Run, steps: Range<usize>, runs: u32) {
        let mut encoder = encoder(gpu);
        for _ in 0..runs {
            self.encode(gpu, &mut encoder, run, steps.clone());
        }
        gpu.queue.submit([encoder.finish()]);
    }

    /// Copies an activation's item 0 into a buffer, from item `item` of that size on.
    pub fn copy_into(&self, gpu: &Gpu, act: ActId, into: &Buffer, item: u32) {
        let mut encoder = encoder(gpu);
        self.encode_copy(&mut encoder, act, into, item);
        gpu.queue.submit([encoder.finish()]);
    }

    fn encode_copy(&self, encoder: &mut wgpu::CommandEncoder, act: ActId, into: &Buffer, item: u32) {
        let bytes = self.plan.acts()[act.0].item(self.most) as u64 * 4;
        encoder.copy_buffer_to_buffer(self.acts[act.0].raw(), 0, into.raw(), bytes * u64::from(item), Some(bytes));
    }

    /// All steps, of which what takes a slow device long is submitted in parts already, so that a page's own drawing finds its place
    /// between them.
    fn encode_all(&self, gpu: &Gpu, run: Run) -> wgpu::CommandEncoder {
        let parts = self.plan.parts(run, gpu.part_flops());
        let (last, before) = parts.split_last().expect("there is one at least");
        for part in before {
            self.run(gpu, run, part.clone());
        }
        let mut encoder = encoder(gpu);
        self.encode(gpu, &mut encoder, run, last.clone());
        encoder
    }

    fn readback(&self, gpu: &Gpu, encoder: &mut wgpu::CommandEncoder, run: Run, acts: &[ActId]) -> Readback {
        let part = |act: &ActId| (&*self.acts[act.0], self.plan.acts()[act.0].size(run) as u64 * 4);
        Readback::record(gpu, encoder, &acts.iter().map(part).collect::<Vec<_>>())
    }

    fn write_params(&self, gpu: &Gpu, run: Run) {
        let most = self.most;
        assert!(
            (1..=most.batch).contains(&run.batch) && (1..=most.tokens).contains(&run.tokens),
            "run: expected at most {most:?}, found {run:?}"
        );
        if self.written.replace(Some(run)) == Some(run) {
            return;
        }
        let mut params = vec![0; self.plan.len() * PARAMS_STRIDE];
        for (slot, (_, kernel)) in params.chunks_exact_mut(PARAMS_STRIDE).zip(self.plan.steps()) {
            let bytes = kernel.params(run);
            slot[..bytes.len()].copy_from_slice(&bytes);
        }
        gpu.write(&self.params, 0, &params);
    }

    fn encode(&self, gpu: &Gpu, encoder: &mut wgpu::CommandEncoder, run: Run, steps: Range<usize>) {
        self.write_params(gpu, run);
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        let last = steps.end == self.bound.len();
        for step in steps {
            let Some(kernel) = self.plan.kernel(step, self.begun.get()) else { continue };
            let tier = kernel.variant(&self.tuning, run);
            let workgroups = kernel.workgroups(tier, run);
            // A part of a step that was cut for larger runs may have no row of this one; browsers warn of dispatches of nothing.
            if workgroups.contains(&0) {
                continue;
            }
            let bound = self.bound[step].get(&tier).expect("bound for every run up to the largest");
            bound.dispatch(&mut pass, workgroups);
        }
        if last {
            self.begun.set(true);
        }
    }
}

/// A buffer for each activation; states are shared.
fn buffers(gpu: &Gpu, plan: &Plan, most: Run, states: &mut HashMap<String, Rc<Buffer>>) -> Result<Vec<Rc<Buffer>>> {
    let buffer = |act: &crate::plan::Act| {
        let bytes = act.size(most) as u64 * 4;
        if !matches!(act.kind, Kind::State { .. }) {
            return gpu.buffer(&act.name, bytes).map(Rc::new);
        }
        if let Some(state) = states.get(&act.name) {
            assert!(state.size() >= bytes, "{}: expected a state of {bytes} bytes, found {}", act.name, state.size());
            return Ok(state.clone());
        }
        let state = Rc::new(gpu.buffer(&act.name, bytes)?);
        states.insert(act.name.clone(), state.clone());
        Ok(state)
    };
    plan.acts().iter().map(buffer).collect()
}

/// What group 0 binds after the parameters.
fn operands<'a>(gpu: &'a Gpu, kernel: &dyn Kernel, acts: &'a [Rc<Buffer>], weights: &'a GpuWeights) -> Vec<Bind<'a>> {
    let bind = |operand| match operand {
        Operand::Act(id) => Bind::Whole(&acts[id.0]),
        Operand::Vector(vector) => Bind::Whole(&weights[vector.id.0].0),
        Operand::Nothing => Bind::Whole(gpu.nothing()),
    };
    kernel.operands().into_iter().map(bind).collect()
}

/// What group 1 binds: values, and scales where the format has them.
fn matrix<'a>(kernel: &dyn Kernel, weights: &'a GpuWeights) -> Vec<Bind<'a>> {
    let Some(matrix) = kernel.matrix() else { return Vec::new() };
    let (values, scales) = &weights[matrix.id.0];
    [Some(values), scales.as_ref()].into_iter().flatten().map(Bind::Whole).collect()
}

/// Runs up to the largest that are dense enough to meet every tier of a kernel: tiers change with the number of rows, and each is
/// used over a factor of two at least.
fn sample(most: Run) -> Vec<Run> {
    let mut tokens: Vec<u32> =
        std::iter::successors(Some(1), |n| Some(n * 2)).take_while(|&n| n < most.tokens).collect();
    tokens.push(most.tokens);
    (1..=most.batch).flat_map(|batch| tokens.iter().map(move |&tokens| Run { batch, tokens, ..most })).collect()
}

fn encoder(gpu: &Gpu) -> wgpu::CommandEncoder {
    gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default())
}

impl Executor<Gpu> for GpuPlan {
    fn plan(&self) -> &Plan {
        &self.plan
    }
    fn most(&self) -> Run {
        self.most
    }
    fn write(&self, gpu: &Gpu, act: ActId, at: usize, bytes: &[u8]) {
        gpu.write(&self.acts[act.0], at as u64 * 4, bytes);
    }
    fn run(&self, gpu: &Gpu, run: Run, steps: Range<usize>) {
        self.submit_runs(gpu, run, steps, 1);
    }
    fn run_all(&self, gpu: &Gpu, run: Run) {
        gpu.queue.submit([self.encode_all(gpu, run).finish()]);
    }
    fn submit(&self, gpu: &Gpu, run: Run, outputs: &[ActId]) -> Readback {
        let mut encoder = self.encode_all(gpu, run);
        let readback = self.readback(gpu, &mut encoder, run, outputs);
        readback.after(gpu.queue.submit([encoder.finish()]))
    }
    fn read(&self, gpu: &Gpu, act: ActId) -> Readback {
        let mut encoder = encoder(gpu);
        let readback = self.readback(gpu, &mut encoder, Run { batch: 1, ..self.most }, &[act]);
        readback.after(gpu.queue.submit([encoder.finish()]))
    }
    fn hand_over(&self, gpu: &Gpu, act: ActId, (into, to): (&Self, ActId), item: u32) {
        self.copy_into(gpu, act, into.buffer(to), item);
    }
    fn submit_through(
        &self,
        gpu: &Gpu,
        run: Run,
        act: ActId,
        (into, to): (&Self, ActId),
        (then, outputs): (Run, &[ActId]),
    ) -> Readback {
        let mut encoder = self.encode_all(gpu, run);
        self.encode_copy(&mut encoder, act, into.buffer(to), 0);
        into.encode(gpu, &mut encoder, then, 0..into.plan.len());
        let readback = into.readback(gpu, &mut encoder, then, outputs);
        readback.after(gpu.queue.submit([encoder.finish()]))
    }
    async fn taps(&self, gpu: &Gpu, run: Run) -> Result<HashMap<String, Vec<f32>>> {
        let mut copies = Vec::new();
        let mut encoder = encoder(gpu);
        for at in 0..=self.plan.len() {
            for (name, act) in self.plan.taps_at(at) {
                copies.push((name, self.readback(gpu, &mut encoder, run, &[act])));
            }
            if at < self.plan.len() {
                self.encode(gpu, &mut encoder, run, at..at + 1);
            }
        }
        gpu.queue.submit([encoder.finish()]);
        let mut taps = HashMap::new();
        for (name, copy) in copies {
            taps.insert(name.to_string(), bytemuck::pod_collect_to_vec(&copy.bytes(gpu).await?));
        }
        Ok(taps)
    }
}
