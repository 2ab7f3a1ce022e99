//! Pixels and every step between.

use std::collections::HashMap;

use ocelli::{
    Checkpoint, Session,
    backend::{Backend, Cpu},
    config::Towers,
    gpu::{Tier, Tuning},
    pictures::Picture,
    quant::Format,
    quantize::quantize,
    session::LoadOptions,
    verify::{GOLDENS, ReferenceRun},
};

use crate::{
    Outcome,
    boxes::{BOXES, apart, sigmoid},
    common::{compare, distance},
    golden::{Golden, TAP_IMAGE, embed, folder, look, open, session, tensors},
    gpu,
};

/// Share of the largest activation of a tap. The reference itself computes in f32.
const TAP_BOUND: f64 = 1e-5;
/// The same in a decoder, whose norms, which nobody has trained, amplify: the reference itself is off by 8e-7 before the first block and
/// by 1.8e-5 behind it. Little of that is left in the masks.
const DECODER_BOUND: f64 = 5e-5;
/// Of pixels that are floats, where white is 1.
pub const PIXEL_BOUND: f64 = 1e-6;

pub fn pixels<B: Backend>(model: &str, device: &dyn Fn() -> B) -> Outcome {
    let (golden, session) = (Golden::<serde_json::Value>::of(model), session(device(), model));
    let floats = folder(model).join("pixels/pixels.safetensors").is_file();
    for name in golden.images.keys() {
        if floats {
            let worst = pixel_error(&session, model, name, &open(name))?;
            println!("{model}: {name}: {worst:.1e}");
            assert!(worst <= PIXEL_BOUND, "{name}: expected at most {PIXEL_BOUND}, found {worst}");
        } else {
            let (found, _) = pollster::block_on(session.seen(&open(name)))?;
            let expected = Picture::open(&folder(model).join("pixels").join(name))?;
            let expected: Vec<u32> = bytemuck::pod_collect_to_vec(expected.0.as_raw());
            let equal = found.len() == expected.len() && found.iter().zip(&expected).all(|(a, b)| (a ^ b) << 8 == 0);
            assert!(equal, "{name}: another pixel");
        }
    }
    Ok(())
}

/// How far the floats that a tower sees of a picture are from those of the reference's picture `name`, where white is 1.
pub fn pixel_error<B: Backend>(
    session: &Session<B>,
    model: &str,
    name: &str,
    picture: &Picture,
) -> ocelli::Result<f64> {
    let (found, _) = pollster::block_on(session.seen(picture))?;
    let stem = name.strip_suffix(".png").expect("lossless");
    let expected = &tensors(model, "pixels/pixels.safetensors")[stem];
    let found: &[f32] = bytemuck::cast_slice(&found);
    assert_eq!(found.len(), expected.len(), "{name}");
    let off = |(a, b): (&f32, &f32)| (f64::from(*a) / 255.0 - f64::from(*b)).abs();
    Ok(found.iter().zip(expected).map(off).fold(0.0, f64::max))
}

/// All that the reference recorded and the plans have, of one picture: the first text's tower, and what is asked with all texts, or of
/// a segmenter with two.
fn found<B: Backend>(model: &str, device: &dyn Fn() -> B) -> Result<HashMap<String, Vec<f32>>, libtest_mimic::Failed> {
    let (golden, session) = (Golden::<serde_json::Value>::of(model), session(device(), model));
    let tokens = session.tokenize(&golden.texts[0].text)?;
    let mut taps = pollster::block_on(session.taps(&open(TAP_IMAGE), &tokens))?;
    let mut queries = embed(&session, &golden);
    if taps.contains_key("reduce.0") {
        queries.truncate(2);
    }
    let scene = look(&session, TAP_IMAGE);
    taps.extend(pollster::block_on(session.taps_of_question(&scene, &queries))?);
    Ok(named(taps))
}

/// Every tier of the GPU: the exact ones give the reference's numbers, the others stay as near as they promise.
pub fn tiers(model: &str) -> Outcome {
    let golden = Golden::<serde_json::Value>::of(model);
    let expected = tensors(model, "taps.safetensors").remove("logits").expect("a tap");
    // Share of the largest logit.
    let peak = expected.iter().fold(0.0f32, |a, x| a.max(x.abs()));
    for tier in gpu().tiers() {
        let format = (tier == Tier::Dot8).then_some(Format::Q8);
        let options = LoadOptions { format, tuning: Tuning::all(tier), ..LoadOptions::default() };
        let session = Session::load(gpu(), &Checkpoint::open(&folder(model))?, options)?;
        let (scene, mut vectors) = (look(&session, TAP_IMAGE), embed(&session, &golden));
        if session.mask_side().is_ok() {
            vectors.truncate(2);
        }
        let mut taps = pollster::block_on(session.taps_of_question(&scene, &vectors))?;
        let found = taps.remove("masks").or_else(|| taps.remove("logits")).expect("a tap");
        let worst = found.iter().zip(&expected).map(|(a, b)| (a - b).abs() / peak).fold(0.0, f32::max);
        println!("{model}: {}: {worst:.1e} of the largest logit", tier.name());
        match tier.exact() {
            true => assert!(f64::from(worst) <= TAP_BOUND, "{}: {worst}", tier.name()),
            // A single number, not a distance, behind more layers than embeddings have.
            false => assert!(worst <= 4.0 * tier.cost(), "{}: {worst}", tier.name()),
        }
    }
    Ok(())
}

/// Each tower alone: features need no texts, and embeddings of texts no picture tower.
pub fn towers(model: &str) -> Outcome {
    let golden = Golden::<serde_json::Value>::of(model);
    let load = |towers| {
        let options = LoadOptions { towers, ..LoadOptions::default() };
        Session::load(Cpu::default(), &Checkpoint::open(&folder(model)).expect("a fixture"), options)
    };
    let (both, seeing, reading) = (load(Towers::Both)?, load(Towers::Vision)?, load(Towers::Text)?);
    assert_eq!([seeing.towers(), reading.towers()], [Towers::Vision, Towers::Text]);
    assert_eq!(seeing.parameters + reading.parameters, both.parameters, "no weight is in both");
    let (scene, vectors) = (look(&seeing, TAP_IMAGE), embed(&reading, &golden));
    assert!(scene == look(&both, TAP_IMAGE) && vectors == embed(&both, &golden));
    let taps = |session: &Session<Cpu>| pollster::block_on(session.taps_of_question(&scene, &vectors[..2]));
    assert!(taps(&seeing)? == taps(&both)?, "what was embedded elsewhere is understood");
    let refused = pollster::block_on(reading.look(&open(TAP_IMAGE))).err().map(|e| (e.code(), e.to_string()));
    assert!(
        refused.as_ref().is_some_and(|(code, text)| *code == "bad-input" && text.contains("vision")),
        "{refused:?}"
    );
    // A question to a detector's scene needs no tower, a segmenter's decoder is kept with its picture tower.
    match both.mask_side() {
        Ok(_) => assert_eq!(taps(&reading).err().map(|e| e.code()), Some("bad-input")),
        Err(_) => assert!(taps(&reading)? == taps(&both)?),
    }
    Ok(())
}

/// A detector's queries have unit length, a segmenter's prompts that of their projection.
pub fn texts<B: Backend>(model: &str, device: &dyn Fn() -> B) -> Outcome {
    let (golden, session) = (Golden::<serde_json::Value>::of(model), session(device(), model));
    let detects = golden.unrelated_distance.contains_key("boxes");
    for (text, found) in golden.texts.iter().zip(embed(&session, &golden)) {
        let [expected, other] =
            if detects { [&text.embedding, &text.projection] } else { [&text.projection, &text.embedding] };
        let unit = golden.unrelated_distance[if detects { "text" } else { "condition" }];
        let off = distance(&found, expected) / unit;
        assert!(
            off <= TAP_BOUND,
            "{:?}: expected at most {TAP_BOUND} of the unrelated distance, found {off:.2e}",
            text.text
        );
        assert!(distance(&found, other) / unit > 1e-3, "{:?}: of any length", text.text);
    }
    Ok(())
}

/// A quantised folder answers as one that is quantised while it is loaded, and passes its own self-test.
pub fn quantized(model: &str) -> Outcome {
    let golden = Golden::<serde_json::Value>::of(model);
    for format in [Format::Q8, Format::Q4] {
        let to = tempfile::tempdir()?;
        quantize(&folder(model), to.path(), format, true, &|_, _| ())?;
        let stored = Session::load(Cpu::default(), &Checkpoint::open(to.path())?, LoadOptions::default())?;
        let options = LoadOptions { format: Some(format), ..LoadOptions::default() };
        let converted = Session::load(Cpu::default(), &Checkpoint::open(&folder(model))?, options)?;
        assert_eq!([&stored.note, &converted.note], [&None, &None], "nothing is left over");
        assert!(look(&stored, TAP_IMAGE) == look(&converted, TAP_IMAGE), "{}: a picture", format.name());
        assert_eq!(embed(&stored, &golden), embed(&converted, &golden), "{}: texts", format.name());
        let goldens = std::fs::read(to.path().join(GOLDENS))?;
        let report = pollster::block_on(stored.verify(Some(&goldens), None))?;
        assert!(report.ok && report.goldens, "{}: {:?}", format.name(), report.checks.iter().find(|check| !check.ok));
        assert!(report.checks.iter().any(|check| check.name == "logits" || check.name == "masks"), "what is asked");
        // Of another folder they are not.
        let other = pollster::block_on(session(Cpu::default(), model).verify(Some(&goldens), None))?;
        assert!(!other.ok, "{}: the self-test does not see other weights", format.name());
    }
    Ok(())
}

/// The naive twins sum in f64, and so are as near to the reference as that is to the truth: they judge the plans.
pub fn twins(model: &str) -> Outcome {
    let golden = Golden::<serde_json::Value>::of(model);
    let picture = open(TAP_IMAGE);
    let (width, height) = picture.size();
    let words: Vec<u32> = bytemuck::pod_collect_to_vec(picture.0.as_raw());
    let checkpoint = Checkpoint::open(&folder(model))?;
    let run = ReferenceRun::of(&checkpoint, None, (&words, width, height), &golden.texts[0].text)?;
    let found = named(run.taps());
    // Of several queries or prompts the first.
    let mut expected = tensors(model, "taps.safetensors");
    let detects = found.contains_key("merged");
    for (name, values) in &mut expected {
        let fewer = found.get(name).filter(|found| found.len() < values.len() && !name.starts_with("text."));
        let Some(found) = fewer else { continue };
        let columns = values.len() / found.len();
        match detects && ["cos", "logits"].contains(&name.as_str()) {
            true => *values = values.iter().step_by(columns).copied().collect(),
            false => values.truncate(found.len()),
        }
    }
    check(&found, &expected)?;
    if detects {
        let boxes = apart(&sigmoid(&found["box.biased"]), &expected["boxes"]);
        assert!(boxes <= BOXES, "boxes: expected at most {BOXES} of the canvas, found {boxes:.2e}");
    }
    Ok(())
}

/// With the reference's names.
fn named(mut taps: HashMap<String, Vec<f32>>) -> HashMap<String, Vec<f32>> {
    if let Some(both) = taps.remove("shift and scale") {
        for (name, at) in [("shift", 0), ("scale", 1)] {
            taps.insert(name.into(), both.iter().skip(at).step_by(2).copied().collect());
        }
    }
    if let Some(masks) = taps.remove("masks") {
        taps.insert("logits".into(), masks);
    }
    taps
}

pub fn taps<B: Backend>(model: &str, device: &dyn Fn() -> B) -> Outcome {
    let mut found = found(model, device)?;
    let expected = tensors(model, "taps.safetensors");
    check(&found, &expected)?;
    for (name, value) in found.iter_mut().filter(|(name, _)| name.as_str() == "merged" || name.as_str() == "reduce.1") {
        value[0] += 0.01;
        println!("changed: {name}");
    }
    assert!(check(&found, &expected).is_err(), "the comparison does not see a wrong step");
    Ok(())
}

fn check(found: &HashMap<String, Vec<f32>>, expected: &HashMap<String, Vec<f32>>) -> Result<(), String> {
    let mut names: Vec<&String> = expected.keys().filter(|name| found.contains_key(*name)).collect();
    names.sort();
    let must: &[&str] = match found.contains_key("merged") {
        true => &["vision.post_norm", "merged", "box.biased", "class_embeds", "shift", "scale", "cos", "logits"],
        false => &["vision.block.1", "reduce.0", "reduce.2", "film", "decoder.0", "decoder.2", "logits"],
    };
    for name in must.iter().copied().chain(["vision.embed", "vision.pre_norm", "vision.block.0", "text.pooled"]) {
        if !names.iter().any(|found| *found == name) {
            return Err(format!("expected the tap {name}, found {names:?}"));
        }
    }
    let mut first = Ok(());
    for name in names {
        let (found, expected) = (&found[name], &expected[name]);
        // Of a tower that pools a token its last block has that one alone; golden.json judges what comes of it.
        if name.starts_with("text.block") && found.len() < expected.len() {
            continue;
        }
        let peak = expected.iter().fold(0.0f32, |a, x| a.max(x.abs()));
        let off = |(a, b): (&f32, &f32)| f64::from((a - b).abs() / peak);
        println!("{name}: {:.1e} of its peak", found.iter().zip(expected).map(off).fold(0.0, f64::max));
        let bound = if name.starts_with("decoder.") { DECODER_BOUND } else { TAP_BOUND };
        let judged = compare(name, found, expected, &vec![peak; expected.len()], bound);
        first = first.and(judged);
    }
    first
}
