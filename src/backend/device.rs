//! A GPU or the CPU, chosen at run time: for programs that do not know beforehand what they will find.

use std::{collections::HashMap, ops::Range};

use super::{Backend, Cpu, CpuPlan, Executor, GpuPlan, GpuWeights};
#[cfg(not(target_arch = "wasm32"))]
use crate::{error::Error, gpu::Adapter};
use crate::{
    error::Result,
    gpu::{Gpu, Power, Tuning},
    kernels::{ActId, Run},
    plan::Plan,
    threads::Threads,
    weights::Store,
};

/// Whichever was chosen.
pub enum Device {
    /// A GPU.
    Gpu(Gpu),
    /// This machine's CPU.
    Cpu(Cpu),
}

/// What a [`Device`] has two kinds of.
pub enum Of<G, C> {
    /// The GPU's.
    Gpu(G),
    /// The CPU's.
    Cpu(C),
}

/// Weights of a [`Device`]. Which kind they are shows when the device first puts something there.
#[derive(Default)]
pub struct DeviceWeights(Option<Of<GpuWeights, <Cpu as Backend>::Weights>>);

/// States of a [`Device`].
#[derive(Default)]
pub struct DeviceStates {
    gpu: <Gpu as Backend>::States,
    cpu: <Cpu as Backend>::States,
}

/// What meets here comes from one device.
const ONE_DEVICE: &str = "plans, weights and readbacks are of the device that made them";

impl Device {
    /// A GPU if there is one; the CPU if there is none, or none but an emulation on the CPU. Says why it is the CPU.
    ///
    /// # Errors
    /// As [`Cpu::new`].
    pub async fn choose(threads: Option<usize>) -> Result<(Self, Option<String>)> {
        let why = match Gpu::new(Power::High).await {
            Ok(gpu) if !gpu.is_software() => return Ok((Self::Gpu(gpu), None)),
            Ok(gpu) => format!("{} is the CPU in disguise", gpu.name()),
            Err(error) => error.to_string(),
        };
        Ok((Self::Cpu(Cpu::new(threads)?), Some(why)))
    }

    /// The device of this name: `auto` ([`Device::choose`]), `cpu`, `gpu` (the fastest, and no emulation), `gpu:1` (by its number, which
    /// may be an emulation) or `pci:0000:41:00.0` (by its PCI bus id).
    ///
    /// # Errors
    /// [`Error::BadInput`] for another name, [`Error::NoGpu`] if there is no such GPU, or as [`Cpu::new`].
    #[cfg(not(target_arch = "wasm32"))]
    pub async fn named(name: &str, threads: Option<usize>) -> Result<Self> {
        let number = name.strip_prefix("gpu:").and_then(|number| number.parse().ok());
        match (name, number, name.strip_prefix("pci:")) {
            ("auto", ..) => Ok(Self::choose(threads).await?.0),
            ("cpu", ..) => Ok(Self::Cpu(Cpu::new(threads)?)),
            ("gpu", ..) => match Gpu::new(Power::High).await? {
                gpu if gpu.is_software() => Err(Error::NoGpu(format!(
                    "gpu: expected a GPU, found {}, which emulates one: use cpu, which is faster, or install the GPU's Vulkan driver",
                    gpu.name()
                ))),
                gpu => Ok(Self::Gpu(gpu)),
            },
            (_, Some(number), _) => Ok(Self::Gpu(Adapter::nth(number).await?.open().await?)),
            (_, _, Some(pci)) => Ok(Self::Gpu(Adapter::at(pci).await?.open().await?)),
            _ => Err(Error::BadInput(format!(
                "device: expected auto, gpu, gpu:1, pci:0000:41:00.0 or cpu, found {name:?}"
            ))),
        }
    }

    /// Pictures in one submission that suit many of them: enough to keep a GPU's cores busy; on the CPU few, since more are no faster.
    #[must_use]
    pub fn bulk(&self) -> u32 {
        match self {
            Self::Gpu(_) => 64,
            Self::Cpu(_) => 8,
        }
    }
}

impl Backend for Device {
    type Weights = DeviceWeights;
    type States = DeviceStates;
    type Executor = Of<GpuPlan, CpuPlan>;
    type Readback = Of<<Gpu as Backend>::Readback, <Cpu as Backend>::Readback>;

    fn name(&self) -> String {
        match self {
            Self::Gpu(gpu) => Backend::name(gpu),
            Self::Cpu(cpu) => cpu.name(),
        }
    }
    fn threads(&self) -> &Threads {
        match self {
            Self::Gpu(gpu) => Backend::threads(gpu),
            Self::Cpu(cpu) => Backend::threads(cpu),
        }
    }
    fn store<'a>(&'a self, weights: &'a mut DeviceWeights) -> Box<dyn Store + 'a> {
        match (self, weights.of(self)) {
            (Self::Gpu(gpu), Of::Gpu(weights)) => gpu.store(weights),
            (Self::Cpu(cpu), Of::Cpu(weights)) => cpu.store(weights),
            _ => unreachable!("{ONE_DEVICE}"),
        }
    }
    fn model_store<'a>(&'a self, weights: &'a mut DeviceWeights) -> Box<dyn Store + 'a> {
        match (self, weights.of(self)) {
            (Self::Gpu(gpu), Of::Gpu(weights)) => gpu.model_store(weights),
            (Self::Cpu(cpu), Of::Cpu(weights)) => cpu.model_store(weights),
            _ => unreachable!("{ONE_DEVICE}"),
        }
    }
    fn capacity(&self, plan: &Plan, most: Run) -> Result<u32> {
        match self {
            Self::Gpu(gpu) => gpu.capacity(plan, most),
            Self::Cpu(cpu) => cpu.capacity(plan, most),
        }
    }
    fn compile(
        &self,
        plan: Plan,
        weights: &DeviceWeights,
        tuning: &Tuning,
        most: Run,
        states: &mut DeviceStates,
    ) -> Result<Self::Executor> {
        match (self, &weights.0) {
            (Self::Gpu(gpu), Some(Of::Gpu(weights))) => {
                Ok(Of::Gpu(gpu.compile(plan, weights, tuning, most, &mut states.gpu)?))
            }
            (Self::Gpu(gpu), None) => {
                Ok(Of::Gpu(gpu.compile(plan, &GpuWeights::default(), tuning, most, &mut states.gpu)?))
            }
            (Self::Cpu(cpu), Some(Of::Cpu(weights))) => {
                Ok(Of::Cpu(cpu.compile(plan, weights, tuning, most, &mut states.cpu)?))
            }
            (Self::Cpu(cpu), None) => {
                Ok(Of::Cpu(cpu.compile(plan, &Default::default(), tuning, most, &mut states.cpu)?))
            }
            _ => unreachable!("{ONE_DEVICE}"),
        }
    }
    async fn bytes(&self, readback: Self::Readback) -> Result<Vec<u8>> {
        match (self, readback) {
            (Self::Gpu(gpu), Of::Gpu(readback)) => Backend::bytes(gpu, readback).await,
            (Self::Cpu(cpu), Of::Cpu(readback)) => cpu.bytes(readback).await,
            _ => unreachable!("{ONE_DEVICE}"),
        }
    }
    fn steps_ahead(&self) -> usize {
        match self {
            Self::Gpu(gpu) => gpu.steps_ahead(),
            Self::Cpu(cpu) => cpu.steps_ahead(),
        }
    }
    fn observe(&self, flops: u64, milliseconds: f64) {
        match self {
            Self::Gpu(gpu) => Backend::observe(gpu, flops, milliseconds),
            Self::Cpu(cpu) => cpu.observe(flops, milliseconds),
        }
    }
}

impl DeviceWeights {
    fn of(&mut self, device: &Device) -> &mut Of<GpuWeights, <Cpu as Backend>::Weights> {
        self.0.get_or_insert_with(|| match device {
            Device::Gpu(_) => Of::Gpu(GpuWeights::default()),
            Device::Cpu(_) => Of::Cpu(Default::default()),
        })
    }
}

/// Calls the same method of whichever plan this is, on its device.
macro_rules! on {
    ($plan:expr, $device:expr, $method:ident($($argument:expr),*)) => {
        match ($plan, $device) {
            (Of::Gpu(plan), Device::Gpu(device)) => Of::Gpu(plan.$method(device, $($argument),*)),
            (Of::Cpu(plan), Device::Cpu(device)) => Of::Cpu(plan.$method(device, $($argument),*)),
            _ => unreachable!("{ONE_DEVICE}"),
        }
    };
}

impl Executor<Device> for Of<GpuPlan, CpuPlan> {
    fn plan(&self) -> &Plan {
        match self {
            Self::Gpu(plan) => plan.plan(),
            Self::Cpu(plan) => plan.plan(),
        }
    }
    fn most(&self) -> Run {
        match self {
            Self::Gpu(plan) => plan.most(),
            Self::Cpu(plan) => plan.most(),
        }
    }
    fn write(&self, device: &Device, act: ActId, at: usize, bytes: &[u8]) {
        on!(self, device, write(act, at, bytes));
    }
    fn run(&self, device: &Device, run: Run, steps: Range<usize>) {
        on!(self, device, run(run, steps));
    }
    fn run_all(&self, device: &Device, run: Run) {
        on!(self, device, run_all(run));
    }
    fn submit(&self, device: &Device, run: Run, outputs: &[ActId]) -> <Device as Backend>::Readback {
        on!(self, device, submit(run, outputs))
    }
    fn read(&self, device: &Device, act: ActId) -> <Device as Backend>::Readback {
        on!(self, device, read(act))
    }
    fn hand_over(&self, device: &Device, act: ActId, (into, to): (&Self, ActId), item: u32) {
        match (self, device, into) {
            (Self::Gpu(plan), Device::Gpu(gpu), Self::Gpu(into)) => plan.hand_over(gpu, act, (into, to), item),
            (Self::Cpu(plan), Device::Cpu(cpu), Self::Cpu(into)) => plan.hand_over(cpu, act, (into, to), item),
            _ => unreachable!("{ONE_DEVICE}"),
        }
    }
    fn submit_through(
        &self,
        device: &Device,
        run: Run,
        act: ActId,
        (into, to): (&Self, ActId),
        then: (Run, &[ActId]),
    ) -> <Device as Backend>::Readback {
        match (self, device, into) {
            (Self::Gpu(plan), Device::Gpu(gpu), Self::Gpu(into)) => {
                Of::Gpu(plan.submit_through(gpu, run, act, (into, to), then))
            }
            (Self::Cpu(plan), Device::Cpu(cpu), Self::Cpu(into)) => {
                Of::Cpu(plan.submit_through(cpu, run, act, (into, to), then))
            }
            _ => unreachable!("{ONE_DEVICE}"),
        }
    }
    async fn taps(&self, device: &Device, run: Run) -> Result<HashMap<String, Vec<f32>>> {
        match (self, device) {
            (Self::Gpu(plan), Device::Gpu(gpu)) => plan.taps(gpu, run).await,
            (Self::Cpu(plan), Device::Cpu(cpu)) => plan.taps(cpu, run).await,
            _ => unreachable!("{ONE_DEVICE}"),
        }
    }
}
