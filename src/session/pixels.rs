//! A picture on its way to the tower: strips of rows go up, two passes of the resize kernel bring it to the size that the tower sees.

use std::ops::Range;

use crate::{
    backend::{Backend, Executor},
    config::{Alpha, Preprocessor},
    error::{Error, Result},
    gpu::{Gpu, Tier, Tuning},
    kernels::{ActId, Resize, Rows, Run},
    plan::Plan,
    preprocess::{Axis, Sampling, Strides, TABLE_HEAD},
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

/// Pixels that are on the device at once: 16 MiB. The columns of tall pictures are there whole.
const STRIP: usize = 4 << 20;

/// Rows start at multiples of so many pixels, which are 256 bytes, as copies from textures want it.
const PITCH: usize = 64;

/// Pictures of up to so many pixels a side find their room ready: photographs of 12 megapixels. For larger ones it grows.
const SIDE: usize = 4096;

/// Room for a picture, in words.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Room {
    /// Rows of the picture.
    strip: usize,
    /// The tables of the two passes.
    tables: [usize; 2],
    /// The picture between them.
    narrow: usize,
}

impl Room {
    /// For a picture of this width.
    fn of(sampling: &Sampling, width: usize) -> Self {
        let table = |axis: &Axis| TABLE_HEAD + axis.first.len() * (axis.taps() + 2);
        let tables = sampling.passes().map(table);
        let rows = sampling.vertical.source().len().max(1);
        if !sampling.vertical_first {
            return Self { strip: STRIP, tables, narrow: sampling.size().0 * rows };
        }
        // Each column is needed whole.
        let strip = width.next_multiple_of(PITCH).saturating_mul(rows).max(STRIP);
        Self { strip, tables, narrow: sampling.size().1 * width }
    }

    /// Room for both, and more where there was too little: so that it seldom grows.
    fn grown(self, to: Self) -> Self {
        let grown = |has: usize, needs: usize| if needs > has { needs.next_power_of_two() } else { has };
        Self {
            strip: self.strip.max(to.strip),
            tables: [0, 1].map(|pass| grown(self.tables[pass], to.tables[pass])),
            narrow: grown(self.narrow, to.narrow),
        }
    }
}

/// What depends on a picture's size, beside the tables on the device.
struct Layout {
    size: (usize, usize),
    /// Rows of the picture that are needed, strip by strip, and the lines of the first pass in each: its rows, or its columns.
    strips: Vec<(Range<usize>, usize)>,
    pitch: usize,
    /// Lines of the second pass: columns of what comes out, or its rows.
    lines: usize,
    /// Width and height of what the tower sees.
    seen: (usize, usize),
}

/// Most words of a strip, 1 GiB: no device has larger bindings.
const MOST: usize = 1 << 28;

/// The resize of pictures of any size, with buffers that are made once and grow for large pictures.
pub struct Pixels<B: Backend> {
    plan: B::Executor,
    strip: ActId,
    /// Of the first pass and of the second one.
    tables: [ActId; 2],
    out: ActId,
    room: Room,
    /// Of the last picture: frames of a video and pictures of one camera have one size.
    layout: Option<Layout>,
}

impl<B: Backend> Pixels<B> {
    /// Buffers for what `rule` makes of pictures of usual sizes.
    ///
    /// # Errors
    /// [`Error::Gpu`] if this device has no room for them.
    pub fn new(device: &B, rule: &Preprocessor) -> Result<Self> {
        Self::with_room(device, rule, Room::of(&Sampling::new(rule, SIDE, SIDE)?, SIDE))
    }

    fn with_room(device: &B, rule: &Preprocessor, room: Room) -> Result<Self> {
        let usual = Sampling::new(rule, SIDE, SIDE)?.size().0 as u32;
        let most = rule.most_pixels().expect("checked with the config");
        let mut plan = Plan::default();
        let once = Rows::PerItem(1);
        let strip = plan.input("strip", once, room.strip);
        let tables =
            [plan.input("first.table", once, room.tables[0]), plan.input("second.table", once, room.tables[1])];
        let narrow = plan.scratch("narrow", once, room.narrow);
        let out = plan.scratch("seen", once, most);
        // A line is a token of its run: their number varies.
        let lines = Rows::PerToken;
        plan.step("resize.first", Resize { source: strip, table: tables[0], out: narrow, usual, lines });
        plan.step("resize.second", Resize { source: narrow, table: tables[1], out, usual, lines });
        let most = Run::tokens(1, (STRIP / PITCH).max(most) as u32);
        let (tuning, weights) = (Tuning::all(Tier::Plain), B::Weights::default());
        let plan = device.compile(plan, &weights, &tuning, most, &mut B::States::default())?;
        Ok(Self { plan, strip, tables, out, room, layout: None })
    }

    /// Makes ready for pictures of `size` pixels.
    ///
    /// # Errors
    /// [`Error::BadImage`] if they are too large for this device.
    pub fn fit(&mut self, device: &B, rule: &Preprocessor, size: (usize, usize)) -> Result<()> {
        if self.layout.as_ref().is_some_and(|layout| layout.size == size) {
            return Ok(());
        }
        let sampling = Sampling::new(rule, size.0, size.1)?;
        let room = self.room.grown(Room::of(&sampling, size.0));
        let ((width, height), rows) = (sampling.size(), sampling.vertical.source());
        let pitch = size.0.next_multiple_of(PITCH);
        if room != self.room {
            let bad = |e: &dyn std::fmt::Display| {
                Error::BadImage(format!("a picture of {} × {} pixels: {e}", size.0, size.1))
            };
            if room.strip > MOST {
                return Err(bad(&"expected fewer rows, of which the columns of so tall a picture need all at once"));
            }
            *self = Self::with_room(device, rule, room).map_err(|e| bad(&e))?;
        }
        // A strip's lines are its rows, or its columns; what the first pass makes of a line lies together.
        let [across, down] = [&sampling.horizontal, &sampling.vertical];
        let tables = if sampling.vertical_first {
            let first = Strides { step: pitch, line: 1, out_step: 1, out_line: height };
            let second = Strides { step: height, line: 1, out_step: 1, out_line: width };
            [down.table(rows.start, first, sampling.alpha), across.table(0, second, Alpha::Drop)]
        } else {
            let first = Strides { step: 1, line: pitch, out_step: 1, out_line: width };
            let second = Strides { step: width, line: 1, out_step: width, out_line: 1 };
            [across.table(0, first, sampling.alpha), down.table(rows.start, second, Alpha::Drop)]
        };
        for (act, table) in self.tables.into_iter().zip(tables) {
            self.plan.write(device, act, 0, bytemuck::cast_slice(&table));
        }
        let (strips, lines) = if sampling.vertical_first {
            (vec![(rows, size.0)], height)
        } else {
            let most = STRIP / pitch;
            let strips = rows.clone().step_by(most).map(|start| start..(start + most).min(rows.end));
            (strips.map(|rows| (rows.clone(), rows.len())).collect(), width)
        };
        self.layout = Some(Layout { size, strips, pitch, lines, seen: (width, height) });
        Ok(())
    }

    fn layout(&self) -> &Layout {
        self.layout.as_ref().expect("made ready for a size")
    }

    /// Width and height of what the tower sees of a picture of the size that was made ready for.
    pub fn seen(&self) -> (usize, usize) {
        self.layout().seen
    }

    /// Brings a picture of the size that was made ready for to what the tower sees.
    ///
    /// # Errors
    /// As [`Source::upload`].
    pub fn run(&self, device: &B, image: &dyn Source<B>) -> Result<()> {
        let layout = self.layout();
        let mut place = 0u32;
        for (rows, lines) in &layout.strips {
            let strip = Strip { device, plan: &self.plan, act: self.strip, pitch: layout.pitch };
            image.upload(rows.clone(), &strip)?;
            self.plan.write(device, self.tables[0], TABLE_HEAD - 1, &place.to_le_bytes());
            self.plan.run(device, Run::tokens(1, *lines as u32), 0..1);
            place += (lines * layout.seen.0) as u32;
        }
        self.plan.run(device, Run::tokens(1, layout.lines as u32), 1..2);
        Ok(())
    }

    /// Copies what the tower sees into item `item` of its input.
    pub fn hand_over(&self, device: &B, into: (&B::Executor, ActId), item: u32) {
        self.plan.hand_over(device, self.out, into, item);
    }

    /// Reads what the tower sees back; of pictures with a shape of their own more than that.
    #[must_use]
    pub fn read(&self, device: &B) -> B::Readback {
        self.plan.read(device, self.out)
    }
}
