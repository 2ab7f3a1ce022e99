//! What is silently wrong elsewhere must fail the test that guards it: the bound of the issue is 0.001 of the distance
//! between unrelated inputs.

use ocelli::{
    Checkpoint, Gpu, Power, Score, Session,
    config::{Activation, Cleaning, Config, CropRounding, Family, Filter, Mask, Resize, TextPooling},
    session::{LoadOptions, Source},
};
use safetensors::SafeTensors;

use crate::{
    Outcome, Test,
    common::{distance, files},
    golden::{draw, embed_images, embed_texts, folder, golden, lossless, open, session, session_with, words},
};

const BOUND: f64 = 0.001;

pub fn tests(model: &str) -> Vec<(&'static str, Test)> {
    let mut tests: Vec<(&'static str, Test)> = vec![
        ("nearest neighbour instead of antialiasing", nearest),
        ("the other filter", |m| {
            images(m, |c| {
                c.preprocessor.filter =
                    if c.preprocessor.filter == Filter::Bicubic { Filter::Bilinear } else { Filter::Bicubic };
            })
        }),
        ("the other resize rule", |m| {
            images(m, |c| {
                let side = c.vision.image_size;
                c.preprocessor.resize = match c.preprocessor.resize {
                    Resize::Squash { .. } => Resize::ShortestEdge(side),
                    Resize::ShortestEdge(_) | Resize::PadSquare(_) => Resize::Squash { width: side, height: side },
                    // One column of patches less.
                    Resize::MaxPatches { patch, most } => {
                        return c.preprocessor.resize = Resize::MaxPatches { patch, most: most - 3 };
                    }
                };
                c.preprocessor.crop = Some((side, side));
            })
        }),
        ("pixels not normalised", |m| images(m, |c| c.preprocessor.mean = [0.0; 3])),
        ("quick_gelu for gelu, or gelu for quick_gelu", |m| {
            images(m, |c| {
                let e = &mut c.vision.encoder;
                e.activation =
                    if e.activation == Activation::QuickGelu { Activation::Gelu } else { Activation::QuickGelu };
            })
        }),
        ("text pooled at the wrong position", |m| {
            texts(m, |c| {
                c.text.pooling = match c.text.pooling {
                    // The second token of every text
                    TextPooling::Last => TextPooling::HighestId,
                    _ => TextPooling::Last,
                };
            })
        }),
    ];
    if model == "open-clip" {
        tests.push(("crop rounded as transformers does", |m| {
            images(m, |c| c.preprocessor.rounding = CropRounding::Down)
        }));
        tests.push(("text not cleaned", |m| texts(m, |c| c.text_rule.cleaning = Cleaning::AsIs)));
    }
    if golden_family(model) == Family::Clip {
        tests.push(("causal mask dropped", |m| texts(m, |c| c.text.mask = Mask::None)));
    } else {
        tests.push(("causal mask where there is none", |m| texts(m, |c| c.text.mask = Mask::Causal)));
        tests.push(("text neither lowercased nor stripped", |m| texts(m, |c| c.text_rule.cleaning = Cleaning::AsIs)));
    }
    tests
}

/// Weights whose products overflow f32 give an error with a code, for pictures, for texts, and for scores; the next model is
/// as before.
pub fn overflow(model: &str) -> Outcome {
    let huge = |name: &str| -> Result<Session, libtest_mimic::Failed> {
        let mut weights = std::fs::read(folder(model).join("model.safetensors"))?;
        let (at, len) = {
            let all = SafeTensors::deserialize(&weights)?;
            let data = all.tensor(name)?.data();
            (data.as_ptr() as usize - weights.as_ptr() as usize, data.len())
        };
        let largest = f32::MAX.to_le_bytes();
        weights[at..at + len].chunks_exact_mut(4).for_each(|number| number.copy_from_slice(&largest));
        let mut files = files(model);
        files.insert("model.safetensors".into(), weights);
        let checkpoint = Checkpoint::from_files(files)?;
        let gpu = pollster::block_on(Gpu::new(Power::Any))?;
        Ok(Session::load(gpu, &checkpoint, LoadOptions::default())?)
    };
    let code = |found: ocelli::Result<Vec<Vec<f32>>>| found.err().map(|e| (e.code(), e.to_string()));
    let picture = open("rgb-61x37.png");
    let vision = huge("vision_model.post_layernorm.weight")?;
    let found = code(pollster::block_on(vision.embed_images(&[&picture as &dyn Source])));
    assert!(
        found.as_ref().is_some_and(|(code, text)| *code == "not-finite" && text.starts_with("embedding 1 of 1")),
        "{found:?}"
    );
    let text = huge("text_model.final_layer_norm.weight")?;
    let found = code(pollster::block_on(text.embed_texts(&["a cat"])));
    assert_eq!(found.map(|(code, _)| code), Some("not-finite"));
    let scores = huge("logit_scale")?;
    let unit = pollster::block_on(scores.embed_texts(&["a cat", "a dog"]))?;
    let found = code(pollster::block_on(scores.scores(&unit[..1], &unit, Score::Logits)));
    assert_eq!(found.map(|(code, _)| code), Some("not-finite"));
    assert_eq!(code(pollster::block_on(session(model, None).embed_images(&[&picture as &dyn Source]))), None);
    Ok(())
}

fn golden_family(model: &str) -> Family {
    if model.contains("siglip") || model == "naflex" { Family::Siglip } else { Family::Clip }
}

/// The largest share of the unrelated distance by which a picture moves must fail the bound.
fn images(model: &str, change: fn(&mut Config)) -> Outcome {
    let golden = golden(model);
    let names = lossless(&golden);
    let found = embed_images(&session_with(model, None, change), &names);
    let worst =
        names.iter().zip(&found).map(|(name, e)| distance(e, &golden.images[*name].embedding)).fold(0.0, f64::max);
    rejected(worst / golden.unrelated_distance.image)
}

fn texts(model: &str, change: fn(&mut Config)) -> Outcome {
    let golden = golden(model);
    let found = embed_texts(&session_with(model, None, change), &golden);
    let worst = golden.texts.iter().zip(&found).map(|(t, e)| distance(e, &t.embedding)).fold(0.0, f64::max);
    rejected(worst / golden.unrelated_distance.text)
}

fn nearest(model: &str) -> Outcome {
    let (golden, session) = (golden(model), session(model, None));
    let side = session.config.vision.image_size as u32;
    let mut worst = 0.0f64;
    for name in lossless(&golden) {
        let picture = open(name);
        let (width, height) = picture.size();
        let pixels = words(&picture);
        // The middle of each target pixel in the source, and nothing else; the square then passes unchanged.
        let at = |i: u32, n: usize| (i as usize * 2 + 1) * n / (side as usize * 2);
        let square = draw(side, side, |x, y| pixels[at(y, height) * width + at(x, width)].to_le_bytes());
        let found = pollster::block_on(session.embed_images(&[&square as &dyn Source]))?;
        worst = worst.max(distance(&found[0], &golden.images[name].embedding));
    }
    rejected(worst / golden.unrelated_distance.image)
}

fn rejected(off: f64) -> Outcome {
    if off > BOUND {
        return Ok(());
    }
    Err(format!("expected more than {BOUND} of the unrelated distance, found {off:.6}: the fixtures do not see it")
        .into())
}
