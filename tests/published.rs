//! Published tokenizers, exactly. They are not ours to copy: `OCELLI_DATA`, or `../shared/data` beside the checkout. Without them
//! these tests are ignored, and say so.

use std::{
    fs,
    path::{Path, PathBuf},
};

use libtest_mimic::{Arguments, Failed, Trial};
use ocelli::{
    config::{Config, TokenizerFiles},
    text::{TextEncoder, Tokenizer, compact},
};
use serde::Deserialize;
use serde_json::Value;

#[path = "common/texts.rs"]
mod texts;

/// Random texts for each tokenizer.
const TEXTS: usize = 1500;

fn main() {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let data = std::env::var_os("OCELLI_DATA").map_or(beside, Into::into).join("tokenizers");
    let missing = !data.join("golden-ids.json").exists();
    if missing {
        println!("SKIPPED: no published tokenizers in {}", data.display());
    }
    let tests: [(&str, Test); 6] = [
        ("golden ids", golden_ids),
        ("open_clip's ids", open_clips_ids),
        ("OWL-ViT's ids", owl_vits_ids),
        ("other files", other_files),
        ("random texts have the reference's ids, and come back as its texts", random_texts),
        ("a text of many kinds comes back", back),
    ];
    let trials = tests.into_iter().map(|(name, test)| {
        let data = Data(data.clone());
        let run = move || {
            test(&data);
            Ok::<(), Failed>(())
        };
        Trial::test(name, run).with_ignored_flag(missing)
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit();
}

type Test = fn(&Data);

/// The folder of published files.
struct Data(PathBuf);

impl Data {
    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.0.join(name)).expect("a published file")
    }

    fn json(&self, model: &str) -> TokenizerFiles {
        TokenizerFiles::Json(self.read(&format!("{model}/tokenizer.json")))
    }

    fn value(&self, model: &str) -> Value {
        serde_json::from_slice(&self.read(&format!("{model}/tokenizer.json"))).expect("JSON")
    }

    fn golden(&self) -> Vec<Published> {
        serde_json::from_slice(&self.read("golden-ids.json")).expect("golden ids")
    }

    /// Its tokenizer_config.json is not among the published files at hand; the class is what it says.
    fn siglip2(&self) -> Config {
        let [config, preprocessor] =
            ["config.json", "preprocessor_config.json"].map(|f| self.read(&format!("siglip2/base-patch16-224/{f}")));
        Config::parse(&config, &preprocessor, br#"{"tokenizer_class": "GemmaTokenizer"}"#).expect("SigLIP 2's files")
    }
}

fn clip() -> Config {
    Config::parse(br#"{"model_type": "clip"}"#, b"{}", b"{}").expect("all defaults")
}

#[derive(Deserialize)]
struct Published {
    text: String,
    clip_ids: Vec<u32>,
    siglip_ids_64: Vec<u32>,
    siglip2_ids_64: Vec<u32>,
}

fn golden_ids(data: &Data) {
    let golden = data.golden();
    let clip = TextEncoder::new(&data.json("clip"), &clip()).expect("CLIP's tokenizer");
    let square = br#"{"size": {"height": 224, "width": 224}}"#;
    let mut siglip = Vec::new();
    for (config, tokenizer) in [
        ("siglip/config.json", "siglip/tokenizer_config.json"),
        ("siglip/google/config.json", "siglip/google/tokenizer_config.json"),
    ] {
        let config = Config::parse(&data.read(config), square, &data.read(tokenizer)).expect("SigLIP's files");
        siglip.push(TextEncoder::new(&data.json("siglip"), &config).expect("SigLIP's tokenizer"));
    }
    let siglip2 = TextEncoder::new(&data.json("siglip2"), &data.siglip2()).expect("SigLIP 2's tokenizer");

    let mut wrong = Vec::new();
    for g in &golden {
        // The file has CLIP's ids without padding, of any length; the tower gets 77, with EOS kept.
        let mut expected = g.clip_ids.clone();
        if expected.len() > 77 {
            expected.truncate(76);
            expected.push(49407);
        }
        expected.resize(77, 49407);
        if clip.encode(&g.text).expect("ids") != expected {
            wrong.push(format!("CLIP: {:?}: {:?}", g.text, clip.encode(&g.text)));
        }
        // One text is longer than the tower's 64 here, too.
        let mut expected = g.siglip2_ids_64.clone();
        if expected.len() > 64 {
            expected.truncate(63);
            expected.push(1);
        }
        if siglip2.encode(&g.text).expect("ids") != expected {
            wrong.push(format!("SigLIP 2: {:?}: {:?} for {expected:?}", g.text, siglip2.encode(&g.text)));
        }
        for encoder in &siglip {
            if encoder.encode(&g.text).expect("ids") != g.siglip_ids_64 {
                wrong.push(format!("SigLIP: {:?}: {:?} for {:?}", g.text, encoder.encode(&g.text), g.siglip_ids_64));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {} texts:\n{}", wrong.len(), golden.len(), wrong.join("\n"));
    println!("{} texts with the published tokenizers of CLIP, SigLIP and SigLIP 2", golden.len());
}

/// A text, and its ids for CLIP, SigLIP and SigLIP 2.
type Ids = (&'static str, &'static [u32], &'static [u32], &'static [u32]);

/// Texts, and their ids as open_clip 3.3 gives them with the published vocabularies, without padding:
///
/// ```python
/// from open_clip.tokenizer import HFTokenizer, SimpleTokenizer
/// SimpleTokenizer()(text)                           # CLIP; filled up to 77 with 0
/// HFTokenizer(folder, 64, clean="canonicalize")     # SigLIP; filled up to 64 with 1, which is also its end token
/// HFTokenizer(folder, 64, clean="canonicalize")     # SigLIP 2; filled up to 64 with 0
/// ```
///
/// The folders have the published tokenizer.json, and a tokenizer_config.json with the class (T5Tokenizer, GemmaTokenizer) and
/// the padding token that open_clip's own `SigLipTokenizer` sets.
const OPEN_CLIP: [Ids; 6] = [
    (
        "caf&eacute; &amp;amp; a_red_bicycle &lt;3 &#233;&copy 2",
        &[49406, 15304, 261, 320, 318, 736, 318, 11652, 283, 274, 4166, 5811, 273, 49407],
        &[14983, 262, 266, 1226, 8687, 455, 262, 2083, 24705, 454],
        &[81453, 476, 3118, 34334, 235248, 235304, 1428, 236011, 235248, 235284, 1],
    ),
    (
        "“it’s” the ﬁne\u{a0}dog—…\r\nÉTÉ",
        &[49406, 257, 585, 568, 257, 518, 3797, 1929, 6718, 959, 3459, 39694, 49407],
        &[375, 260, 1338, 1571, 492, 500, 262, 2083, 15900],
        &[1218, 573, 4948, 5929, 235403, 235417, 8515, 1],
    ),
    (
        "it's we're I'll THEY'D 'tis",
        &[49406, 585, 568, 649, 982, 328, 1342, 889, 1896, 713, 533, 49407],
        &[375, 351, 262, 1987, 316, 303, 262, 278, 447],
        &[1218, 1049, 3070, 984, 235258, 49437, 1],
    ),
    (
        "under_score __init__ a-b a–b a—b",
        &[49406, 1798, 318, 4431, 3838, 42670, 3838, 320, 268, 321, 320, 1224, 321, 320, 2005, 321, 49407],
        &[503, 2116, 268, 586, 262, 266, 402, 262, 266, 1139, 402, 262, 266, 492, 402],
        &[5323, 7716, 8128, 841, 476, 235389, 235268, 476, 235403, 235268, 1],
    ),
    (
        "ｶﾀｶﾅ ﾊﾝｸﾞﾙ ＡＢＣ １２３ ￥ ￡\u{3000}full",
        &[
            49406, 37367, 34941, 37367, 2429, 488, 2429, 237, 45105, 108, 2429, 360, 5334, 272, 273, 274, 20199, 1950,
            1476, 49407,
        ],
        &[262, 2, 262, 2, 262, 266, 402, 399, 17061, 262, 2, 6402, 553],
        &[94265, 108862, 16292, 91315, 20079, 235248, 235274, 235284, 235304, 74393, 5955, 2247, 1],
    ),
    (
        "P&EACUTE;REZ &ntilde; &NTILDE; &Aacute;",
        &[49406, 43167, 15192, 127, 365, 127, 365, 22229, 49407],
        &[262, 388, 2083, 14479, 262, 2, 262, 2, 262, 3845],
        &[33764, 8242, 89003, 89003, 4617, 1],
    ),
];

fn open_clips_ids(data: &Data) {
    let encoder = |file: &str, text: &str, tokenizer: &str| {
        let vision = r#"{"timm_model_name": "vit_base_patch16_siglip_224", "timm_pool": "map", "timm_proj": "none"}"#;
        let siglip = format!(r#""embed_dim": 768, "init_logit_bias": -10, "vision_cfg": {vision}"#);
        let model = if text == "{}" { r#""embed_dim": 512"# } else { &siglip };
        let config = format!(r#"{{"model_cfg": {{{model}, "text_cfg": {text}}}}}"#);
        let config = Config::parse_open_clip(config.as_bytes(), tokenizer.as_bytes()).expect("open_clip's settings");
        TextEncoder::new(&data.json(file), &config).expect("a published tokenizer")
    };
    let siglip = |vocab: usize| {
        format!(
            r#"{{"hf_tokenizer_name": "x", "tokenizer_kwargs": {{"clean": "canonicalize"}}, "context_length": 64,
                "vocab_size": {vocab}, "proj_bias": true}}"#
        )
    };
    let clip = encoder("clip", "{}", "{}");
    let first = encoder("siglip", &siglip(32_000), r#"{"pad_token": "</s>"}"#);
    let second = encoder("siglip2", &siglip(256_000), r#"{"pad_token": "<pad>"}"#);
    let filled = |ids: &[u32], length: usize, pad: u32| {
        let mut ids = ids.to_vec();
        ids.resize(length, pad);
        ids
    };
    for (text, clip_ids, first_ids, second_ids) in OPEN_CLIP {
        assert_eq!(clip.encode(text).expect("ids"), filled(clip_ids, 77, 0), "CLIP: {text:?}");
        assert_eq!(first.encode(text).expect("ids"), filled(first_ids, 64, 1), "SigLIP: {text:?}");
        assert_eq!(second.encode(text).expect("ids"), filled(second_ids, 64, 0), "SigLIP 2: {text:?}");
    }
    // Cut so that the end token stays.
    let long = "word ".repeat(100);
    for (encoder, start, length, word, end) in
        [(&clip, 49406, 77, 2653, 49407), (&first, 1281, 64, 1281, 1), (&second, 1928, 64, 2204, 1)]
    {
        let ids = encoder.encode(&long).expect("ids");
        assert_eq!((ids.len(), ids[0], ids[1], ids[length - 2], ids[length - 1]), (length, start, word, word, end));
    }
}

/// Texts, and their ids as `CLIPTokenizer` of transformers 5.23 gives them with CLIP's published vocabulary and OWL-ViT's
/// `pad_token`, `model_max_length` and `truncation=True`, without padding.
const OWL: [(&str, &[u32]); 8] = [
    ("wow!", &[49406, 2781, 0, 49407]),
    ("!", &[49406, 0, 49407]),
    ("", &[49406, 49407]),
    ("a photo of a cat", &[49406, 320, 1125, 539, 320, 2368, 49407]),
    ("wow! what a cat!!", &[49406, 2781, 0, 768, 320, 2368, 0, 0, 49407]),
    ("!!", &[49406, 0, 0, 49407]),
    ("it's!a", &[49406, 585, 568, 0, 320, 49407]),
    (
        "word word word word word word word word word word word word word word word word word word word word",
        &[49406, 2653, 2653, 2653, 2653, 2653, 2653, 2653, 2653, 2653, 2653, 2653, 2653, 2653, 2653, 49407],
    ),
];

fn owl_vits_ids(data: &Data) {
    let tokenizer = br#"{"tokenizer_class": "CLIPTokenizer", "pad_token": "!", "model_max_length": 16}"#;
    for family in ["owlvit", "owlv2"] {
        let model = format!(r#"{{"model_type": "{family}", "vision_config": {{"image_size": 960}}}}"#);
        let config = Config::parse(model.as_bytes(), br#"{"size": 960}"#, tokenizer).expect("all defaults");
        let json = data.json("clip");
        let two = texts::vocab_merges(&data.value("clip"));
        for files in [json, two] {
            let encoder = TextEncoder::new(&files, &config).expect("CLIP's tokenizer");
            for (text, ids) in OWL {
                let mut expected = ids.to_vec();
                expected.resize(16, 0);
                let encoded = encoder.encoded(text).expect("ids");
                assert_eq!((encoded.ids, encoded.cut), (expected, ids.len() == 16), "{text:?}");
            }
        }
    }
}

/// SigLIP 2's own tokenizer in 4 MB instead of 34, and CLIP's in two files.
fn other_files(data: &Data) {
    let same = |config: &Config, files: [TokenizerFiles; 2]| {
        let [a, b] = files.map(|files| TextEncoder::new(&files, config).expect("a tokenizer"));
        for Published { text, .. } in data.golden() {
            let ids = a.encode(&text).expect("ids");
            assert_eq!(ids, b.encode(&text).expect("ids"), "{text:?}");
            let texts = [&a, &b].map(|encoder| encoder.tokenizer().decode(&ids, true).expect("a text"));
            assert_eq!(texts[0], texts[1], "{text:?}");
        }
    };
    same(&clip(), [data.json("clip"), texts::vocab_merges(&data.value("clip"))]);
    let json = data.read("siglip2/tokenizer.json");
    let bytes = compact(&json).expect("Gemma's merges follow from its pieces");
    assert!(bytes.len() * 6 < json.len(), "{} of {} bytes", bytes.len(), json.len());
    if let Some(to) = std::env::var_os("OCELLI_WRITE_COMPACT") {
        fs::write(to, &bytes).expect("a file");
    }
    let small = TokenizerFiles::SentencePiece { name: "tokenizer.model".into(), bytes };
    same(&data.siglip2(), [TokenizerFiles::Json(json), small]);
}

/// Against the crate's own reading of the whole file.
fn random_texts(data: &Data) {
    let mut all = texts::texts(100, TEXTS);
    all.extend(data.golden().into_iter().map(|golden| golden.text));
    for model in ["clip", "siglip", "siglip2"] {
        let mut json = data.value(model);
        (json["truncation"], json["padding"]) = (Value::Null, Value::Null);
        let reference: tokenizers::Tokenizer = json.to_string().parse().expect("a tokenizer");
        let tokenizer = Tokenizer::new(&data.json(model), false).expect("a tokenizer");
        for text in &all {
            let ids = tokenizer.encode(text).expect("ids");
            assert_eq!(ids, reference.encode(text.as_str(), true).expect("ids").get_ids(), "{model}: {text:?}");
            let expected = reference.decode(&ids, true).expect("a text").replace("</w>", " ");
            let expected = if model == "clip" { expected.trim_end_matches(' ') } else { &expected };
            assert_eq!(tokenizer.decode(&ids, true).expect("a text"), expected, "{model}: {text:?}");
        }
    }
}

fn back(data: &Data) {
    let text = "It's 42 dogs, isn't it? 🐱🐱 漢字 naïve\n\n\tdef f(x):  return x <eos> <mask> \u{fffd}";
    let tokenizer = Tokenizer::new(&data.json("siglip2"), false).expect("a tokenizer");
    let ids = tokenizer.encode_plain(text).expect("ids");
    assert!(!ids.contains(&tokenizer.id("<eos>").expect("a token")), "{ids:?}");
    assert_eq!(tokenizer.decode(&ids, true).expect("a text"), text);
    let clip = Tokenizer::new(&data.json("clip"), false).expect("a tokenizer");
    let ids = clip.encode("A photo of a 🐱, isn't it").expect("ids");
    assert_eq!(clip.decode(&ids, true).expect("a text"), "a photo of a 🐱, isn 't it");
}
