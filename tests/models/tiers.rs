//! Every tier on whole models: the exact ones give what the reference gives, the others stay near it.

use ocelli::{
    Checkpoint, Gpu, Power, Session,
    backend::Cpu,
    gpu::{Tier, Tuning},
    quant::Format,
    session::LoadOptions,
};

use crate::{
    Outcome,
    common::distance,
    golden::{embed_images, embed_texts, folder, golden, lossless, open, session as on_gpu},
    reference::{TAP_BOUND, check_taps, host_taps},
};

/// As `right` asks of the plain tier.
const EXACT: f64 = 2e-5;

/// Share of the unrelated distance by which a tier may move an embedding: [`Tier::cost`], measured on these fixtures and rounded up.
/// In `dot8` that is together with what q8 weights lose.
fn bound(tier: Tier) -> f64 {
    if tier.exact() { EXACT } else { f64::from(tier.cost()) }
}

pub fn all(model: &str) -> Outcome {
    let gpu = || pollster::block_on(Gpu::new(Power::Any));
    for tier in gpu()?.tiers() {
        let format = (tier == Tier::Dot8).then_some(Format::Q8);
        let options = LoadOptions { format, tuning: Tuning::all(tier), ..LoadOptions::default() };
        let session = Session::load(gpu()?, &Checkpoint::open(&folder(model))?, options)?;
        let golden = golden(model);
        let names = lossless(&golden);
        let images = names.iter().map(|name| &golden.images[*name].embedding);
        let texts = golden.texts.iter().map(|text| &text.embedding);
        let found = [embed_images(&session, &names), embed_texts(&session, &golden)].concat();
        let unrelated = names.iter().map(|_| golden.unrelated_distance.image);
        let unrelated = unrelated.chain(golden.texts.iter().map(|_| golden.unrelated_distance.text));
        let pairs = found.iter().zip(images.chain(texts)).zip(unrelated);
        let apart =
            pairs.map(|((found, expected), unrelated)| distance(found, expected) / unrelated).fold(0.0, f64::max);
        println!("{model}: {}: at most {apart:.2e} of the unrelated distance", tier.name());
        let bound = bound(tier);
        assert!(apart <= bound, "{}: expected {bound} of the unrelated distance, found {apart}", tier.name());
        // Another picture's embedding is none of these, and a tier that rounds is not exact.
        let other = distance(&found[0], &found[1]) / golden.unrelated_distance.image;
        assert!(other > bound, "expected another picture to be farther away than {bound}, found {other}");
        assert_eq!(apart <= EXACT, tier.exact(), "{}: {apart} of the unrelated distance", tier.name());
    }
    Ok(())
}

/// On the CPU: pixels to the last bit, and every step as the naive twins have it, in every format.
pub fn cpu(model: &str) -> Outcome {
    let (golden, image) = (golden(model), open("rgb-61x37.png"));
    for format in [None, Some(Format::F16), Some(Format::Q8), Some(Format::Q4)] {
        let session = Session::load(
            Cpu::default(),
            &Checkpoint::open(&folder(model))?,
            LoadOptions { format, ..LoadOptions::default() },
        )?;
        let tokens = session.tokenize(&golden.texts[0].text)?;
        let name = session.format.name();
        if format.is_none() {
            let square = pollster::block_on(session.preprocess(&image))?;
            assert_eq!(
                square,
                pollster::block_on(on_gpu(model, None).preprocess(&image))?,
                "the square that the tower sees"
            );
        }
        let found = pollster::block_on(session.taps(&image, &tokens))?;
        check_taps(&found, &host_taps(model, format)?, TAP_BOUND).map_err(|e| format!("{name}: {e}"))?;
        // Batches, and what runs once.
        let names = lossless(&golden);
        let alone: Vec<_> = names.iter().map(|name| embed_images(&session, &[name]).remove(0)).collect();
        for (together, alone) in embed_images(&session, &names).iter().zip(&alone) {
            assert!(distance(together, alone) <= EXACT, "{name}: a picture in a batch is another");
        }
        let report = pollster::block_on(session.verify(None, None))?;
        assert!(report.ok, "{name}: {:?}", report.off);
    }
    Ok(())
}
