//! A picture on its way to the tower: strips of rows go up, two passes of the resize kernel bring it to its square.

use std::ops::Range;

use crate::{
    backend::{Backend, Executor},
    error::{Error, Result},
    gpu::{Gpu, Tier, Tuning},
    kernels::{ActId, Resize, Rows, Run},
    plan::Plan,
    preprocess::Sampling,
};

/// A picture whose rows can be brought to the device: decoded bytes natively, the browser's own bitmap there.
pub trait Source<B: Backend = Gpu> {
    /// Width and height in pixels.
    fn size(&self) -> (usize, usize);
    /// Puts `rows` into the strip from its start.
    ///
    /// # Errors
    /// [`Error::BadImage`] if the pixels cannot be read.
    fn upload(&self, rows: Range<usize>, strip: &Strip<B>) -> Result<()>;
}

/// Where rows of a picture go: RGBA, not premultiplied.
pub struct Strip<'a, B: Backend> {
    /// The device.
    pub device: &'a B,
    /// Whose activation it is.
    pub plan: &'a B::Executor,
    /// Which of them.
    pub act: ActId,
    /// Pixels from row to row.
    pub pitch: usize,
}

impl<B: Backend> Strip<'_, B> {
    /// Fills it with rows of `width` pixels that follow one another.
    pub fn fill(&self, rows: impl ExactSizeIterator<Item: AsRef<[u8]>>) {
        let mut bytes = vec![0; rows.len() * self.pitch * 4];
        for (into, row) in bytes.chunks_exact_mut(self.pitch * 4).zip(rows) {
            into[..row.as_ref().len()].copy_from_slice(row.as_ref());
        }
        self.plan.write(self.device, self.act, 0, &bytes);
    }
}

/// Steps for a picture that fits into one strip.
pub const DISPATCHES: usize = 2;

/// Most bytes of pixels that are on the GPU at once.
const STRIP_BYTES: usize = 16 << 20;

/// The resize of pictures of one size.
pub struct Pixels<B: Backend> {
    size: (usize, usize),
    plan: B::Executor,
    strip: ActId,
    out: ActId,
    /// Rows of the picture that are needed, strip by strip.
    strips: Vec<Range<usize>>,
    pitch: usize,
}

impl<B: Backend> Pixels<B> {
    /// Tables and buffers for pictures of `size` pixels.
    ///
    /// # Errors
    /// [`Error::BadImage`] if the picture is too large for this device.
    pub fn new(device: &B, size: (usize, usize), sampling: &Sampling) -> Result<Self> {
        let (width, height) = sampling.size();
        let rows = sampling.vertical.source();
        // Rows start at multiples of 256 bytes, as copies from textures want it.
        let pitch = size.0.next_multiple_of(64);
        let strip_rows = (STRIP_BYTES / (pitch * 4)).clamp(1, rows.len().max(1));
        let strips: Vec<Range<usize>> =
            rows.clone().step_by(strip_rows).map(|start| start..(start + strip_rows).min(rows.end)).collect();

        let mut plan = Plan::default();
        let across = sampling.horizontal.table(0);
        let down = sampling.vertical.table(rows.start);
        let strip = plan.input("strip", Rows::PerItem(1), pitch * strip_rows);
        let across_table = plan.input("across.table", Rows::PerItem(1), across.len());
        let down_table = plan.input("down.table", Rows::PerItem(1), down.len());
        let narrow = plan.scratch("narrow", Rows::PerItem(1), width * rows.len().max(1));
        let out = plan.scratch("square", Rows::PerItem(1), width * height);
        for s in &strips {
            plan.step(
                "resize.across",
                Resize {
                    source: strip,
                    table: across_table,
                    out: narrow,
                    outputs: width as u32,
                    lines: s.len() as u32,
                    taps: sampling.horizontal.taps() as u32,
                    source_strides: [1, pitch as u32],
                    out_strides: [1, width as u32],
                    out_offset: ((s.start - rows.start) * width) as u32,
                },
            );
        }
        plan.step(
            "resize.down",
            Resize {
                source: narrow,
                table: down_table,
                out,
                outputs: height as u32,
                lines: width as u32,
                taps: sampling.vertical.taps() as u32,
                source_strides: [width as u32, 1],
                out_strides: [width as u32, 1],
                out_offset: 0,
            },
        );
        let plan = device
            .compile(plan, &B::Weights::default(), &Tuning::all(Tier::Plain), Run::items(1), &mut B::States::default())
            .map_err(|e| Error::BadImage(format!("a picture of {} × {} pixels: {e}", size.0, size.1)))?;
        plan.write(device, across_table, 0, bytemuck::cast_slice(&across));
        plan.write(device, down_table, 0, bytemuck::cast_slice(&down));
        Ok(Self { size, plan, strip, out, strips, pitch })
    }

    /// Which size it is for.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        self.size
    }

    /// Brings a picture to its square.
    ///
    /// # Errors
    /// As [`Source::upload`].
    pub fn run(&self, device: &B, image: &dyn Source<B>) -> Result<()> {
        for (step, rows) in self.strips.iter().enumerate() {
            let strip = Strip { device, plan: &self.plan, act: self.strip, pitch: self.pitch };
            image.upload(rows.clone(), &strip)?;
            self.plan.run(device, Run::items(1), step..step + 1);
        }
        self.plan.run(device, Run::items(1), self.strips.len()..self.strips.len() + 1);
        Ok(())
    }

    /// Copies the square into item `item` of the tower's input.
    pub fn hand_over(&self, device: &B, into: (&B::Executor, ActId), item: u32) {
        self.plan.hand_over(device, self.out, into, item);
    }

    /// Reads the square back.
    #[must_use]
    pub fn read(&self, device: &B) -> B::Readback {
        self.plan.read(device, self.out)
    }
}
