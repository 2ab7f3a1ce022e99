//! A picture on its way to the tower: strips of rows go up, two passes of the resize kernel bring it to the size that the tower sees.

use std::ops::Range;

use crate::{
    backend::{Backend, Executor},
    config::Preprocessor,
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

/// Pixels that are on the device at once: 16 MiB.
const STRIP: usize = 4 << 20;

/// Rows start at multiples of so many pixels, which are 256 bytes, as copies from textures want it.
const PITCH: usize = 64;

/// Pictures of up to so many pixels a side find their room ready: photographs of 12 megapixels. For larger ones it grows.
const SIDE: usize = 4096;

/// Room for a picture, in words.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Room {
    /// The table along x.
    across: usize,
    /// The table along y.
    down: usize,
    /// The picture between the two passes.
    narrow: usize,
}

impl Room {
    fn of(sampling: &Sampling) -> Self {
        let table = |axis: &Axis| TABLE_HEAD + axis.first.len() * (axis.taps() + 2);
        let rows = sampling.vertical.source().len().max(1);
        Self { across: table(&sampling.horizontal), down: table(&sampling.vertical), narrow: sampling.size().0 * rows }
    }

    /// Room for both, and more where there was too little: so that it seldom grows.
    fn grown(self, to: Self) -> Self {
        let grown = |has: usize, needs: usize| if needs > has { needs.next_power_of_two() } else { has };
        Self {
            across: grown(self.across, to.across),
            down: grown(self.down, to.down),
            narrow: grown(self.narrow, to.narrow),
        }
    }
}

/// What depends on a picture's size, beside the tables on the device.
struct Layout {
    size: (usize, usize),
    /// Rows of the picture that are needed, strip by strip.
    strips: Vec<Range<usize>>,
    pitch: usize,
    /// Width and height of what the tower sees.
    seen: (usize, usize),
}

/// The resize of pictures of any size, with buffers that are made once and grow for large pictures.
pub struct Pixels<B: Backend> {
    plan: B::Executor,
    strip: ActId,
    /// Along x and along y.
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
        Self::with_room(device, rule, Room::of(&Sampling::new(rule, SIDE, SIDE)?))
    }

    fn with_room(device: &B, rule: &Preprocessor, room: Room) -> Result<Self> {
        let (width, height) = Sampling::new(rule, SIDE, SIDE)?.size();
        let most = rule.most_pixels().expect("checked with the config");
        let mut plan = Plan::default();
        let once = Rows::PerItem(1);
        let strip = plan.input("strip", once, STRIP);
        let across = plan.input("across.table", once, room.across);
        let down = plan.input("down.table", once, room.down);
        let narrow = plan.scratch("narrow", once, room.narrow);
        let out = plan.scratch("seen", once, most);
        // A line, which is a row of the strip and then a column, is a token of its run: their number varies.
        let lines = Rows::PerToken;
        let pass = Resize { source: strip, table: across, out: narrow, usual: width as u32, lines };
        plan.step("resize.across", pass);
        plan.step("resize.down", Resize { source: narrow, table: down, out, usual: height as u32, lines });
        let most = Run::tokens(1, (STRIP / PITCH).max(most) as u32);
        let (tuning, weights) = (Tuning::all(Tier::Plain), B::Weights::default());
        let plan = device.compile(plan, &weights, &tuning, most, &mut B::States::default())?;
        Ok(Self { plan, strip, tables: [across, down], out, room, layout: None })
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
        let room = self.room.grown(Room::of(&sampling));
        if room != self.room {
            *self = Self::with_room(device, rule, room)
                .map_err(|e| Error::BadImage(format!("a picture of {} × {} pixels: {e}", size.0, size.1)))?;
        }
        let (width, rows, pitch) = (sampling.size().0, sampling.vertical.source(), size.0.next_multiple_of(PITCH));
        let (row, column) = (|line| Strides { step: 1, line }, Strides { step: width, line: 1 });
        let tables =
            [sampling.horizontal.table(0, row(pitch), row(width)), sampling.vertical.table(rows.start, column, column)];
        for (act, table) in self.tables.into_iter().zip(tables) {
            self.plan.write(device, act, 0, bytemuck::cast_slice(&table));
        }
        let most = STRIP / pitch;
        let strips = rows.clone().step_by(most).map(|start| start..(start + most).min(rows.end)).collect();
        self.layout = Some(Layout { size, strips, pitch, seen: sampling.size() });
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
        for rows in &layout.strips {
            let strip = Strip { device, plan: &self.plan, act: self.strip, pitch: layout.pitch };
            image.upload(rows.clone(), &strip)?;
            self.plan.write(device, self.tables[0], TABLE_HEAD - 1, &place.to_le_bytes());
            self.plan.run(device, Run::tokens(1, rows.len() as u32), 0..1);
            place += (rows.len() * layout.seen.0) as u32;
        }
        self.plan.run(device, Run::tokens(1, layout.seen.0 as u32), 1..2);
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
