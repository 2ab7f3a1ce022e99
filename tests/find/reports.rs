//! What users of these models have reported elsewhere, each as a test of its own: on pictures that are painted here, through the same
//! functions that the program and the package call. Where Python's numbers must come out, `fixtures/reports.json` has them
//! (`tools/make_report_fixtures.py`), or the models' own fixtures. `cli_found.rs` asks the program about 6 and 12.
//!
//! | | report | what must be | test |
//! |---|---|---|---|
//! | 1 | transformers#27205 | OWLv2's boxes of 1920 × 1080 are Python's, in its pixels, and inside | [`boxes::full_hd`] |
//! | 2 | transformers#41938 | a tall picture is padded with black, not grey | [`boxes::black`] |
//! | 3 | transformers.js#579 | no box beyond 640; unclipped they are Python's | [`boxes::vga`] |
//! | 4 | transformers#18553 | OWL-ViT's boxes of a panorama, 3:1, are shares of width and height | [`boxes::panorama`] |
//! | 5 | transformers.js#433 | shares are 0 to 1 for pictures of any size | [`boxes::shares`] |
//! | 6 | d-cube#13 | a text of 40 words is cut, its end token stays, and the answer says so | [`texts::forty_words`] |
//! | 7 | optimum#1183 | a canvas other than the config's runs, or is refused | [`texts::canvases`] |
//! | 8 | transformers#42340, #39710 | a thing shown by its box finds itself, with a real score, the same twice | [`examples::itself`] |
//! | 9 | transformers#29089, roboflow/inference#755 | 3 examples, 1 negative: the best counts, one look each | [`examples::several`] |
//! | 10 | transformers#31657 | lists of different lengths, in f16, too: no filling wins, no NaN | [`texts::ragged`] |
//! | 11 | transformers#34415 | "the black spot" in a grey picture at 352 pixels; the mask has 512 × 512 | [`masks::spot`] |
//! | 12 | ComfyUI-KJNodes#35, Semantic-Segment-Anything#28 | one prompt is as two: same shapes, same first mask | [`masks::one_or_two`] |
//! | 13 | clipseg#18 | mean and deviation of 0.5, or ImageNet's: as the folder says | [`masks::means`] |
//! | 14 | roboflow/inference#763, #2344 | two names for one thing at the border: one box, clipped | [`boxes::two_names`] |
//! | 15 | OWLv2's tokenizer_config.json | ids of "wow!", "!" and "" are Python's, "!" is 0 | [`texts::exclamation`] |

mod boxes;
mod examples;
mod masks;
mod texts;

use image::{Rgba, RgbaImage};
use ocelli::{
    Session,
    backend::{Backend, Cpu},
    config::{BoxScale, Boxes, Head},
    found::{Bounds, DetectOptions, Detection, Hit, detections},
    gpu::Tier,
    pictures::Picture,
    session::{Scene, Source},
};
use serde::Deserialize;

use crate::{Outcome, common::fixtures, gpu};

/// What is wrong is at least so many bounds away.
const MARGIN: f64 = 20.0;

pub type Test = fn() -> Outcome;

/// The report's name, and its test on the GPU and on the CPU.
macro_rules! report {
    ($number:literal, $of:literal, $must:literal, $test:path) => {
        report!($number, $of, $must, || $test(&gpu), || $test(&Cpu::default))
    };
    ($number:literal, $of:literal, $must:literal, $on_gpu:expr, $on_cpu:expr) => {
        [
            (concat!("report ", $number, " (", $of, "): ", $must, ", on the GPU"), true, $on_gpu as Test),
            (concat!("report ", $number, " (", $of, "): ", $must, ", on the CPU"), false, $on_cpu as Test),
        ]
    };
}

pub fn all() -> Vec<(&'static str, bool, Test)> {
    [
        report!(1, "transformers#27205", "boxes of 1920 × 1080 are in its pixels", boxes::full_hd),
        report!(2, "transformers#41938", "a tall picture is padded with black", boxes::black),
        report!(3, "transformers.js#579", "no box beyond a picture of 640 × 480", boxes::vga),
        report!(4, "transformers#18553", "boxes of a panorama are shares of its sides", boxes::panorama),
        report!(5, "transformers.js#433", "shares are 0 to 1 for any size", boxes::shares),
        report!(6, "d-cube#13", "a text of 40 words is cut", texts::forty_words),
        report!(7, "optimum#1183", "another canvas runs or is refused", texts::canvases),
        report!(8, "transformers#42340", "a thing in a cluttered picture finds itself", examples::itself),
        report!(9, "transformers#29089", "three examples and a negative", examples::several),
        report!(10, "transformers#31657", "lists of different lengths", || texts::ragged(&gpu, gpu().tiers()), || {
            texts::ragged(&Cpu::default, [Tier::Plain])
        }),
        report!(11, "transformers#34415", "the black spot", masks::spot),
        report!(12, "ComfyUI-KJNodes#35", "one prompt is as two", masks::one_or_two),
        report!(13, "clipseg#18", "mean and deviation are the folder's", masks::means),
        report!(14, "roboflow/inference#763", "two names for one thing at the border", boxes::two_names),
        report!(15, "tokenizer_config.json of OWLv2", "an exclamation mark is 0", texts::exclamation),
    ]
    .concat()
}

/// What Python answers.
#[derive(Deserialize)]
struct Reports {
    boxes: Vec<boxes::Case>,
    ids: texts::Ids,
    spot: masks::Spot,
    means: masks::Means,
}

impl Reports {
    fn read() -> Self {
        let text = std::fs::read(fixtures().join("reports.json")).expect("a fixture");
        serde_json::from_slice(&text).expect("a sound fixture")
    }
}

/// Tiles, each of its own colour, with a grain; as the tool paints it.
fn painted(width: u32, height: u32) -> Picture {
    Picture(RgbaImage::from_fn(width, height, |x, y| {
        let (i, j, grain) = (x * 6 / width, y * 5 / height, ((x * 7) ^ (y * 13)) & 31);
        let channel = |c: u32| (((i * (83 + 40 * c) + j * (47 + 22 * c) + 29 * i * j) & 255) ^ grain) as u8;
        Rgba([channel(0), channel(1), channel(2), 255])
    }))
}

fn plain(width: u32, height: u32, grey: u8) -> Picture {
    Picture(RgbaImage::from_pixel(width, height, Rgba([grey, grey, grey, 255])))
}

/// What a detector says of each token of a picture.
struct Asked {
    scene: Scene,
    hits: Vec<Hit>,
    scale: BoxScale,
}

impl Asked {
    fn new<B: Backend>(session: &Session<B>, picture: &dyn Source<B>, queries: &[Vec<f32>]) -> ocelli::Result<Self> {
        Self::of(session, &pollster::block_on(session.look(picture))?, queries)
    }

    fn of<B: Backend>(session: &Session<B>, scene: &Scene, queries: &[Vec<f32>]) -> ocelli::Result<Self> {
        let hits = pollster::block_on(session.detect(scene, &session.queries(queries)?))?;
        Ok(Self { scene: scene.clone(), hits, scale: scale(session) })
    }

    fn found(&self, options: &DetectOptions) -> Vec<Detection> {
        detections(&self.hits, self.scene.boxes(), self.scene.size, self.scale, options)
    }
}

fn scale<B: Backend>(session: &Session<B>) -> BoxScale {
    let Head::Boxes(Boxes { scale, .. }) = session.config.head else { panic!("a detector") };
    scale
}

/// Every token's best label.
fn every() -> DetectOptions {
    DetectOptions { threshold: 0.0, ..DetectOptions::default() }
}

/// The same, with boxes as the model says them.
fn unclipped() -> DetectOptions {
    DetectOptions { clip: false, ..every() }
}

/// Left, top, right, bottom.
fn edges(b: Bounds) -> [f64; 4] {
    [b.x, b.y, b.x + b.width, b.y + b.height]
}

/// Whether a box leaves a picture.
fn leaves(one: &Detection, (width, height): (u32, u32)) -> bool {
    let [left, top, right, bottom] = edges(one.bounds);
    let least = left.min(top);
    least < -1e-9 || right > f64::from(width) + 1e-9 || bottom > f64::from(height) + 1e-9
}

fn unit(vector: &[f32]) -> Vec<f32> {
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    vector.iter().map(|x| x / length).collect()
}
