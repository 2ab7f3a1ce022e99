//! What is silently wrong elsewhere must fail the test that guards it: the bound of the issue is 0.001 of the distance
//! between unrelated inputs.

use ocelli::{
    config::{Activation, Cleaning, Config, Family, Filter, Mask, Resize, TextPooling},
    session::Source,
};

use crate::{
    Outcome, Test,
    common::distance,
    golden::{draw, embed_images, embed_texts, golden, lossless, open, session, session_with, words},
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
                    Resize::ShortestEdge(_) => Resize::Squash { width: side, height: side },
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
    if golden_family(model) == Family::Clip {
        tests.push(("causal mask dropped", |m| texts(m, |c| c.text.mask = Mask::None)));
    } else {
        tests.push(("causal mask where there is none", |m| texts(m, |c| c.text.mask = Mask::Causal)));
        tests.push(("text neither lowercased nor stripped", |m| texts(m, |c| c.text_rule.cleaning = Cleaning::AsIs)));
    }
    tests
}

fn golden_family(model: &str) -> Family {
    if model.starts_with("clip") { Family::Clip } else { Family::Siglip }
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
