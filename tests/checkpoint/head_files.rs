//! Models with another head than a contrastive one: their weights by name, their texts, and what quantising makes of them.

use ocelli::{
    Session,
    backend::Cpu,
    checkpoint::manifest::{MANIFEST, Manifest},
    quant::Format,
    quantize::quantize,
    session::LoadOptions,
    text::TextEncoder,
    weights::Entry,
};
use safetensors::{Dtype, serialize, tensor::TensorView};

use super::{
    heads::{CLIPSEG, CLIPSEG_PIXELS, OWL_TOKENIZER, OWLV2, OWLV2_PIXELS, OWLVIT, OWLVIT_PIXELS, sound},
    *,
};

/// Tensors by their names in the file, each of this shape.
fn tensors(names: &[&str], shape: &[usize]) -> Vec<u8> {
    let data = vec![0; 4 * shape.iter().product::<usize>()];
    let view = TensorView::new(Dtype::F32, shape.to_vec(), &data).expect("fits");
    serialize(names.iter().map(|name| (*name, view.clone())), None).expect("a file")
}

fn folder(config: &str, pixels: &str, names: &[&str]) -> Checkpoint {
    let json = [config, pixels, OWL_TOKENIZER].map(|file| file.as_bytes().to_vec());
    let [a, b, c] = json;
    checkpoint([a, b, c, files("clip").0[3].clone()], tensors(names, &[2, 3])).expect("sound")
}

#[test]
fn towers_are_found_behind_their_prefix_and_heads_without_one() {
    let tower = "vision_model.embeddings.position_embedding.weight";
    for (config, pixels, prefix, heads) in [
        (OWLVIT, OWLVIT_PIXELS, "owlvit.", ["box_head.dense0.weight", "class_head.logit_scale.weight"]),
        (OWLV2, OWLV2_PIXELS, "owlv2.", ["layer_norm.weight", "objectness_head.dense0.weight"]),
        (CLIPSEG, CLIPSEG_PIXELS, "clip.", ["decoder.reduces.0.weight", "decoder.layers.0.self_attn.q_proj.weight"]),
    ] {
        let behind = format!("{prefix}{tower}");
        let buffers = ["vision_model", "text_model"].map(|tower| format!("{prefix}{tower}.embeddings.position_ids"));
        let scale = format!("{prefix}logit_scale");
        let opened = folder(config, pixels, &[&behind, heads[0], heads[1], &buffers[0], &buffers[1], &scale]);
        for name in [tower, heads[0], heads[1]] {
            assert_eq!(opened.tensor(name, &[2, 3]).expect("a tensor").name, name);
        }
        assert_eq!(opened.surplus(), None, "{prefix}");
        // Another model's prefix is not taken off.
        let other = folder(config, pixels, &["siglip.text_projection.weight"]);
        let error = other.tensor("text_projection.weight", &[2, 3]).expect_err("another prefix").to_string();
        assert!(error.contains("but siglip.text_projection.weight: take \"siglip.\" off"), "{error}");
    }
    // A detector's projection of pictures was never trained; a segmenter's is CLIP's.
    let name = "visual_projection.weight";
    assert_eq!(folder(OWLV2, OWLV2_PIXELS, &[name]).surplus(), None);
    assert!(folder(CLIPSEG, CLIPSEG_PIXELS, &[name]).surplus().is_some_and(|note| note.contains(name)));
}

/// With CLIP's vocabulary, "!" is 0 and "!" at the end of a word another: a token that pads is special, and so the first one.
#[test]
fn what_pads_is_a_special_token() {
    let tokenizer = |pad: &str| {
        let mut config = sound(OWLVIT, OWLVIT_PIXELS);
        config.text_rule.padding = Padding::Token(pad.into());
        TextEncoder::new(&TokenizerFiles::Json(files("clip").0[3].clone()), &config).expect("a sound fixture")
    };
    let (owl, clip) = (tokenizer("!"), tokenizer("<|endoftext|>"));
    let value: Value = serde_json::from_slice(&files("clip").0[3]).expect("JSON");
    let id = |token: &str| value["model"]["vocab"][token].as_u64().expect("a token") as u32;
    let (start, end, pad, last) = (id("<|startoftext|>"), id("<|endoftext|>"), id("!"), id("!</w>"));
    let ids = |encoder: &TextEncoder, text: &str| {
        let ids = encoder.encode(text).expect("ids");
        let end = ids.iter().position(|&other| other == end).expect("an end");
        (ids[..end].to_vec(), ids[end + 1])
    };
    for word in ["", "a", "wow"] {
        let (plain, filled) = ids(&owl, word);
        assert_eq!(filled, pad);
        assert_eq!(ids(&clip, word), (plain.clone(), end), "elsewhere nothing changes");
        assert_eq!(ids(&owl, &format!("{word}!")).0, [plain.clone(), vec![pad]].concat());
        assert_eq!(ids(&clip, &format!("{word}!")).0, [plain, vec![last]].concat());
    }
    assert_eq!(ids(&owl, "a!a").0, [&ids(&owl, "a").0[..], &[pad], &ids(&owl, "a").0[1..]].concat());
    assert_eq!(ids(&owl, "!").0, [start, pad]);
    // In CLIP's two files, too.
    let merges = value["model"]["merges"].as_array().expect("merges");
    let merges: Vec<&str> = merges.iter().map(|merge| merge.as_str().expect("a line")).collect();
    let vocab = value["model"]["vocab"].to_string().into_bytes();
    let two = TokenizerFiles::VocabMerges { vocab, merges: merges.join("\n").into_bytes() };
    let two = TextEncoder::new(&two, &sound(OWLVIT, OWLVIT_PIXELS)).expect("a tokenizer");
    assert_eq!(two.encode("wow! a").expect("ids"), owl.encode("wow! a").expect("ids"));
    // A part of a prompt has no special tokens.
    assert_eq!(owl.tokenizer().encode_plain("!").expect("ids"), [last]);
}

#[test]
fn a_text_that_is_too_long_keeps_its_end_token_and_says_so() {
    let config = sound(OWLVIT, OWLVIT_PIXELS);
    let encoder = TextEncoder::new(&TokenizerFiles::Json(files("clip").0[3].clone()), &config).expect("a tokenizer");
    let end = encoder.tokenizer().id("<|endoftext|>").expect("a token");
    let word = encoder.encode("a").expect("ids")[1];
    for (words, cut) in [(14, false), (15, true), (40, true)] {
        let encoded = encoder.encoded(&"a ".repeat(words)).expect("ids");
        assert_eq!((encoded.ids.len(), encoded.ids[15], encoded.cut), (16, end, cut), "{words} words");
        assert!(encoded.ids[1..15].iter().all(|&id| id == word));
    }
}

/// Models of which there are fixtures.
const FIXTURES: [&str; 6] = ["owlvit", "owlv2", "owlv2-scale", "clipseg", "clipseg-refined", "clipseg-rd16"];

#[test]
fn published_files_hold_nothing_that_surprises() {
    for name in FIXTURES {
        assert_eq!(model::note(&Checkpoint::open(&fixture(name)).expect("a sound fixture")), None, "{name}");
    }
}

/// The picture half of a quantised folder has all that a picture needs: queries that were made before need no text tower.
#[test]
fn quantised_they_come_apart_and_keep_their_heads_in_eight_bits() {
    for name in FIXTURES {
        let to = tempfile::tempdir().expect("a folder");
        quantize(&fixture(name), to.path(), Format::Q4, false, &|_, _| ()).expect("a sound fixture");
        let (source, written) = (Checkpoint::open(&fixture(name)), Checkpoint::open(to.path()));
        let (source, written) = (source.expect("a sound fixture"), written.expect("written"));
        assert_eq!(written.config, source.config, "{name}");
        let entries = model::entries(&written).expect("every tensor");
        assert!(entries.iter().all(|entry| !entry.name.starts_with(source.config.family.prefix())), "{name}");
        let stored = |entry: &Entry| written.matrix(&entry.name, &entry.shape).expect("a matrix").dtype;
        let formats = |four: bool| -> Vec<&str> {
            let with = |entry: &&Entry| entry.matrix && (stored(entry) == Dtype::U8) == four;
            entries.iter().filter(with).map(|entry| entry.name.as_str()).collect()
        };
        let (four, eight) = (formats(true), formats(false));
        let tower = |name: &&str| name.starts_with("vision_model.encoder.layers") || name.starts_with("text_model.");
        assert!(!four.is_empty() && four.iter().all(tower), "{name}: {four:?}");
        let heads = if matches!(source.config.head, Head::Boxes(_)) { "class_head." } else { "decoder.layers.1." };
        assert!(eight.iter().any(|name| name.starts_with(heads)), "{name}: {eight:?}");
        let manifest = fs::read(to.path().join(MANIFEST)).expect("written");
        for (file, _) in
            Manifest::parse(&manifest).expect("sound").files.iter().filter(|(_, file)| file.tower == Towers::Text)
        {
            fs::remove_file(to.path().join(file)).expect("a file of the text tower");
        }
        let half = Checkpoint::open_towers(to.path(), Towers::Vision).expect("the picture half");
        let options = LoadOptions { towers: Towers::Vision, ..LoadOptions::default() };
        Session::load(Cpu::default(), &half, options).map(drop).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(Checkpoint::open(to.path()).is_err(), "{name}: the other half is gone");
    }
}
