//! What q4 is worth: against the usual four bits, on every fixture.

use libtest_mimic::Failed;
use ocelli::{Checkpoint, Gpu, Power, Session, checkpoint::FILES, model, quant::Format, session::LoadOptions};
use safetensors::{Dtype, tensor::TensorView};

use crate::{
    Outcome,
    common::distance,
    golden::{embed_images, embed_texts, folder, golden, lossless, session},
};

/// Ocelli's q4 may move embeddings by this share of what plain rounding does, on the mean: a third less is the promise.
const SHARE: f64 = 2.0 / 3.0;

/// By how much plain rounding moves the pictures of these, as a share of the unrelated distance, as it was measured apart from
/// this crate, with transformers: otherwise it is not plain rounding that is beaten here.
const PLAIN_PICTURES: [(&str, f64); 5] =
    [("clip", 0.307), ("clip-eos", 0.268), ("siglip", 0.338), ("siglip-bf16", 0.397), ("siglip2", 0.265)];

/// The usual way, of all matrices alike: blocks of 32, steps -7 to 7, and an f16 scale that takes the peak to the last step.
fn plain(row: &[f32]) -> Vec<f32> {
    let rounded = |block: &[f32]| {
        let peak = block.iter().fold(0.0f32, |a, w| a.max(w.abs()));
        let scale = half::f16::from_f32(peak / 7.0).to_f32();
        let step = |w: &f32| if scale == 0.0 { 0.0 } else { (w / scale).round().clamp(-7.0, 7.0) * scale };
        block.iter().map(step).collect::<Vec<_>>()
    };
    row.chunks(32).flat_map(rounded).collect()
}

/// A fixture whose matrices went through plain rounding and back, all in f32.
fn plainly_rounded(name: &str) -> Result<Checkpoint, Failed> {
    let source = Checkpoint::open(&folder(name))?;
    let mut tensors = Vec::new();
    for entry in model::entries(&source)? {
        let tensor = source.tensor(&entry.name, &entry.shape)?;
        let mut weights = source.rows_f32(&tensor, 0..tensor.rows)?;
        if entry.matrix {
            weights = weights.chunks_exact(tensor.cols).flat_map(plain).collect();
        }
        tensors.push((entry.name, entry.shape, bytemuck::cast_slice(&weights).to_vec()));
    }
    let views = tensors.iter().map(|(name, shape, data): &(String, Vec<usize>, Vec<u8>)| {
        (name.as_str(), TensorView::new(Dtype::F32, shape.clone(), data).expect("as many bytes"))
    });
    let weights = safetensors::serialize(views, None)?;
    // Written as transformers names things, whosever names the fixture has.
    let json =
        FILES[..3].iter().zip(source.config.to_files()).map(|(name, json)| (name.to_string(), json.into_bytes()));
    let mut files: Vec<(String, Vec<u8>)> = json.collect();
    files.extend(source.tokenizer.clone().files());
    files.push((FILES[4].into(), weights));
    Ok(Checkpoint::from_files(files)?)
}

/// Mean distances from the reference over all lossless pictures, all texts, and both, as shares of the unrelated ones.
fn moved(name: &str, session: &Session) -> [f64; 3] {
    let golden = golden(name);
    let names = lossless(&golden);
    let unrelated = &golden.unrelated_distance;
    let pictures = embed_images(session, &names);
    let pictures: Vec<f64> =
        names.iter().zip(pictures).map(|(n, e)| distance(&e, &golden.images[*n].embedding) / unrelated.image).collect();
    let texts = embed_texts(session, &golden);
    let texts: Vec<f64> =
        golden.texts.iter().zip(texts).map(|(t, e)| distance(&e, &t.embedding) / unrelated.text).collect();
    let mean = |all: &[f64]| all.iter().sum::<f64>() / all.len() as f64;
    [mean(&pictures), mean(&texts), mean(&[pictures, texts].concat())]
}

fn beats(found: f64, plain: f64) -> Result<(), String> {
    if found <= SHARE * plain {
        return Ok(());
    }
    Err(format!("expected at most {SHARE:.3} of what plain rounding moves, found {found:.3} of {plain:.3}"))
}

pub fn beaten_by_a_third(name: &str) -> Outcome {
    let gpu = pollster::block_on(Gpu::new(Power::Any))?;
    let [pictures, texts, plain] = moved(name, &Session::load(gpu, &plainly_rounded(name)?, LoadOptions::default())?);
    for (_, expected) in PLAIN_PICTURES.iter().filter(|(known, _)| *known == name) {
        assert!((pictures - expected).abs() < 0.002, "plain rounding: expected {expected}, found {pictures}");
    }
    let [q4_pictures, q4_texts, q4] = moved(name, &session(name, Some(Format::Q4)));
    println!(
        "{name}: pictures, texts, both: plain {pictures:.3} {texts:.3} {plain:.3}, q4 {q4_pictures:.3} {q4_texts:.3} \
         {q4:.3}: {:.2} of plain",
        q4 / plain
    );
    beats(q4, plain)?;
    // It does not beat itself, and is not so good that nothing was rounded.
    assert!(beats(plain, plain).is_err() && q4 > 0.05 * plain, "{q4} and {plain}");
    Ok(())
}
