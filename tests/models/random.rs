//! Models of random shapes with random weights: the GPU against the naive twins, tap by tap, in every format. And models
//! whose activations no f16 could hold.

use std::{collections::HashMap, path::Path};

use half::f16;
use libtest_mimic::Trial;
use ocelli::{
    Checkpoint, Gpu, Power, Session,
    gpu::{Tier, Tuning},
    pictures::Picture,
    quant::Format,
    random::Random,
    session::LoadOptions,
    synthetic::{Number, Recipe},
};
use serde_json::{Value, json};

use crate::{
    Outcome,
    common::{compare, fixtures},
    golden::draw,
    reference::twins,
};

/// Share of a tap's largest activation. One rounding is 2^-24, 6e-8; a dot product over a few hundred terms and a handful of
/// steps in f32 after one another, each feeding the next, multiply that by a hundred. An f16 anywhere is 2^-12, 2.4e-4.
const BOUND: f64 = 2e-5;

type Taps = HashMap<String, Vec<f32>>;
/// Changes a tensor: its name, its columns, its weights.
type Change<'a> = dyn Fn(&str, usize, &mut [f32]) + Sync + 'a;

pub fn trials(skipped: bool) -> Vec<Trial> {
    let many = if std::env::var_os("OCELLI_FULL").is_some() { 300 } else { 25 };
    let shapes = (0..many).map(|seed| Trial::test(format!("random shape {seed}"), move || random_shape(seed)));
    let mut trials: Vec<Trial> = shapes.collect();
    for format in [Format::F16, Format::Q8, Format::Q4] {
        let large =
            [("activations of 100,000", huge as fn(Format) -> Outcome), ("a channel a hundred times larger", outlier)];
        for (name, test) in large {
            trials.push(Trial::test(format!("random: {name}, {}", format.name()), move || test(format)));
        }
    }
    trials.into_iter().map(|trial| trial.with_ignored_flag(skipped)).collect()
}

fn pick<T: Copy>(random: &mut Random, from: &[T]) -> T {
    from[random.below(from.len())]
}

/// A shape that nobody would choose, and the fixture whose tokenizer it has.
fn shape(random: &mut Random) -> (Value, &'static str) {
    let clip = random.below(2) == 0;
    let tower = |random: &mut Random| {
        let size = pick(random, &[64, 72, 80, 88, 5, 3, 1, 15, 16, 128]);
        // A layer norm of two or three numbers is little more than their signs, and magnifies the last bit of their difference.
        let heads = (1 + random.below(3)).max(10 / size);
        let hidden = heads * size;
        json!({
            "hidden_size": hidden,
            "num_attention_heads": heads,
            // 4304 is the MLP of so400m; 269 is a sixteenth of it.
            "intermediate_size": pick(random, &[4 * hidden, 3 * hidden + 1, 269, 21, 7]),
            "num_hidden_layers": random.below(3),
            "hidden_act": pick(random, &["quick_gelu", "gelu", "gelu_pytorch_tanh"]),
            "layer_norm_eps": pick(random, &[1e-5, 1e-6, 1e-3]),
        })
    };
    let (mut vision, mut text) = (tower(random), tower(random));
    let patch = pick(random, &[14, 16, 32, 7, 5, 3, 1]);
    vision["patch_size"] = patch.into();
    // A rest that is narrower than a patch is dropped.
    vision["image_size"] = (patch * (1 + random.below(4)) + random.below(patch)).into();
    text["vocab_size"] = (660 + random.below(50)).into();
    text["max_position_embeddings"] = (2 + random.below(20)).into();
    if clip {
        // The end token by its id, or the highest id.
        text["eos_token_id"] = pick(random, &[609, 2]).into();
        let config = json!({ "model_type": "clip", "vision_config": vision, "text_config": text,
            "projection_dim": 1 + random.below(70) });
        return (config, "clip");
    }
    text["projection_size"] = vision["hidden_size"].clone();
    (
        json!({ "model_type": "siglip", "vision_config": vision, "text_config": text }),
        pick(random, &["siglip", "siglip2"]),
    )
}

/// A folder of this shape, in `to`.
fn write(
    config: &Value,
    tokenizer: &str,
    number: Number,
    seed: u64,
    change: &Change,
    to: &Path,
) -> ocelli::Result<Checkpoint> {
    let config = config.to_string().into_bytes();
    let tokenizer = fixtures().join(tokenizer);
    Recipe { config: &config, tokenizer: &tokenizer, number, seed, change }.write(to)?;
    Checkpoint::open(to)
}

fn picture() -> Picture {
    draw(61, 47, |x, y| [(x * 4) as u8, (y * 5) as u8, (x * y % 256) as u8, 255])
}

const TEXT: &str = "a photo of a cat, isn't it?";

fn on_gpu(checkpoint: &Checkpoint, format: Format, tier: Tier) -> Result<Taps, libtest_mimic::Failed> {
    let gpu = pollster::block_on(Gpu::new(Power::Any))?;
    let session = Session::load(
        gpu,
        checkpoint,
        LoadOptions { format: Some(format), tuning: Tuning::all(tier), ..LoadOptions::default() },
    )?;
    Ok(pollster::block_on(session.taps(&picture(), &session.tokenize(TEXT)?))?)
}

/// Every tap, and the same on both sides.
fn check(found: &Taps, expected: &Taps) -> Result<(), String> {
    let names = |taps: &Taps| {
        let mut names: Vec<String> = taps.keys().cloned().collect();
        names.sort();
        names
    };
    if names(found) != names(expected) || found.is_empty() {
        return Err(format!("expected the taps {:?}, found {:?}", names(expected), names(found)));
    }
    for name in names(expected) {
        let peak = expected[&name].iter().fold(0.0f32, |a, x| a.max(x.abs()));
        compare(&name, &found[&name], &expected[&name], &vec![peak; expected[&name].len()], BOUND)?;
    }
    Ok(())
}

fn random_shape(seed: u64) -> Outcome {
    let mut random = Random::new(seed);
    let (config, tokenizer) = shape(&mut random);
    let format = [Format::F32, Format::F16, Format::Q8, Format::Q4][seed as usize % 4];
    let number = pick(&mut random, &[Number::F32, Number::F16]);
    let folder = tempfile::tempdir()?;
    let checkpoint = write(&config, tokenizer, number, seed, &|_, _, _| (), folder.path())?;
    // Another tier for each four formats.
    let tier = [Tier::Registers, Tier::Tiled, Tier::Wide, Tier::Plain][seed as usize / 4 % 4];
    let found = on_gpu(&checkpoint, format, tier)?;
    let expected = twins(&checkpoint, Some(format), &picture(), TEXT)?;
    check(&found, &expected).map_err(|e| format!("{} {}: {config}: {e}", format.name(), tier.name()))?;

    // One tensor a hundredth larger. Some do not matter: a key's bias, which a softmax does not see, whoever attends to a
    // single token, and the scale of scores.
    let single = checkpoint.config.vision.grid() == 1;
    let unseen =
        |name: &str| name.ends_with("k_proj.bias") || name.starts_with("logit") || single && name.ends_with("probe");
    let entries = ocelli::model::entries(&checkpoint)?;
    let names: Vec<String> = entries.into_iter().map(|entry| entry.name).filter(|name| !unseen(name)).collect();
    let changed = &names[random.below(names.len())];
    let change = |name: &str, _: usize, weights: &mut [f32]| {
        if name == changed {
            weights.iter_mut().for_each(|w| *w *= 1.01);
        }
    };
    let other = tempfile::tempdir()?;
    let checkpoint = write(&config, tokenizer, number, seed, &change, other.path())?;
    let expected = twins(&checkpoint, Some(format), &picture(), TEXT)?;
    match check(&found, &expected) {
        Err(_) => Ok(()),
        Ok(()) => Err(format!("{config}: expected {changed} to be seen a hundredth larger, but it passed").into()),
    }
}

/// A shape as ordinary as any.
fn plain() -> Value {
    let tower = |more: Value| {
        let mut tower =
            json!({ "hidden_size": 128, "num_attention_heads": 2, "intermediate_size": 269, "num_hidden_layers": 2 });
        tower.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        tower
    };
    json!({
        "model_type": "siglip",
        "vision_config": tower(json!({ "image_size": 32, "patch_size": 8 })),
        "text_config": tower(json!({ "vocab_size": 700, "max_position_embeddings": 12 })),
    })
}

fn large(format: Format, change: &Change, at_least: f32) -> Outcome {
    let folder = tempfile::tempdir()?;
    let checkpoint = write(&plain(), "siglip", Number::F32, 1, change, folder.path())?;
    let found = on_gpu(&checkpoint, format, Tier::Plain)?;
    let expected = twins(&checkpoint, Some(format), &picture(), TEXT)?;
    check(&found, &expected)?;
    // A block that every token goes through: of a text's last one only the pooled token is seen.
    for block in ["vision.block.1".to_string(), "text.block.0".to_string()] {
        let peak = expected[&block].iter().fold(0.0f32, |a, x| a.max(x.abs()));
        assert!(peak > at_least, "{block}: expected activations of {at_least}, found at most {peak}");
        // What an f16 would have made of them: infinity, or eleven bits.
        let mut rounded = found.clone();
        rounded.get_mut(&block).expect("a tap").iter_mut().for_each(|x| *x = f16::from_f32(*x).to_f32());
        assert!(check(&rounded, &expected).is_err(), "{block}: the comparison does not see an f16");
    }
    Ok(())
}

/// Weights that f16 holds easily, and sums over them that it does not.
fn huge(format: Format) -> Outcome {
    let change = |name: &str, _: usize, weights: &mut [f32]| {
        if name.contains(".layers.") && name.contains("fc1") {
            weights.iter_mut().for_each(|w| *w *= 50_000.0);
        }
    };
    large(format, &change, 100_000.0)
}

/// One channel of the residual stream far above the others, as trained models have it.
fn outlier(format: Format) -> Outcome {
    let change = |name: &str, cols: usize, weights: &mut [f32]| {
        if name.ends_with("fc2.weight") || name.ends_with("out_proj.weight") {
            weights[3 * cols..4 * cols].iter_mut().for_each(|w| *w *= 100.0);
        }
        if name.ends_with("position_embedding.weight") {
            weights.iter_mut().skip(3).step_by(cols).for_each(|w| *w *= 100.0);
        }
    };
    large(format, &change, 100.0)
}
