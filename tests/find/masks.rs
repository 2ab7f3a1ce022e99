//! What a segmenter answers.

use std::collections::BTreeMap;

use ocelli::{
    Checkpoint, Session,
    backend::{Backend, Cpu},
    session::{LoadOptions, Scene},
};
use serde::Deserialize;

use crate::{
    Outcome,
    common::distance,
    golden::{Golden, TAP_IMAGE, embed, folder, look, open, session},
};

/// Of the distance between unrelated pictures.
pub const MASKS: f64 = 1e-5;

#[derive(Deserialize)]
pub struct Image {
    /// Of each prompt, some pixels.
    pub logits: Vec<Vec<f32>>,
}

/// Every so-manieth row and column, as the fixture has them.
pub fn sample(mask: &[f32], side: usize) -> Vec<f32> {
    let step = (1 + side / 10) | 1;
    let rows = mask.chunks_exact(side).step_by(step);
    rows.flat_map(|row| row.iter().step_by(step).copied()).collect()
}

/// How far masks are from the reference's, in units of the unrelated distance.
pub fn off(masks: &[Vec<f32>], side: usize, (golden, image): (&Golden<Image>, &Image)) -> f64 {
    let found: Vec<f32> = masks.iter().flat_map(|mask| sample(mask, side)).collect();
    let expected = image.logits.concat();
    // The unit is of all pixels, here are some.
    let share = (found.len() as f64 / (masks.len() * side * side) as f64).sqrt();
    distance(&found, &expected) / (golden.unrelated_distance["logits"] * share)
}

pub fn prompts<B: Backend>(session: &Session<B>, golden: &Golden<Image>) -> Vec<Vec<f32>> {
    let mut prompts = embed(session, golden);
    let count = golden.part::<Vec<String>>("prompts").len();
    prompts.truncate(count);
    prompts
}

pub fn answers<B: Backend>(model: &str, device: &dyn Fn() -> B) -> Outcome {
    let (golden, session) = (Golden::<Image>::of(model), session(device(), model));
    let (prompts, side) = (prompts(&session, &golden), session.mask_side()?);
    assert_eq!(side, session.config.vision.image_size, "a mask is as large as the square that the tower sees");
    let mut scenes: BTreeMap<&String, (Scene, Vec<Vec<f32>>)> = BTreeMap::new();
    for (name, image) in &golden.images {
        let scene = look(&session, name);
        let masks = pollster::block_on(session.segment(&scene, &prompts))?;
        let off = off(&masks, side, (&golden, image));
        println!("{model}: {name}: {off:.1e}");
        assert!(off <= MASKS, "{name}: expected {} of the unrelated distance, found {off:.2e}", MASKS);
        scenes.insert(name, (scene, masks));
    }
    for (scene, masks) in scenes.values() {
        // In turns, alone and several at once: the same masks.
        let one = pollster::block_on(session.segment(scene, &prompts[..1]))?;
        assert!(one == masks[..1], "one prompt and several differ");
        let many: Vec<Vec<f32>> = prompts.iter().cycle().take(20).cloned().collect();
        let found = pollster::block_on(session.segment(scene, &many))?;
        assert!(found.iter().zip(masks.iter().cycle()).all(|(a, b)| a == b), "more prompts than a batch");
        assert_eq!(found.len(), 20);
    }
    Ok(())
}

/// A picture in the place of words.
pub fn guided(model: &str) -> Outcome {
    #[derive(Deserialize)]
    struct Guided {
        prompt: String,
        image: String,
        condition: Vec<f32>,
        logits: Vec<Vec<f32>>,
    }
    let golden = Golden::<Image>::of(model);
    let Guided { prompt, image, condition, logits } = golden.part("guided");
    let checkpoint = Checkpoint::open(&folder(model))?;
    let options = LoadOptions { picture_prompts: true, ..LoadOptions::default() };
    let with = Session::load(Cpu::default(), &checkpoint, options)?;
    let found = pollster::block_on(with.picture_prompt(&open(&prompt)))?;
    let apart = distance(&found, &condition) / golden.unrelated_distance["condition"];
    assert!(apart <= MASKS, "{prompt}: expected at most {MASKS}, found {apart:.2e}");
    let masks = pollster::block_on(with.segment(&look(&with, &image), &[found]))?;
    let apart = off(&masks, with.mask_side()?, (&golden, &Image { logits }));
    assert!(apart <= MASKS, "{prompt} in {image}: expected {}, found {apart:.2e}", MASKS);
    let without = session(Cpu::default(), model);
    let refused = pollster::block_on(without.picture_prompt(&open(&prompt))).err().map(|e| e.code());
    assert_eq!(refused, Some("bad-input"), "not loaded for it");
    Ok(())
}

/// What a segmenter cannot be asked for.
pub fn errors(model: &str) -> Outcome {
    let session = session(Cpu::default(), model);
    let scene = look(&session, TAP_IMAGE);
    let code = |error: Option<ocelli::Error>| error.map(|e| e.code());
    assert_eq!(pollster::block_on(session.segment(&scene, &[]))?.len(), 0, "no prompts");
    assert_eq!(code(pollster::block_on(session.segment(&scene, &[vec![0.0; 3]])).err()), Some("bad-input"));
    assert_eq!(code(session.queries(&[vec![0.0; 26]]).err()), Some("wrong-model"));
    assert_eq!(code(session.example(&scene, None).err()), Some("wrong-model"));
    assert_eq!(code(session.objects(&scene, &ocelli::found::DetectOptions::default()).err()), Some("wrong-model"));
    let picture = open(TAP_IMAGE);
    let embedded = pollster::block_on(session.embed_images(&[&picture as &dyn ocelli::session::Source<Cpu>]));
    assert_eq!(code(embedded.err()), Some("wrong-model"));
    Ok(())
}
