//! Where boxes are.

use image::imageops::replace;
use ocelli::{
    backend::Backend,
    config::{BoxScale, Filter, Resize},
    found::{DetectOptions, Detection, Hit, detections},
};
use serde::Deserialize;

use super::{Asked, MARGIN, Reports, edges, every, leaves, painted, plain, scale, unclipped, unit};
use crate::{
    Outcome,
    boxes::{BOXES, Image, LOGITS, judge, off},
    golden::{Golden, changed, embed, open, session},
    taps::{PIXEL_BOUND, pixel_error},
};

/// Of the longer side: an edge is the sum of two numbers of a box.
const EDGES: f64 = 2.0 * BOXES;

/// What Python finds in a picture, unclipped.
#[derive(Deserialize)]
pub struct Case {
    report: u32,
    model: String,
    size: (u32, u32),
    labels: Vec<String>,
    /// Of each token its label, score and edges.
    found: Vec<(usize, f32, [f64; 4])>,
}

impl Case {
    fn of(report: u32) -> Self {
        Reports::read().boxes.into_iter().find(|case| case.report == report).expect("a fixture")
    }

    /// How far the edges are from Python's, in longer sides.
    fn off(&self, found: &[Detection]) -> f64 {
        assert_eq!(found.len(), self.found.len(), "a box for each token");
        let apart = |one: &Detection| {
            let expected = self.found[one.token as usize].2;
            edges(one.bounds).iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
        };
        found.iter().map(apart).fold(0.0, f64::max) / f64::from(self.size.0.max(self.size.1))
    }

    /// Labels, scores and boxes are Python's, and end at the picture's edges if they may. With the other family's scale they are not.
    fn holds<B: Backend>(&self, device: &dyn Fn() -> B) -> Outcome {
        let session = session(device(), &self.model);
        let queries = pollster::block_on(session.embed_texts(&self.labels))?;
        let mut asked = Asked::new(&session, &painted(self.size.0, self.size.1), &queries)?;
        let (raw, clipped) = (asked.found(&unclipped()), asked.found(&every()));
        for one in &raw {
            let (label, score, _) = self.found[one.token as usize];
            assert_eq!(one.label, label, "token {}", one.token);
            assert!((one.score - score).abs() < 1e-5, "token {}: expected {score}, found {}", one.token, one.score);
        }
        let right = self.off(&raw);
        println!("{} of {:?}: {right:.1e} of the longer side", self.model, self.size);
        assert!(right <= EDGES, "expected at most {EDGES} of the longer side, found {right:.2e}");
        assert!(raw.iter().any(|one| leaves(one, self.size)), "the case shows nothing");
        assert!(!clipped.iter().any(|one| leaves(one, self.size)), "{clipped:?}");
        asked.scale = match asked.scale {
            BoxScale::Sides => BoxScale::LongerSide,
            BoxScale::LongerSide => BoxScale::Sides,
        };
        self.rejects(&asked);
        Ok(())
    }

    fn rejects(&self, asked: &Asked) {
        let wrong = self.off(&asked.found(&unclipped()));
        println!("{} of {:?}: {wrong:.1e} if it is taken wrongly", self.model, self.size);
        assert!(wrong > MARGIN * EDGES, "expected more than {MARGIN} × {EDGES}, found {wrong:.2e}");
    }
}

pub fn full_hd<B: Backend>(device: &dyn Fn() -> B) -> Outcome {
    Case::of(1).holds(device)
}

pub fn panorama<B: Backend>(device: &dyn Fn() -> B) -> Outcome {
    Case::of(4).holds(device)
}

/// transformers.js stretches the picture, and takes boxes for shares of width and height: that is seen, too.
pub fn vga<B: Backend>(device: &dyn Fn() -> B) -> Outcome {
    let case = Case::of(3);
    case.holds(device)?;
    let stretched = changed(&case.model, |config| {
        let side = config.vision.image_size;
        config.preprocessor.resize = Resize::Squash { width: side, height: side };
        config.preprocessor.filter = Filter::Bilinear;
    });
    let queries = pollster::block_on(stretched.embed_texts(&case.labels))?;
    let mut asked = Asked::new(&stretched, &painted(case.size.0, case.size.1), &queries)?;
    case.rejects(&asked);
    asked.scale = BoxScale::Sides;
    case.rejects(&asked);
    Ok(())
}

/// Padded by hand with black it is the same picture to the model; with the grey of older versions it is another.
pub fn black<B: Backend>(device: &dyn Fn() -> B) -> Outcome {
    const TALL: &str = "tall-23x97.png";
    let (golden, session) = (Golden::<Image>::of("owlv2"), session(device(), "owlv2"));
    let (queries, image) = (embed(&session, &golden), &golden.images[TALL]);
    let padded = |grey: u8| {
        let mut square = plain(97, 97, grey);
        replace(&mut square.0, &open(TALL).0, 0, 0);
        square
    };
    for (what, picture, right) in [
        ("as it is", open(TALL), true),
        ("padded with black", padded(0), true),
        ("padded with grey", padded(128), false),
    ] {
        let pixels = pixel_error(&session, "owlv2", TALL, &picture)?;
        let scene = pollster::block_on(session.look(&picture))?;
        let off = off(&session, &scene, &queries, (&golden, image))?;
        println!("{what}: pixels {pixels:.1e}, logits {:.1e}, boxes {:.1e}", off[0], off[1]);
        if right {
            assert!(pixels <= PIXEL_BOUND, "{what}: expected at most {PIXEL_BOUND}, found {pixels}");
            judge(what, off);
        } else {
            assert!(pixels > MARGIN * PIXEL_BOUND && off[0] > MARGIN * LOGITS && off[1] > MARGIN * BOXES, "{what}");
        }
    }
    Ok(())
}

pub fn shares<B: Backend>(device: &dyn Fn() -> B) -> Outcome {
    for model in ["owlvit", "owlv2"] {
        let session = session(device(), model);
        let queries = pollster::block_on(session.embed_texts(&["a photo of a cat", "the red bicycle"]))?;
        let mut left = 0;
        for size in [(1, 1), (7, 5), (23, 97), (97, 23), (640, 480), (1920, 1080)] {
            let asked = Asked::new(&session, &painted(size.0, size.1), &queries)?;
            let of = |clip| {
                let options = DetectOptions { clip, ..every() };
                [asked.found(&options), asked.found(&DetectOptions { normalized: true, ..options })]
            };
            for [pixels, shares] in [of(true), of(false)] {
                let (width, height) = (f64::from(size.0), f64::from(size.1));
                for (pixels, shares) in pixels.iter().zip(&shares) {
                    let again =
                        edges(shares.bounds).into_iter().zip([width, height, width, height]).map(|(x, side)| x * side);
                    let off = again.zip(edges(pixels.bounds)).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                    assert!(off < 1e-9 * width.max(height), "{model}: {size:?}: {shares:?} of {pixels:?}");
                }
                assert_eq!(shares.len(), asked.hits.len(), "{model}: {size:?}");
                left += usize::from(shares.iter().any(|one| leaves(one, (1, 1))));
            }
            let [_, shares] = of(true);
            let wide = shares.iter().any(|one| one.bounds.width > 0.05);
            assert!(wide && !shares.iter().any(|one| leaves(one, (1, 1))), "{model}: {size:?}: {shares:?}");
        }
        assert!(left > 0, "{model}: no box leaves its picture");
    }
    Ok(())
}

/// Two patches at the right edge see one thing, and each has a name for it. Suppression within each label, as servers did, leaves both.
pub fn two_names<B: Backend>(device: &dyn Fn() -> B) -> Outcome {
    for model in ["owlvit", "owlv2"] {
        let session = session(device(), model);
        let (picture, size) = (painted(640, 480), (640, 480));
        let scene = pollster::block_on(session.look(&picture))?;
        let names: Vec<Vec<f32>> = scene.class_embeddings().chunks_exact(session.config.embedding).map(unit).collect();
        let hit = |token: u32| Hit { token, label: 0, logit: 0.0 };
        let places: Vec<Hit> = (0..names.len() as u32).map(hit).collect();
        let places = detections(&places, scene.boxes(), size, scale(&session), &unclipped());
        let edge: Vec<&Detection> = places.iter().filter(|one| edges(one.bounds)[2] > f64::from(size.0)).collect();
        let pairs = edge.iter().enumerate().flat_map(|(at, a)| edge[..at].iter().map(move |b| (*a, *b)));
        let iou = |(a, b): &(&Detection, &Detection)| a.bounds.iou(b.bounds);
        let thing = pairs.max_by(|a, b| iou(a).total_cmp(&iou(b))).expect("boxes that leave the picture");
        assert!(iou(&thing) > 0.1, "{model}: expected boxes that overlap, found {thing:?}");
        let queries = [thing.0, thing.1].map(|one| names[one.token as usize].clone());
        let mut asked = Asked::new(&session, &picture, &queries)?;
        asked.hits.retain(|hit| [thing.0.token, thing.1.token].contains(&hit.token));
        let nms = Some(0.9 * iou(&thing));
        let both = asked.found(&every());
        assert!(both.len() == 2 && both[0].label != both[1].label, "{model}: {both:?}");
        let [one] = asked.found(&DetectOptions { nms, ..every() })[..] else { panic!("{model}: one box") };
        assert_eq!(one, both[0], "{model}: the best");
        assert!(!leaves(&one, size) && edges(one.bounds)[2] > f64::from(size.0) - 1e-9, "{model}: {one:?}");
        let by_label = asked.found(&DetectOptions { nms, multi_label: true, ..every() });
        assert_eq!(by_label.len(), 2, "{model}: {by_label:?}");
    }
    Ok(())
}
