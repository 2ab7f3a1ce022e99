//! Pictures in many sizes, one after the other: the squares are Pillow's, and no buffer is made for a size of its own.

mod common;

use std::ops::Range;

use ocelli::{
    Checkpoint, Result, Session,
    backend::{Backend, Cpu},
    preprocess::{Sampling, resize},
    random::Random,
    session::{LoadOptions, Source, Strip},
};

/// Pixels by chance.
struct Picture {
    width: usize,
    height: usize,
    pixels: Vec<u32>,
}

impl Picture {
    fn new(random: &mut Random, (width, height): (usize, usize)) -> Self {
        Self { width, height, pixels: (0..width * height).map(|_| random.bits() | 255 << 24).collect() }
    }
}

impl<B: Backend> Source<B> for Picture {
    fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }
    fn upload(&self, rows: Range<usize>, strip: &Strip<B>) -> Result<()> {
        let row = |row: usize| bytemuck::cast_slice(&self.pixels[row * self.width..(row + 1) * self.width]);
        strip.fill(rows.map(row));
        Ok(())
    }
}

/// Small and large ones in turn, upright and flat, and what is out of proportion.
fn sizes(count: usize) -> Vec<(usize, usize)> {
    let side = |at: usize, most: usize| 1 + (at * 7919 + 31) % most;
    (0..count)
        .map(|at| match at % 4 {
            0 => (side(at, 900), side(at + 1, 40)),
            1 => (side(at, 40), side(at + 1, 900)),
            2 => (side(at, 300), side(at + 1, 300)),
            _ => (side(at, 4000), 1 + at % 3),
        })
        .collect()
}

/// Whether each square is the oracle's; `made` is told after each picture.
fn compare<B: Backend>(session: &Session<B>, sizes: &[(usize, usize)], mut made: impl FnMut(usize, &Session<B>)) {
    let mut random = Random::new(3);
    for (at, &size) in sizes.iter().enumerate() {
        let picture = Picture::new(&mut random, size);
        let (found, _) = pollster::block_on(session.preprocess(&picture)).unwrap_or_else(|e| panic!("{size:?}: {e}"));
        let sampling = Sampling::new(&session.config.preprocessor, size.0, size.1).expect("within bounds");
        assert!(found == resize(&picture.pixels, size.0, size.1, &sampling), "{size:?}, after {:?}", &sizes[..at]);
        made(at, session);
    }
}

fn load<B: Backend>(device: B, model: &str) -> Session<B> {
    let checkpoint = Checkpoint::open(&common::fixtures().join(model)).expect("a fixture");
    Session::load(device, &checkpoint, LoadOptions::default()).expect("it loads")
}

#[test]
fn a_hundred_sizes_need_no_more_room_than_three() {
    if !common::runs_on_gpu() {
        return;
    }
    // Squashed, and cropped from the middle.
    for model in ["siglip", "clip"] {
        let gpu = pollster::block_on(ocelli::Gpu::new(ocelli::Power::Any)).expect("looked for before");
        let mut after_three = 0;
        compare(&load(gpu, model), &sizes(100), |at, session| {
            let bytes = session.device().bytes();
            if at == 2 {
                after_three = bytes;
            }
            assert!(at <= 2 || bytes == after_three, "{model}: picture {at}: {after_three} bytes, then {bytes}");
        });
    }
}

#[test]
fn sizes_on_the_cpu_change_as_well() {
    for model in ["siglip", "clip"] {
        compare(&load(Cpu, model), &sizes(20), |_, _| ());
    }
}

/// Several strips; and room that is not there from the start: it grows, stays, and what is smaller is right afterwards.
#[test]
fn larger_pictures_find_room_too() {
    let large =
        [(20, 30), (3000, 2000), (9000, 5), (3, 70_000), (20, 30), (70_000, 2), (9000, 5), (300, 6000), (20, 30)];
    for model in ["siglip", "clip"] {
        compare(&load(Cpu, model), &large, |_, _| ());
    }
    if !common::runs_on_gpu() {
        return;
    }
    for model in ["siglip", "clip"] {
        let gpu = pollster::block_on(ocelli::Gpu::new(ocelli::Power::Any)).expect("looked for before");
        compare(&load(gpu, model), &large, |_, _| ());
    }
}
