//! The parsers under attack. To add one, add a function that returns a [`Parser`], and name it in [`all`].

use std::{fs, path::Path};

use ocelli::{
    Checkpoint, Error,
    checkpoint::{FILES, INDEX, shards},
    config::Config,
    model,
    preprocess::Sampling,
    quant::Format,
    text::TextEncoder,
    verify::{GOLDENS, Goldens},
    weights::{HostStore, Loader},
};

use crate::{ROOT, seeds};

/// What bytes become. What is returned must be an error of ours, and name a file.
type Run = Box<dyn Fn(&[u8]) -> Result<(), Error> + Send + Sync>;

/// One kind of file.
pub struct Parser {
    /// The file's name.
    pub name: &'static str,
    /// Sound files, from which the damaged ones are made.
    pub seeds: Vec<Vec<u8>>,
    /// Where the damage goes.
    pub part: Part,
    pub run: Run,
    /// Most bytes that may be allocated at once: so many for each byte of the file, and so many for any file.
    pub most: (usize, usize),
}

/// Which part of a file is damaged.
#[derive(Clone, Copy, PartialEq)]
pub enum Part {
    /// All of it.
    Whole,
    /// The JSON after a length of eight bytes, which is set right again; now and then all of it.
    SafetensorsHeader,
}

pub fn all() -> Vec<Parser> {
    vec![config(), preprocessor(), tokenizer_config(), tokenizer(), safetensors(), index(), goldens()]
}

/// Whether an error says in which file something is wrong.
pub fn names_a_file(error: &Error) -> bool {
    let text = error.to_string();
    FILES.iter().chain([&INDEX, &GOLDENS]).any(|name| text.starts_with(name))
}

fn fixture(model: &str, file: &str) -> Vec<u8> {
    fs::read(Path::new(ROOT).join("tests/fixtures").join(model).join(file)).expect("a fixture")
}

const MODELS: [&str; 4] = ["clip", "clip-eos", "siglip", "siglip2"];

/// One element of a JSON list, two bytes, may become 32 in a list that has just doubled; the smallest map inside a list,
/// `{"":0},`, is a node of about 700. Beside it, an error's sentence and the fixtures that the file is opened with.
const JSON: (usize, usize) = (128, 1 << 20);

fn small(model: &str) -> [Vec<u8>; 3] {
    [0, 1, 2].map(|k| fixture(model, FILES[k]))
}

/// `config.json`: understood, and held against the tensors.
fn config() -> Parser {
    let models = MODELS.map(|model| (small(model), fixture(model, FILES[4])));
    let seeds = models.iter().map(|(json, _)| json[0].clone()).collect();
    let run = move |bytes: &[u8]| {
        let mut result = Ok(());
        for (json, weights) in &models[1..3] {
            let [_, preprocessor, tokenizer] = json;
            result = Config::parse(bytes, preprocessor, tokenizer).and_then(|_| {
                let json = [bytes.to_vec(), preprocessor.clone(), tokenizer.clone(), Vec::new()];
                model::entries(&Checkpoint::new(json, Box::new(weights.clone()))?).map(drop)
            });
            if result.is_ok() {
                break;
            }
        }
        result
    };
    Parser { name: FILES[0], seeds, part: Part::Whole, run: Box::new(run), most: JSON }
}

/// `preprocessor_config.json`: understood, and made into tables.
fn preprocessor() -> Parser {
    let models = MODELS.map(small);
    let seeds = models.iter().map(|json| json[1].clone()).collect();
    let run = move |bytes: &[u8]| {
        let mut result = Ok(());
        for [config, _, tokenizer] in &models {
            result = Config::parse(config, bytes, tokenizer).and_then(|config| {
                [(61, 47), (1, 1), (3, 9000)]
                    .into_iter()
                    .try_for_each(|(width, height)| Sampling::new(&config.preprocessor, width, height).map(drop))
            });
            if result.is_ok() {
                break;
            }
        }
        result
    };
    Parser { name: FILES[1], seeds, part: Part::Whole, run: Box::new(run), most: JSON }
}

fn tokenizer_config() -> Parser {
    let models = MODELS.map(small);
    let seeds = models.iter().map(|json| json[2].clone()).collect();
    let run = move |bytes: &[u8]| {
        models.iter().try_for_each(|[config, preprocessor, _]| Config::parse(config, preprocessor, bytes).map(drop))
    };
    Parser { name: FILES[2], seeds, part: Part::Whole, run: Box::new(run), most: JSON }
}

/// `tokenizer.json`: read, and then texts are encoded with it.
fn tokenizer() -> Parser {
    let configs = ["clip", "siglip", "siglip2"].map(|model| {
        let [config, preprocessor, tokenizer] = small(model);
        Config::parse(&config, &preprocessor, &tokenizer).expect("a sound fixture")
    });
    // The small ones are parsed faster, and damage to them hits what matters.
    let mut seeds: Vec<Vec<u8>> = seeds::tokenizers().iter().map(|t| t.to_string().into_bytes()).collect();
    seeds.extend(["clip", "siglip", "siglip2"].map(|model| fixture(model, FILES[3])));
    let run = move |bytes: &[u8]| {
        let mut result = Ok(());
        for config in &configs {
            result = TextEncoder::new(bytes, config).and_then(|encoder| {
                ["a photo of a cat", "", "  İ\u{301} ﬁ 猫</s>\0🐱<|endoftext|>", "1234567890 aaaaaaaaaaaaaaaaaaaaaaaa"]
                    .into_iter()
                    .try_for_each(|text| encoder.encode(text).map(drop))
            });
        }
        result
    };
    // Beside the JSON: the crate's own maps; a regular expression may compile to 10 MB by the regex crate's own limit, and
    // there may be several.
    Parser { name: FILES[3], seeds, part: Part::Whole, run: Box::new(run), most: (512, 64 << 20) }
}

fn quantized(model: &str, format: Format, file: &str) -> Vec<u8> {
    let from = Path::new(ROOT).join("tests/fixtures").join(model);
    let to = tempfile::tempdir().expect("a folder");
    ocelli::quantize::quantize(&from, to.path(), format, file == GOLDENS, &|_, _| ()).expect("a sound fixture");
    fs::read(to.path().join(file)).expect("written")
}

/// The header of a tensor file, whose numbers must not lie; what passes is read whole.
fn safetensors() -> Parser {
    let models = ["clip-eos", "siglip2"].map(small);
    let seeds = vec![
        fixture("clip-eos", FILES[4]),
        fixture("siglip2", FILES[4]),
        quantized("siglip2", Format::Q8, FILES[4]),
        quantized("clip-eos", Format::Q4, FILES[4]),
    ];
    let run = move |bytes: &[u8]| {
        let mut result = Ok(());
        for [config, preprocessor, tokenizer] in &models {
            let json = [config.clone(), preprocessor.clone(), tokenizer.clone(), Vec::new()];
            result = Checkpoint::new(json, Box::new(bytes.to_vec())).and_then(|checkpoint| {
                let mut store = HostStore::default();
                model::load(&checkpoint, &mut Loader::new(&checkpoint, &mut store, None, None)?).map(drop)
            });
            if result.is_ok() {
                break;
            }
        }
        result
    };
    // Weights are read once and kept once; a header of nothing but the shortest entries becomes 18 times as large in the
    // crate's tables.
    Parser { name: FILES[4], seeds, part: Part::SafetensorsHeader, run: Box::new(run), most: (32, 1 << 20) }
}

fn index() -> Parser {
    let map = serde_json::json!({
        "metadata": { "total_size": 3_512_000_000u64 },
        "weight_map": {
            "logit_scale": "model-00001-of-00002.safetensors",
            "text_model.final_layer_norm.bias": "model-00002-of-00002.safetensors",
            "visual_projection.weight": "model-00001-of-00002.safetensors",
        },
    });
    let run = |bytes: &[u8]| shards(bytes).map(drop);
    Parser { name: INDEX, seeds: vec![map.to_string().into_bytes()], part: Part::Whole, run: Box::new(run), most: JSON }
}

fn goldens() -> Parser {
    let seeds = vec![quantized("siglip", Format::Q8, GOLDENS)];
    let run = |bytes: &[u8]| Goldens::parse(bytes).map(drop);
    Parser { name: GOLDENS, seeds, part: Part::Whole, run: Box::new(run), most: JSON }
}
