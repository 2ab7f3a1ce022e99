//! Pictures that keep their shape: each at several numbers of patches, wide, tall, tiny and exact, and what must not pass.

use std::collections::BTreeMap;

use ocelli::{
    Checkpoint, Gpu, Power, Session,
    backend::{Backend, Cpu},
    session::LoadOptions,
};
use serde::Deserialize;

use crate::{
    Outcome,
    common::{distance, files},
    golden::{embed_images, folder, golden, open},
    right::F32,
};

pub const MODEL: &str = "naflex";

#[derive(Deserialize)]
struct Goldens {
    budgets: Vec<Budget>,
}

#[derive(Deserialize)]
struct Budget {
    max_num_patches: usize,
    images: BTreeMap<String, Image>,
}

#[derive(Deserialize)]
struct Image {
    /// Rows and columns of patches.
    grid: [usize; 2],
    embedding: Vec<f32>,
    /// What the usual mistakes make of it, where that is something else.
    wrong: BTreeMap<String, Vec<f32>>,
}

fn session<B: Backend>(device: B, max_patches: usize) -> Session<B> {
    let checkpoint = Checkpoint::open(&folder(MODEL)).expect("a sound fixture");
    let options = LoadOptions { max_patches: Some(max_patches), ..LoadOptions::default() };
    Session::load(device, &checkpoint, options).expect("a sound fixture")
}

pub fn on_gpu() -> Outcome {
    budgets(|| pollster::block_on(Gpu::new(Power::Any)).expect("an adapter was found before"))
}

pub fn on_cpu() -> Outcome {
    budgets(Cpu::default)
}

fn budgets<B: Backend>(device: impl Fn() -> B) -> Outcome {
    let text = std::fs::read(folder(MODEL).join("golden.json"))?;
    let Goldens { budgets } = serde_json::from_slice(&text)?;
    let unrelated = golden(MODEL).unrelated_distance.image;
    let right = |found: &[f32], expected: &[f32]| distance(found, expected) / unrelated <= F32;
    let mut rejected = BTreeMap::new();
    for Budget { max_num_patches, images } in &budgets {
        let session = session(device(), *max_num_patches);
        let names: Vec<&String> = images.keys().collect();
        // Pictures of all shapes share a run.
        for (name, found) in names.iter().zip(embed_images(&session, &names)) {
            let (what, image) = (format!("{name}, {max_num_patches} patches"), &images[*name]);
            assert_eq!(found, embed_images(&session, &[name])[0], "{what}: alone and in a batch");
            assert!(right(&found, &image.embedding), "{what}: {:.2e}", distance(&found, &image.embedding) / unrelated);
            for (mistake, wrong) in &image.wrong {
                assert!(!right(&found, wrong), "{what}: {mistake}: passed");
                *rejected.entry(mistake.as_str()).or_insert(0) += 1;
            }
            let (pixels, width) = pollster::block_on(session.preprocess(&open(name)))?;
            let patch = session.config.vision.patch_size;
            assert_eq!([pixels.len() / width / patch, width / patch], image.grid, "{what}: rows and columns");
        }
    }
    let mistakes = ["mask missing", "padding pooled", "positions not antialiased", "channels first in a patch"];
    assert!(budgets.len() > 3 && mistakes.iter().all(|what| rejected[what] > 2), "{rejected:?}");
    assert!(rejected["rows of one column apart"] > 0, "{rejected:?}");
    Ok(())
}

/// What no NaFlex model can be asked for, and files that contradict each other.
pub fn errors() -> Outcome {
    let load = |model: &str, max_patches| {
        let options = LoadOptions { max_patches: Some(max_patches), ..LoadOptions::default() };
        Session::load(Cpu::default(), &Checkpoint::open(&folder(model)).expect("a sound fixture"), options).err()
    };
    for (model, most, expected) in [
        (MODEL, 0, "max_num_patches: expected 1 to 16384, found 0"),
        (MODEL, 16_385, "max_num_patches: expected 1 to 16384, found 16385"),
        ("siglip2", 64, "max_num_patches: expected a NaFlex model"),
    ] {
        let error = load(model, most).unwrap_or_else(|| panic!("{model}, {most}: expected an error"));
        assert!(error.code() == "bad-input" && error.to_string().contains(expected), "{error}");
    }
    for (file, from, to, expected) in [
        (
            "config.json",
            "\"num_patches\": 25",
            "\"num_patches\": 24",
            "num_patches: expected a square number, found 24",
        ),
        (
            "preprocessor_config.json",
            "\"patch_size\": 7",
            "\"patch_size\": 8",
            "patch_size: expected 7, as config.json",
        ),
        (
            "preprocessor_config.json",
            "\"max_num_patches\": 20",
            "\"max_num_patches\": 0",
            "max_num_patches: expected 1",
        ),
    ] {
        let mut files = files(MODEL);
        let text = String::from_utf8(files[file].clone())?;
        assert!(text.contains(from), "{file}: {from}");
        files.insert(file.into(), text.replace(from, to).into_bytes());
        let error = Checkpoint::from_files(files).err().unwrap_or_else(|| panic!("{to}: expected an error"));
        assert!(error.code() == "bad-checkpoint" && error.to_string().contains(expected), "{error}");
    }
    Ok(())
}
