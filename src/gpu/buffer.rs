//! Storage buffers, and reading them back.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
};

use futures_channel::oneshot;

use super::Gpu;
use crate::error::{Error, Result};

/// A storage buffer that is destroyed when dropped: in browsers, dropping alone frees nothing.
pub struct Buffer {
    raw: wgpu::Buffer,
    used: Rc<Cell<u64>>,
}

/// Staging buffers that were read and wait for the next time, by size: a power of two from 16 on, so that similar reads share them.
pub(super) type Staging = Rc<RefCell<HashMap<u64, Vec<Buffer>>>>;

/// Most staging buffers of one size that are kept: as many as a decoder has steps under way.
const MOST_KEPT: usize = 4;

/// Largest staging buffer that is kept: embeddings, cosines and the logits of large vocabularies are read again and again, what is
/// larger once in a while.
const LARGEST_KEPT: u64 = 1 << 20;

/// What a staging buffer holds until the copy into it: a NaN. A copy that never ran shows, and is not taken for a result.
const UNWRITTEN: u32 = 0x7fc0_dead;

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
    /// None once it is being read.
    staging: Option<Buffer>,
    bytes: usize,
    /// Where the staging buffer goes afterwards, if it is worth keeping.
    home: Option<Staging>,
    submission: Option<wgpu::SubmissionIndex>,
}

impl Readback {
    /// Records into `encoder` the copies of the first bytes of buffers, which will lie one after the other.
    pub(crate) fn record(gpu: &Gpu, encoder: &mut wgpu::CommandEncoder, from: &[(&Buffer, u64)]) -> Self {
        let bytes: u64 = from.iter().map(|(_, bytes)| bytes).sum();
        let size = bytes.next_multiple_of(16).next_power_of_two();
        let home = (size <= LARGEST_KEPT).then(|| gpu.staging.clone());
        let kept = home.as_ref().and_then(|home| home.borrow_mut().get_mut(&size)?.pop());
        let staging = kept.unwrap_or_else(|| {
            let usages = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
            let size = if home.is_some() { size } else { bytes.next_multiple_of(4) };
            Buffer::with_usage(&gpu.device, &gpu.used, "readback", size, usages)
        });
        // Not in the encoder: it must not depend on the submit whose copy it is to show.
        let unwritten = vec![UNWRITTEN; bytes.div_ceil(4) as usize];
        gpu.queue.write_buffer(staging.raw(), 0, bytemuck::cast_slice(&unwritten));
        let mut at = 0;
        for (buffer, bytes) in from {
            encoder.copy_buffer_to_buffer(buffer.raw(), 0, staging.raw(), at, Some(bytes.next_multiple_of(4)));
            at += bytes;
        }
        Self { staging: Some(staging), bytes: bytes as usize, home, submission: None }
    }

    /// Of which submission the copy is part, so that nobody waits for later ones.
    #[must_use]
    pub(crate) fn after(mut self, submission: wgpu::SubmissionIndex) -> Self {
        self.submission = Some(submission);
        self
    }

    /// Waits for the copy, which must have been submitted, and returns the bytes.
    ///
    /// # Errors
    /// [`Error::Gpu`] if the device was lost or had complained.
    pub async fn bytes(mut self, gpu: &Gpu) -> Result<Vec<u8>> {
        gpu.check()?;
        let staging = self.staging.take().expect("it is read once");
        let (sender, receiver) = oneshot::channel();
        let raw = staging.raw();
        raw.map_async(wgpu::MapMode::Read, .., move |result| {
            // The receiver is gone only if nobody waits any more.
            let _ = sender.send(result);
        });
        // Natively this blocks until the work is done; in the browser it does nothing and the event loop calls back.
        let polled = gpu.device.poll(wgpu::PollType::Wait { submission_index: self.submission.take(), timeout: None });
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
        self.staging = Some(staging);
        Ok(bytes)
    }
}

impl Drop for Readback {
    /// A copy that nobody waits for is done before the next one into the same buffer.
    fn drop(&mut self) {
        let (Some(staging), Some(home)) = (self.staging.take(), &self.home) else { return };
        let mut home = home.borrow_mut();
        let kept = home.entry(staging.size()).or_default();
        if kept.len() < MOST_KEPT {
            kept.push(staging);
        }
    }
}
