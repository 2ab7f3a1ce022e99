//! Storage buffers, and reading them back.

use std::{cell::Cell, rc::Rc};

use futures_channel::oneshot;

use super::Gpu;
use crate::error::{Error, Result};

/// A storage buffer that is destroyed when dropped: in browsers, dropping alone frees nothing.
pub struct Buffer {
    raw: wgpu::Buffer,
    used: Rc<Cell<u64>>,
}

impl Buffer {
    pub(super) fn new(device: &wgpu::Device, used: &Rc<Cell<u64>>, label: &str, bytes: u64) -> Self {
        let usages = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
        Self::with_usage(device, used, label, bytes, usages)
    }

    /// A uniform buffer for the parameters of a plan.
    pub(crate) fn uniform(gpu: &Gpu, label: &str, bytes: u64) -> Self {
        let usages = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        Self::with_usage(&gpu.device, &gpu.used, label, bytes, usages)
    }

    fn with_usage(
        device: &wgpu::Device,
        used: &Rc<Cell<u64>>,
        label: &str,
        bytes: u64,
        usage: wgpu::BufferUsages,
    ) -> Self {
        let size = bytes.next_multiple_of(16).max(16);
        used.set(used.get() + size);
        let raw = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size,
            usage,
            mapped_at_creation: false,
        });
        Self { raw, used: used.clone() }
    }

    pub(crate) fn raw(&self) -> &wgpu::Buffer {
        &self.raw
    }

    /// Size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.raw.size()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.used.set(self.used.get() - self.raw.size());
        self.raw.destroy();
    }
}

/// A copy on its way to the CPU.
pub struct Readback {
    staging: Buffer,
    bytes: usize,
}

impl Readback {
    /// Records the copy of the first `bytes` of a buffer into `encoder`.
    pub(crate) fn record(gpu: &Gpu, encoder: &mut wgpu::CommandEncoder, from: &Buffer, bytes: u64) -> Self {
        let usages = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let staging = Buffer::with_usage(&gpu.device, &gpu.used, "readback", bytes, usages);
        encoder.copy_buffer_to_buffer(from.raw(), 0, staging.raw(), 0, Some(bytes.next_multiple_of(4)));
        Self { staging, bytes: bytes as usize }
    }

    /// Waits for everything submitted so far and returns the bytes. The copy must have been submitted.
    ///
    /// # Errors
    /// [`Error::Gpu`] if the device was lost or had complained.
    pub async fn bytes(self, gpu: &Gpu) -> Result<Vec<u8>> {
        gpu.check()?;
        let (sender, receiver) = oneshot::channel();
        let raw = self.staging.raw();
        raw.map_async(wgpu::MapMode::Read, .., move |result| {
            // The receiver is gone only if nobody waits any more.
            let _ = sender.send(result);
        });
        // Natively this blocks until the work is done; in the browser it does nothing and the event loop calls back.
        let polled = gpu.device.poll(wgpu::PollType::wait_indefinitely());
        let lost = |why: String| Error::Gpu(format!("the GPU did not finish: {why}: load the model again"));
        polled.map_err(|e| lost(e.to_string()))?;
        match receiver.await {
            Ok(Ok(())) => {}
            Ok(Err(e)) => return Err(lost(e.to_string())),
            Err(_) => return Err(lost("the device was lost".into())),
        }
        gpu.check()?;
        let mapped = raw.get_mapped_range(..).map_err(|e| lost(e.to_string()))?;
        Ok(mapped[..self.bytes].to_vec())
    }
}
