//! Storage buffers, and reading them back.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use futures_channel::oneshot;

use super::Gpu;
use crate::error::{Error, Result};

/// A storage buffer that is destroyed when dropped: in browsers, dropping alone frees nothing.
pub struct Buffer {
    raw: wgpu::Buffer,
    used: Rc<Cell<u64>>,
    /// Where reading it back ended, for the next time.
    spares: Spares,
}

type Spares = Rc<RefCell<Vec<Buffer>>>;

/// Most read-back buffers that a buffer keeps: one that is waited for, and one for what is submitted meanwhile.
const MOST_SPARES: usize = 2;

/// Largest buffer that keeps any: embeddings and scores are read again and again, what is larger once in a while.
const LARGEST_SPARE: u64 = 64 << 10;

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
        Self { raw, used: used.clone(), spares: Spares::default() }
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
    /// Where the staging buffer goes afterwards, if it is worth keeping.
    home: Option<Spares>,
    submission: Option<wgpu::SubmissionIndex>,
}

impl Readback {
    /// Records the copy of the first `bytes` of a buffer into `encoder`.
    pub(crate) fn record(gpu: &Gpu, encoder: &mut wgpu::CommandEncoder, from: &Buffer, bytes: u64) -> Self {
        // All spares of a buffer have its own size, so that any of them will do.
        let home = (from.size() <= LARGEST_SPARE).then(|| from.spares.clone());
        let staging = home.as_ref().and_then(|spares| spares.borrow_mut().pop()).unwrap_or_else(|| {
            let size = if home.is_some() { from.size() } else { bytes };
            let usages = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
            Buffer::with_usage(&gpu.device, &gpu.used, "readback", size, usages)
        });
        encoder.copy_buffer_to_buffer(from.raw(), 0, staging.raw(), 0, Some(bytes.next_multiple_of(4)));
        Self { staging, bytes: bytes as usize, home, submission: None }
    }

    /// Of which submission the copy is part, so that nobody waits for later ones.
    #[must_use]
    pub(crate) fn after(self, submission: wgpu::SubmissionIndex) -> Self {
        Self { submission: Some(submission), ..self }
    }

    /// Waits for the copy, which must have been submitted, and returns the bytes.
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
        let polled = gpu.device.poll(wgpu::PollType::Wait { submission_index: self.submission, timeout: None });
        let lost = |why: String| Error::Gpu(format!("the GPU did not finish: {why}: load the model again"));
        polled.map_err(|e| lost(e.to_string()))?;
        match receiver.await {
            Ok(Ok(())) => {}
            Ok(Err(e)) => return Err(lost(e.to_string())),
            Err(_) => return Err(lost("the device was lost".into())),
        }
        gpu.check()?;
        let bytes = {
            let mapped = raw.get_mapped_range(..).map_err(|e| lost(e.to_string()))?;
            mapped[..self.bytes].to_vec()
        };
        raw.unmap();
        if let Some(home) = self.home.filter(|home| home.borrow().len() < MOST_SPARES) {
            home.borrow_mut().push(self.staging);
        }
        Ok(bytes)
    }
}
