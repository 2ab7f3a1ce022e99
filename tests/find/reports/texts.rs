//! Texts, lists of them, and squares of other sizes.

use ocelli::{
    Checkpoint, Session,
    backend::Backend,
    config::Towers,
    gpu::{Tier, Tuning},
    pictures::Picture,
    quant::Format,
    session::LoadOptions,
};
use serde::Deserialize;
use serde_json::Value;

use super::{Asked, Reports, every, painted, unit};
use crate::{
    DETECTORS, Outcome,
    boxes::canvas,
    common::files,
    golden::{folder, session},
};

#[derive(Deserialize)]
pub struct Ids {
    /// tokenizer_config.json as the fixtures, published folders of OWLv2 and old ones of OWL-ViT have it: all mean the same.
    configs: Vec<Value>,
    texts: Vec<Text>,
}

#[derive(Deserialize)]
struct Text {
    text: String,
    ids: Vec<u32>,
}

impl Ids {
    fn of(&self, text: &str) -> &[u32] {
        &self.texts.iter().find(|one| one.text == text).expect("a fixture").ids
    }
}

/// transformers fails; scenic loses the end token, at which the text is pooled.
pub fn forty_words<B: Backend>(device: &dyn Fn() -> B) -> Outcome {
    let (ids, long) = (Reports::read().ids, ["a cat"; 20].join(" "));
    let end = ids.of("")[1];
    for model in ["owlvit", "owlv2"] {
        let session = session(device(), model);
        let encoded = session.encoded(&long)?;
        assert_eq!((encoded.ids.as_slice(), encoded.cut), (ids.of(&long), true), "{model}");
        assert_eq!((encoded.ids.len(), encoded.ids.last()), (16, Some(&end)), "{model}: the end token stays");
        assert!(!session.encoded("a cat!")?.cut, "{model}: a short text is not cut");
        let texts = [long.as_str(), "a cat!"];
        let asked = Asked::new(&session, &painted(61, 37), &pollster::block_on(session.embed_texts(&texts))?)?;
        assert_eq!(asked.found(&every()).len(), 25, "{model}: answers for all");
    }
    Ok(())
}

/// As the program and the package ask for it; and files that do not fit each other.
pub fn canvases<B: Backend>(device: &dyn Fn() -> B) -> Outcome {
    for (model, patch, own) in [
        ("owlvit", 12, 60),
        ("owlv2", 9, 45),
        ("owlv2-scale", 8, 32),
        ("clipseg", 8, usize::MAX),
        ("clipseg-refined", 16, usize::MAX),
    ] {
        let checkpoint = Checkpoint::open(&folder(model))?;
        for side in [0, 1, patch - 1, patch, patch + 1, 3 * patch, 7 * patch, 1 << 20, usize::MAX] {
            let runs = model != "owlvit" && (patch..=own.min(7 * patch)).contains(&side) && side % patch == 0;
            let options = LoadOptions { canvas: Some(side), ..LoadOptions::default() };
            let session = match Session::load(device(), &checkpoint, options) {
                Ok(session) => session,
                Err(error) => {
                    assert!(!runs, "{model} at {side}: {error}");
                    assert!(error.code() == "bad-input" && error.to_string().contains("canvas"), "{model}: {error}");
                    continue;
                }
            };
            assert!(runs, "{model} at {side}: expected to be refused");
            let scene = pollster::block_on(session.look(&painted(61, 37)))?;
            let words = pollster::block_on(session.embed_texts(&["a photo of a cat"]))?;
            match session.mask_side() {
                Ok(found) => {
                    assert_eq!(found, side, "{model}");
                    assert_eq!(pollster::block_on(session.segment(&scene, &words))?[0].len(), side * side, "{model}");
                }
                Err(_) => {
                    let hits = pollster::block_on(session.detect(&scene, &session.queries(&words)?))?;
                    assert_eq!(hits.len(), (side / patch).pow(2), "{model} at {side}");
                }
            }
        }
    }
    for (model, size) in [("owlvit", 48), ("owlv2", 27), ("owlv2", 90)] {
        let mut files = files(model);
        let settings = files.get_mut("preprocessor_config.json").expect("a fixture");
        let mut changed: Value = serde_json::from_slice(settings)?;
        changed["size"] = size.into();
        *settings = changed.to_string().into_bytes();
        let loaded = Checkpoint::from_files(files)
            .and_then(|checkpoint| Session::load(device(), &checkpoint, LoadOptions::default()));
        let why = loaded.err().map(|error| (error.code(), error.to_string()));
        let said =
            |(code, text): &(&str, String)| *code == "bad-checkpoint" && text.contains(&format!("{size} × {size}"));
        assert!(why.as_ref().is_some_and(said), "{model}: {size} pixels: {why:?}");
    }
    // Python's numbers at a smaller one.
    canvas("owlv2", device)
}

/// Each picture has its own list, of any length. What fills up a matrix is zeros, and here they would be better than every query.
pub fn ragged<B: Backend>(device: &dyn Fn() -> B, tiers: impl IntoIterator<Item = Tier>) -> Outcome {
    for tier in tiers {
        for model in DETECTORS {
            let format = Some(if tier == Tier::Dot8 { Format::Q8 } else { Format::F16 });
            let options = LoadOptions { format, tuning: Tuning::all(tier), ..LoadOptions::default() };
            let session = Session::load(device(), &Checkpoint::open(&folder(model))?, options)?;
            println!("{model}, {}", tier.name());
            lists(&session, &format!("{model}, {}", tier.name()))?;
        }
    }
    Ok(())
}

fn lists<B: Backend>(session: &Session<B>, name: &str) -> Outcome {
    let look = |picture: &Picture| pollster::block_on(session.look(picture));
    let scenes = [look(&painted(61, 37))?, look(&painted(23, 97))?];
    let (dim, tokens) = (session.config.embedding, session.config.vision.grid().pow(2));
    // The opposite of what all patches show.
    let mut opposite = vec![0.0; dim];
    for patch in scenes.iter().flat_map(|scene| scene.class_embeddings().chunks_exact(dim)) {
        opposite.iter_mut().zip(unit(patch)).for_each(|(sum, x)| *sum -= x);
    }
    let opposite = unit(&opposite);
    for (length, scene) in [17, 1, 9, 2, 64, 3, 5, 4, 8].into_iter().zip(scenes.iter().cycle()) {
        let ask = |queries: &[Vec<f32>]| pollster::block_on(session.detect(scene, &session.queries(queries)?));
        // Each is a little better than the one before, and none is good.
        let by = |n: usize| opposite.iter().map(|x| x * (1.0 - 0.01 * n as f32)).collect();
        let queries: Vec<Vec<f32>> = (0..length).map(by).collect();
        let (best, zeros) = (ask(&queries)?, ask(&[vec![0.0; dim]])?);
        assert_eq!(best.len(), tokens, "{name}: {length} queries");
        for (hit, zero) in best.iter().zip(&zeros) {
            assert_eq!(hit.label as usize, length - 1, "{name}: {length} queries: {hit:?}");
            assert!(hit.logit.is_finite() && hit.logit < zero.logit, "{name}: {length} queries: {hit:?} {zero:?}");
        }
        let set = session.queries(&queries)?;
        let every = pollster::block_on(session.detect_all(scene, &set, f32::NEG_INFINITY))?;
        assert_eq!(every.len(), tokens * length, "{name}: {length} queries");
    }
    // What Python fills lists up with is a query like any other: a text without words.
    let words = pollster::block_on(session.embed_texts(&["", " ", "!"]))?;
    let all = pollster::block_on(session.detect_all(&scenes[0], &session.queries(&words)?, f32::NEG_INFINITY))?;
    assert!(all.len() == 3 * tokens && all.iter().all(|hit| hit.logit.is_finite()), "{name}: {all:?}");
    Ok(())
}

/// Whichever way the folder says that "!" fills up texts; a folder that does not say it means something else.
pub fn exclamation<B: Backend>(device: &dyn Fn() -> B) -> Outcome {
    let ids = Reports::read().ids;
    assert_eq!((ids.of("wow!")[4], ids.of("!")[1], ids.of("")[2]), (0, 0, 0));
    let expected: Vec<&Vec<u32>> = ids.texts.iter().map(|one| &one.ids).collect();
    for model in ["owlvit", "owlv2"] {
        let found = |config: &Value| -> ocelli::Result<Vec<Vec<u32>>> {
            let mut files = files(model);
            files.insert("tokenizer_config.json".into(), config.to_string().into_bytes());
            let options = LoadOptions { towers: Towers::Text, ..LoadOptions::default() };
            let session = Session::load(device(), &Checkpoint::from_files(files)?, options)?;
            ids.texts.iter().map(|one| session.tokenize(&one.text)).collect()
        };
        for config in &ids.configs {
            assert_eq!(found(config)?.iter().collect::<Vec<_>>(), expected, "{model}: {config}");
        }
        let mut silent = ids.configs[0].clone();
        silent.as_object_mut().expect("an object").remove("pad_token");
        assert_ne!(found(&silent)?.iter().collect::<Vec<_>>(), expected, "{model}: without pad_token");
    }
    Ok(())
}
