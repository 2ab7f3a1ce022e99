//! The device.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
    sync::{Arc, Mutex},
};

use futures_channel::oneshot;

use super::{Buffer, Pipeline, Shader, Tier, Tuning, buffer::Staging};
use crate::error::{Error, Result};

/// How long a submit should take at most, so that a page's own drawing is not held up for longer.
const PART_MS: f64 = 50.0;

/// Operations of a submit before anything was measured: half a second on the slowest devices, nothing on others.
const FIRST_PART: u64 = 2_000_000_000;

/// Operations of a step before anything was measured. To cut it costs a fast device more than a slow one gains, so only what a slow one
/// would take seconds for is cut.
const FIRST_STEP: u64 = 10_000_000_000;

/// Which adapter to ask for where there are two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Power {
    /// No wish.
    #[default]
    Any,
    /// The one that spares the battery.
    Low,
    /// The faster one.
    High,
}

/// What knows the adapters.
pub(super) fn instance() -> wgpu::Instance {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = wgpu::Backends::PRIMARY;
    wgpu::Instance::new(descriptor)
}

/// A device with WebGPU's default limits (and shader-f16 where there is one), its queue, and the pipelines that were made so far.
pub struct Gpu {
    pub(crate) device: wgpu::Device,
    pub(crate) queue: wgpu::Queue,
    pub(super) used: Rc<Cell<u64>>,
    name: String,
    software: bool,
    max_binding: u64,
    f16: bool,
    /// None before anything was measured.
    part_flops: Cell<Option<u64>>,
    pipelines: RefCell<HashMap<String, Rc<Pipeline>>>,
    pub(super) staging: Staging,
    /// Bound where a kernel's optional input is absent.
    nothing: Buffer,
    /// What the driver complained about since the last look.
    trouble: Arc<Mutex<Option<String>>>,
}

impl Gpu {
    /// Asks for an adapter and a device.
    ///
    /// # Errors
    /// [`Error::NoGpu`] with the reason that was given.
    pub async fn new(power: Power) -> Result<Self> {
        let options = wgpu::RequestAdapterOptions {
            power_preference: match power {
                Power::Any => wgpu::PowerPreference::None,
                Power::Low => wgpu::PowerPreference::LowPower,
                Power::High => wgpu::PowerPreference::HighPerformance,
            },
            ..Default::default()
        };
        let adapter =
            instance().request_adapter(&options).await.map_err(|e| Error::NoGpu(format!("no GPU adapter: {e}")))?;
        Self::on(&adapter).await
    }

    /// Asks an adapter for a device.
    ///
    /// # Errors
    /// [`Error::NoGpu`] with the reason that was given.
    pub(super) async fn on(adapter: &wgpu::Adapter) -> Result<Self> {
        let info = adapter.get_info();
        let f16 = adapter.features().contains(wgpu::Features::SHADER_F16);
        let required_features = if f16 { wgpu::Features::SHADER_F16 } else { wgpu::Features::empty() };
        let (device, queue) = adapter
            .request_device(&wgpu::DeviceDescriptor { label: Some("ocelli"), required_features, ..Default::default() })
            .await
            .map_err(|e| Error::NoGpu(format!("the adapter {} gave no device: {e}", info.name)))?;
        let trouble = Arc::new(Mutex::new(None));
        // In the browser the npm package listens instead: wgpu panics there on errors that it does not know.
        #[cfg(not(target_arch = "wasm32"))]
        {
            let trouble = trouble.clone();
            device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
                if let Ok(mut slot) = trouble.lock() {
                    slot.get_or_insert(error.to_string());
                }
            }));
        }
        let used = Rc::new(Cell::new(0));
        let nothing = Buffer::new(&device, &used, "nothing", 16);
        Ok(Self {
            max_binding: device.limits().max_storage_buffer_binding_size,
            f16,
            part_flops: Cell::new(None),
            name: format!("{} ({:?})", info.name, info.backend),
            software: info.device_type == wgpu::DeviceType::Cpu,
            device,
            queue,
            used,
            pipelines: RefCell::default(),
            staging: Staging::default(),
            nothing,
            trouble,
        })
    }

    /// The adapter, as far as the driver or the browser tells.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether this is no GPU, but a program that emulates one on the CPU.
    #[must_use]
    pub fn is_software(&self) -> bool {
        self.software
    }

    /// The tiers that this device can run.
    pub fn tiers(&self) -> impl Iterator<Item = Tier> + use<> {
        let f16 = self.f16;
        Tier::ALL.into_iter().filter(move |tier| f16 || !tier.needs_f16())
    }

    /// Whether this device can run all of these tiers.
    ///
    /// # Errors
    /// [`Error::BadInput`] that names the first that it cannot.
    pub fn check_tuning(&self, tuning: &Tuning) -> Result<()> {
        match tuning.tiers().find(|tier| !self.tiers().any(|t| t == *tier)) {
            None => Ok(()),
            Some(tier) => Err(Error::BadInput(format!(
                "tier: expected a device with shader-f16 for {}, found {}: use \"auto\"",
                tier.name(),
                self.name
            ))),
        }
    }

    /// Operations that one submit should have at most.
    #[must_use]
    pub fn part_flops(&self) -> u64 {
        self.part_flops.get().unwrap_or(FIRST_PART)
    }

    /// Operations that one step should have at most.
    #[must_use]
    pub fn step_flops(&self) -> u64 {
        self.part_flops.get().unwrap_or(FIRST_STEP)
    }

    /// Learns from a run of so many operations how long this device takes.
    pub fn observe(&self, flops: u64, milliseconds: f64) {
        if flops > 0 && milliseconds > 0.0 {
            self.part_flops.set(Some((flops as f64 * PART_MS / milliseconds) as u64));
        }
    }

    /// Learns it from a rate, in billions of operations a second.
    pub fn expect(&self, rate: f64) {
        // A billion a second is a million a millisecond.
        self.observe((rate * 1e6) as u64, 1.0);
    }

    /// Bytes in all live buffers.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.used.get()
    }

    /// Largest buffer that a kernel can see at once, in bytes.
    #[must_use]
    pub fn max_binding(&self) -> u64 {
        self.max_binding
    }

    /// The device in words of JavaScript, for listeners.
    #[cfg(target_arch = "wasm32")]
    #[must_use]
    pub fn js_device(&self) -> Option<&wgpu::webgpu::GpuDevice> {
        self.device.as_webgpu()
    }

    /// A storage buffer of zeros.
    ///
    /// # Errors
    /// [`Error::Gpu`] if it is larger than a binding may be.
    pub fn buffer(&self, label: &str, bytes: u64) -> Result<Buffer> {
        if bytes > self.max_binding {
            return Err(Error::Gpu(format!(
                "{label}: expected at most {} bytes in one buffer, found {bytes}: this model or picture is too large for this GPU",
                self.max_binding
            )));
        }
        Ok(Buffer::new(&self.device, &self.used, label, bytes))
    }

    pub(crate) fn nothing(&self) -> &Buffer {
        &self.nothing
    }

    /// Copies bytes into a buffer before whatever is submitted next; a rest of 1 to 3 bytes is padded with zeros.
    pub fn write(&self, buffer: &Buffer, offset: u64, bytes: &[u8]) {
        let whole = bytes.len() & !3;
        self.queue.write_buffer(buffer.raw(), offset, &bytes[..whole]);
        if whole < bytes.len() {
            let mut rest = [0; 4];
            rest[..bytes.len() - whole].copy_from_slice(&bytes[whole..]);
            self.queue.write_buffer(buffer.raw(), offset + whole as u64, &rest);
        }
    }

    /// The pipeline of a shader with its overrides, made once.
    #[must_use]
    pub fn pipeline(&self, shader: &Shader) -> Rc<Pipeline> {
        let key = shader.key();
        if let Some(pipeline) = self.pipelines.borrow().get(&key) {
            return pipeline.clone();
        }
        let pipeline = Rc::new(Pipeline::new(&self.device, shader, &key));
        self.pipelines.borrow_mut().insert(key, pipeline.clone());
        pipeline
    }

    /// Names of the pipelines made so far, sorted.
    #[must_use]
    pub fn pipelines(&self) -> Vec<String> {
        let mut names: Vec<String> = self.pipelines.borrow().keys().cloned().collect();
        names.sort();
        names
    }

    /// Hands over what was written so far, so that it does not pile up.
    pub fn submitted(&self) {
        self.queue.submit([]);
    }

    /// Waits until everything that was submitted is done.
    ///
    /// # Errors
    /// [`Error::Gpu`] if the device was lost or had complained.
    pub async fn finished(&self) -> Result<()> {
        let (sender, receiver) = oneshot::channel();
        self.queue.on_submitted_work_done(move || {
            // The receiver is gone only if nobody waits any more.
            let _ = sender.send(());
        });
        let lost = |why: String| Error::Gpu(format!("the GPU did not finish: {why}: load the model again"));
        self.device.poll(wgpu::PollType::wait_indefinitely()).map_err(|e| lost(e.to_string()))?;
        receiver.await.map_err(|_| lost("the device was lost".into()))?;
        self.check()
    }

    /// What went wrong on the device since the last call.
    ///
    /// # Errors
    /// [`Error::Gpu`] with the driver's words.
    pub fn check(&self) -> Result<()> {
        match self.trouble.lock().ok().and_then(|mut slot| slot.take()) {
            None => Ok(()),
            Some(words) => Err(Error::Gpu(format!("the GPU refused: {words}"))),
        }
    }
}

impl Drop for Gpu {
    fn drop(&mut self) {
        // In browsers a dropped device lives on until it is collected, with all its memory.
        self.device.destroy();
    }
}
