//! OWLv2's resize: its own image processor's pixels (`tools/make_smooth.py`), on every device and for every size; and the usual
//! mistakes, each of which the same comparison rejects.

use std::{fs, ops::Range};

use ocelli::{
    Checkpoint, Result, Session,
    backend::{Backend, Cpu},
    config::{Filter, Preprocessor, Resize},
    preprocess::{Sampling, resize},
    session::{LoadOptions, Source, Strip},
};
use safetensors::SafeTensors;

use crate::common;

/// How far a channel may be off, where white is 1.
const BOUND: f64 = 1e-6;

struct Picture {
    width: usize,
    height: usize,
    pixels: Vec<u32>,
}

impl Picture {
    /// As the tool paints it.
    fn new(width: usize, height: usize) -> Self {
        let pixel = |at: usize| {
            let (x, y) = (at % width, at / width);
            let channels = [x * 37 + y * 11, x * y + y * 5, (x * 7) ^ (y * 13), 255];
            u32::from_le_bytes(channels.map(|channel| channel as u8))
        };
        Self { width, height, pixels: (0..width * height).map(pixel).collect() }
    }
}

impl<B: Backend> Source<B> for Picture {
    fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }
    fn upload(&self, rows: Range<usize>, strip: &Strip<B>) -> Result<()> {
        strip.fill(rows.map(|row| bytemuck::cast_slice(&self.pixels[row * self.width..(row + 1) * self.width])));
        Ok(())
    }
}

/// A picture and what the reference makes of it.
struct Golden {
    picture: Picture,
    side: usize,
    expected: Vec<f32>,
}

impl Golden {
    fn all() -> Vec<Self> {
        let file = fs::read(common::fixtures().join("smooth.safetensors")).expect("a fixture");
        let tensors = SafeTensors::deserialize(&file).expect("a sound fixture");
        let golden = |(name, tensor): (String, safetensors::tensor::TensorView)| {
            let (width, height) = name.split_once('x').expect("a size");
            let side = |number: &str| number.parse().expect("a size");
            Self {
                picture: Picture::new(side(width), side(height)),
                side: tensor.shape()[0],
                expected: bytemuck::pod_collect_to_vec(tensor.data()),
            }
        };
        let all: Vec<Self> = tensors.tensors().into_iter().map(golden).collect();
        assert_eq!(all.len(), 13);
        all
    }

    fn name(&self) -> String {
        format!("{} × {} to {}", self.picture.width, self.picture.height, self.side)
    }
}

fn check(what: &str, found: &[f32], expected: &[f32]) -> std::result::Result<(), String> {
    let most = found.iter().zip(expected).map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max);
    println!("{what}: {most:.1e}");
    common::compare(what, found, expected, &vec![1.0; expected.len()], BOUND)
}

/// Values from 0 to 1.
fn shares(words: &[u32]) -> Vec<f32> {
    words.iter().map(|&word| f32::from_bits(word) / 255.0).collect()
}

fn rule(side: usize) -> Preprocessor {
    let checkpoint = Checkpoint::open(&common::fixtures().join("siglip")).expect("a fixture");
    let (resize, filter) = (Resize::PadSquare(side), Filter::Smooth);
    Preprocessor { resize, filter, ..checkpoint.config.preprocessor }
}

fn session<B: Backend>(device: B, side: usize) -> Session<B> {
    let mut checkpoint = Checkpoint::open(&common::fixtures().join("siglip")).expect("a fixture");
    checkpoint.config.preprocessor = rule(side);
    Session::load(device, &checkpoint, LoadOptions::default()).expect("it loads")
}

fn gpu() -> Option<ocelli::Gpu> {
    common::runs_on_gpu().then(|| pollster::block_on(ocelli::Gpu::new(ocelli::Power::Any)).expect("looked for before"))
}

fn seen<B: Backend>(session: &Session<B>, picture: &Picture) -> Vec<f32> {
    shares(&pollster::block_on(session.seen(picture)).expect("a square").0)
}

fn oracle(picture: &Picture, rule: &Preprocessor) -> Vec<u32> {
    let sampling = Sampling::new(rule, picture.width, picture.height).expect("within bounds");
    resize(&picture.pixels, picture.width, picture.height, &sampling)
}

/// All pictures by one session a side, so that sizes follow one another.
fn equals_the_reference<B: Backend>(device: impl Fn() -> B) {
    let all = Golden::all();
    for side in [24, 30] {
        let session = session(device(), side);
        for golden in all.iter().filter(|golden| golden.side == side) {
            check(&golden.name(), &seen(&session, &golden.picture), &golden.expected).expect("the reference's pixels");
        }
    }
}

#[test]
fn the_oracle_is_the_reference() {
    for golden in Golden::all() {
        let found = shares(&oracle(&golden.picture, &rule(golden.side)));
        check(&golden.name(), &found, &golden.expected).expect("the reference's pixels");
    }
}

#[test]
fn the_cpu_is_the_reference() {
    equals_the_reference(Cpu::default);
    let report = pollster::block_on(session(Cpu::default(), 30).verify(None, None)).expect("a report");
    assert!(report.ok, "{:?}", report.off);
}

#[test]
fn the_gpu_is_the_reference() {
    if gpu().is_some() {
        equals_the_reference(|| gpu().expect("looked for before"));
        let report = pollster::block_on(session(gpu().expect("looked for before"), 30).verify(None, None));
        assert!(report.as_ref().is_ok_and(|report| report.ok), "{report:?}");
    }
}

/// In several strips, which are added up; and smaller ones afterwards.
fn large_pictures<B: Backend>(device: impl Fn() -> B) {
    for (side, sizes) in [
        (24, &[(20, 30), (3000, 2000), (9000, 5), (3, 90_000), (20, 30), (70_000, 2), (300, 6000), (20, 30)][..]),
        (960, &[(4032, 3024), (3, 4000), (20, 30)]),
    ] {
        let session = session(device(), side);
        for &(width, height) in sizes {
            let picture = Picture::new(width, height);
            let (found, expected) = (seen(&session, &picture), shares(&oracle(&picture, &rule(side))));
            check(&format!("{width} × {height}"), &found, &expected).expect("the oracle's pixels");
        }
    }
}

#[test]
fn large_pictures_on_the_cpu() {
    large_pictures(Cpu::default);
}

#[test]
fn large_pictures_on_the_gpu() {
    if gpu().is_some() {
        large_pictures(|| gpu().expect("looked for before"));
    }
}

/// What one may take for the rule.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Wrong {
    Nothing,
    /// Padded with 0.5.
    Grey,
    Centred,
    /// Not padded.
    Stretched,
    /// Not blurred.
    Sharp,
    /// The Gaussian is cut off where torchvision's is.
    ShortTail,
    /// The outermost pixel goes on beyond the edge.
    Clamped,
    /// Pillow's bilinear filter.
    Pillow,
    /// Rounded to 8 bits.
    Bytes,
}

impl Wrong {
    const ALL: [Self; 8] = [
        Self::Grey,
        Self::Centred,
        Self::Stretched,
        Self::Sharp,
        Self::ShortTail,
        Self::Clamped,
        Self::Pillow,
        Self::Bytes,
    ];

    fn radius(self, sigma: f64) -> isize {
        match self {
            Self::Sharp => 0,
            Self::ShortTail => (3.0 * sigma).ceil() as isize,
            _ => (4.0 * sigma + 0.5) as isize,
        }
    }

    /// Whether it makes another picture, and not by chance the same.
    fn shows(self, width: usize, height: usize, side: usize) -> bool {
        let long = width.max(height);
        let sigma = ((long as f64 / side as f64 - 1.0) / 2.0).max(0.0);
        let blurred = Self::Nothing.radius(sigma) > 0;
        match self {
            Self::Nothing => false,
            Self::Grey | Self::Stretched => width != height,
            Self::Centred => width.abs_diff(height) > 1,
            Self::Sharp => blurred,
            // Of a narrow Gaussian nothing is left there.
            Self::ShortTail => sigma > 1.0,
            Self::Clamped => long > 1 && (long < side || blurred),
            Self::Pillow | Self::Bytes => long > 1 && long != side,
        }
    }

    /// The rule, step by step as the reference's words have it, and this mistake.
    fn apply(self, picture: &Picture, side: usize) -> Vec<f32> {
        let Picture { width, height, pixels } = picture;
        if self == Self::Pillow {
            let bytes = oracle(picture, &Preprocessor { filter: Filter::Bilinear, ..rule(side) });
            let rgb = bytes.iter().flat_map(|pixel| pixel.to_le_bytes().into_iter().take(3));
            return rgb.map(|byte| f32::from(byte) / 255.0).collect();
        }
        let long = *width.max(height);
        let (w, h) = if self == Self::Stretched { (*width, *height) } else { (long, long) };
        let (left, top) = if self == Self::Centred { ((w - width) / 2, (h - height) / 2) } else { (0, 0) };
        let mut out = vec![0.0; side * side * 3];
        for c in 0..3 {
            let pad = if self == Self::Grey { 0.5 } else { 0.0 };
            let mut square = vec![vec![pad; w]; h];
            for (at, pixel) in pixels.iter().enumerate() {
                square[top + at / width][left + at % width] = f64::from(pixel >> (8 * c) & 255) / 255.0;
            }
            let rows: Vec<Vec<f64>> = square.iter().map(|row| self.resample(row, side)).collect();
            for x in 0..side {
                let column: Vec<f64> = rows.iter().map(|row| row[x]).collect();
                for (y, value) in self.resample(&column, side).into_iter().enumerate() {
                    let value = if self == Self::Bytes { (value * 255.0).round() / 255.0 } else { value };
                    out[(y * side + x) * 3 + c] = value as f32;
                }
            }
        }
        out
    }

    /// Blurred, then read at the places of `full` pixels.
    fn resample(self, line: &[f64], full: usize) -> Vec<f64> {
        let scale = line.len() as f64 / full as f64;
        let sigma = ((scale - 1.0) / 2.0).max(0.0);
        let radius = self.radius(sigma);
        let weight = |x: isize| if x == 0 { 1.0 } else { (-0.5 * (x as f64 / sigma).powi(2)).exp() };
        let sum: f64 = (-radius..=radius).map(weight).sum();
        let blurred = |at| (-radius..=radius).map(|x| line[self.beyond(at + x, line.len())] * weight(x) / sum).sum();
        let blurred: Vec<f64> = (0..line.len() as isize).map(blurred).collect();
        let read = |at: usize| {
            let place = (at as f64 + 0.5) * scale - 0.5;
            let pixel = |at: f64| blurred[self.beyond(at as isize, line.len())];
            let share = place - place.floor();
            (1.0 - share) * pixel(place.floor()) + share * pixel(place.floor() + 1.0)
        };
        (0..full).map(read).collect()
    }

    /// The pixel for a place that may be beyond the edges.
    fn beyond(self, mut at: isize, count: usize) -> usize {
        let last = count as isize - 1;
        if self == Self::Clamped || last == 0 {
            return at.clamp(0, last) as usize;
        }
        while !(0..=last).contains(&at) {
            at = if at < 0 { -at } else { 2 * last - at };
        }
        at as usize
    }
}

#[test]
fn mistakes_are_rejected() {
    let all = Golden::all();
    for wrong in [Wrong::Nothing].into_iter().chain(Wrong::ALL) {
        let mut rejected = 0;
        for golden in &all {
            let (Picture { width, height, .. }, name) = (&golden.picture, format!("{wrong:?}, {}", golden.name()));
            let found = wrong.apply(&golden.picture, golden.side);
            let judged = check(&name, &found, &golden.expected);
            assert_eq!(judged.is_err(), wrong.shows(*width, *height, golden.side), "{name}: {judged:?}");
            rejected += usize::from(judged.is_err());
        }
        assert!(wrong == Wrong::Nothing || rejected >= 4, "{wrong:?}: rejected in {rejected} pictures");
    }
}
