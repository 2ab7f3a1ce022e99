//! LLaVA-OneVision's settings, as they are published, and what cannot be: three files that must agree.

use super::*;

const SIZES: [usize; 6] = [384, 768, 1152, 1536, 1920, 2304];

/// As llava-hf/llava-onevision-qwen2-0.5b-ov-hf has it.
fn config() -> Value {
    json!({
        "architectures": ["LlavaOnevisionForConditionalGeneration"], "ignore_index": -100,
        "image_grid_pinpoints": pinpoints(), "image_token_index": 151_646, "model_type": "llava_onevision",
        "projector_hidden_act": "gelu",
        "text_config": {
            "_name_or_path": "Qwen/Qwen2-0.5B-Instruct", "architectures": ["Qwen2ForCausalLM"], "bos_token_id": 151_643,
            "eos_token_id": 151_645, "hidden_size": 896, "intermediate_size": 4864, "max_position_embeddings": 32768,
            "max_window_layers": 24, "model_type": "qwen2", "num_attention_heads": 14, "num_hidden_layers": 24,
            "num_key_value_heads": 2, "rms_norm_eps": 1e-6, "rope_theta": 1_000_000.0, "sliding_window": null,
            "tie_word_embeddings": true, "torch_dtype": "bfloat16", "vocab_size": 152_000,
        },
        "tie_word_embeddings": false, "torch_dtype": "float16", "use_image_newline_parameter": true,
        "video_token_index": 151_647, "vision_aspect_ratio": "anyres_max_9",
        "vision_config": {
            "hidden_size": 1152, "image_size": 384, "intermediate_size": 4304, "model_type": "siglip_vision_model",
            "num_attention_heads": 16, "num_hidden_layers": 26, "patch_size": 14, "vision_use_head": false,
        },
        "vision_feature_layer": -1, "vision_feature_select_strategy": "full",
    })
}

fn pinpoints() -> Value {
    SIZES.iter().flat_map(|height| SIZES.iter().map(move |width| json!([height, width]))).collect()
}

fn pixels() -> Value {
    json!({
        "do_convert_rgb": true, "do_normalize": true, "do_pad": true, "do_rescale": true, "do_resize": true,
        "image_grid_pinpoints": pinpoints(), "image_mean": [0.5, 0.5, 0.5],
        "image_processor_type": "LlavaOnevisionImageProcessor", "image_std": [0.5, 0.5, 0.5], "resample": 3,
        "rescale_factor": 0.003_921_568_627_450_98, "size": {"height": 384, "width": 384},
    })
}

fn processor() -> Value {
    json!({
        "image_token": "<image>", "num_image_tokens": 729, "processor_class": "LlavaOnevisionProcessor",
        "video_token": "<video>", "vision_feature_select_strategy": "full",
    })
}

fn parsed(config: &Value, pixels: Option<&Value>, processor: Option<&Value>) -> Result<Config, Error> {
    let bytes = |json: &Value| json.to_string().into_bytes();
    let (config, pixels, processor) = (bytes(config), pixels.map(bytes), processor.map(bytes));
    Config::from_files(&JsonFiles {
        config: &config,
        preprocessor: pixels.as_deref(),
        processor: processor.as_deref(),
        ..JsonFiles::default()
    })
}

/// The file with one setting changed.
fn with(mut file: Value, key: &str, value: Value) -> Value {
    *key.split('.').fold(&mut file, |file, key| &mut file[key]) = value;
    file
}

#[test]
fn published_settings_are_understood() {
    let found = parsed(&config(), Some(&pixels()), Some(&processor())).expect("sound");
    assert_eq!(found.family.name(), "llava_onevision");
    let Tiles::Grid { pinpoints, side: 384, fill: [127, 127, 127] } = &found.preprocessor.tiles else {
        panic!("{:?}", found.preprocessor.tiles);
    };
    // Widths come first here.
    assert_eq!((pinpoints.len(), pinpoints[1]), (36, [768, 384]));
    let generator = found.generator().expect("it writes");
    let expected = Pictures {
        features: Features { blocks: 26, post_norm: false },
        connector: Connector::Mlp,
        token: 151_646,
        prefix: false,
        packed: Some(9),
        davit: None,
    };
    assert_eq!(generator.pictures.as_ref(), Some(&expected));
    assert_eq!(
        (generator.prompt, &generator.stops[..], generator.decoder.tied),
        (PromptRule::ChatMl, &[151_645][..], true)
    );
    assert_eq!((found.vision.grid(), generator.decoder.bias), (27, true));
    // The class has the same sizes and the same tower where a file names none.
    let mut short = config();
    for key in ["image_grid_pinpoints", "vision_config", "vision_aspect_ratio", "vision_feature_layer"] {
        short.as_object_mut().expect("an object").remove(key);
    }
    assert_eq!(parsed(&short, Some(&pixels()), None).expect("sound"), found);
    // CLIP's colours, cut off as Python does it.
    let usual = parsed(&config(), Some(&json!({})), None).expect("sound").preprocessor;
    assert!(matches!(usual.tiles, Tiles::Grid { fill: [122, 116, 104], .. }), "{:?}", usual.tiles);
    // Without the image processor's file tiles are those of config.json.
    let bare = parsed(&config(), None, None).expect("sound");
    assert!(matches!(&bare.preprocessor.tiles, Tiles::Grid { pinpoints: found, .. } if found == pinpoints));
    assert_eq!(
        parsed(&config(), Some(&serde_json::from_str(&bare.usual_preprocessor()).expect("JSON")), None)
            .expect("sound")
            .preprocessor
            .tiles,
        usual.tiles
    );
}

/// Each is one clear error, which names the file and the field.
#[test]
fn what_cannot_be_is_named() {
    let of =
        |config: Value, pixels: Value, processor: Value| parsed(&config, Some(&pixels), Some(&processor)).map(drop);
    let (c, p, q) = (config, pixels, processor);
    let image = "image_grid_pinpoints";
    for (found, what) in [
        (
            of(with(c(), "vision_aspect_ratio", "pad".into()), p(), q()),
            "config.json: vision_aspect_ratio: expected anyres_max_ and a number from 1 to 1024, found \"pad\"",
        ),
        (of(with(c(), "vision_aspect_ratio", "anyres_max_0".into()), p(), q()), "found \"anyres_max_0\""),
        (
            of(c(), p(), with(q(), "vision_aspect_ratio", "anyres_max_4".into())),
            "processor_config.json: vision_aspect_ratio: expected \"anyres_max_9\", as config.json has it, found \"anyres_max_4\"",
        ),
        (
            of(c(), p(), with(q(), "num_image_tokens", 576.into())),
            "processor_config.json: num_image_tokens: expected 729",
        ),
        (
            of(c(), p(), with(q(), "vision_feature_select_strategy", "default".into())),
            "expected \"full\", as config.json has it",
        ),
        (
            of(with(c(), image, json!([[384, 384]])), p(), q()),
            "config.json: image_grid_pinpoints: expected the sizes of the image processor's file",
        ),
        (
            of(c(), with(p(), image, json!([[384, 768], [384, 384]])), q()),
            "expected the sizes of the image processor's file",
        ),
        (
            of(c(), with(p(), image, json!([])), q()),
            "preprocessor_config.json: image_grid_pinpoints: expected one or more sizes, found none",
        ),
        (
            of(c(), with(p(), image, json!([[384, 400]])), q()),
            "expected height and width in tiles of 384 pixels, at most 256 tiles, found [384,400]",
        ),
        (of(c(), with(p(), image, json!([[0, 384]])), q()), "found [0,384]"),
        (of(c(), with(p(), image, json!([[384 * 17, 384 * 17]])), q()), "at most 256 tiles"),
        (of(c(), with(p(), image, json!([384, 384])), q()), "found 384"),
        (
            of(c(), with(p(), "size", json!({"height": 384, "width": 336})), q()),
            "preprocessor_config.json: size: expected a square of 1 to 4096 pixels, found {\"height\":384,\"width\":336}",
        ),
        (of(with(c(), "vision_config.image_size", 336.into()), p(), q()), "in tiles of 336 pixels"),
        (
            of(c(), with(p(), "image_processor_type", "LlavaNextImageProcessor".into()), q()),
            "expected LlavaOnevisionImageProcessor, found LlavaNextImageProcessor",
        ),
        (
            of(with(c(), "vision_feature_layer", json!([-2, -1])), p(), q()),
            "config.json: vision_feature_layer: expected one layer of 26",
        ),
        (of(with(c(), "vision_feature_select_strategy", "default".into()), p(), q()), "expected full with this tower"),
        (
            of(with(c(), "vision_config.patch_size", 0.into()), p(), q()),
            "config.json: vision_config.patch_size: expected at least 1, found 0",
        ),
    ] {
        let message = found.expect_err(what).to_string();
        assert!(message.contains(what), "{message}");
    }
}

/// The grid of another family's file is none: its class does not cut.
#[test]
fn other_families_are_not_cut() {
    let llava =
        json!({"model_type": "llava", "text_config": {}, "vision_config": {"image_size": 336, "patch_size": 14}});
    let file = json!({"size": {"shortest_edge": 336}, "crop_size": 336, "image_grid_pinpoints": [[336, 672]]});
    assert_eq!(parsed(&llava, Some(&file), None).expect("sound").preprocessor.tiles, Tiles::Whole);
}
