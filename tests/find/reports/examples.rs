//! What is shown, and not said.

use std::{cell::Cell, collections::BTreeMap, ops::Range};

use ocelli::{
    Checkpoint, Result, Session,
    backend::Backend,
    config::Towers,
    found::{Bounds, DetectOptions, Detection, detections},
    pictures::Picture,
    session::{LoadOptions, QuerySet, Scene, Source, Strip},
};

use super::{Asked, edges, every, painted, plain, scale};
use crate::{Outcome, golden::filled};

/// A detector whose boxes are the patches, and who takes all of them alike: heads of random numbers like one place more than others,
/// whatever is there.
fn impartial<B: Backend>(device: B, model: &str) -> Result<Session<B>> {
    let heads: [(&str, &[f32]); 5] = [
        ("box_head.dense2.weight", &[0.0]),
        ("box_head.dense2.bias", &[0.0]),
        ("class_head.logit_shift.weight", &[0.0]),
        ("class_head.logit_scale.weight", &[0.0]),
        ("class_head.logit_scale.bias", &[1.0]),
    ];
    // An example needs no words.
    let options = LoadOptions { towers: Towers::Vision, ..LoadOptions::default() };
    Session::load(device, &Checkpoint::from_files(filled(model, &heads))?, options)
}

/// Where an impartial detector has its boxes, by token: those of which something is inside the picture.
fn places<B: Backend>(session: &Session<B>, scene: &Scene) -> Result<BTreeMap<u32, Bounds>> {
    let query = scene.class_embeddings()[..session.config.embedding].to_vec();
    let hits = pollster::block_on(session.detect(scene, &session.queries(&[query])?))?;
    let found = detections(&hits, scene.boxes(), scene.size, scale(session), &every());
    Ok(found.iter().map(|one| (one.token, one.bounds)).filter(|(_, bounds)| bounds.area() > 1.0).collect())
}

/// In a picture full of things, each that is shown by its box is found there, more likely than any other.
pub fn itself<B: Backend>(device: &dyn Fn() -> B) -> Outcome {
    for model in ["owlvit", "owlv2"] {
        let session = impartial(device(), model)?;
        let look = |picture: Picture| pollster::block_on(session.look(&picture));
        let [scene, again, elsewhere] =
            [look(painted(300, 250))?, look(painted(300, 250))?, look(plain(300, 250, 128))?];
        let places = places(&session, &scene)?;
        assert!(places.len() >= 20, "{model}: expected the patches of the picture, found {}", places.len());
        for (&token, &place) in &places {
            let example = session.example(&scene, Some(edges(place)))?;
            assert_eq!(example.token, token, "{model}: the patch at {place:?}");
            assert_eq!(session.example(&again, Some(edges(place)))?, example, "{model}: the same twice");
            let query = [example.query];
            let ask = |scene: &Scene| Asked::of(&session, scene, &query).map(|asked| asked.found(&every()));
            let found = ask(&scene)?;
            assert_eq!(found[0].token, token, "{model}: what is at {place:?} is found elsewhere");
            assert!(found[0].score > found[1].score, "{model}: {found:?}");
            assert!(found[0].bounds.iou(place) > 0.999, "{model}: {:?} at {place:?}", found[0]);
            // The best is not made 1, whatever is there.
            let real = |one: &Detection| (one.score - 1.0 / (1.0 + (-one.logit).exp())).abs() < 1e-6;
            assert!(found.iter().all(real) && found[0].score < 0.99, "{model}: {found:?}");
            assert!(ask(&elsewhere)?[0].score < found[0].score, "{model}: as likely where nothing is");
            assert_eq!(ask(&again)?, found, "{model}: the same twice");
        }
    }
    Ok(())
}

/// A picture that counts the rows that are asked of it.
struct Counted {
    picture: Picture,
    rows: Cell<usize>,
}

impl<B: Backend> Source<B> for Counted {
    fn size(&self) -> (usize, usize) {
        self.picture.size()
    }
    fn upload(&self, rows: Range<usize>, strip: &Strip<B>) -> Result<()> {
        self.rows.set(self.rows.get() + rows.len());
        self.picture.upload(rows, strip)
    }
}

/// Three things of a picture are meant, and one is not.
struct Shown<B: Backend> {
    tokens: [u32; 4],
    examples: Vec<Vec<f32>>,
    options: DetectOptions,
    /// Compiled once.
    set: QuerySet<B>,
    session: Session<B>,
}

impl<B: Backend> Shown<B> {
    fn new(session: Session<B>, scene: &Scene) -> Result<Self> {
        let (tokens, places) = ([0, 7, 13, 18], places(&session, scene)?);
        let example = |token: u32| session.example(scene, Some(edges(places[&token]))).map(|one| one.query);
        let examples = tokens.into_iter().map(example).collect::<Result<Vec<_>>>()?;
        let set = session.queries(&examples)?;
        let options = DetectOptions { owners: vec![Some(0), Some(0), Some(0), None], ..every() };
        Ok(Self { tokens, examples, options, set, session })
    }

    /// Logits by token. Whether labels are compared on the device or here is all the same.
    fn found(&self, scene: &Scene, options: &DetectOptions) -> Result<BTreeMap<u32, f32>> {
        let hits = match options.multi_label {
            true => pollster::block_on(self.session.detect_all(scene, &self.set, options.least_logit()))?,
            false => pollster::block_on(self.session.detect(scene, &self.set))?,
        };
        let found = detections(&hits, scene.boxes(), scene.size, scale(&self.session), options);
        assert!(found.iter().all(|one| one.label == 0), "examples of one thing have one label");
        Ok(found.iter().map(|one| (one.token, one.logit)).collect())
    }

    /// The same from answers to each example alone: the best of three, unless the fourth is better.
    fn expected(&self, scene: &Scene) -> Result<BTreeMap<u32, f32>> {
        let alone = |query| Asked::of(&self.session, scene, std::slice::from_ref(query)).map(|asked| asked.hits);
        let hits = self.examples.iter().map(alone).collect::<Result<Vec<_>>>()?;
        let best = |at: usize| hits[..3].iter().map(|hits| hits[at].logit).fold(f32::NEG_INFINITY, f32::max);
        Ok((0..hits[3].len())
            .filter(|&at| best(at) > hits[3][at].logit)
            .map(|at| (hits[3][at].token, best(at)))
            .collect())
    }
}

pub fn several<B: Backend>(device: &dyn Fn() -> B) -> Outcome {
    let session = impartial(device(), "owlv2")?;
    let pictures = [(300, 300), (320, 240), (90, 200)]
        .map(|(width, height)| Counted { picture: painted(width, height), rows: Cell::new(0) });
    let scenes = pictures.iter().map(|one| pollster::block_on(session.look(one))).collect::<Result<Vec<_>>>()?;
    let shown = Shown::new(session, &scenes[0])?;
    for scene in scenes.iter().chain(&scenes) {
        let expected = shown.expected(scene)?;
        for multi_label in [false, true] {
            let found = shown.found(scene, &DetectOptions { multi_label, ..shown.options.clone() })?;
            let same = |(a, b): ((&u32, &f32), (&u32, &f32))| a.0 == b.0 && (a.1 - b.1).abs() < 1e-5;
            let equal = found.len() == expected.len() && found.iter().zip(&expected).all(same);
            assert!(equal, "{found:?}, expected {expected:?}");
        }
    }
    let [meant @ .., not_meant] = &shown.tokens;
    let found = shown.found(&scenes[0], &shown.options)?;
    assert!(meant.iter().all(|token| found.contains_key(token)), "what is meant is found: {found:?}");
    assert!(!found.contains_key(not_meant), "what is not meant is not: {found:?}");
    let harmless = DetectOptions { owners: vec![Some(0); 4], ..every() };
    assert!(shown.found(&scenes[0], &harmless)?.contains_key(not_meant), "but for its negative it would be");
    // The best of them, not their mean.
    let mean = |d: usize| shown.examples[..3].iter().map(|one| one[d]).sum::<f32>() / 3.0;
    let mean: Vec<f32> = (0..shown.examples[0].len()).map(mean).collect();
    for hit in Asked::of(&shown.session, &scenes[0], &[mean])?.hits.iter().filter(|hit| meant.contains(&hit.token)) {
        assert!(found[&hit.token] > hit.logit + 1e-3, "token {}", hit.token);
    }
    for one in &pictures {
        assert_eq!(one.rows.get(), one.picture.size().1, "each picture is read, and looked at, once");
    }
    Ok(())
}
