//! A config as the three files of a Hugging Face folder, for folders that Ocelli writes from another format.

use serde_json::{Value, json};

use super::{
    Activation, Config, Encoder, Family, Filter, Head, Padding, Patches, Preprocessor, Resize, Text, TextPooling, own,
};

pub fn files(config: &Config) -> [String; 3] {
    [model(config), pixels(&config.preprocessor), text(config)].map(printed)
}

/// `preprocessor_config.json` alone.
pub fn preprocessor(rule: &Preprocessor) -> String {
    printed(pixels(rule))
}

fn printed(file: Value) -> String {
    format!("{file:#}\n")
}

/// As short as it reads back: `0.00001`, not the same number with all the digits of an f64.
fn float(x: f32) -> Value {
    x.to_string().parse::<f64>().expect("a finite number").into()
}

fn encoder(e: &Encoder) -> Value {
    json!({
        "hidden_size": e.hidden,
        "num_attention_heads": e.heads,
        "num_hidden_layers": e.layers,
        "intermediate_size": e.intermediate,
        "hidden_act": match e.activation {
            Activation::QuickGelu => "quick_gelu",
            Activation::Gelu => "gelu",
            Activation::GeluTanh => "gelu_pytorch_tanh",
            Activation::Relu => "relu",
            Activation::Silu => "silu",
            Activation::None => "linear",
        },
        "layer_norm_eps": float(e.eps),
    })
}

fn model(config: &Config) -> Value {
    let mut vision = encoder(&config.vision.encoder);
    match config.vision.patches {
        Patches::Square => vision["image_size"] = stored_size(config).into(),
        Patches::Naflex => vision["num_patches"] = config.vision.tokens().into(),
    }
    vision["patch_size"] = config.vision.patch_size.into();
    let mut text = encoder(&config.text.encoder);
    text["vocab_size"] = config.text.vocab.into();
    text["max_position_embeddings"] = config.text.tokens.into();
    let own = json!({ "text_mask": config.text.mask, "text_pooling": config.text.pooling, "score": config.score });
    let model_type = match config.vision.patches {
        Patches::Square => config.family.name(),
        Patches::Naflex => "siglip2",
    };
    let mut root = json!({ "model_type": model_type, own::KEY: own });
    match config.family {
        Family::Clip | Family::OwlVit | Family::Owlv2 | Family::ClipSeg => {
            root["projection_dim"] = config.embedding.into();
            eos(&mut text, &config.text);
        }
        Family::Siglip => text["projection_size"] = config.embedding.into(),
        // No folder of a model that writes is converted.
        _ => {}
    }
    if let Head::Masks(masks) = &config.head {
        root["extract_layers"] = masks.extract.clone().into();
        root["reduce_dim"] = masks.decoder.hidden.into();
        root["decoder_num_attention_heads"] = masks.decoder.heads.into();
        root["decoder_intermediate_size"] = masks.decoder.intermediate.into();
        root["use_complex_transposed_convolution"] = masks.refined.into();
    }
    root["text_config"] = text;
    root["vision_config"] = vision;
    root
}

/// The square of which positions are stored. A rest narrower than a patch has none.
fn stored_size(config: &Config) -> usize {
    let v = &config.vision;
    if v.stored_grid() == v.grid() { v.image_size } else { v.stored_grid() * v.patch_size }
}

fn eos(section: &mut Value, text: &Text) {
    match text.pooling {
        TextPooling::HighestId => section["eos_token_id"] = 2.into(),
        TextPooling::FirstOf(id) => section["eos_token_id"] = id.into(),
        TextPooling::Last => {}
    }
}

fn pixels(p: &Preprocessor) -> Value {
    let mut file = json!({
        "do_resize": true,
        "resample": match p.filter {
            Filter::Lanczos => 1,
            Filter::Bilinear | Filter::Smooth => 2,
            Filter::Bicubic => 3,
        },
        "do_center_crop": p.crop.is_some(),
        "do_rescale": true,
        "rescale_factor": float(p.rescale),
        "do_normalize": true,
        "image_mean": p.mean.map(float),
        "image_std": p.std.map(float),
        own::KEY: { "rounding": p.rounding },
    });
    match p.resize {
        Resize::Squash { width, height } => file["size"] = json!({ "height": height, "width": width }),
        Resize::ShortestEdge(edge) => file["size"] = json!({ "shortest_edge": edge }),
        Resize::PadSquare(side) => {
            file["do_pad"] = true.into();
            file["size"] = json!({ "height": side, "width": side });
        }
        Resize::MaxPatches { patch, most } => {
            file["patch_size"] = patch.into();
            file["max_num_patches"] = most.into();
        }
    }
    if let Some((width, height)) = p.crop {
        file["crop_size"] = json!({ "height": height, "width": width });
    }
    p.tiles.write(&mut file);
    file
}

fn text(config: &Config) -> Value {
    let rule = &config.text_rule;
    let mut file = json!({});
    if let Padding::Token(token) = &rule.padding {
        file["pad_token"] = token.as_str().into();
    }
    file[own::KEY] = json!({ "cleaning": rule.cleaning, "byte_fallback": rule.byte_fallback, "padding": rule.padding });
    file
}
