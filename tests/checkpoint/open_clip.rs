//! Folders in open_clip's own format: errors in the file's own words, settings that are not run, and what `quantize` writes.

use ocelli::{
    checkpoint::names::Naming,
    preprocess::Sampling,
    quant::{Format, Matrix},
};
use proptest::prelude::*;

use super::{quantized::configuration, *};

/// The files of a folder in this format; the tensor file is last.
const FILES: [&str; 4] =
    ["open_clip_config.json", "tokenizer_config.json", "tokenizer.json", "open_clip_model.safetensors"];

type Files = ([Vec<u8>; 3], Vec<u8>);

fn files(name: &str) -> Files {
    let [a, b, c, weights] = FILES.map(|file| fs::read(fixture(name).join(file)).expect("a fixture"));
    ([a, b, c], weights)
}

fn checkpoint((json, weights): Files) -> Result<Checkpoint, Error> {
    Checkpoint::from_files(FILES.map(String::from).into_iter().zip(json.into_iter().chain([weights])))
}

/// Reads every tensor.
fn load(checkpoint: &Checkpoint, format: Option<Format>) -> Result<Vec<Matrix>, Error> {
    let InMemory { weights, host, .. } = InMemory::load(checkpoint, format)?;
    Ok(weights.into_iter().chain(host).collect())
}

fn refused(name: &str, change: impl FnOnce(&mut Files)) -> (String, String) {
    let mut files = files(name);
    change(&mut files);
    let error = checkpoint(files).and_then(|c| load(&c, None)).expect_err("expected this to be refused");
    (error.code().into(), error.to_string())
}

fn refused_tensors(name: &str, change: impl FnOnce(&mut serde_json::Map<String, Value>)) -> String {
    let (code, message) = refused(name, |(_, weights)| with_header(weights, change));
    assert_eq!(code, "bad-checkpoint", "{message}");
    assert!(message.starts_with("open_clip_model.safetensors: "), "{message}");
    message
}

#[test]
fn tensors_are_named_as_the_file_names_them() {
    for (model, name, shape) in [
        ("open-clip", "visual.transformer.resblocks.1.attn.in_proj_bias", "[120]"),
        ("open-clip", "visual.proj", "[40, 34]"),
        ("open-clip", "text_projection", "[28, 34]"),
        ("open-clip-siglip", "visual.trunk.pos_embed", "[1, 9, 32]"),
        ("open-clip-siglip", "visual.trunk.attn_pool.kv.weight", "[64, 32]"),
        ("open-clip-siglip", "text.transformer.resblocks.0.mlp.c_fc.weight", "[41, 24]"),
    ] {
        let missing = refused_tensors(model, |h| {
            let info = h.remove(name).expect("a tensor");
            h.insert("somebody.else".into(), info);
        });
        assert!(missing.contains(&format!("{name}: expected a tensor of shape {shape}, found none")), "{missing}");
        let turned = refused_tensors(model, |h| {
            let shape = h[name]["shape"].as_array_mut().expect("a shape");
            shape.push(1.into());
        });
        assert!(turned.contains(&format!("{name}: expected shape {shape}, found ")), "{turned}");
    }
}

#[test]
fn a_surplus_tensor_is_named_and_an_old_mask_is_not_one() {
    let (mut json, weights) = files("open-clip");
    edit(&mut json[0], |c| c["model_cfg"]["text_cfg"]["layers"] = 1.into());
    let note = ocelli::model::note(&checkpoint((json, weights)).expect("a shorter model")).expect("a note");
    assert!(note.contains("transformer.resblocks.1.") && note.contains("open_clip_config.json describes"), "{note}");
    let (json, mut weights) = files("open-clip");
    let (_, data) = header(&weights);
    with_header(&mut weights, |h| {
        let at = data.len();
        h.insert("attn_mask".into(), json!({"dtype": "F32", "shape": [2, 2], "data_offsets": [at, at + 16]}));
    });
    weights.extend([0; 16]);
    assert_eq!(ocelli::model::note(&checkpoint((json, weights)).expect("a buffer that old files have")), None);
}

#[test]
fn numbers_are_counted_as_in_the_file() {
    // The model reads visual.proj, [40, 34], as [34, 40].
    let (_, message) = refused("open-clip", |(_, weights)| {
        let (h, data) = header(weights);
        let start = h["visual.proj"]["data_offsets"][0].as_u64().expect("an offset") as usize;
        let at = weights.len() - data.len() + start + (2 * 34 + 5) * 2;
        weights[at..at + 2].copy_from_slice(&0x7e00u16.to_le_bytes());
    });
    assert!(message.contains("visual.proj: expected finite numbers, found NaN at element 73"), "{message}");
    let (_, message) = refused("open-clip", |(_, weights)| {
        let (h, data) = header(weights);
        let name = "visual.transformer.resblocks.1.attn.in_proj_weight";
        let start = h[name]["data_offsets"][0].as_u64().expect("an offset") as usize;
        let at = weights.len() - data.len() + start + (90 * 40 + 7) * 2;
        weights[at..at + 2].copy_from_slice(&0x7c00u16.to_le_bytes());
    });
    assert!(message.contains("in_proj_weight: expected finite numbers, found inf at element 3607"), "{message}");
}

/// `CustomTextCLIP` with a plain CLIP inside: what `custom_text` makes of the same numbers.
#[test]
fn the_text_tower_may_have_a_prefix() {
    let (mut json, mut weights) = files("open-clip");
    let plain = load(&checkpoint((json.clone(), weights.clone())).expect("sound"), None).expect("sound");
    edit(&mut json[0], |c| c["model_cfg"]["custom_text"] = true.into());
    with_header(&mut weights, |h| {
        for (name, info) in std::mem::take(h) {
            let bare = name.starts_with("visual.") || name == "logit_scale";
            h.insert(if bare { name } else { format!("text.{name}") }, info);
        }
    });
    let custom = checkpoint((json, weights)).expect("sound");
    assert_eq!(custom.naming, Naming::OpenClip { timm: false, custom_text: true });
    let custom = load(&custom, None).expect("sound");
    assert!(plain.iter().zip(&custom).all(|(a, b)| a.packed == b.packed));
}

/// A setting of one of the two fixtures, what it is set to, and what the refusal says.
const REFUSED: [(&str, &str, &str, &str); 34] = [
    ("open-clip", "model_cfg.multimodal_cfg", r#"{"width": 512}"#, "found an object"),
    ("open-clip", "model_cfg.init_logit_bias", "-10", "found one"),
    ("open-clip", "model_cfg.embed_dimension", "512", "no such field"),
    ("open-clip", "vision_cfg.layers", "[3, 4, 6, 3]", "found [3,4,6,3]"),
    ("open-clip", "vision_cfg.attentional_pool", "true", "does not run"),
    ("open-clip", "vision_cfg.ls_init_value", "0.0001", "found 0.0001"),
    ("open-clip", "vision_cfg.no_ln_pre", "true", "does not run"),
    ("open-clip", "vision_cfg.qk_norm", "true", "does not run"),
    ("open-clip", "vision_cfg.pool_type", "\"avg\"", "expected tok, found \"avg\""),
    ("open-clip", "vision_cfg.image_size", "[38, 40]", "found [38,40]"),
    ("open-clip", "vision_cfg.act_kwargs", r#"{"approximate": "tanh"}"#, "beside quick_gelu"),
    ("open-clip", "vision_cfg.timm_model_name", "\"convnext_base\"", "found \"convnext_base\""),
    ("open-clip", "vision_cfg.timm_model_name", "\"vit_base_patch16_siglip_gap_224\"", "with a pooling head"),
    ("open-clip", "text_cfg.hf_model_name", "\"roberta-base\"", "found \"roberta-base\""),
    ("open-clip", "text_cfg.embed_cls", "true", "does not run"),
    ("open-clip", "text_cfg.proj_bias", "true", "found one"),
    ("open-clip", "text_cfg.proj_type", "\"none\"", "expected linear, found \"none\""),
    ("open-clip", "text_cfg.pool_type", "\"first\"", "expected argmax or eos or last, found \"first\""),
    ("open-clip", "text_cfg.norm_kwargs", r#"{"elementwise_affine": false}"#, "norm_kwargs.elementwise_affine"),
    ("open-clip", "text_cfg.text_mask", "\"random\"", "no such field"),
    ("open-clip", "text_cfg.tokenizer_mode", "\"clips\"", "found \"clips\""),
    ("open-clip", "text_cfg.tokenizer_kwargs", r#"{"reduction_mask": "simple"}"#, "tokenizer_kwargs.reduction_mask"),
    ("open-clip", "text_cfg.tokenizer_kwargs", r#"{"clean": "none"}"#, "whitespace or lower or canonicalize"),
    ("open-clip", "preprocess_cfg.resize_mode", "\"longest\"", "expected shortest or squash, found \"longest\""),
    ("open-clip", "preprocess_cfg.interpolation", "\"nearest\"", "expected bicubic or bilinear"),
    ("open-clip", "preprocess_cfg.mode", "\"L\"", "expected RGB"),
    ("open-clip-siglip", "vision_cfg.timm_pool", "\"avg\"", "expected map, found \"avg\""),
    ("open-clip-siglip", "vision_cfg.timm_pool", "null", "found none"),
    ("open-clip-siglip", "vision_cfg.timm_proj", "\"linear\"", "expected none, found \"linear\""),
    ("open-clip-siglip", "vision_cfg.width", "null", "width, layers, head_width, mlp_ratio and patch_size beside it"),
    ("open-clip-siglip", "model_cfg.init_logit_bias", "null", "expected one"),
    ("open-clip-siglip", "text_cfg.proj_bias", "false", "found none"),
    ("open-clip-siglip", "text_cfg.act_kwargs", r#"{"approximate": "fast"}"#, "act_kwargs.approximate"),
    ("open-clip-siglip", "text_cfg.tokenizer_kwargs", r#"{"strip_sep_token": true}"#, "strip_sep_token"),
];

#[test]
fn what_is_not_run_is_refused_by_name() {
    for (model, path, value, says) in REFUSED {
        let (code, message) = refused(model, |(json, _)| edit(&mut json[0], |c| *setting(c, path) = value_of(value)));
        let (section, key) = path.split_once('.').expect("a section");
        assert_eq!(code, "wrong-model", "{path}: {message}");
        assert!(message.starts_with("open_clip_config.json: "), "{path}: {message}");
        assert!(message.contains(says), "{path}: expected {says:?}: {message}");
        assert!(message.contains(section) || message.contains(key), "{path}: {message}");
    }
}

fn value_of(json: &str) -> Value {
    serde_json::from_str(json).expect("JSON")
}

fn setting<'a>(config: &'a mut Value, path: &str) -> &'a mut Value {
    let (section, key) = path.split_once('.').expect("a section");
    match section {
        "vision_cfg" | "text_cfg" => &mut config["model_cfg"][section][key],
        _ => &mut config[section][key],
    }
}

#[test]
fn files_that_contradict_each_other_are_refused() {
    let (code, message) = refused("open-clip-siglip", |(json, _)| {
        edit(&mut json[0], |c| {
            c["model_cfg"]["vision_cfg"]["timm_model_name"] = "vit_base_patch16_siglip_224".into();
        });
    });
    assert!(code == "bad-checkpoint" && message.contains("image_size: expected 224"), "{message}");
    let (code, message) =
        refused("open-clip-siglip", |(json, _)| edit(&mut json[0], |c| c["model_cfg"]["embed_dim"] = 33.into()));
    assert!(code == "bad-checkpoint" && message.contains("embed_dim: expected the width of vit_tiny"), "{message}");
    let (code, message) =
        refused("open-clip", |(json, _)| edit(&mut json[0], |c| c["model_cfg"]["vision_cfg"]["head_width"] = 0.into()));
    assert!(code == "bad-checkpoint" && message.contains("vision_cfg: width / head_width"), "{message}");
    let (_, message) = refused("open-clip", |(json, _)| json[0] = b"{}".to_vec());
    assert!(message.contains("model_cfg"), "{message}");
    for (field, value, says) in [
        ("pad_token", Value::Null, "pad_token: expected the token"),
        ("padding_side", "left".into(), "padding_side: expected \"right\", found \"left\""),
        ("padding_side", Value::Null, "which is left for Gemma"),
        ("truncation_side", "left".into(), "truncation_side"),
    ] {
        let (_, message) = refused("open-clip-siglip", |(json, _)| edit(&mut json[1], |c| c[field] = value));
        assert!(message.starts_with("tokenizer_config.json: ") && message.contains(says), "{message}");
    }
}

fn parse(model: &str, preprocess: &str) -> Config {
    let file = format!(r#"{{"model_cfg": {model}, "preprocess_cfg": {preprocess}}}"#);
    let tokenizer = br#"{"pad_token": {"content": "</s>"}}"#;
    Config::parse_open_clip(file.as_bytes(), tokenizer).unwrap_or_else(|e| panic!("{model}: {e}"))
}

/// What open_clip's dataclasses and constructors have.
#[test]
fn defaults_are_the_references() {
    let clip = parse(r#"{"embed_dim": 512, "vision_cfg": {}, "text_cfg": {}}"#, "{}");
    assert_eq!(clip.family, Family::Clip);
    let Encoder { hidden, heads, layers, intermediate, activation, eps } = clip.vision.encoder;
    assert_eq!((hidden, heads, layers, intermediate, activation, eps), (768, 12, 12, 3072, Activation::Gelu, 1e-5));
    assert_eq!((clip.vision.image_size, clip.vision.patch_size, clip.vision.tokens()), (224, 16, 197));
    let Encoder { hidden, heads, layers, intermediate, activation, eps } = clip.text.encoder;
    assert_eq!((hidden, heads, layers, intermediate, activation, eps), (512, 8, 12, 2048, Activation::Gelu, 1e-5));
    assert_eq!((clip.text.vocab, clip.text.tokens, clip.text.mask), (49408, 77, Mask::Causal));
    assert_eq!((clip.text.pooling, clip.score), (TextPooling::HighestId, ScoreRule::Softmax));
    assert_eq!((clip.text_rule.padding, clip.text_rule.byte_fallback), (Padding::Id(0), false));
    assert_eq!(clip.text_rule.cleaning, Cleaning::OpenClip(OpenClipCleaning::Lower));
    let p = clip.preprocessor;
    assert_eq!((p.resize, p.crop, p.filter), (Resize::ShortestEdge(224), Some((224, 224)), Filter::Bicubic));
    assert_eq!((p.rounding, p.mean[0], p.std[2]), (CropRounding::HalfEven, 0.481_454_66, 0.275_777_1));
    // Hugging Face's tokenizers have other defaults, and pad with what their own file says.
    let hf = parse(
        r#"{"embed_dim": 9, "quick_gelu": true, "text_cfg": {"hf_tokenizer_name": "x", "pool_type": "eos"}}"#,
        "{}",
    );
    assert_eq!(hf.text_rule.padding, Padding::Token("</s>".into()));
    assert_eq!(hf.text_rule.cleaning, Cleaning::OpenClip(OpenClipCleaning::Whitespace));
    assert_eq!(hf.text.pooling, TextPooling::FirstOf(2));
    assert_eq!(
        (hf.text.encoder.activation, hf.vision.encoder.activation),
        (Activation::QuickGelu, Activation::QuickGelu)
    );
    // The picture's size is the tower's; numbers may stand for three, and null for what is left out.
    let own = parse(
        r#"{"embed_dim": 9, "vision_cfg": {"image_size": [64, 64], "patch_size": [8, 8], "layers": null}}"#,
        r#"{"size": 999, "mean": 0.5, "std": 0.25, "resize_mode": "squash", "interpolation": "bilinear"}"#,
    );
    assert_eq!((own.preprocessor.mean, own.preprocessor.std), ([0.5; 3], [0.25; 3]));
    assert_eq!((own.preprocessor.resize, own.preprocessor.crop), (Resize::Squash { width: 64, height: 64 }, None));
    assert_eq!((own.preprocessor.filter, own.vision.encoder.layers), (Filter::Bilinear, 12));
}

#[test]
fn timm_names_stand_for_sizes() {
    let tower = |name: &str, image: usize, width: usize| {
        let vision = format!(
            r#"{{"timm_model_name": "{name}", "image_size": {image}, "timm_pool": "map", "timm_proj": "none"}}"#
        );
        let text =
            r#"{"proj_bias": true, "width": 1152, "heads": 16, "mlp_ratio": 3.7362, "norm_kwargs": {"eps": 1e-6}}"#;
        parse(
            &format!(
                r#"{{"embed_dim": {width}, "init_logit_bias": -10, "quick_gelu": false, "vision_cfg": {vision}, "text_cfg": {text}}}"#
            ),
            "{}",
        )
    };
    let config = tower("vit_so400m_patch14_siglip_384", 384, 1152);
    let Encoder { hidden, heads, layers, intermediate, activation, eps } = config.vision.encoder;
    assert_eq!((hidden, heads, layers, intermediate, activation, eps), (1152, 16, 27, 4304, Activation::Gelu, 1e-6));
    assert_eq!((config.vision.patch_size, config.vision.tokens()), (14, 729));
    assert_eq!((config.family, config.score, config.embedding), (Family::Siglip, ScoreRule::Sigmoid, 1152));
    assert_eq!((config.text.encoder.intermediate, config.text.encoder.eps), (4304, 1e-6));
    let large = tower("vit_large_patch16_siglip_512.v2_webli", 512, 1024).vision;
    assert_eq!((large.encoder.layers, large.encoder.activation, large.tokens()), (24, Activation::GeluTanh, 1024));
}

#[test]
fn written_files_say_the_same() {
    let mut configs: Vec<Config> =
        ["clip", "clip-eos", "siglip", "siglip-bf16", "siglip2", "open-clip", "open-clip-siglip"]
            .iter()
            .map(|name| Checkpoint::open(&fixture(name)).expect("a sound fixture").config)
            .collect();
    // What no fixture has.
    configs.push(Config {
        score: ScoreRule::Sigmoid,
        text: Text { pooling: TextPooling::Last, mask: Mask::None, ..configs[0].text.clone() },
        ..configs[0].clone()
    });
    configs.push(Config {
        text: Text { pooling: TextPooling::FirstOf(2), ..configs[0].text.clone() },
        preprocessor: Preprocessor {
            resize: Resize::ShortestEdge(50),
            crop: Some((48, 48)),
            rounding: CropRounding::HalfEven,
            ..configs[2].preprocessor.clone()
        },
        ..configs[2].clone()
    });
    for config in configs {
        let [a, b, c] = config.to_files();
        assert_eq!(Config::parse(a.as_bytes(), b.as_bytes(), c.as_bytes()).expect("sound"), config, "{a}{b}{c}");
    }
}

#[test]
fn quantize_writes_transformers_layout() {
    for (name, format) in [("open-clip", Format::F16), ("open-clip", Format::Q4), ("open-clip-siglip", Format::Q8)] {
        let to = tempfile::tempdir().expect("a folder");
        ocelli::quantize::quantize(&fixture(name), to.path(), format, false, &|_, _| ()).expect("a sound fixture");
        let source = Checkpoint::open(&fixture(name)).expect("a sound fixture");
        let written = Checkpoint::open(to.path()).expect("written");
        assert_ne!(source.naming, Naming::Transformers);
        assert_eq!(written.naming, Naming::Transformers);
        assert_eq!((&written.config, &written.tokenizer), (&source.config, &source.tokenizer));
        assert!(!to.path().join("open_clip_config.json").exists());
        let (stored, fresh) = (load(&written, None).expect("sound"), load(&source, Some(format)).expect("sound"));
        assert_eq!(stored.len(), fresh.len());
        for (stored, fresh) in stored.iter().zip(&fresh) {
            assert_eq!((stored.format, stored.rows, stored.cols), (fresh.format, fresh.rows, fresh.cols));
            assert!(stored.packed == fresh.packed);
        }
    }
}

/// Where a crop of `crop` pixels starts in a side of `size`; below zero is padding.
fn crop_start(rounding: CropRounding, size: usize, crop: usize) -> isize {
    let config = Checkpoint::open(&fixture("clip")).expect("a sound fixture").config;
    let resize = Resize::Squash { width: size, height: size };
    let rule = Preprocessor { resize, crop: Some((crop, crop)), rounding, ..config.preprocessor };
    // Of a picture that is not resized, a pixel is made of itself and its neighbours.
    let axis = Sampling::new(&rule, size, size).expect("a small picture").horizontal;
    let padding = axis.weights.iter().take_while(|w| w.is_empty()).count();
    let peak = |i: usize| (0..axis.weights[i].len()).max_by_key(|&k| axis.weights[i][k]).expect("a weight");
    (axis.first[padding] + peak(padding)) as isize - padding as isize
}

/// `center_crop` in transformers' `image_transforms.py` and in torchvision's `functional.py`.
#[test]
fn crops_are_rounded_as_by_either() {
    let sides = [(10, 10), (11, 10), (12, 10), (13, 10), (15, 10), (17, 10), (9, 10), (8, 10), (7, 10), (5, 10)];
    let starts = |rounding| sides.map(|(size, crop)| crop_start(rounding, size, crop));
    assert_eq!(starts(CropRounding::Down), [0, 0, 1, 1, 2, 3, -1, -1, -2, -3]);
    assert_eq!(starts(CropRounding::HalfEven), [0, 0, 1, 2, 2, 4, 0, -1, -1, -2]);
}

#[test]
fn folders_are_known_by_their_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let copy = |model: &str, file: &str| {
        fs::copy(fixture(model).join(file), folder.path().join(file)).expect("a fixture");
    };
    let opened = || Checkpoint::open(folder.path()).map(|c| c.naming);
    let missing = || opened().expect_err("a file is missing").to_string();
    let [config, _, tokenizer, weights] = FILES;
    copy("open-clip", config);
    assert!(missing().contains(tokenizer), "{}", missing());
    copy("open-clip", tokenizer);
    assert!(missing().contains(weights), "{}", missing());
    copy("open-clip", weights);
    // open_clip's own tokenizer needs no tokenizer_config.json; Hugging Face's does.
    assert_eq!(opened().expect("sound"), Naming::OpenClip { timm: false, custom_text: false });
    for file in [config, tokenizer, weights] {
        copy("open-clip-siglip", file);
    }
    assert!(missing().contains("tokenizer_config.json: pad_token"), "{}", missing());
    copy("open-clip-siglip", "tokenizer_config.json");
    assert_eq!(opened().expect("sound"), Naming::OpenClip { timm: true, custom_text: true });
    // timm's config.json, that of a class in Python beside it, and transformers' own where its tensors are missing.
    for foreign in [r#"{"architecture": "vit"}"#, r#"{"model_type": "siglip", "auto_map": {"AutoModel": "mine.py"}}"#] {
        fs::write(folder.path().join("config.json"), foreign).expect("a file");
        assert_eq!(opened().expect("sound"), Naming::OpenClip { timm: true, custom_text: true }, "{foreign}");
    }
    copy("clip", "config.json");
    assert_eq!(opened().expect("sound"), Naming::OpenClip { timm: true, custom_text: true });
    // transformers' files come first.
    copy("clip", "model.safetensors");
    assert!(missing().contains("preprocessor_config.json"), "{}", missing());
}

proptest! {
    #![proptest_config(configuration())]

    /// Any bytes in any file: an error or a model, never a panic.
    #[test]
    fn damaged_files_never_panic(
        model in prop::sample::select(vec!["open-clip", "open-clip-siglip"]),
        file in 0usize..4,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let (mut json, mut weights) = files(model);
        let length = u64::from_le_bytes(weights[..8].try_into().expect("eight bytes")) as usize;
        let target = if file == 3 { &mut weights } else { &mut json[file] };
        let reach = if file == 3 { length + 8 } else { target.len() };
        for (at, byte) in changes {
            target[at.index(reach)] = byte;
        }
        if let Ok(checkpoint) = checkpoint((json, weights)) {
            let _ = load(&checkpoint, None);
            let _ = ocelli::text::TextEncoder::new(&checkpoint.tokenizer, &checkpoint.config);
        }
    }

    /// Any value for any setting: an error or a config that can be written, never a panic.
    #[test]
    fn strange_settings_never_panic(
        model in prop::sample::select(vec!["open-clip", "open-clip-siglip"]),
        path in prop::sample::select(vec![
            "model_cfg.embed_dim", "model_cfg.quick_gelu", "model_cfg.vision_cfg", "model_cfg.text_cfg", "vision_cfg.width",
            "vision_cfg.head_width", "vision_cfg.layers", "vision_cfg.mlp_ratio", "vision_cfg.image_size",
            "vision_cfg.patch_size", "vision_cfg.timm_model_name", "vision_cfg.act_kwargs", "text_cfg.width", "text_cfg.heads",
            "text_cfg.mlp_ratio", "text_cfg.vocab_size", "text_cfg.context_length", "text_cfg.norm_kwargs",
            "text_cfg.tokenizer_kwargs", "preprocess_cfg.mean", "preprocess_cfg.std", "preprocess_cfg.interpolation",
        ]),
        value in prop_oneof![
            any::<i64>().prop_map(Value::from), any::<f64>().prop_map(Value::from), Just(Value::Null), Just(json!("many")),
            Just(json!([])), Just(json!({})), (0u64..100_000).prop_map(Value::from),
        ],
    ) {
        let (mut json, weights) = files(model);
        edit(&mut json[0], |c| *setting(c, path) = value);
        if let Ok(checkpoint) = checkpoint((json, weights)) {
            let [a, b, c] = checkpoint.config.to_files();
            let again = Config::parse(a.as_bytes(), b.as_bytes(), c.as_bytes());
            prop_assert!(again.as_ref().is_ok_and(|again| *again == checkpoint.config), "{:?}: {:?}", again, checkpoint.config);
            let _ = model::entries(&checkpoint);
        }
    }
}
