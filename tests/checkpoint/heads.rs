//! Models with another head than a contrastive one: settings as they were published, by OWL-ViT, OWLv2 and CLIPSeg.

use super::*;

use proptest::prelude::*;

use super::quantized::configuration;

const CLIP_MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];

/// Of 2022: the second sections are null, the first ones hold generation's settings, `eos_token_id` is wrong.
pub const OWLVIT: &str = r#"{
    "architectures": ["OwlViTForObjectDetection"], "initializer_factor": 1.0, "logit_scale_init_value": 2.6592,
    "model_type": "owlvit", "projection_dim": 512, "return_dict": true,
    "text_config": {"model_type": "owlvit_text_model", "bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1, "use_bfloat16": false},
    "text_config_dict": null, "torch_dtype": "float32", "transformers_version": null,
    "vision_config": {"model_type": "owlvit_vision_model", "image_size": 768, "patch_size": 32}, "vision_config_dict": null
}"#;

const OWLVIT_LARGE: &str = r#"{
    "architectures": ["OwlViTForObjectDetection"], "model_type": "owlvit", "projection_dim": 768,
    "text_config": {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 16, "eos_token_id": 2},
    "vision_config": {"hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 16, "num_hidden_layers": 24,
        "image_size": 840, "patch_size": 14}
}"#;

pub const OWLV2: &str = r#"{
    "architectures": ["Owlv2ForObjectDetection"], "initializer_factor": 1.0, "logit_scale_init_value": 2.6592, "model_type": "owlv2",
    "projection_dim": 512, "text_config": {"model_type": "owlv2_text_model"}, "torch_dtype": "float32",
    "vision_config": {"image_size": 960, "model_type": "owlv2_vision_model"}
}"#;

pub const CLIPSEG: &str = r#"{
    "architectures": ["CLIPSegForImageSegmentation"], "conditional_layer": 0, "decoder_attention_dropout": 0.0,
    "decoder_hidden_act": "quick_gelu", "decoder_intermediate_size": 2048, "decoder_num_attention_heads": 4,
    "extract_layers": [3, 6, 9], "model_type": "clipseg", "projection_dim": 512, "reduce_dim": 64,
    "text_config": {"bos_token_id": 0, "eos_token_id": 2}, "text_config_dict": null,
    "use_complex_transposed_convolution": true,
    "vision_config": {"model_type": "clipseg_vision_model", "patch_size": 16}, "vision_config_dict": null
}"#;

/// The image processor of OWL-ViT's first revision: sizes are lists, and a flag has another name.
pub const OWLVIT_PIXELS: &str = r#"{
    "crop_size": 768, "do_center_crop": false, "do_normalize": true, "do_resize": true,
    "feature_extractor_type": "OwlViTFeatureExtractor", "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711], "resample": 3, "rescale": true, "size": [768, 768]
}"#;

pub const OWLV2_PIXELS: &str = r#"{
    "do_normalize": true, "do_pad": true, "do_rescale": true, "do_resize": true, "image_processor_type": "Owlv2ImageProcessor",
    "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711],
    "processor_class": "Owlv2Processor", "resample": 2, "rescale_factor": 0.00392156862745098, "size": {"height": 960, "width": 960}
}"#;

pub const CLIPSEG_PIXELS: &str = r#"{
    "do_normalize": true, "do_resize": true, "feature_extractor_type": "ViTFeatureExtractor",
    "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225], "resample": 2, "size": 352
}"#;

pub const OWL_TOKENIZER: &str =
    r#"{"tokenizer_class": "CLIPTokenizer", "pad_token": "!", "model_max_length": 16, "do_lower_case": true}"#;

fn parsed(config: &str, preprocessor: &str) -> Result<Config, Error> {
    Config::parse(config.as_bytes(), preprocessor.as_bytes(), OWL_TOKENIZER.as_bytes())
}

pub fn sound(config: &str, preprocessor: &str) -> Config {
    parsed(config, preprocessor).unwrap_or_else(|e| panic!("{e}"))
}

fn all() -> [Config; 3] {
    [sound(OWLVIT, OWLVIT_PIXELS), sound(OWLV2, OWLV2_PIXELS), sound(CLIPSEG, CLIPSEG_PIXELS)]
}

/// The file with one setting changed.
fn with(file: &str, key: &str, value: Value) -> String {
    let mut file: Value = serde_json::from_str(file).expect("JSON");
    *key.split('.').fold(&mut file, |file, key| &mut file[key]) = value;
    file.to_string()
}

fn sizes(e: &Encoder) -> (usize, usize, usize, usize) {
    (e.hidden, e.heads, e.layers, e.intermediate)
}

#[test]
fn what_published_configs_leave_out_is_the_familys() {
    let [v1, v2, seg] = all();
    for (config, patch, side, grid) in [(&v1, 32, 768, 24), (&v2, 16, 960, 60)] {
        let name = config.family.name();
        assert_eq!(sizes(&config.vision.encoder), (768, 12, 12, 3072), "{name}");
        assert_eq!(sizes(&config.text.encoder), (512, 8, 12, 2048), "{name}");
        assert_eq!((config.vision.patch_size, config.vision.image_size, config.vision.grid()), (patch, side, grid));
        assert_eq!((config.text.vocab, config.text.tokens, config.embedding), (49408, 16, 512), "{name}");
        assert_eq!((config.text.mask, config.text.pooling), (Mask::Causal, TextPooling::HighestId), "{name}");
        assert_eq!((config.vision.pre_norm, config.vision.positions), ("pre_layernorm", PositionSource::Stored));
        assert_eq!(config.text_rule.padding, Padding::Token("!".into()));
    }
    assert_eq!(v1.head, Head::Boxes(Boxes { objectness: false, scale: BoxScale::Sides }));
    assert_eq!(v2.head, Head::Boxes(Boxes { objectness: true, scale: BoxScale::LongerSide }));
    assert_eq!(v2.vision.tokens(), 3601);
    let large = sound(OWLVIT_LARGE, r#"{"size": 840}"#);
    assert_eq!(sizes(&large.text.encoder), (768, 16, 12, 3072), "the file's heads, where the original has 12");
    assert_eq!((sizes(&large.vision.encoder), large.vision.tokens()), ((1024, 16, 24, 4096), 3601));
    // The highest id, whatever the end token is said to be; and sections that only CLIP's and CLIPSeg's configs know.
    let newer = with(OWLVIT, "text_config.eos_token_id", 49407.into());
    assert_eq!(sound(&newer, OWLVIT_PIXELS).text.pooling, TextPooling::HighestId);
    let second = json!({ "hidden_size": 40 });
    assert_eq!(sound(&with(OWLVIT, "vision_config_dict", second.clone()), OWLVIT_PIXELS), v1);
    assert_eq!(
        sound(&with(CLIPSEG, "vision_config_dict", json!({ "patch_size": 32 })), CLIPSEG_PIXELS).vision.grid(),
        11
    );

    assert_eq!(sizes(&seg.vision.encoder), (768, 12, 12, 3072));
    assert_eq!((seg.text.tokens, seg.text.pooling), (77, TextPooling::HighestId));
    let published = sound(&with(CLIPSEG, "text_config.eos_token_id", 49407.into()), CLIPSEG_PIXELS);
    assert_eq!(published.text.pooling, TextPooling::FirstOf(49407));
    let Head::Masks(Masks { extract, decoder, refined }) = &seg.head else { panic!("masks") };
    assert_eq!((extract.as_slice(), *refined), (&[3, 6, 9][..], true));
    assert_eq!(
        (sizes(decoder), decoder.activation),
        ((64, 4, 3, 2048), Activation::Relu),
        "whatever decoder_hidden_act says"
    );
    let simple = sound(r#"{"model_type": "clipseg", "reduce_dim": 16}"#, "{}");
    let Head::Masks(Masks { decoder, refined: false, .. }) = &simple.head else { panic!("a simple decoder") };
    assert_eq!((sizes(decoder), simple.vision.patch_size), ((16, 4, 3, 2048), 32));
}

#[test]
fn clipsegs_positions_are_of_another_square() {
    let seg = sound(CLIPSEG, CLIPSEG_PIXELS);
    assert_eq!((seg.vision.image_size, seg.vision.grid(), seg.vision.tokens()), (352, 22, 485));
    assert_eq!(seg.vision.positions, PositionSource::Interpolated(14));
    assert_eq!(
        (seg.vision.stored_grid(), seg.vision.stored_positions(), seg.vision.pre_norm),
        (14, 197, "pre_layrnorm")
    );
    // 230 pixels are 14 patches, too.
    let same = sound(CLIPSEG, &with(CLIPSEG_PIXELS, "size", 230.into())).vision;
    assert_eq!((same.positions, same.image_size, same.tokens()), (PositionSource::Stored, 230, 197));
}

#[test]
fn image_processors_old_and_new() {
    let [v1, v2, seg] = all().map(|config| config.preprocessor);
    let square = |side| Resize::Squash { width: side, height: side };
    assert_eq!((v1.resize, v1.filter, v1.crop, v1.mean), (square(768), Filter::Bicubic, None, CLIP_MEAN));
    assert_eq!((v2.resize, v2.filter, v2.crop, v2.mean), (Resize::PadSquare(960), Filter::Smooth, None, CLIP_MEAN));
    assert_eq!((seg.resize, seg.filter, seg.crop), (square(352), Filter::Bilinear, None));
    assert_eq!((seg.mean, seg.std), ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]));
    // A bare number is a square's side, as a list and as an object; a crop is one where the file says so.
    for size in [json!(768), json!([768, 768]), json!({ "height": 768, "width": 768 }), Value::Null] {
        assert_eq!(sound(OWLVIT, &with(OWLVIT_PIXELS, "size", size)).preprocessor, v1);
    }
    for size in [json!(960), json!([960, 960]), Value::Null] {
        assert_eq!(sound(OWLV2, &with(OWLV2_PIXELS, "size", size)).preprocessor, v2);
    }
    let cropped = sound(OWLVIT, &with(OWLVIT_PIXELS, "do_center_crop", true.into())).preprocessor;
    assert_eq!((cropped.crop, cropped.side()), (Some((768, 768)), Some((768, 768))));
    // The first revision of CLIPSeg's files left mean and deviation to the class.
    let first = sound(CLIPSEG, r#"{"size": 352, "image_processor_type": "ViTImageProcessorFast"}"#).preprocessor;
    assert_eq!((first.mean, first.std, first.filter), ([0.5; 3], [0.5; 3], Filter::Bilinear));
    // Any number but 0 changes nothing in OWLv2.
    assert_eq!(sound(OWLV2, &with(OWLV2_PIXELS, "resample", 3.into())).preprocessor, v2);
    // In the file that transformers 5 writes.
    let nested = format!(r#"{{"image_processor": {OWLV2_PIXELS}, "processor_class": "Owlv2Processor"}}"#);
    let files = JsonFiles { config: OWLV2.as_bytes(), processor: Some(nested.as_bytes()), ..JsonFiles::default() };
    assert_eq!(Config::from_files(&files).expect("sound").preprocessor, v2);
}

#[test]
fn image_processors_that_would_make_other_pixels_are_refused() {
    let place = "preprocessor_config.json: ";
    for (config, file, key, value, says) in [
        (OWLV2, OWLV2_PIXELS, "resample", json!(0), "resample: expected 2 (bilinear), found 0, with which"),
        (OWLV2, OWLV2_PIXELS, "do_pad", json!(false), "do_pad: expected true, found false"),
        (OWLV2, OWLV2_PIXELS, "size", json!({ "shortest_edge": 960 }), "size: expected {height, width}"),
        (OWLV2, OWLV2_PIXELS, "size", json!([960, 950]), "size: expected equal height and width"),
        (OWLV2, OWLV2_PIXELS, "size", json!(768), "expected pictures of 960 × 960 pixels"),
        (OWLV2, OWLV2_PIXELS, "rescale", json!(false), "rescale: expected true, found false"),
        (
            OWLV2,
            OWLV2_PIXELS,
            "image_processor_type",
            json!("OwlViTImageProcessor"),
            "expected Owlv2ImageProcessor, found OwlViT",
        ),
        (OWLVIT, OWLVIT_PIXELS, "rescale", json!(false), "rescale: expected true, found false"),
        (
            OWLVIT,
            OWLVIT_PIXELS,
            "feature_extractor_type",
            json!("CLIPFeatureExtractor"),
            "expected OwlViTImageProcessor, found CLIP",
        ),
        (OWLVIT, OWLVIT_PIXELS, "size", json!({ "shortest_edge": 768 }), "found only the shortest edge"),
        (CLIPSEG, CLIPSEG_PIXELS, "size", json!([352, 320]), "size: expected a square"),
        (CLIPSEG, CLIPSEG_PIXELS, "size", json!({ "shortest_edge": 352 }), "size: expected a square"),
        (CLIPSEG, CLIPSEG_PIXELS, "do_center_crop", json!(true), "crop_size: expected a number"),
        (
            CLIPSEG,
            CLIPSEG_PIXELS,
            "resample",
            json!(4),
            "resample: expected 1 (Lanczos), 2 (bilinear) or 3 (bicubic), found 4",
        ),
    ] {
        let error = parsed(config, &with(file, key, value)).expect_err("expected this to be refused").to_string();
        assert!(error.starts_with(place) && error.contains(says), "{says}: {error}");
    }
}

#[test]
fn configs_that_nothing_runs_are_refused() {
    for (config, pixels, key, value, says) in [
        (OWLV2, OWLV2_PIXELS, "projection_dim", json!(640), "projection_dim: expected 512, which is hidden_size"),
        (
            OWLV2,
            OWLV2_PIXELS,
            "architectures",
            json!(["Owlv2Model"]),
            "expected Owlv2ForObjectDetection, found Owlv2Model",
        ),
        (OWLV2, OWLV2_PIXELS, "vision_config.hidden_act", json!("relu"), "hidden_act: expected quick_gelu"),
        (CLIPSEG, CLIPSEG_PIXELS, "architectures", json!(["CLIPSegModel"]), "expected CLIPSegForImageSegmentation"),
        (
            CLIPSEG,
            CLIPSEG_PIXELS,
            "extract_layers",
            json!([3, 6, 12]),
            "ascending numbers of blocks below 12, found [3, 6, 12]",
        ),
        (CLIPSEG, CLIPSEG_PIXELS, "extract_layers", json!([6, 3]), "extract_layers: expected ascending"),
        (CLIPSEG, CLIPSEG_PIXELS, "extract_layers", json!([3, 3]), "extract_layers: expected ascending"),
        (CLIPSEG, CLIPSEG_PIXELS, "extract_layers", json!([]), "extract_layers: expected ascending"),
        (
            CLIPSEG,
            CLIPSEG_PIXELS,
            "conditional_layer",
            json!(1),
            "conditional_layer: expected 0, as every published CLIPSeg has it, found 1",
        ),
        (
            CLIPSEG,
            CLIPSEG_PIXELS,
            "reduce_dim",
            json!(66),
            "expected reduce_dim to be a multiple of decoder_num_attention_heads",
        ),
        (
            CLIPSEG,
            CLIPSEG_PIXELS,
            "decoder_num_attention_heads",
            json!(0),
            "decoder_num_attention_heads: expected 1 to",
        ),
        (
            CLIPSEG,
            CLIPSEG_PIXELS,
            "vision_config.patch_size",
            json!(2),
            "use_complex_transposed_convolution: expected patches",
        ),
        (CLIPSEG, CLIPSEG_PIXELS, "vision_config.patch_size", json!(0), "expected patch"),
        (
            CLIPSEG,
            CLIPSEG_PIXELS,
            "vision_config.image_size",
            json!(8),
            "image_size: expected 1 to 8192 patches a side, found 0",
        ),
    ] {
        let error = parsed(&with(config, key, value), pixels).expect_err("expected this to be refused").to_string();
        assert!(error.starts_with("config.json: ") && error.contains(says), "{says}: {error}");
    }
    let error = parsed(r#"{"model_type": "blip"}"#, "{}").expect_err("another model").to_string();
    assert!(
        ["siglip2", "owlvit", "owlv2", "clipseg", "found \"blip\""].iter().all(|name| error.contains(name)),
        "{error}"
    );
}

#[test]
fn what_a_model_cannot_do_is_said_with_what_it_can() {
    let [v1, v2, seg] = all();
    let clip = Config::parse(br#"{"model_type": "clip"}"#, b"{}", b"{}").expect("all defaults");
    let vision = br#"{"model_type": "clip", "architectures": ["CLIPVisionModelWithProjection"]}"#;
    let vision = Config::parse(vision, b"{}", b"{}").expect("all defaults");
    for (config, tasks) in [
        (&v1, &[Task::Detect][..]),
        (&v2, &[Task::Detect]),
        (&seg, &[Task::Segment]),
        (&clip, &[Task::Classify, Task::Embed]),
        (&vision, &[Task::Embed]),
    ] {
        assert_eq!(config.tasks(), tasks, "{}", config.family.name());
        for task in [Task::Classify, Task::Embed, Task::Detect, Task::Segment] {
            assert_eq!(config.expect(task).is_ok(), tasks.contains(&task));
        }
    }
    let error = v2.expect(Task::Embed).expect_err("its projection is random");
    assert_eq!(error.code(), "wrong-model");
    let says = "owlv2: expected a model that can embed, found one that can detect: load clip, siglip or siglip2";
    assert_eq!(error.to_string(), says);
    let error = clip.expect(Task::Segment).expect_err("no decoder").to_string();
    assert!(error.contains("found one that can classify and embed: load clipseg"), "{error}");
    assert_eq!(serde_json::to_value(clip.tasks()).expect("words"), json!(["classify", "embed"]));
}

#[test]
fn other_canvases() {
    let [v1, v2, seg] = all();
    let small = v2.clone().with_canvas(448).expect("whole patches");
    assert_eq!((small.vision.image_size, small.vision.tokens(), small.vision.stored_positions()), (448, 785, 3601));
    assert_eq!(small.vision.positions, PositionSource::Truncated(60));
    assert_eq!(small.preprocessor.resize, Resize::PadSquare(448));
    // There and back, and from one to another.
    assert_eq!(small.clone().with_canvas(960).expect("its own"), v2);
    assert_eq!(small.with_canvas(672).expect("larger").vision.positions, PositionSource::Truncated(60));
    let large = seg.clone().with_canvas(512).expect("whole patches");
    assert_eq!((large.vision.tokens(), large.vision.positions), (1025, PositionSource::Interpolated(14)));
    assert_eq!(large.preprocessor.side(), Some((512, 512)));
    assert_eq!(seg.clone().with_canvas(224).expect("its positions'").vision.positions, PositionSource::Stored);
    for (config, side, says) in [
        (&v2, 976, "expected a multiple of 16 up to 960, found 976"),
        (&v2, 450, "expected a multiple of 16 up to 960, found 450"),
        (&v2, 0, "found 0"),
        (&seg, 4096, "expected a multiple of 16 up to 2048, found 4096"),
        (&v1, 512, "expected a model that sees pictures of several sizes (owlv2 or clipseg), found owlvit"),
    ] {
        let error = config.clone().with_canvas(side).expect_err("expected this to be refused");
        assert_eq!(error.code(), "bad-input");
        assert!(error.to_string().starts_with("canvas: ") && error.to_string().contains(says), "{error}");
    }
}

#[test]
fn written_they_say_the_same() {
    let mut configs = all().to_vec();
    configs.push(sound(&with(CLIPSEG, "use_complex_transposed_convolution", false.into()), CLIPSEG_PIXELS));
    configs.push(sound(&with(CLIPSEG, "vision_config.image_size", 230.into()), CLIPSEG_PIXELS));
    configs.push(sound(CLIPSEG, &with(CLIPSEG_PIXELS, "size", 230.into())));
    for config in configs {
        let [a, b, c] = config.to_files();
        assert_eq!(Config::parse(a.as_bytes(), b.as_bytes(), c.as_bytes()).expect("sound"), config, "{a}{b}{c}");
    }
}

/// A folder that somebody makes of a config alone sees pictures as published ones of its family do.
#[test]
fn a_config_alone_has_its_familys_image_processor() {
    let naflex = r#"{"model_type": "siglip2", "vision_config": {"patch_size": 14}}"#;
    let clip = r#"{"model_type": "clip", "vision_config": {"image_size": 336}}"#;
    for (config, pixels) in [
        (OWLVIT, OWLVIT_PIXELS),
        (OWLV2, OWLV2_PIXELS),
        (naflex, r#"{"patch_size": 14}"#),
        (clip, r#"{"size": {"shortest_edge": 336}, "crop_size": 336}"#),
        (r#"{"model_type": "siglip"}"#, "{}"),
        // Its class's mean and deviation: those in its files are the files' own.
        (CLIPSEG, r#"{"size": 352}"#),
    ] {
        let alone =
            Config::from_files(&JsonFiles { config: config.as_bytes(), ..JsonFiles::default() }).expect("sound");
        let made = sound(config, &alone.usual_preprocessor()).preprocessor;
        let expected = sound(config, pixels).preprocessor;
        // Published files round the deviation to other digits than the class.
        assert_eq!(Preprocessor { std: expected.std, ..made }, expected, "{config}");
    }
}

proptest! {
    #![proptest_config(configuration())]

    /// Any value for any setting: an error or a config that can be written, never a panic.
    #[test]
    fn strange_settings_never_panic(
        model in 0usize..3,
        path in prop::sample::select(vec![
            "projection_dim", "extract_layers", "reduce_dim", "conditional_layer", "decoder_num_attention_heads",
            "decoder_intermediate_size", "use_complex_transposed_convolution", "architectures", "text_config", "vision_config",
            "vision_config.image_size", "vision_config.patch_size", "vision_config.hidden_size", "vision_config.num_hidden_layers",
            "text_config.hidden_size", "text_config.max_position_embeddings", "text_config.eos_token_id",
            "pixels.size", "pixels.crop_size", "pixels.do_center_crop", "pixels.resample", "pixels.image_std", "pixels.do_pad",
            "pixels.feature_extractor_type",
        ]),
        value in prop_oneof![
            any::<i64>().prop_map(Value::from), any::<f64>().prop_map(Value::from), Just(Value::Null), Just(json!("many")),
            Just(json!([])), Just(json!({})), (0u64..10_000).prop_map(Value::from), Just(json!(true)), Just(json!([1, 2])),
            prop::collection::vec(0u64..14, 0..4).prop_map(Value::from),
        ],
        canvas in 0usize..1200,
    ) {
        let (config, pixels) = [(OWLVIT, OWLVIT_PIXELS), (OWLV2, OWLV2_PIXELS), (CLIPSEG, CLIPSEG_PIXELS)][model];
        let found = match path.strip_prefix("pixels.") {
            Some(key) => parsed(config, &with(pixels, key, value)),
            None => parsed(&with(config, path, value), pixels),
        };
        if let Ok(config) = found {
            let [a, b, c] = config.to_files();
            let again = Config::parse(a.as_bytes(), b.as_bytes(), c.as_bytes());
            prop_assert!(again.as_ref().is_ok_and(|again| *again == config), "{:?}: {:?}", again, config);
            let _ = config.vision.stored_positions();
            let _ = config.with_canvas(canvas);
        }
    }
}
