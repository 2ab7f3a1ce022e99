//! Florence-2 against transformers (`tools/make_florence_fixtures.py`): every tap from pixels to logits, greedy tokens and beams with their
//! scores, in both published layouts; on the GPU and on the CPU. And what must not pass.

mod common;

use std::{collections::BTreeMap, fs, path::Path};

use image::ImageReader;
use ocelli::{
    Checkpoint, Gpu, Power, Session,
    backend::{Backend, Cpu},
    config::{Config, Connector, Generator, Head, Search, TokenizerFiles},
    kernels::PICTURE,
    quant::Format,
    sampling::Sampling,
    session::{Found, LoadOptions, Options, View},
    text::{Message, Prompt, Tokenizer},
    tokens::Layout,
};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::Deserialize;
use serde_json::Value;

use common::{compare, fixtures, tensors};

/// Of logits, as a share of their spread; the reference computes in f32 itself.
const LOGITS: f64 = 1e-5;
/// Of the largest number of a tap.
const TAP: f64 = 1e-5;
/// Of scores, which are means of up to 32 logarithms of up to 8; the reference sums them in f32.
const SCORES: f64 = 1e-5;

#[derive(Deserialize)]
struct Golden {
    ids: Vec<u32>,
    images: Vec<String>,
    others: Vec<Other>,
    /// Greedy ones.
    tokens: Vec<u32>,
    /// Greedy ones without the same three in a row twice.
    ngram: Vec<u32>,
    beams: Vec<Beams>,
    /// With two beams, and the same three in a row as often as they come.
    two: Vec<Scored>,
    /// Of usual mistakes: how far the first logits are from the right ones.
    wrong: BTreeMap<String, f64>,
    #[serde(skip)]
    taps: BTreeMap<String, Vec<f32>>,
}

#[derive(Deserialize)]
struct Other {
    images: Vec<String>,
    ids: Vec<u32>,
}

#[derive(Deserialize)]
struct Beams {
    /// Tokens at most, `<s>` among them.
    length: usize,
    found: Vec<Scored>,
}

#[derive(Deserialize)]
struct Scored {
    tokens: Vec<u32>,
    score: f64,
}

fn folder() -> std::path::PathBuf {
    fixtures().join("florence")
}

impl Golden {
    fn new() -> Self {
        let read = |name: &str| fs::read(folder().join(name)).expect("a fixture");
        let mut golden: Self = serde_json::from_slice(&read("golden.json")).expect("a sound fixture");
        golden.taps = tensors(&folder().join("golden.safetensors"));
        golden
    }

    fn step(&self, at: usize) -> &[f32] {
        let vocab = self.taps["logits"].len();
        &self.taps["steps"][at * vocab..][..vocab]
    }
}

fn session<B: Backend>(
    device: B,
    folder: &Path,
    format: Option<Format>,
    change: impl FnOnce(&mut Config),
) -> Session<B> {
    let mut checkpoint = Checkpoint::open(folder).expect("a sound fixture");
    change(&mut checkpoint.config);
    Session::load(device, &checkpoint, LoadOptions { format, ..LoadOptions::default() }).expect("a sound fixture")
}

fn picture(path: &Path) -> (Vec<u32>, (usize, usize)) {
    let image = ImageReader::open(path).expect("a fixture").decode().expect("a sound fixture").into_rgba8();
    (bytemuck::pod_collect_to_vec(image.as_raw()), (image.width() as usize, image.height() as usize))
}

/// Shows a picture, whose square must be the one that the reference's tower saw; the ids with its rows in the places of its tokens.
fn prompt<B: Backend>(session: &Session<B>, ids: &[u32], image: &str) -> Vec<u32> {
    let token = session.config.generator().expect("it writes").pictures.as_ref().expect("it sees").token;
    let (words, size) = picture(&fixtures().join("images").join(image));
    let mut cut = session.cut(&words, size, View::default()).expect("a picture");
    let (seen, _) = picture(&folder().join("pixels").join(image));
    assert!(cut.squares().iter().flatten().eq(&seen), "{image}: another square");
    pollster::block_on(session.show(&mut cut, 0)).expect("room");
    let mut rows = PICTURE..;
    ids.iter().map(|&id| if id == token { rows.next().expect("endless") } else { id }).collect()
}

fn distance(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len(), "as many numbers");
    let mean = expected.iter().map(|&x| f64::from(x)).sum::<f64>() / expected.len() as f64;
    let norm = |numbers: &mut dyn Iterator<Item = f64>| numbers.map(|x| x * x).sum::<f64>().sqrt();
    let off = norm(&mut found.iter().zip(expected).map(|(a, b)| f64::from(a - b)));
    off / norm(&mut expected.iter().map(|&x| f64::from(x) - mean))
}

/// On the CPU, and on the GPU if there is one.
macro_rules! on_both {
    ($test:ident, $name:ident) => {
        mod $name {
            use super::*;

            #[test]
            fn on_the_cpu() {
                $test(|| Cpu::default());
            }

            #[test]
            fn on_the_gpu() {
                if common::runs_on_gpu() {
                    $test(|| pollster::block_on(Gpu::new(Power::Any)).expect("an adapter was found before"));
                }
            }
        }
    };
}

on_both!(taps_of, taps);
on_both!(texts_of, texts);
on_both!(beams_of, beams);

fn taps_of<B: Backend>(device: impl Fn() -> B) {
    let golden = Golden::new();
    let session = session(device(), &folder(), None, |_| ());
    let ids = prompt(&session, &golden.ids, &golden.images[0]);
    let mut found = pollster::block_on(session.taps_of_square()).expect("a square");
    found.extend(pollster::block_on(session.taps_of_prompt(&ids)).expect("a prompt"));
    let mut count = 0;
    for (name, expected) in golden.taps.iter().filter(|(name, _)| !name.contains("logits") && *name != "steps") {
        // Stages share their activations: what is behind is an earlier one's.
        let found = &found[name][..expected.len()];
        let largest = expected.iter().fold(0.0f32, |a, b| a.max(b.abs()));
        compare(name, found, expected, &vec![largest; expected.len()], TAP).expect("the reference's");
        count += 1;
    }
    assert!(count >= 20, "{count} taps");
    let off = distance(&found["logits"], &golden.taps["logits"]);
    println!("logits off by {off:.1e}");
    assert!(off <= LOGITS);
    for other in &golden.others {
        let ids = prompt(&session, &other.ids, &other.images[0]);
        let found = pollster::block_on(session.taps_of_prompt(&ids)).expect("a prompt");
        let name = format!("logits.{}", other.images[0].trim_end_matches(".png"));
        let off = distance(&found["logits"], &golden.taps[&name]);
        println!("{name}: off by {off:.1e}");
        assert!(off <= LOGITS, "{name}: {off}");
        assert!(distance(&found["logits"], &golden.taps["logits"]) > 100.0 * LOGITS, "{name}: the first picture's");
    }
}

fn write<B: Backend>(session: &Session<B>, ids: &[u32], options: Options) -> (Vec<u32>, Vec<Vec<f32>>) {
    let mut text = session.generate(ids, options).expect("a prompt");
    let (mut tokens, mut logits) = (Vec::new(), Vec::new());
    while let Some(token) = pollster::block_on(session.next_token(&mut text)).expect("a token") {
        tokens.push(token.id);
        logits.extend(token.logits);
    }
    assert_eq!(text.prompt_tokens(), ids.len());
    (tokens, logits)
}

fn texts_of<B: Backend>(device: impl Fn() -> B) {
    let golden = Golden::new();
    let session = session(device(), &folder(), None, |_| ());
    let ids = prompt(&session, &golden.ids, &golden.images[0]);
    let options = Options { max_tokens: Some(golden.tokens.len()), ..Options::default() };
    // Steps that run ahead, and such that are looked at one by one.
    assert_eq!(write(&session, &ids, options.clone()).0, golden.tokens);
    let (tokens, logits) = write(&session, &ids, Options { logits: true, ..options.clone() });
    assert_eq!(tokens, golden.tokens);
    let steps = golden.taps["steps"].len() / golden.taps["logits"].len();
    for (at, logits) in logits.iter().enumerate().take(steps) {
        let off = distance(logits, golden.step(at));
        assert!(off <= LOGITS, "step {at}: {off}");
    }
    let sampling = Sampling { no_repeat_ngram: 3, ..Sampling::default() };
    let length = golden.ngram.len();
    let ngram = write(&session, &ids, Options { sampling, max_tokens: Some(length), ..options.clone() }).0;
    assert_eq!(ngram, golden.ngram);
    // What cross attention sees is the prompt's at hand: another one in between, and back.
    let other = &golden.others[1];
    let others = prompt(&session, &other.ids, &other.images[0]);
    let (_, logits) = write(&session, &others, Options { logits: true, max_tokens: Some(1), ..Options::default() });
    assert!(distance(&logits[0], &golden.taps["logits.tiny-7x5"]) <= LOGITS);
    let ids = prompt(&session, &golden.ids, &golden.images[0]);
    assert_eq!(write(&session, &ids, options).0, golden.tokens);
}

fn search<B: Backend>(session: &Session<B>, ids: &[u32], rule: Search, length: usize) -> Vec<Found> {
    // The reference counts <s>, which every text begins with.
    let options = Options { max_tokens: Some(length - 1), stops: vec![2], ..Options::default() };
    let mut searching = session.search(ids, rule, options).expect("a prompt");
    while !pollster::block_on(session.search_on(&mut searching)).expect("a step") {}
    searching.found().to_vec()
}

/// Why these texts are not the reference's.
fn differs(found: &[Found], expected: &[Scored]) -> Option<String> {
    // Those of the reference have <s> cut off, and end with </s>.
    let same = |(found, expected): (&Found, &Scored)| {
        let end = expected.tokens.strip_suffix(&[2]).unwrap_or(&expected.tokens);
        found.tokens == end && (found.score - expected.score).abs() <= SCORES
    };
    let all = found.len() == expected.len() && found.iter().zip(expected).all(same);
    (!all).then(|| {
        let expected: Vec<_> = expected.iter().map(|one| (&one.tokens, one.score)).collect();
        format!("expected {expected:?}, found {found:?}")
    })
}

fn beams_of<B: Backend>(device: impl Fn() -> B) {
    let golden = Golden::new();
    let session = session(device(), &folder(), None, |_| ());
    let ids = prompt(&session, &golden.ids, &golden.images[0]);
    let rule = session.config.generator().expect("it writes").seq2seq.as_ref().expect("an encoder").search;
    assert_eq!(rule, Search { beams: 3, no_repeat_ngram: 3, early: true, last: Some(2) });
    for Beams { length, found } in &golden.beams {
        assert_eq!(differs(&search(&session, &ids, rule, *length), found), None);
    }
    let two = Search { beams: 2, no_repeat_ngram: 0, ..rule };
    assert_eq!(differs(&search(&session, &ids, two, 20), &golden.two), None);
    // With one beam it is the greedy text.
    let one = Search { beams: 1, last: None, ..rule };
    assert_eq!(search(&session, &ids, one, golden.ngram.len() + 1)[0].tokens, golden.ngram);
    // What differs is seen.
    let Beams { length, found } = &golden.beams[1];
    for wrong in [
        Search { beams: 2, ..rule },
        Search { no_repeat_ngram: 0, ..rule },
        Search { no_repeat_ngram: 2, ..rule },
        Search { last: None, ..rule },
    ] {
        assert!(differs(&search(&session, &ids, wrong, *length), found).is_some(), "{wrong:?}");
    }
    assert!(session.search(&ids, Search { beams: 4, ..rule }, Options::default()).is_err());
}

/// What the reference's own mistakes do to the logits, and what those do that a config can say.
#[test]
fn mistakes_are_far_away() {
    let golden = Golden::new();
    assert!(golden.wrong.len() > 20);
    let near: Vec<_> = golden.wrong.iter().filter(|(_, off)| **off <= 2.0 * LOGITS).collect();
    assert!(near.is_empty(), "mistakes that the bound would not show: {near:?}");
    type Change = fn(&mut Generator);
    let mistakes: [(&str, Change); 8] = [
        ("nothing", |_| ()),
        ("windows of another size", |g| davit(g).window = 4),
        ("one group less", |g| davit(g).stages[1].groups = 2),
        ("other heads", |g| davit(g).stages[0].heads = 2),
        ("positions begin at 0", |g| {
            g.seq2seq.as_mut().expect("an encoder").offset = 0;
            g.decoder.context += 2;
        }),
        ("no <s>", |g| g.seq2seq.as_mut().expect("an encoder").start = vec![2]),
        ("another scale of scores", |g| g.decoder.embedding_scale = 2.0),
        ("another activation", |g| g.decoder.activation = ocelli::config::Activation::GeluTanh),
    ];
    for (what, change) in mistakes {
        let session = session(Cpu::default(), &folder(), None, |config| {
            let Head::Generate(generator) = &mut config.head else { panic!("it writes") };
            change(generator);
        });
        let ids = prompt(&session, &golden.ids, &golden.images[0]);
        let logits =
            pollster::block_on(session.taps_of_prompt(&ids)).expect("a prompt").remove("logits").expect("a tap");
        let off = distance(&logits, &golden.taps["logits"]);
        println!("{what}: {off:.1e}");
        assert_eq!(off <= LOGITS, what == "nothing", "{what}: {off}");
        assert!(off <= LOGITS || off > 2.0 * LOGITS, "{what}: {off}");
    }
}

fn davit(generator: &mut Generator) -> &mut ocelli::config::Davit {
    generator.pictures.as_mut().and_then(|pictures| pictures.davit.as_mut()).expect("its tower")
}

/// The layout of the remote code: other names, a bare projection the other way round, a second copy of the table, a bias of the logits,
/// other fields in config.json, and no `generation_config.json`.
fn original(to: &Path, bias: f32) {
    let read = |name: &str| fs::read(folder().join(name)).expect("a fixture");
    let mut original: Value = serde_json::from_slice(&read("original.json")).expect("a sound fixture");
    // There it is 51289 whatever the file says, which is no token of a tiny vocabulary.
    original["config"]["image_token_id"] = 1345.into();
    fs::write(to.join("config.json"), original["config"].to_string()).expect("a temporary folder");
    for name in ["preprocessor_config.json", "tokenizer.json", "tokenizer_config.json"] {
        fs::write(to.join(name), read(name)).expect("a temporary folder");
    }
    let bytes = read("model.safetensors");
    let tensors = SafeTensors::deserialize(&bytes).expect("a sound fixture");
    let mut all: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
    for (name, tensor) in tensors.tensors() {
        let stored = original["names"][&name].as_str().expect("every tensor has a name").to_string();
        let (mut shape, mut data) = (tensor.shape().to_vec(), tensor.data().to_vec());
        if stored == "image_projection" {
            let halves: &[[u8; 2]] = data.as_chunks().0;
            let (rows, cols) = (shape[0], shape[1]);
            data = (0..rows * cols).flat_map(|at| halves[at % rows * cols + at / rows]).collect();
            shape.reverse();
        }
        if stored == "language_model.model.shared.weight" {
            all.push(("language_model.model.encoder.embed_tokens.weight".into(), shape.clone(), data.clone()));
            all.push(("language_model.lm_head.weight".into(), shape.clone(), data.clone()));
            let numbers = half::f16::from_f32(bias).to_le_bytes().repeat(shape[0]);
            all.push(("language_model.final_logits_bias".into(), vec![1, shape[0]], numbers));
        }
        all.push((stored, shape, data));
    }
    let views = all.iter().map(|(name, shape, data)| {
        (name.as_str(), TensorView::new(Dtype::F16, shape.clone(), data).expect("as many bytes"))
    });
    safetensors::serialize_to_file(views, None, &to.join("model.safetensors")).expect("a temporary folder");
}

#[test]
fn the_layout_of_the_remote_code() {
    let golden = Golden::new();
    let right = Checkpoint::open(&folder()).expect("a sound fixture").config;
    for bias in [0.0, 3.0] {
        let temporary = tempfile::tempdir().expect("a temporary folder");
        original(temporary.path(), bias);
        let checkpoint = Checkpoint::open(temporary.path()).expect("a sound folder");
        assert_eq!(checkpoint.config.head, right.head);
        let session = Session::load(Cpu::default(), &checkpoint, LoadOptions::default()).expect("a sound folder");
        assert_eq!(session.note.as_deref(), None, "nothing is left over");
        let ids = prompt(&session, &golden.ids, &golden.images[0]);
        let mut logits =
            pollster::block_on(session.taps_of_prompt(&ids)).expect("a prompt").remove("logits").expect("a tap");
        let off = distance(&logits, &golden.taps["logits"]);
        assert_eq!(off <= LOGITS, bias == 0.0, "a bias of {bias}: {off}");
        logits.iter_mut().for_each(|logit| *logit -= bias);
        assert!(distance(&logits, &golden.taps["logits"]) <= LOGITS);
    }
}

/// Prompts have the ids of the processor, also where the tokenizer's file lacks what the remote code adds.
#[test]
fn prompts_are_the_processors() {
    let golden = Golden::new();
    let config = Checkpoint::open(&folder()).expect("a sound fixture").config;
    let rule = config.generator().expect("it writes").prompt;
    let whole: Value = serde_json::from_slice(&fs::read(folder().join("tokenizer.json")).expect("a fixture"))
        .expect("a sound fixture");
    let mut bare = whole.clone();
    let own = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"];
    bare["added_tokens"].as_array_mut().expect("a list").retain(|token| own.iter().any(|own| token["content"] == *own));
    for json in [whole, bare] {
        let files = TokenizerFiles::Json(json.to_string().into_bytes());
        let tokenizer = Tokenizer::with_tokens(&files, false, &rule.added_tokens()).expect("a sound fixture");
        let image = tokenizer.id("<image>").expect("a token");
        let layout = [Layout { rows: 0, columns: 0, tokens: 10 }];
        let ask = |text: &str| {
            let prompt = Prompt::chat(&tokenizer, rule, &[Message::ask(1, text)], &layout, 1000)?;
            assert_eq!(prompt.image_tokens, 10);
            let plain = prompt.ids.iter().map(|&id| if id >= PICTURE { image } else { id });
            Ok::<Vec<u32>, ocelli::Error>(plain.collect())
        };
        assert_eq!(ask("<CAPTION>").expect("a prompt"), golden.ids);
        let grounding = "<CAPTION_TO_PHRASE_GROUNDING>a black cat on the grass, in a café";
        assert_eq!(ask(grounding).expect("a prompt"), golden.others[0].ids);
        assert_eq!(ask("What does the image describe?").expect("a prompt"), golden.ids, "a sentence of one's own");
        // Places are tokens, and nothing else that somebody writes is one.
        let [place, end] = ["<loc_999>", "</s>"].map(|token| tokenizer.id(token).expect("a token"));
        let region = ask("<REGION_TO_OCR><loc_1><loc_2><loc_3><loc_999></s>").expect("a prompt");
        assert_eq!(region.iter().filter(|&&id| id == place).count(), 1);
        assert_eq!(region.iter().filter(|&&id| id == end).count(), 1);
        for wrong in ["<OD> cats", "<REGION_TO_OCR>", "<OPEN_VOCABULARY_DETECTION> "] {
            assert!(ask(wrong).is_err(), "{wrong}");
        }
        assert_eq!(tokenizer.decode(&[0, place, end], false).expect("tokens"), "<s><loc_999></s>");
    }
}

/// q8 by the reference's own tokens: what it costs is little beside what keeps tokens apart.
#[test]
fn in_eight_bits() {
    let golden = Golden::new();
    let session = session(Cpu::default(), &folder(), Some(Format::Q8), |_| ());
    let ids = prompt(&session, &golden.ids, &golden.images[0]);
    let logits = pollster::block_on(session.taps_of_prompt(&ids)).expect("a prompt").remove("logits").expect("a tap");
    let off = distance(&logits, &golden.taps["logits"]);
    println!("q8: {off:.3}");
    // As for other decoders.
    assert!(off > LOGITS && off <= 0.06, "{off}");
}

#[test]
fn what_a_config_may_say() {
    let refused = |what: &str, change: &dyn Fn(&mut Value)| {
        let bytes = fs::read(folder().join("config.json")).expect("a fixture");
        let mut config: Value = serde_json::from_slice(&bytes).expect("a sound fixture");
        change(&mut config);
        let preprocessor = fs::read(folder().join("preprocessor_config.json")).expect("a fixture");
        let error = Config::parse(config.to_string().as_bytes(), &preprocessor, b"{}").expect_err(what).to_string();
        assert!(error.contains(what), "{what}: {error}");
    };
    refused("num_groups", &|c| c["vision_config"]["num_groups"] = serde_json::json!([5, 4, 3, 8]));
    refused("num_heads", &|c| c["vision_config"]["num_heads"] = serde_json::json!([3, 2, 3]));
    refused("patch_prenorm", &|c| c["vision_config"]["patch_prenorm"] = serde_json::json!([true, true, true, true]));
    refused("max_position_embeddings", &|c| c["vision_config"]["max_position_embeddings"] = 2.into());
    refused("projection_dim", &|c| c["vision_config"]["projection_dim"] = 35.into());
    refused("qkv_bias", &|c| c["vision_config"]["qkv_bias"] = false.into());
    refused("decoder_attention_heads", &|c| c["text_config"]["decoder_attention_heads"] = 5.into());
    refused("activation_function", &|c| c["text_config"]["activation_function"] = "relu".into());
    let config = Checkpoint::open(&folder()).expect("a sound fixture").config;
    let connector = config.generator().expect("it writes").pictures.as_ref().expect("it sees").connector;
    assert_eq!(connector, Connector::MeanAndGrid { grid: 3, positions: 7 });
}
