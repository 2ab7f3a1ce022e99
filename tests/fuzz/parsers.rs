//! The parsers under attack. To add one, add a function that returns a [`Parser`], and name it in [`all`].

use std::{fs, path::Path};

use ocelli::{
    Checkpoint, Error,
    checkpoint::{
        Answer, FILES, Folder, INDEX, OPEN_CLIP_CONFIG,
        manifest::{MANIFEST, Manifest},
        shards,
    },
    config::{Config, JsonFiles, TOKENIZER_FILES, TokenizerFiles, Towers},
    model::{self, InMemory},
    preprocess::{Sampling, Tiling},
    quant::Format,
    text::{TextEncoder, compact},
    verify::{GOLDENS, Goldens},
};

use crate::{ROOT, seeds, written::one_file};

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
    /// A pickle, or the table of a zip file, in its place; now and then all of it.
    Pytorch,
}

pub fn all() -> Vec<Parser> {
    let mut all = vec![config(), preprocessor(), tokenizer_config(), tokenizer()];
    all.extend(vocab_and_merges());
    all.extend(sentencepiece());
    all.extend([safetensors(), pytorch(), index(), manifest(), goldens(), open_clip(), processor(), modules()]);
    all
}

/// Whether an error says in which file something is wrong.
pub fn names_a_file(error: &Error) -> bool {
    let text = error.to_string();
    FILES
        .iter()
        .chain(&TOKENIZER_FILES)
        .chain([&INDEX, &GOLDENS, &MANIFEST, &OPEN_CLIP_CONFIG, &PROCESSOR, &MODULES, &PYTORCH])
        .any(|name| text.starts_with(name))
}

fn fixture(model: &str, file: &str) -> Vec<u8> {
    fs::read(Path::new(ROOT).join("tests/fixtures").join(model).join(file)).expect("a fixture")
}

const MODELS: [&str; 9] = [
    "clip",
    "clip-eos",
    "siglip",
    "siglip2",
    "naflex",
    "owlvit",
    "owlv2",
    "clipseg-refined",
    "decoders/llava-onevision-shrunk",
];

/// One element of a JSON list, two bytes, may become 32 in a list that has just doubled; the smallest map inside a list,
/// `{"":0},`, is a node of about 700. Beside it, an error's sentence and the fixtures that the file is opened with.
const JSON: (usize, usize) = (128, 1 << 20);

/// The trie of a vocabulary has a small map for each byte of a piece; a regular expression may compile to 10 MB by the regex crate's
/// own limit, once more for its lookaround, and searches keep as much again.
const TOKENIZER: (usize, usize) = (512, 16 << 20);

fn small(model: &str) -> [Vec<u8>; 3] {
    [0, 1, 2].map(|k| fixture(model, FILES[k]))
}

/// `config.json`: understood, and held against the tensors.
fn config() -> Parser {
    let models = MODELS.map(|model| (small(model), fixture(model, FILES[4])));
    let seeds = models.iter().map(|(json, _)| json[0].clone()).collect();
    let run = move |bytes: &[u8]| {
        let mut result = Ok(());
        for (json, weights) in &models[1..] {
            let [_, preprocessor, tokenizer] = json;
            result = Config::parse(bytes, preprocessor, tokenizer).and_then(|_| {
                let json = [bytes.to_vec(), preprocessor.clone(), tokenizer.clone(), Vec::new()];
                model::entries(&checkpoint(json, weights.clone())?).map(drop)
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
                    .try_for_each(|(width, height)| Tiling::new(&config.preprocessor, width, height).map(drop))
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

/// A tokenizer's file: read, and then texts are encoded with it, and come back.
fn encode(files: &TokenizerFiles, config: &Config) -> Result<(), Error> {
    let encoder = TextEncoder::new(files, config)?;
    let tokenizer = encoder.tokenizer();
    for text in ["a photo of a cat", "", "  İ\u{301} ﬁ 猫</s>\0🐱<|endoftext|>", "1234567890 aaaaaaaaaaaaaaaaaaaaaaaa"]
    {
        let mut ids = encoder.encode(text)?;
        ids.extend(tokenizer.encode_plain(text)?);
        ids.extend([u32::MAX, 0, 1, 2, 3]);
        // A file may say nothing that is known of the way back.
        if let Ok(whole) = tokenizer.decode(&ids, false) {
            let mut stream = tokenizer.stream(false)?;
            let mut streamed: String = ids.iter().map(|&id| stream.push(id)).collect();
            streamed += &stream.finish();
            assert_eq!(streamed, whole);
        }
    }
    Ok(())
}

fn config_of(model: &str) -> Config {
    let [config, preprocessor, tokenizer] = small(model);
    Config::parse(&config, &preprocessor, &tokenizer).expect("a sound fixture")
}

/// `tokenizer.json`, with each family's rules.
fn tokenizer() -> Parser {
    let configs = ["clip", "siglip", "siglip2", "naflex", "owlvit"].map(config_of);
    // The small ones are parsed faster, and damage to them hits what matters.
    let mut seeds: Vec<Vec<u8>> = seeds::tokenizers().iter().map(|t| t.to_string().into_bytes()).collect();
    seeds.extend(["clip", "siglip", "siglip2"].map(|model| fixture(model, FILES[3])));
    let run = move |bytes: &[u8]| {
        let files = TokenizerFiles::Json(bytes.to_vec());
        let mut result = Ok(());
        for config in &configs {
            result = encode(&files, config);
        }
        result
    };
    Parser { name: FILES[3], seeds, part: Part::Whole, run: Box::new(run), most: TOKENIZER }
}

/// CLIP's two files, of which one is damaged at a time.
fn vocab_and_merges() -> [Parser; 2] {
    let json: serde_json::Value = serde_json::from_slice(&fixture("clip", FILES[3])).expect("a sound fixture");
    let lines: Vec<&str> =
        json["model"]["merges"].as_array().expect("merges").iter().filter_map(|m| m.as_str()).collect();
    assert!(!lines.is_empty(), "this fixture has its merges in lines");
    let sound = [json["model"]["vocab"].to_string(), format!("#version: 0.2\n{}\n", lines.join("\n"))];
    [0, 1].map(|damaged| {
        let (config, files) = (config_of("clip"), sound.clone().map(String::into_bytes));
        let seeds = vec![files[damaged].clone()];
        let run = move |bytes: &[u8]| {
            let mut files = files.clone();
            files[damaged] = bytes.to_vec();
            let [vocab, merges] = files;
            encode(&TokenizerFiles::VocabMerges { vocab, merges }, &config)
        };
        Parser { name: TOKENIZER_FILES[1 + damaged], seeds, part: Part::Whole, run: Box::new(run), most: TOKENIZER }
    })
}

/// SentencePiece's two kinds.
fn sentencepiece() -> [Parser; 2] {
    let gemma = compact(seeds::derived_gemma().to_string().as_bytes()).expect("its merges follow from its pieces");
    let seeds = [("siglip", fixture("siglip", "spiece.model")), ("siglip2", gemma)];
    let mut names = TOKENIZER_FILES[3..].iter();
    seeds.map(|(model, seed)| {
        let (name, config) = (*names.next().expect("two"), config_of(model));
        let run = move |bytes: &[u8]| {
            encode(&TokenizerFiles::SentencePiece { name: name.into(), bytes: bytes.to_vec() }, &config)
        };
        Parser { name, seeds: vec![seed], part: Part::Whole, run: Box::new(run), most: TOKENIZER }
    })
}

/// A file of what `quantize` makes of a fixture.
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
        one_file(&Path::new(ROOT).join("tests/fixtures/siglip2"), Format::Q8),
        one_file(&Path::new(ROOT).join("tests/fixtures/clip-eos"), Format::Q4),
    ];
    let run = move |bytes: &[u8]| {
        let mut result = Ok(());
        for [config, preprocessor, tokenizer] in &models {
            let json = [config.clone(), preprocessor.clone(), tokenizer.clone(), Vec::new()];
            result = checkpoint(json, bytes.to_vec()).and_then(|c| InMemory::load(&c, None).map(drop));
            if result.is_ok() {
                break;
            }
        }
        result
    };
    // Weights are read once and kept once; the header has no trees, only typed entries.
    Parser { name: FILES[4], seeds, part: Part::SafetensorsHeader, run: Box::new(run), most: (16, 1 << 20) }
}

/// The only name of PyTorch's own files without shards.
const PYTORCH: &str = "pytorch_model.bin";

/// A file of `torch.save`, of each format; what passes is read whole.
fn pytorch() -> Parser {
    let json = small("clip-eos");
    let seeds = ["clip-eos.bin", "clip-eos-legacy.bin", "clip-eos-training.bin"];
    let seeds = seeds.map(|file| fixture("pytorch", file)).to_vec();
    let tokenizer = fixture("clip-eos", FILES[3]);
    let run = move |bytes: &[u8]| {
        let small = FILES.iter().zip(json.iter().chain([&tokenizer]));
        let files = small.map(|(name, bytes)| (name.to_string(), bytes.clone()));
        let checkpoint = Checkpoint::from_files(files.chain([(PYTORCH.to_string(), bytes.to_vec())]))?;
        InMemory::load(&checkpoint, None).map(drop)
    };
    // An empty dictionary is one byte of a pickle, two values in a list each here, and is remembered in another.
    Parser { name: PYTORCH, seeds, part: Part::Pytorch, run: Box::new(run), most: (256, 1 << 20) }
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
    let run = |bytes: &[u8]| shards(INDEX, bytes).map(drop);
    Parser { name: INDEX, seeds: vec![map.to_string().into_bytes()], part: Part::Whole, run: Box::new(run), most: JSON }
}

fn manifest() -> Parser {
    let seeds = vec![quantized("siglip", Format::Q8, MANIFEST)];
    let run = |bytes: &[u8]| Manifest::parse(bytes).map(drop);
    Parser { name: MANIFEST, seeds, part: Part::Whole, run: Box::new(run), most: JSON }
}

/// `open_clip_config.json`: understood, and written in transformers' layout.
fn open_clip() -> Parser {
    let seeds = ["open-clip", "open-clip-siglip"].map(|model| fixture(model, OPEN_CLIP_CONFIG)).to_vec();
    let tokenizers = ["open-clip", "open-clip-siglip"].map(|model| fixture(model, FILES[2]));
    let run = move |bytes: &[u8]| {
        tokenizers.iter().try_for_each(|tokenizer| {
            let config = Config::parse_open_clip(bytes, tokenizer)?;
            let [a, b, c] = config.to_files();
            let again = Config::parse(a.as_bytes(), b.as_bytes(), c.as_bytes())?;
            assert!(again == config, "expected {config:?}, found {again:?}");
            Ok(())
        })
    };
    Parser { name: OPEN_CLIP_CONFIG, seeds, part: Part::Whole, run: Box::new(run), most: JSON }
}

/// Where transformers 5 keeps the image processor's settings, beside a config.json.
const PROCESSOR: &str = "processor_config.json";
/// Where sentence-transformers says in which folder the model is.
const MODULES: &str = "modules.json";

fn processor() -> Parser {
    let models = ["layouts/clip-v5", "layouts/siglip-v5"];
    let seeds = models.map(|model| fixture(model, PROCESSOR)).to_vec();
    let configs = models.map(|model| fixture(model, FILES[0]));
    let run = move |bytes: &[u8]| {
        configs.iter().try_for_each(|config| {
            let files = JsonFiles { config, processor: Some(bytes), ..JsonFiles::default() };
            let config = Config::from_files(&files)?;
            Sampling::new(&config.preprocessor, 61, 47).map(drop)
        })
    };
    Parser { name: PROCESSOR, seeds, part: Part::Whole, run: Box::new(run), most: JSON }
}

fn modules() -> Parser {
    let list = serde_json::json!([
        { "idx": 0, "name": "0", "path": "0_CLIPModel", "type": "sentence_transformers.models.CLIPModel" },
        { "idx": 1, "name": "1", "path": "1_Normalize", "type": "sentence_transformers.models.Normalize" },
    ]);
    let run = |bytes: &[u8]| {
        let mut folder = Folder::new("", Towers::Both);
        folder.put(MODULES, Answer::Whole(bytes.to_vec()))?;
        // Nothing outside of the folder is asked for.
        assert!(
            !folder.inner().split('/').any(|part| part.starts_with('.') || part.contains(':')),
            "{}",
            folder.inner()
        );
        Ok(())
    };
    Parser {
        name: MODULES,
        seeds: vec![list.to_string().into_bytes()],
        part: Part::Whole,
        run: Box::new(run),
        most: JSON,
    }
}

fn goldens() -> Parser {
    let seeds = vec![quantized("siglip", Format::Q8, GOLDENS)];
    let run = |bytes: &[u8]| Goldens::parse(bytes).map(drop);
    Parser { name: GOLDENS, seeds, part: Part::Whole, run: Box::new(run), most: JSON }
}

fn checkpoint(json: [Vec<u8>; 4], weights: Vec<u8>) -> ocelli::Result<Checkpoint> {
    Checkpoint::from_files(FILES.map(String::from).into_iter().zip(json.into_iter().chain([weights])))
}
