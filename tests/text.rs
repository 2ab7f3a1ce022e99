//! Token ids, exactly: against the reference's fixtures, and against published tokenizers where they are at hand.

use std::{fs, path::Path};

use ocelli::{
    Checkpoint,
    config::{Cleaning, Config},
    text::{TextEncoder, canonical},
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    texts: Vec<Text>,
}

#[derive(Deserialize)]
struct Text {
    text: String,
    ids: Vec<u32>,
}

fn fixtures() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

#[test]
fn ids_are_the_references() {
    for model in ["clip", "clip-eos", "siglip", "siglip-bf16", "siglip2"] {
        let folder = fixtures().join(model);
        let checkpoint = Checkpoint::open(&folder).expect("a sound fixture");
        let encoder = TextEncoder::new(&checkpoint.tokenizer, &checkpoint.config).expect("a sound fixture");
        let golden: Golden =
            serde_json::from_slice(&fs::read(folder.join("golden.json")).expect("a fixture")).expect("a sound fixture");
        assert!(golden.texts.len() >= 8);
        for Text { text, ids } in golden.texts {
            assert_eq!(encoder.encode(&text).expect("ids"), ids, "{model}: {text:?}");
        }
    }
}

#[test]
fn without_byte_fallback_or_canonical_text_ids_differ() {
    let folder = fixtures().join("siglip");
    let golden: Golden =
        serde_json::from_slice(&fs::read(folder.join("golden.json")).expect("a fixture")).expect("a sound fixture");
    let wrong = |change: fn(&mut Config)| {
        let mut checkpoint = Checkpoint::open(&folder).expect("a sound fixture");
        change(&mut checkpoint.config);
        let encoder = TextEncoder::new(&checkpoint.tokenizer, &checkpoint.config).expect("a sound fixture");
        golden.texts.iter().filter(|t| encoder.encode(&t.text).expect("ids") != t.ids).count()
    };
    assert_eq!(wrong(|_| ()), 0);
    assert!(wrong(|c| c.text_rule.byte_fallback = false) > 0);
    assert!(wrong(|c| c.text_rule.cleaning = Cleaning::AsIs) > 0);
    assert!(wrong(|c| c.text_rule.pad_token = "<unk>".into()) > 0);
}

#[test]
fn canonical_text_is_the_references() {
    assert_eq!(canonical("A Photo,  of\n a_Dog!\t"), "a photo of adog");
    assert_eq!(canonical("▁x▁y"), "x y");
    assert_eq!(canonical("！ÉTÉ"), "！été", "only ASCII punctuation goes");
    assert_eq!(canonical("..."), "");
}

#[derive(Deserialize)]
struct Published {
    text: String,
    clip_ids: Vec<u32>,
    siglip_ids_64: Vec<u32>,
    siglip2_ids_64: Vec<u32>,
}

/// Real tokenizers, which are not ours to copy: `OCELLI_DATA`, or `../shared/data` beside the checkout.
#[test]
fn published_tokenizers_give_golden_ids() {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let data = std::env::var_os("OCELLI_DATA").map_or(beside, Into::into).join("tokenizers");
    let Ok(golden) = fs::read(data.join("golden-ids.json")) else {
        println!("SKIPPED: no published tokenizers in {}", data.display());
        return;
    };
    let golden: Vec<Published> = serde_json::from_slice(&golden).expect("golden ids");
    let read = |name: &str| fs::read(data.join(name)).expect("a published file");

    let preprocessor = |size: &str| format!("{{\"size\": {size}}}").into_bytes();
    let config = Config::parse(br#"{"model_type": "clip"}"#, b"{}", b"{}").expect("all defaults");
    let clip = TextEncoder::new(&read("clip/tokenizer.json"), &config).expect("CLIP's tokenizer");
    let square = preprocessor(r#"{"height": 224, "width": 224}"#);
    let mut siglip = Vec::new();
    for (config, tokenizer) in [
        ("siglip/config.json", "siglip/tokenizer_config.json"),
        ("siglip/google/config.json", "siglip/google/tokenizer_config.json"),
    ] {
        let config = Config::parse(&read(config), &square, &read(tokenizer)).expect("SigLIP's files");
        siglip.push(TextEncoder::new(&read("siglip/tokenizer.json"), &config).expect("SigLIP's tokenizer"));
    }
    // Its tokenizer_config.json is not among the published files at hand; the class is what it says.
    let [config, preprocessor] =
        ["config.json", "preprocessor_config.json"].map(|f| read(&format!("siglip2/base-patch16-224/{f}")));
    let config =
        Config::parse(&config, &preprocessor, br#"{"tokenizer_class": "GemmaTokenizer"}"#).expect("SigLIP 2's files");
    let siglip2 = TextEncoder::new(&read("siglip2/tokenizer.json"), &config).expect("SigLIP 2's tokenizer");

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
