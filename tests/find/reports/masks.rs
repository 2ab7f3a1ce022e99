//! Masks by words.

use image::imageops::replace;
use ocelli::{
    Checkpoint, Session,
    backend::Backend,
    found::{Mask, upsample},
    session::LoadOptions,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{MARGIN, Reports, painted, plain};
use crate::{
    Outcome, SEGMENTERS,
    common::{distance, files},
    golden::{Golden, TAP_IMAGE, folder, look, session},
    masks::{Image, MASKS, off, prompts, sample},
};

#[derive(Deserialize)]
pub struct Spot {
    side: usize,
    text: String,
    /// Some of them, as in the models' own fixtures.
    logits: Vec<f32>,
    /// The same, of as many as the picture has pixels.
    upsampled: Vec<f32>,
    /// No score of these is near it.
    threshold: f64,
    /// From those of another picture.
    unrelated_distance: f64,
}

#[derive(Deserialize)]
pub struct Means {
    mean: [f32; 3],
    std: [f32; 3],
    logits: Vec<Vec<f32>>,
}

/// The report's own script: a grey square of 512 pixels, 32 of them black, which the model sees at 352. Its positions are of a smaller
/// picture.
pub fn spot<B: Backend>(device: &dyn Fn() -> B) -> Outcome {
    const MODEL: &str = "clipseg-refined";
    let Spot { side, text, logits, upsampled, threshold, unrelated_distance } = Reports::read().spot;
    let options = LoadOptions { canvas: Some(side), ..LoadOptions::default() };
    let session = Session::load(device(), &Checkpoint::open(&folder(MODEL))?, options)?;
    assert_eq!((session.mask_side()?, side), (352, 352));
    let mut picture = plain(512, 512, 128);
    replace(&mut picture.0, &plain(32, 32, 0).0, 240, 240);
    let words = pollster::block_on(session.embed_texts(&[&text]))?;
    let mask_of = |picture| -> ocelli::Result<Vec<f32>> {
        let scene = pollster::block_on(session.look(picture))?;
        Ok(pollster::block_on(session.segment(&scene, &words))?.remove(0))
    };
    let found = mask_of(&picture)?;
    let away = |found: &[f32], expected: &[f32]| distance(found, expected) / unrelated_distance;
    let apart = away(&sample(&found, side), &logits);
    assert!(apart <= MASKS, "expected at most {MASKS} of the unrelated distance, found {apart:.2e}");
    let unspotted = away(&sample(&mask_of(&plain(512, 512, 128))?, side), &logits);
    println!("{text:?}: {apart:.1e}, and {unspotted:.1e} without the spot");
    assert!(unspotted > MARGIN * MASKS, "the spot changes nothing: {unspotted:.2e}");
    let large = sample(&upsample(&found, side, 512, 512), 512);
    let apart = away(&large, &upsampled);
    assert!(apart <= MASKS, "as large as the picture: expected at most {MASKS}, found {apart:.2e}");
    let mask = Mask::from_logits(&found, side, 512, 512, threshold);
    assert_eq!((mask.width, mask.height, mask.bits.len()), (512, 512, 512 * 512));
    let bits: Vec<f32> = mask.bits.iter().map(|&bit| bit.into()).map(|bit: u8| bit.into()).collect();
    let over = |x: &f32| f32::from(u8::from(1.0 / (1.0 + (-f64::from(*x)).exp()) > threshold));
    let expected: Vec<f32> = upsampled.iter().map(over).collect();
    assert_eq!(sample(&bits, 512), expected, "the pixels of the mask");
    assert!(expected.contains(&0.0) && expected.contains(&1.0), "a mask of all or of nothing");
    Ok(())
}

/// A mask has the picture's shape, however many there are.
pub fn one_or_two<B: Backend>(device: &dyn Fn() -> B) -> Outcome {
    for model in SEGMENTERS {
        let session = session(device(), model);
        let scene = pollster::block_on(session.look(&painted(200, 120)))?;
        let words = pollster::block_on(session.embed_texts(&["a photo of a cat", "two dogs in the snow"]))?;
        let side = session.mask_side()?;
        let segment = |words: &[Vec<f32>]| pollster::block_on(session.segment(&scene, words));
        let (one, two) = (segment(&words[..1])?, segment(&words)?);
        assert_eq!((one.len(), two.len()), (1, 2), "{model}: a mask for each");
        assert!(one.iter().chain(&two).all(|mask| mask.len() == side * side), "{model}: shapes");
        assert!(one[0] == two[0] && one[0] != two[1], "{model}: the first is the same");
        let [alone, first] = [&one[0], &two[0]].map(|logits| Mask::from_logits(logits, side, 200, 120, 0.5));
        assert_eq!((alone.width, alone.height, alone.bits.len()), (200, 120, 200 * 120), "{model}");
        assert!(alone == first && (1..200 * 120).contains(&alone.area()), "{model}");
    }
    Ok(())
}

/// One model in three folders: with 0.5, with ImageNet's, and without either, which is 0.5 to transformers. What one answers is not what
/// the other does.
pub fn means<B: Backend>(device: &dyn Fn() -> B) -> Outcome {
    const MODEL: &str = "clipseg-refined";
    let Means { mean, std, logits } = Reports::read().means;
    let golden = Golden::<Image>::of(MODEL);
    let (half, imagenet) = (&golden.images[TAP_IMAGE], &Image { logits });
    let with = |mean: Value, std: Value| -> Result<[f64; 2], libtest_mimic::Failed> {
        let mut files = files(MODEL);
        let settings = files.get_mut("preprocessor_config.json").expect("a fixture");
        let mut changed: Value = serde_json::from_slice(settings)?;
        let fields = changed.as_object_mut().expect("an object");
        fields.retain(|name, _| name != "image_mean" && name != "image_std");
        fields
            .extend([("image_mean".into(), mean), ("image_std".into(), std)].into_iter().filter(|(_, x)| !x.is_null()));
        *settings = changed.to_string().into_bytes();
        let session = Session::load(device(), &Checkpoint::from_files(files)?, LoadOptions::default())?;
        let prompts = prompts(&session, &golden);
        let masks = pollster::block_on(session.segment(&look(&session, TAP_IMAGE), &prompts))?;
        let side = session.mask_side()?;
        Ok([half, imagenet].map(|image| off(&masks, side, (&golden, image))))
    };
    for (what, [right, wrong]) in [
        ("0.5", with(json!([0.5, 0.5, 0.5]), json!([0.5, 0.5, 0.5]))?),
        ("nothing", with(Value::Null, Value::Null)?),
        ("ImageNet's", with(json!(mean), json!(std)).map(|[half, imagenet]| [imagenet, half])?),
    ] {
        println!("{what}: {right:.1e}; as the other folder: {wrong:.1e}");
        assert!(right <= MASKS, "{what}: expected at most {MASKS} of the unrelated distance, found {right:.2e}");
        assert!(wrong > MARGIN * MASKS, "{what}: as the other folder: {wrong:.2e}");
    }
    Ok(())
}
