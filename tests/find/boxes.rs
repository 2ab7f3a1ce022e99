//! What a detector answers.

use std::collections::BTreeMap;

use ocelli::{
    Checkpoint, Session,
    backend::{Backend, Cpu},
    config::{Boxes, Head},
    found::{self, DetectOptions, Hit},
    session::{LoadOptions, Scene},
};
use serde::Deserialize;

use crate::{
    Outcome,
    common::distance,
    golden::{Golden, TAP_IMAGE, embed, filled, folder, length, look, open, session, unit},
};

/// Of the distance between unrelated pictures.
pub const LOGITS: f64 = 1e-5;
/// Of the canvas.
pub const BOXES: f64 = 1e-6;

#[derive(Deserialize)]
pub struct Image {
    pub logits: Vec<Vec<f32>>,
    pub boxes: Vec<Vec<f32>>,
    pub objectness: Option<Vec<f32>>,
}

/// Every (token, label), row by row.
pub fn logits<B: Backend>(session: &Session<B>, scene: &Scene, queries: &[Vec<f32>]) -> ocelli::Result<Vec<f32>> {
    let set = session.queries(queries)?;
    let hits = pollster::block_on(session.detect_all(scene, &set, f32::NEG_INFINITY))?;
    Ok(hits.iter().map(|hit| hit.logit).collect())
}

pub fn sigmoid(raw: &[f32]) -> Vec<f64> {
    raw.iter().map(|&x| 1.0 / (1.0 + (-f64::from(x)).exp())).collect()
}

/// The largest difference.
pub fn apart(found: &[f64], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len());
    found.iter().zip(expected).map(|(a, b)| (a - f64::from(*b)).abs()).fold(0.0, f64::max)
}

/// How far a scene is from what the reference has: logits and objectness in units of the unrelated distance, boxes in canvases.
pub fn off<B: Backend>(
    session: &Session<B>,
    scene: &Scene,
    queries: &[Vec<f32>],
    (golden, image): (&Golden<Image>, &Image),
) -> ocelli::Result<[f64; 3]> {
    let unit = |kind: &str| golden.unrelated_distance[kind];
    let logits = distance(&logits(session, scene, queries)?, &image.logits.concat()) / unit("logits");
    let boxes = apart(&sigmoid(scene.boxes()), &image.boxes.concat());
    let objectness = match (scene.objectness(), &image.objectness) {
        (Some(found), Some(expected)) => distance(found, expected) / unit("objectness"),
        (None, None) => 0.0,
        _ => panic!("objectness: the reference has another head"),
    };
    Ok([logits, boxes, objectness])
}

pub fn judge(what: &str, [logits, boxes, objectness]: [f64; 3]) {
    println!("{what}: logits {logits:.1e}, boxes {boxes:.1e}, objectness {objectness:.1e}");
    assert!(logits <= LOGITS, "{what}: logits: expected {LOGITS} of the unrelated distance, found {logits:.2e}");
    assert!(
        objectness <= LOGITS,
        "{what}: objectness: expected {LOGITS} of the unrelated distance, found {objectness:.2e}"
    );
    assert!(boxes <= BOXES, "{what}: boxes: expected {BOXES} of the canvas, found {boxes:.2e}");
}

pub fn answers<B: Backend>(model: &str, device: &dyn Fn() -> B) -> Outcome {
    let (golden, session) = (Golden::<Image>::of(model), session(device(), model));
    let queries = embed(&session, &golden);
    let set = session.queries(&queries)?;
    let mut scenes = BTreeMap::new();
    for (name, image) in &golden.images {
        let scene = look(&session, name);
        judge(&format!("{model}: {name}"), off(&session, &scene, &queries, (&golden, image))?);
        scenes.insert(name, scene);
    }
    // One set, asked about scenes in turns: each token's best label and its logit.
    for _ in 0..2 {
        for (name, scene) in &scenes {
            let best = pollster::block_on(session.detect(scene, &set))?;
            let all = logits(&session, scene, &queries)?;
            assert_eq!(best.len(), golden.images[*name].logits.len(), "{name}: one label a token");
            for (hit, row) in best.iter().zip(all.chunks_exact(queries.len())) {
                let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let first = row.iter().position(|&logit| logit == most);
                assert_eq!((Some(hit.label as usize), hit.logit), (first, most), "{name}: token {}", hit.token);
            }
        }
    }
    // A scene is numbers: it can be sent elsewhere and come back.
    let scene = &scenes[&TAP_IMAGE.to_string()];
    assert_eq!(*scene, Scene::new(scene.size, scene.features.clone()));
    let few = pollster::block_on(session.detect_all(scene, &set, 0.0))?;
    let above = logits(&session, scene, &queries)?.iter().filter(|logit| **logit > 0.0).count();
    assert_eq!(few.len(), above, "what is above a logit");
    Ok(())
}

pub fn canvas<B: Backend>(model: &str, device: &dyn Fn() -> B) -> Outcome {
    #[derive(Deserialize)]
    struct Canvas {
        side: usize,
        images: BTreeMap<String, Image>,
    }
    let golden = Golden::<Image>::of(model);
    let Canvas { side, images } = golden.part("canvas");
    let options = LoadOptions { canvas: Some(side), ..LoadOptions::default() };
    let session = Session::load(device(), &Checkpoint::open(&folder(model))?, options)?;
    let queries = embed(&session, &golden);
    for (name, image) in &images {
        let scene = look(&session, name);
        judge(&format!("{model} at {side}: {name}"), off(&session, &scene, &queries, (&golden, image))?);
    }
    Ok(())
}

/// Detections in the picture are those of the reference's post-processing, for landscape, portrait and square.
pub fn detections<B: Backend>(model: &str, device: &dyn Fn() -> B) -> Outcome {
    #[derive(Deserialize)]
    struct Case {
        image: String,
        width: u32,
        height: u32,
        labels: Vec<String>,
        threshold: f64,
        found: Vec<Found>,
        multi_label: Vec<[u32; 2]>,
        nms: Option<Nms>,
    }
    #[derive(Deserialize)]
    struct Found {
        token: u32,
        label: usize,
        score: f32,
        /// Left, top, right, bottom.
        #[serde(rename = "box")]
        corners: [f64; 4],
    }
    #[derive(Deserialize)]
    struct Nms {
        iou: f64,
        tokens: Vec<u32>,
    }
    let (golden, session) = (Golden::<Image>::of(model), session(device(), model));
    let Head::Boxes(Boxes { scale, .. }) = session.config.head else { panic!("a detector") };
    let cases: Vec<Case> = golden.part("detections");
    let shapes = cases.iter().map(|case| case.width.cmp(&case.height)).collect::<std::collections::HashSet<_>>();
    assert_eq!(shapes.len(), 3, "landscape, portrait and square");
    for case in &cases {
        let scene = look(&session, &case.image);
        assert_eq!(scene.size, (case.width, case.height));
        let set = session.queries(&pollster::block_on(session.embed_texts(&case.labels))?)?;
        let hits = pollster::block_on(session.detect(&scene, &set))?;
        let plain = DetectOptions { threshold: case.threshold, clip: false, ..DetectOptions::default() };
        let of =
            |hits: &[Hit], options: &DetectOptions| found::detections(hits, scene.boxes(), scene.size, scale, options);
        let mut kept = of(&hits, &plain);
        kept.sort_by_key(|one| one.token);
        assert_eq!(kept.len(), case.found.len(), "{}: detections", case.image);
        for (one, expected) in kept.iter().zip(&case.found) {
            assert_eq!((one.token, one.label), (expected.token, expected.label), "{}", case.image);
            assert!((one.score - expected.score).abs() < 1e-5, "{}: {} {}", case.image, one.score, expected.score);
            let b = one.bounds;
            let corners = [b.x, b.y, b.x + b.width, b.y + b.height];
            // Of the corners, in pixels: sums of two of its numbers.
            let bound = 2.0 * BOXES * f64::from(case.width.max(case.height));
            let off = corners.iter().zip(expected.corners).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(off <= bound, "{}: a box: expected at most {bound} pixels, found {off}", case.image);
        }
        let every = pollster::block_on(session.detect_all(&scene, &set, f32::NEG_INFINITY))?;
        let mut pairs: Vec<[u32; 2]> = of(&every, &DetectOptions { multi_label: true, ..plain.clone() })
            .iter()
            .map(|one| [one.token, one.label as u32])
            .collect();
        pairs.sort_unstable();
        assert_eq!(pairs, case.multi_label, "{}: several labels a token", case.image);
        if let Some(Nms { iou, tokens }) = &case.nms {
            let mut left: Vec<u32> =
                of(&hits, &DetectOptions { nms: Some(*iou), ..plain }).iter().map(|one| one.token).collect();
            left.sort_unstable();
            assert_eq!(left, *tokens, "{}: after suppression", case.image);
        }
    }
    Ok(())
}

/// Means of unit queries answer with the mean of their logits, as they are.
pub fn templates(model: &str) -> Outcome {
    #[derive(Deserialize)]
    struct Templates {
        image: String,
        templates: Vec<String>,
        names: Vec<String>,
        logits: Vec<Vec<f32>>,
    }
    let (golden, session) = (Golden::<Image>::of(model), session(Cpu::default(), model));
    let given: Templates = golden.part("templates");
    let scene = look(&session, &given.image);
    let mut queries = Vec::new();
    for name in &given.names {
        let texts: Vec<String> = given.templates.iter().map(|template| template.replace("{}", name)).collect();
        let embeddings = pollster::block_on(session.embed_texts(&texts))?;
        let mean = |d: usize| embeddings.iter().map(|e| e[d]).sum::<f32>() / embeddings.len() as f32;
        queries.push((0..embeddings[0].len()).map(mean).collect::<Vec<f32>>());
    }
    // The reference's own two ways differ by as much.
    let bound = 2.0 * LOGITS;
    let moved = |queries: &[Vec<f32>]| -> ocelli::Result<f64> {
        Ok(distance(&logits(&session, &scene, queries)?, &given.logits.concat()) / golden.unrelated_distance["logits"])
    };
    let off = moved(&queries)?;
    assert!(off <= bound, "expected at most {bound}, found {off:.2e}");
    let again = moved(&queries.iter().map(|query| unit(query)).collect::<Vec<_>>())?;
    assert!(again > 100.0 * bound, "means of unit length pass: {again:.2e}");
    Ok(())
}

#[derive(Deserialize)]
struct Guided {
    query: String,
    target: String,
    token: u32,
    class_embed: Vec<f32>,
    logits: Vec<f32>,
}

fn by_example(session: &Session<Cpu>, golden: &Golden<Image>, given: &Guided) -> Outcome {
    let scene = look(session, &given.query);
    let example = session.example(&scene, None)?;
    assert_eq!(example.token, given.token, "{}: the token that stands for the picture", given.query);
    assert_eq!(session.example(&scene, None)?, example, "the same twice");
    let off = distance(&example.query, &unit(&given.class_embed));
    assert!(off <= LOGITS, "{}: query: expected at most {LOGITS}, found {off:.2e}", given.query);
    let found = logits(session, &look(session, &given.target), &[example.query])?;
    // The unit is of all labels' logits, here is one.
    let unit = golden.unrelated_distance["logits"] / (golden.texts.len() as f64).sqrt();
    let off = distance(&found, &given.logits) / unit;
    assert!(off <= 3.0 * LOGITS, "{} in {}: expected at most {LOGITS}, found {off:.2e}", given.query, given.target);
    Ok(())
}

pub fn guided(model: &str) -> Outcome {
    let (golden, session) = (Golden::<Image>::of(model), session(Cpu::default(), model));
    let all: Vec<Guided> = golden.part("guided");
    assert!(all.len() > 1);
    for given in &all {
        by_example(&session, &golden, given)?;
    }
    // Of a part of the picture: an object that fills it.
    let scene = look(&session, TAP_IMAGE);
    let part = session.example(&scene, Some([0.0, 0.0, 20.0, 15.0]))?;
    let length = length(&part.query);
    assert!((length - 1.0).abs() < 1e-5, "of unit length, found {length}");
    Ok(())
}

/// Boxes that lie outside the picture: the nearest one is taken.
pub fn guided_nowhere(model: &str) -> Outcome {
    #[derive(Deserialize)]
    struct Nowhere {
        box_bias: Vec<f32>,
        #[serde(flatten)]
        guided: Guided,
    }
    let golden = Golden::<Image>::of(model);
    let Nowhere { box_bias, guided } = golden.part("guided_nowhere");
    let files = filled(model, &[("box_head.dense2.bias", &box_bias)]);
    let session = Session::load(Cpu::default(), &Checkpoint::from_files(files)?, LoadOptions::default())?;
    by_example(&session, &golden, &guided)
}

/// What a detector cannot be asked for.
pub fn errors(model: &str) -> Outcome {
    let session = session(Cpu::default(), model);
    let picture = open(TAP_IMAGE);
    let code = |error: Option<ocelli::Error>| error.map(|e| e.code());
    let embedded = pollster::block_on(session.embed_images(&[&picture as &dyn ocelli::session::Source<Cpu>]));
    assert_eq!(code(embedded.err()), Some("wrong-model"), "a picture's embedding");
    assert_eq!(code(session.queries(&[]).err()), Some("bad-input"), "no queries");
    assert_eq!(code(session.queries(&[vec![0.0; 3]]).err()), Some("bad-input"), "another model's query");
    assert_eq!(code(session.queries(&[vec![f32::NAN; 40]]).err()), Some("not-finite"), "no number");
    let scene = look(&session, TAP_IMAGE);
    assert_eq!(code(pollster::block_on(session.segment(&scene, &[])).err()), Some("wrong-model"), "masks");
    assert_eq!(code(session.example(&scene, Some([5.0, 5.0, 5.0, 9.0])).err()), Some("bad-input"), "no area");
    let set = session.queries(&embed(&session, &Golden::<Image>::of(model)))?;
    let other = Scene::new((10, 10), vec![vec![0.0; 4]; 4]);
    assert_eq!(
        code(pollster::block_on(session.detect(&other, &set)).err()),
        Some("bad-input"),
        "another model's scene"
    );
    // Its data may come from anywhere.
    for part in 0..scene.features.len() {
        let mut features = scene.features.clone();
        features[part].pop();
        let (damaged, options) = (Scene::new(scene.size, features), DetectOptions::default());
        let found = session.find(&damaged, &set, &options);
        assert_eq!(code(pollster::block_on(found).err()), Some("bad-input"), "part {part} is too short");
    }
    let load = |canvas: usize| {
        let options = LoadOptions { canvas: Some(canvas), ..LoadOptions::default() };
        Session::load(Cpu::default(), &Checkpoint::open(&folder(model)).expect("a fixture"), options).err()
    };
    for canvas in [0, 8, 28, 54] {
        assert_eq!(code(load(canvas)), Some("bad-input"), "canvas {canvas}");
    }
    Ok(())
}
