//! A picture on its way to the tower: strips of rows go up, two passes of the resize kernel bring it to the size that the tower sees.

use std::ops::Range;

use crate::{
    backend::{Backend, Executor},
    config::{Alpha, Preprocessor},
    error::{Error, Result},
    gpu::{Gpu, Tier, Tuning},
    kernels::{ActId, Resize, ResizeFloat, Rows, Run},
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

/// Words between the passes that floats have at once, strip by strip: 16 MiB.
const NARROW: usize = 4 << 20;

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
        if sampling.filter.floats() {
            let narrow = sampling.size().0 * sampling.filter.words() * rows.min(strip_rows(sampling, width));
            return Self { strip: STRIP, tables, narrow };
        }
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

/// Most rows of a strip, for a picture of this width.
fn strip_rows(sampling: &Sampling, width: usize) -> usize {
    let rows = STRIP / width.next_multiple_of(PITCH);
    match sampling.filter.floats() {
        true => rows.min(NARROW / (sampling.filter.words() * sampling.size().0)),
        false => rows,
    }
}

/// What depends on a picture's size, beside the first pass's table on the device.
struct Layout {
    size: (usize, usize),
    strips: Vec<Part>,
    pitch: usize,
    /// Of the second pass: the axis, the place on it of what the first pass begins with, and how it goes over its lines, which are
    /// columns of what comes out, or its rows.
    second: (Axis, usize, Strides),
    lines: usize,
    /// Width and height of what the tower sees.
    seen: (usize, usize),
    floats: bool,
}

/// Rows of a picture that are on the device at once.
struct Part {
    rows: Range<usize>,
    /// Lines of the first pass in it: its rows, or its columns.
    lines: usize,
    /// Where they go between the passes.
    place: u32,
}

impl Layout {
    /// With the table of the first pass.
    fn new(sampling: &Sampling, size: (usize, usize)) -> (Self, Vec<i32>) {
        let ((width, height), rows) = (sampling.size(), sampling.vertical.source());
        let (pitch, floats) = (size.0.next_multiple_of(PITCH), sampling.filter.floats());
        let [across, down] = [&sampling.horizontal, &sampling.vertical];
        let (strips, lines, table, second);
        // A strip's lines are its rows, or its columns; what the first pass makes of a line lies together.
        if sampling.vertical_first {
            let first = Strides { step: pitch, line: 1, out_step: 1, out_line: height };
            table = down.table(rows.start, first, sampling.alpha);
            second = (across.clone(), 0, Strides { step: height, line: 1, out_step: 1, out_line: width });
            strips = vec![Part { rows, lines: size.0, place: 0 }];
            lines = height;
        } else {
            let words = sampling.filter.words();
            let row = words * width;
            let first = Strides { step: 1, line: pitch, out_step: words, out_line: row };
            table = across.table(0, first, sampling.alpha);
            second = (down.clone(), rows.start, Strides { step: row, line: words, out_step: row, out_line: words });
            let most = strip_rows(sampling, size.0);
            let part = |start: usize| {
                let strip = start..(start + most).min(rows.end);
                let place = if floats { 0 } else { (start - rows.start) * width };
                Part { lines: strip.len(), rows: strip, place: place as u32 }
            };
            strips = rows.clone().step_by(most).map(part).collect();
            lines = width;
        }
        (Self { size, strips, pitch, second, lines, seen: (width, height), floats }, table)
    }

    /// The table of the second pass, if it follows on this strip. Bytes are rounded between the passes, so it waits until all lines are
    /// there. Floats are added up strip by strip, so that little of a picture is there at once, however large it is.
    fn second(&self, strip: usize) -> Option<Vec<i32>> {
        let (axis, origin, strides) = &self.second;
        if !self.floats {
            return (strip + 1 == self.strips.len()).then(|| axis.table(*origin, *strides, Alpha::Drop));
        }
        let rows = self.strips[strip].rows.clone();
        let mut table = axis.within(rows.clone()).table(rows.start, *strides, Alpha::Drop);
        table[TABLE_HEAD - 1] = (strip > 0).into();
        Some(table)
    }
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
        let floats = rule.filter.floats();
        let mut plan = Plan::default();
        let once = Rows::PerItem(1);
        let strip = plan.input("strip", once, room.strip);
        let tables =
            [plan.input("first.table", once, room.tables[0]), plan.input("second.table", once, room.tables[1])];
        let narrow = plan.scratch("narrow", once, room.narrow);
        let out = plan.scratch("seen", once, most * rule.filter.words());
        // A line is a token of its run: their number varies.
        let lines = Rows::PerToken;
        let passes = [("resize.first", strip, narrow), ("resize.second", narrow, out)];
        for ((label, source, out), table) in passes.into_iter().zip(tables) {
            match floats {
                true => plan.step(label, ResizeFloat { source, table, out, first: source == strip, usual, lines }),
                false => plan.step(label, Resize { source, table, out, usual, lines }),
            }
        }
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
        if room != self.room {
            let bad = |e: &dyn std::fmt::Display| {
                Error::BadImage(format!("a picture of {} × {} pixels: {e}", size.0, size.1))
            };
            if room.strip > MOST {
                return Err(bad(&"expected fewer rows, of which the columns of so tall a picture need all at once"));
            }
            *self = Self::with_room(device, rule, room).map_err(|e| bad(&e))?;
        }
        let (layout, table) = Layout::new(&sampling, size);
        self.plan.write(device, self.tables[0], 0, bytemuck::cast_slice(&table));
        self.layout = Some(layout);
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
        for (at, part) in layout.strips.iter().enumerate() {
            let strip = Strip { device, plan: &self.plan, act: self.strip, pitch: layout.pitch };
            image.upload(part.rows.clone(), &strip)?;
            self.plan.write(device, self.tables[0], TABLE_HEAD - 1, &part.place.to_le_bytes());
            self.plan.run(device, Run::tokens(1, part.lines as u32), 0..1);
            if let Some(table) = layout.second(at) {
                self.plan.write(device, self.tables[1], 0, bytemuck::cast_slice(&table));
                self.plan.run(device, Run::tokens(1, layout.lines as u32), 1..2);
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{CropRounding, Filter, Resize, Tiles};

    /// WebGPU's default for a binding.
    const BINDING: usize = 128 << 20;

    #[test]
    fn floats_of_photographs_fit_into_default_limits() {
        for side in [448, 960, 1008] {
            let rule = Preprocessor {
                resize: Resize::PadSquare(side),
                filter: Filter::Smooth,
                tiles: Tiles::Whole,
                crop: None,
                rounding: CropRounding::default(),
                alpha: Alpha::default(),
                rescale: 1.0 / 255.0,
                mean: [0.0; 3],
                std: [1.0; 3],
            };
            let of = |width, height| Room::of(&Sampling::new(&rule, width, height).expect("within bounds"), width);
            let usual = of(SIDE, SIDE);
            // 12, 48, 108 and 200 megapixels, scrolls, a panorama.
            for (width, height) in [
                (4032, 3024),
                (3024, 4032),
                (8064, 6048),
                (12_000, 9000),
                (12_240, 16_320),
                (3, 1 << 20),
                (1 << 20, 3),
                (60_000, 3000),
            ] {
                let room = usual.grown(of(width, height));
                let words = [room.strip, room.tables[0], room.tables[1], room.narrow];
                assert!(words.iter().all(|words| words * 4 <= BINDING / 2), "{width} × {height}: {words:?}");
            }
        }
    }
}
