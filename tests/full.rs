//! Full-size models, which nobody has to download: random weights in the published shape. They take minutes and gigabytes:
//! `./build.sh test --full` runs them.

#[path = "common/mod.rs"]
mod common;
use std::{collections::HashMap, fs, path::Path};

use common::{compare, fixtures};
use ocelli::{
    Checkpoint, Gpu, Power, Session,
    backend::{Backend, Cpu},
    gpu::{Tier, Tuning},
    pictures::Picture,
    quant::Format,
    session::{LoadOptions, Options, Source, View},
    synthetic::{Number, Recipe},
    text::{Message, Prompt, Tokenizer},
    verify::ReferenceRun,
};
use serde_json::{Value, json};

type Taps = HashMap<String, Vec<f32>>;

const TEXT: &str = "a photo of a cat";

/// google/siglip-so400m-patch14-384, with so many layers of its 27.
fn so400m(layers: usize) -> Value {
    let tower = json!({ "hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": layers, "num_attention_heads": 16 });
    let with = |more: Value| {
        let mut tower = tower.clone();
        tower.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        tower
    };
    json!({
        "model_type": "siglip",
        "vision_config": with(json!({ "image_size": 384, "patch_size": 14 })),
        "text_config": with(json!({ "vocab_size": 32000, "max_position_embeddings": 64 })),
    })
}

fn write(config: &Value, to: &Path) -> Checkpoint {
    write_with("siglip", config, to)
}

/// With the tokenizer of a fixture.
fn write_with(fixture: &str, config: &Value, to: &Path) -> Checkpoint {
    let config = config.to_string().into_bytes();
    let tokenizer = fixtures().join(fixture);
    let recipe = Recipe { config: &config, tokenizer: &tokenizer, number: Number::F16, seed: 1, change: &|_, _, _| () };
    recipe.write(to).expect("room for 2 GB");
    Checkpoint::open(to).expect("sound")
}

fn picture() -> Picture {
    Picture::open(&fixtures().join("images/rgb-61x37.png")).expect("a fixture")
}

/// What the naive twins make of the first block: weights depend on their names, so a model of one layer has those of the
/// whole one.
fn first_block() -> Taps {
    let folder = tempfile::tempdir().expect("a folder");
    let checkpoint = write(&so400m(1), folder.path());
    let picture = picture();
    let (width, height) = picture.size();
    let pixels = bytemuck::pod_collect_to_vec(picture.0.as_raw());
    let mut taps = ReferenceRun::of(&checkpoint, None, (&pixels, width, height), TEXT).expect("sound").taps();
    taps.retain(|name, _| name.contains(".block.0") || name.ends_with(".embed"));
    taps
}

/// Share of the largest activation; as in `tests/models/random.rs`, for sums over up to 4304 terms.
fn check(found: &Taps, expected: &Taps) -> Result<(), String> {
    assert_eq!(expected.len(), 8, "{:?}", expected.keys());
    for (name, expected) in expected {
        let peak = expected.iter().fold(0.0f32, |a, x| a.max(x.abs()));
        compare(name, &found[name], expected, &vec![peak; expected.len()], 2e-5)?;
    }
    Ok(())
}

#[test]
#[ignore = "minutes and gigabytes: ./build.sh test --full runs it"]
fn so400m_within_default_limits() {
    if !common::runs_on_gpu() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let checkpoint = write(&so400m(27), folder.path());
    let gpu = pollster::block_on(Gpu::new(Power::Any)).expect("looked for before");
    // WebGPU's default, whatever more this driver could do.
    assert_eq!(gpu.max_binding(), 128 << 20);
    let session = Session::load(gpu, &checkpoint, LoadOptions::default()).expect("it fits");
    assert!(session.parameters > 870_000_000, "{}", session.parameters);

    let text = pollster::block_on(session.embed_texts(&[TEXT])).expect("finite");
    let image = pollster::block_on(session.embed_images(&[&picture() as &dyn Source])).expect("finite");
    for embedding in [&text[0], &image[0]] {
        let length = embedding.iter().map(|x| x * x).sum::<f32>().sqrt();
        assert!(embedding.len() == 1152 && (length - 1.0).abs() < 1e-5, "{length}");
    }

    let mut found =
        pollster::block_on(session.taps(&picture(), &session.tokenize(TEXT).expect("a text"))).expect("finite");
    assert!(found.contains_key("vision.block.26") && found.contains_key("text.block.26"));
    assert!(found.values().flatten().all(|x| x.is_finite()));
    let expected = first_block();
    check(&found, &expected).expect("the naive twins' first block");
    for name in ["vision.block.0", "text.block.0.mixed"] {
        let right = found[name].clone();
        found.get_mut(name).expect("a tap").iter_mut().for_each(|x| *x *= 1.0001);
        assert!(check(&found, &expected).is_err(), "{name}: the comparison does not see a wrong block");
        found.insert(name.into(), right);
    }
}

/// Loads a model on a GPU with WebGPU's default limits, to see that it fits, and on the CPU, which is faster than an emulated GPU.
fn on_cpu(checkpoint: &Checkpoint) -> Session<Cpu> {
    if common::runs_on_gpu() {
        let gpu = pollster::block_on(Gpu::new(Power::Any)).expect("looked for before");
        assert_eq!(gpu.max_binding(), 128 << 20);
        let session = Session::load(gpu, checkpoint, LoadOptions::default()).expect("it fits");
        println!("on the GPU: {} MB", session.device().bytes() >> 20);
    }
    Session::load(Cpu::default(), checkpoint, LoadOptions::default()).expect("it fits")
}

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> (T, f64) {
    let start = std::time::Instant::now();
    let result = work();
    let seconds = start.elapsed().as_secs_f64();
    println!("{what}: {:.0} ms", 1000.0 * seconds);
    (result, seconds)
}

fn texts<B: Backend>(session: &Session<B>, count: usize) -> Vec<Vec<f32>> {
    let texts: Vec<String> = (0..count).map(|i| format!("a photo of {i} cats")).collect();
    pollster::block_on(session.embed_texts(&texts)).expect("finite")
}

/// google/paligemma-3b-pt-224 in q4: a table in several parts, and tokens about a picture that are the CPU's. What the device takes, and how
/// long: `cargo test --release --test full paligemma -- --ignored --nocapture`.
#[test]
#[ignore = "minutes and gigabytes: ./build.sh test --full runs it"]
fn paligemma_3b_in_q4_within_default_limits() {
    if !common::runs_on_gpu() {
        return;
    }
    let shape = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/shapes/paligemma-3b.json");
    let config = serde_json::from_slice(&fs::read(shape).expect("a file of ours")).expect("sound");
    let folder = tempfile::tempdir().expect("a folder");
    let checkpoint = write_with("decoders/paligemma", &config, folder.path());
    // A context of 4,096 is the default; the tier is what autotune takes on emulated GPUs.
    let options =
        || LoadOptions { format: Some(Format::Q4), tuning: Tuning::all(Tier::Registers), ..Default::default() };
    let gpu = pollster::block_on(Gpu::new(Power::Any)).expect("looked for before");
    assert_eq!(gpu.max_binding(), 128 << 20);
    let (on_gpu, _) = timed("loading", || Session::load(gpu, &checkpoint, options()).expect("it fits"));
    println!(
        "{} million parameters, {} MB on the device",
        on_gpu.parameters / 1_000_000,
        on_gpu.device().bytes() >> 20
    );
    let found = written(&on_gpu, &checkpoint, "caption en");
    drop(on_gpu);
    let on_cpu = Session::load(Cpu::default(), &checkpoint, options()).expect("it fits");
    assert_eq!(found, written(&on_cpu, &checkpoint, "caption en"));
    assert_ne!(found, written(&on_cpu, &checkpoint, "caption de"), "the comparison does not see another prompt");
}

/// Some tokens about a picture.
fn written<B: Backend>(session: &Session<B>, checkpoint: &Checkpoint, request: &str) -> Vec<u32> {
    let config = &session.config;
    let (rule, context) = (config.generator().expect("it writes").prompt, session.context().expect("it writes"));
    let tokenizer = Tokenizer::new(&checkpoint.tokenizer, config.text_rule.byte_fallback).expect("sound");
    let picture = picture();
    let words: Vec<u32> = bytemuck::pod_collect_to_vec(picture.0.as_raw());
    let mut cut = session.cut(&words, picture.size(), View { low: true, several: false }).expect("it sees");
    let message = Message::ask(1, request);
    let prompt = Prompt::chat(&tokenizer, rule, &[message], &[cut.layout], context).expect("it fits");
    let options = Options { max_tokens: Some(4), ..Default::default() };
    let next = |text: &mut _| pollster::block_on(session.next_token(text)).expect("finite").expect("a token").id;
    let ((mut text, first), _) = timed("the first token", || {
        pollster::block_on(session.show(&mut cut, 0)).expect("it fits");
        let mut text = session.generate(&prompt.ids, options).expect("it fits");
        let first = next(&mut text);
        (text, first)
    });
    let (more, _) = timed("three more", || [(); 3].map(|()| next(&mut text)));
    [first].into_iter().chain(more).collect()
}

/// google/owlv2-base-patch16: a picture costs its tower once, and a question to it next to nothing.
#[test]
#[ignore = "minutes and gigabytes: ./build.sh test --full runs it"]
fn owlv2_base_at_960() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = json!({ "model_type": "owlv2", "text_config": {}, "vision_config": { "image_size": 960 } });
    let session = on_cpu(&write_with("owlv2", &config, folder.path()));
    let (scene, look) = timed("a look", || pollster::block_on(session.look(&picture())).expect("finite"));
    assert_eq!([scene.boxes().len(), scene.class_embeddings().len()], [3600 * 4, 3600 * 512]);
    for count in [1, 20] {
        let queries = texts(&session, count);
        let set = session.queries(&queries).expect("it fits");
        let (first, _) =
            timed("a first question", || pollster::block_on(session.detect(&scene, &set)).expect("finite"));
        let (hits, again) = timed("another", || pollster::block_on(session.detect(&scene, &set)).expect("finite"));
        println!("{count} labels: {:.2} % of a look", 100.0 * again / look);
        assert!(hits == first && hits.len() == 3600);
        assert!(again < 0.03 * look, "a question: {again} s, a look: {look} s");
    }
}

/// CIDAS/clipseg-rd64-refined.
#[test]
#[ignore = "minutes and gigabytes: ./build.sh test --full runs it"]
fn clipseg_refined_at_352() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = json!({ "model_type": "clipseg", "use_complex_transposed_convolution": true,
        "text_config": {}, "vision_config": { "patch_size": 16 } });
    let session = on_cpu(&write_with("clipseg-refined", &config, folder.path()));
    let (scene, look) = timed("a look", || pollster::block_on(session.look(&picture())).expect("finite"));
    let prompts = texts(&session, 5);
    let segment = |count: usize| pollster::block_on(session.segment(&scene, &prompts[..count])).expect("finite");
    segment(1);
    let (one, first) = timed("a prompt", || segment(1));
    let (five, all) = timed("five prompts", || segment(5));
    assert!(five[0] == one[0] && five[0].len() == 352 * 352);
    let further = (all - first) / 4.0;
    println!("a further prompt: {:.2} % of a look", 100.0 * further / look);
    assert!(further < 0.05 * look, "a further prompt: {further} s, a look: {look} s");
}
