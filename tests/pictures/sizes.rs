//! Pictures in many sizes, one after the other: the squares are Pillow's, and no buffer is made for a size of its own.

use std::ops::Range;

use ocelli::{
    Checkpoint, Result, Session,
    backend::{Backend, Cpu},
    config::Alpha,
    preprocess::{Sampling, resize},
    random::Random,
    session::{LoadOptions, Source, Strip},
};
use sha2::{Digest, Sha256};

use crate::common;

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
    load_with(device, model, Alpha::Drop)
}

fn load_with<B: Backend>(device: B, model: &str, alpha: Alpha) -> Session<B> {
    let checkpoint = Checkpoint::open(&common::fixtures().join(model)).expect("a fixture");
    Session::load(device, &checkpoint, LoadOptions { alpha, ..LoadOptions::default() }).expect("it loads")
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
        compare(&load(Cpu::default(), model), &sizes(20), |_, _| ());
    }
}

/// Several strips; and room that is not there from the start: it grows, stays, and what is smaller is right afterwards.
#[test]
fn larger_pictures_find_room_too() {
    let large =
        [(20, 30), (3000, 2000), (9000, 5), (3, 70_000), (20, 30), (70_000, 2), (9000, 5), (300, 6000), (20, 30)];
    for model in ["siglip", "clip"] {
        compare(&load(Cpu::default(), model), &large, |_, _| ());
    }
    if !common::runs_on_gpu() {
        return;
    }
    for model in ["siglip", "clip"] {
        let gpu = pollster::block_on(ocelli::Gpu::new(ocelli::Power::Any)).expect("looked for before");
        compare(&load(gpu, model), &large, |_, _| ());
    }
}

/// What Pillow makes of a picture by a formula: model (squashed, or cropped from the middle), width, height, rule for transparency,
/// whether the vertical pass is first, and the SHA-256 of the square's RGB bytes. `tools/make_resized.py` prints them.
const PILLOWS: [(&str, usize, usize, Alpha, bool, &str); 8] = [
    ("siglip", 3, 2000, Alpha::Drop, true, "f86db096a945eeafd325e04c0bbd0087be479f9ac5ba8c162a04f80c9e0c0769"),
    ("siglip", 3, 301, Alpha::Drop, true, "99519307841d22af187de6ed4da9aac8830dd80742b9509a8674f2ad576feaa4"),
    ("siglip", 3, 300, Alpha::Drop, false, "60fa416946cfc3c9e61d491f0ea011541ac9060dd7326499d10e184f11cd7a77"),
    ("siglip", 2, 250, Alpha::Drop, true, "216ea95f925ccf0185324b516b733dc714d69af53cc29bb764d3fedc131c8f33"),
    ("clip", 43, 4310, Alpha::Drop, true, "10be58d0c7196c958d6933f954908a96f275cfee87bacb7d9a541eba6fbc162c"),
    ("clip", 20, 2010, Alpha::Drop, false, "25e3b23b010bd34c925e17765fd0a51822ce65ad5a9beed133ee83061eb510f5"),
    ("siglip", 61, 37, Alpha::White, false, "161a869707c95691c9b5f5b5d4f6278a4bfb2adf8f0a757f67b55b9f76a945c8"),
    ("siglip", 3, 2000, Alpha::White, true, "bf650d6ee2211f28880ef13e73d8dd9b6705baac9004cc3bb00e1ae53fade379"),
];

#[test]
fn tall_and_transparent_pictures_are_pillows() {
    for (model, width, height, alpha, vertical_first, expected) in PILLOWS {
        let name = format!("{model}, {width} × {height}, {alpha:?}");
        let pixel = |at: usize| {
            let (x, y) = (at % width, at / width);
            let channels = [x * 37 + y * 11, x * y + y * 5, (x * 7) ^ (y * 13), x * 29 + y * 3];
            u32::from_le_bytes(channels.map(|channel| channel as u8))
        };
        let picture = Picture { width, height, pixels: (0..width * height).map(pixel).collect() };
        let hash = |pixels: &[u32]| {
            let rgb: Vec<u8> = pixels.iter().flat_map(|pixel| pixel.to_le_bytes().into_iter().take(3)).collect();
            Sha256::digest(rgb).iter().map(|byte| format!("{byte:02x}")).collect::<String>()
        };
        let session = load_with(Cpu::default(), model, alpha);
        let sampling = Sampling::new(&session.config.preprocessor, width, height).expect("within bounds");
        assert_eq!(sampling.vertical_first, vertical_first, "{name}");
        let resized = |sampling| hash(&resize(&picture.pixels, width, height, &sampling));
        assert_eq!(resized(sampling.clone()), expected, "{name}");
        // The other order, and the other rule, are not Pillow's.
        assert_ne!(resized(Sampling { vertical_first: !vertical_first, ..sampling.clone() }), expected, "{name}");
        let other = if alpha == Alpha::Drop { Alpha::White } else { Alpha::Drop };
        assert_ne!(resized(Sampling { alpha: other, ..sampling }), expected, "{name}");

        let on_cpu = pollster::block_on(session.preprocess(&picture)).expect("a square");
        assert_eq!(hash(&on_cpu.0), expected, "{name} on the CPU");
        if common::runs_on_gpu() {
            let gpu = pollster::block_on(ocelli::Gpu::new(ocelli::Power::Any)).expect("looked for before");
            let on_gpu = pollster::block_on(load_with(gpu, model, alpha).preprocess(&picture)).expect("a square");
            assert_eq!(hash(&on_gpu.0), expected, "{name} on the GPU");
        }
    }
}
