//! What is silently wrong elsewhere must be farther away than the bounds of the tests that guard it. `find_wrong.py` makes every usual
//! mistake with the reference and records how far it moves the numbers; those that a config can make are made here, too.

use std::collections::BTreeMap;

use ocelli::{
    Session,
    backend::Cpu,
    config::{Activation, Config, Filter, Head, Mask, Masks, Resize, TextPooling},
};

use crate::{
    DETECTORS, Outcome, SEGMENTERS, Test,
    boxes::{self, BOXES, LOGITS},
    common::distance,
    golden::{Golden, changed, embed, look, session, unit},
    masks::{self, MASKS},
};

/// Every mistake is at least so many bounds away, in one of the fixtures at least.
pub const MARGIN: f64 = 20.0;

pub fn recorded(_: &str) -> Outcome {
    // Corners are of the picture, and enlarged masks are found's; both have bounds of their own.
    let bounds = BTreeMap::from([
        ("logits", LOGITS),
        ("objectness", LOGITS),
        ("masks", MASKS),
        ("boxes", BOXES),
        ("pixels", BOXES),
    ]);
    let mut farthest: BTreeMap<String, f64> = BTreeMap::new();
    for model in DETECTORS.into_iter().chain(SEGMENTERS) {
        for (kind, mistakes) in Golden::<serde_json::Value>::of(model).wrong {
            let Some(bound) = bounds.get(kind.as_str()) else { continue };
            for (mistake, share) in mistakes {
                let most = farthest.entry(mistake).or_default();
                *most = most.max(share / bound);
            }
        }
    }
    assert!(farthest.len() > 60, "expected all mistakes, found {}", farthest.len());
    for (mistake, share) in &farthest {
        println!("{mistake}: {share:.0} bounds");
        assert!(*share > MARGIN, "{mistake}: expected more than {MARGIN} bounds, found {share:.1}");
    }
    Ok(())
}

pub fn detectors(model: &str) -> Vec<(&'static str, bool, Test)> {
    let mut tests: Vec<(&'static str, bool, Test)> = vec![
        ("wrong: gelu in the picture tower", false, |m| {
            boxes_move(m, |c| c.vision.encoder.activation = Activation::Gelu)
        }),
        ("wrong: gelu in the text tower", false, |m| boxes_move(m, |c| c.text.encoder.activation = Activation::Gelu)),
        ("wrong: no causal mask", false, |m| boxes_move(m, |c| c.text.mask = Mask::None)),
        ("wrong: text pooled at its last position", false, |m| boxes_move(m, |c| c.text.pooling = TextPooling::Last)),
        ("wrong: pixels not normalised", false, |m| boxes_move(m, |c| c.preprocessor.mean = [0.0; 3])),
    ];
    if model == "owlvit" {
        tests.push(("wrong: bilinear for bicubic", false, |m| {
            boxes_move(m, |c| c.preprocessor.filter = Filter::Bilinear)
        }));
    } else {
        tests.push(("wrong: stretched to the square", false, |m| {
            boxes_move(m, |c| {
                let side = c.vision.image_size;
                c.preprocessor.resize = Resize::Squash { width: side, height: side };
                c.preprocessor.filter = Filter::Bilinear;
            })
        }));
    }
    tests
}

pub fn segmenters(_: &str) -> Vec<(&'static str, bool, Test)> {
    vec![
        ("wrong: layers before those of extract_layers", false, |m| {
            masks_move(m, |c| head(c).extract.iter_mut().for_each(|layer| *layer = layer.saturating_sub(1)))
        }),
        ("wrong: layers after those of extract_layers", false, |m| {
            masks_move(m, |c| head(c).extract.iter_mut().for_each(|layer| *layer += 1))
        }),
        ("wrong: layers not reversed", false, |m| masks_move(m, |c| head(c).extract.reverse())),
        ("wrong: decoder with quick_gelu", false, |m| {
            masks_move(m, |c| head(c).decoder.activation = Activation::QuickGelu)
        }),
        ("wrong: decoder with gelu", false, |m| masks_move(m, |c| head(c).decoder.activation = Activation::Gelu)),
        ("wrong: gelu in the picture tower", false, |m| {
            masks_move(m, |c| c.vision.encoder.activation = Activation::Gelu)
        }),
        ("wrong: no causal mask", false, |m| masks_move(m, |c| c.text.mask = Mask::None)),
        ("wrong: text pooled at its last position", false, |m| masks_move(m, |c| c.text.pooling = TextPooling::Last)),
        ("wrong: another mean", false, |m| masks_move(m, |c| c.preprocessor.mean = [0.45; 3])),
        ("wrong: bicubic for bilinear", false, |m| masks_move(m, |c| c.preprocessor.filter = Filter::Bicubic)),
        ("wrong: condition of unit length", false, |m| {
            let (golden, session) = (Golden::of(m), session(Cpu::default(), m));
            let prompts: Vec<Vec<f32>> = masks::prompts(&session, &golden).iter().map(|prompt| unit(prompt)).collect();
            worst_mask(&session, &golden, &prompts)
        }),
    ]
}

fn head(config: &mut Config) -> &mut Masks {
    match &mut config.head {
        Head::Masks(masks) => masks,
        _ => panic!("a segmenter"),
    }
}

/// The largest distance of a picture's logits or boxes must fail the bound.
fn boxes_move(model: &str, change: fn(&mut Config)) -> Outcome {
    let (golden, session) = (Golden::<boxes::Image>::of(model), changed(model, change));
    let queries = embed(&session, &golden);
    let mut worst = 0.0f64;
    for (name, image) in &golden.images {
        let found = boxes::logits(&session, &look(&session, name), &queries)?;
        worst = worst.max(distance(&found, &image.logits.concat()) / golden.unrelated_distance["logits"]);
    }
    rejected(worst, LOGITS)
}

fn masks_move(model: &str, change: fn(&mut Config)) -> Outcome {
    let (golden, session) = (Golden::of(model), changed(model, change));
    let prompts = masks::prompts(&session, &golden);
    worst_mask(&session, &golden, &prompts)
}

fn worst_mask(session: &Session<Cpu>, golden: &Golden<masks::Image>, prompts: &[Vec<f32>]) -> Outcome {
    let side = session.mask_side()?;
    let mut worst = 0.0f64;
    for (name, image) in &golden.images {
        let masks = pollster::block_on(session.segment(&look(session, name), prompts))?;
        worst = worst.max(masks::off(&masks, side, (golden, image)));
    }
    rejected(worst, MASKS)
}

fn rejected(off: f64, bound: f64) -> Outcome {
    println!("{off:.2e} of the unrelated distance");
    if off > MARGIN * bound {
        return Ok(());
    }
    Err(format!("expected more than {MARGIN} × {bound}, found {off:.2e}: the fixtures do not see it").into())
}
