//! Files whose numbers lie, whose text is no text, and that lack what they need.

use super::*;

use ocelli::text::TextEncoder;

/// The length in front of the header, and the sentence.
#[test]
fn a_header_whose_length_lies() {
    let (_, weights) = files("clip");
    let length = u64::from_le_bytes(weights[..8].try_into().expect("eight bytes"));
    for lie in [0, 1, length - 1, length + 1, weights.len() as u64 - 8, weights.len() as u64, 33 << 20, u64::MAX] {
        let (code, message) = refused("clip", |_, w| w[..8].copy_from_slice(&lie.to_le_bytes()));
        assert_eq!(code, "bad-checkpoint", "{lie}");
        assert!(message.starts_with("model.safetensors: ") && message.contains("fetch it again"), "{lie}: {message}");
    }
}

/// The bytes of a tensor: over another's, with a hole, backwards, of another length, beyond the file.
#[test]
fn offsets_that_lie() {
    let (_, weights) = files("clip");
    let end = header(&weights).1.len() as u64;
    let place = |h: &serde_json::Map<String, Value>, name: &str| -> [u64; 2] {
        [0, 1].map(|at| h[name]["data_offsets"][at].as_u64().expect("an offset"))
    };
    type Lie = fn([u64; 2], u64) -> Value;
    let lies: [Lie; 6] = [
        |[a, b], _| json!([a - 4, b - 4]),
        |[a, b], _| json!([a + 4, b + 4]),
        |[a, b], _| json!([b, a]),
        |[a, b], _| json!([a, b - 4]),
        |[a, _], end| json!([a, end + 400]),
        |_, _| json!([0, u64::MAX]),
    ];
    for lie in lies {
        let (code, message) = refused("clip", |_, weights| {
            with_header(weights, |h| {
                let name = "text_model.final_layer_norm.weight";
                h[name]["data_offsets"] = lie(place(h, name), end);
            });
        });
        assert_eq!(code, "bad-checkpoint");
        assert!(message.starts_with("model.safetensors: "), "{message}");
    }
}

#[test]
fn shapes_that_no_product_holds() {
    for shape in
        [json!([1u64 << 40, 1u64 << 40]), json!([u64::MAX, 2]), json!([-1]), json!([1.5]), json!("48"), json!(null)]
    {
        let (code, message) = refused("clip", |_, weights| {
            with_header(weights, |h| h["visual_projection.weight"]["shape"] = shape.clone());
        });
        assert_eq!(code, "bad-checkpoint", "{shape}");
        assert!(message.starts_with("model.safetensors: "), "{shape}: {message}");
    }
}

/// What an entry has beside its three fields, or instead of them, is not built up in memory first.
#[test]
fn entries_that_are_none() {
    let entry = |extra: Value| {
        let mut entry = json!({"dtype": "F32", "shape": [], "data_offsets": [0, 4]});
        entry.as_object_mut().expect("an object").extend(extra.as_object().expect("an object").clone());
        entry
    };
    for (wrong, words) in [
        (entry(json!({"more": [[0], [0]]})), "unknown field `more`"),
        (entry(json!({"data_offsets": [0, 4, 8]})), "header: "),
        (json!([[0], [0]]), "header: "),
        (json!({}), "missing field"),
    ] {
        let (code, message) = refused("clip", |_, weights| with_header(weights, |h| h["logit_scale"] = wrong.clone()));
        assert_eq!(code, "bad-checkpoint", "{wrong}");
        assert!(message.starts_with("model.safetensors: ") && message.contains(words), "{wrong}: {message}");
    }
}

#[test]
fn bytes_that_are_no_text() {
    for (at, name) in FILES.iter().enumerate() {
        for bytes in [&b"\xff\xfe{}"[..], b"{\"\xed\xa0\x80\": 1}", b"\xef\xbb\xbf{}", b"", b"nul", b"{", b"[[[["] {
            let (mut json, mut weights) = files("siglip");
            match json.get_mut(at) {
                Some(file) => *file = bytes.to_vec(),
                None => weights = join(&String::from_utf8_lossy(bytes), &[]),
            }
            if at == 4 {
                weights.splice(8.., bytes.iter().copied());
                weights[..8].copy_from_slice(&(bytes.len() as u64).to_le_bytes());
            }
            let opened = checkpoint(json, weights).and_then(|c| TextEncoder::new(&c.tokenizer, &c.config).map(drop));
            let error = opened.expect_err("expected this to be refused");
            assert!(
                error.code() == "bad-checkpoint" && error.to_string().starts_with(name),
                "{name}: {bytes:?}: {error}"
            );
        }
    }
}

#[test]
fn fields_that_are_not_there() {
    let cases: [(usize, &[&str], &str); 6] = [
        (0, &["model_type"], "found none"),
        (3, &["model"], "tokenizer.json"),
        (3, &["model", "vocab"], "vocab"),
        (3, &["post_processor", "special_tokens"], "special_tokens"),
        (3, &["normalizer", "normalizers"], "tokenizer.json"),
        (3, &["pre_tokenizer", "replacement"], "tokenizer.json"),
    ];
    for (file, path, words) in cases {
        let (mut json, weights) = files("siglip");
        edit(&mut json[file], |value| {
            let (last, parents) = path.split_last().expect("a path");
            let parent = parents.iter().fold(value, |value, key| &mut value[*key]);
            parent.as_object_mut().expect("an object").remove(*last).expect("it was there");
        });
        let opened = checkpoint(json, weights).and_then(|c| TextEncoder::new(&c.tokenizer, &c.config).map(drop));
        let error = opened.expect_err("expected this to be refused").to_string();
        assert!(error.starts_with(FILES[file]) && error.contains(words), "{path:?}: {error}");
    }
}

#[test]
fn a_tokenizer_of_another_model_is_named() {
    let (json, weights) = files("clip");
    let mut checkpoint = checkpoint(json, weights).expect("sound");
    // The table has fewer rows than the tokenizer has tokens.
    checkpoint.config.text.vocab = 300;
    let Err(error) = TextEncoder::new(&checkpoint.tokenizer, &checkpoint.config) else { panic!("expected an error") };
    assert!(error.to_string().starts_with("tokenizer.json: expected at most 300 tokens"), "{error}");
    checkpoint.config.text.vocab = 100_000;
    // And one that does not know the padding token.
    checkpoint.config.text_rule.padding = Padding::Token("<padding>".into());
    let Err(error) = TextEncoder::new(&checkpoint.tokenizer, &checkpoint.config) else { panic!("expected an error") };
    assert!(error.to_string().contains("\"<padding>\""), "{error}");
}

/// What has no sense, or what the tokenizers crate would panic on.
#[test]
fn tokenizers_that_cannot_be() {
    type Change = fn(&mut Value);
    let cases: [(&str, Change, &str); 11] = [
        ("siglip", |t| t["normalizer"] = json!({"type": "Precompiled"}), "character map"),
        (
            "siglip",
            |t| t["normalizer"] = json!({"precompiled_charsmap": "AAAAAA=="}),
            "normalizer: expected Sequence, NFC",
        ),
        // One unit that leads outside; a leaf that leads beyond the strings.
        (
            "siglip",
            |t| t["normalizer"] = json!({"type": "Precompiled", "precompiled_charsmap": "BAAAAAD8//8="}),
            "character map",
        ),
        ("siglip", |t| t["post_processor"]["single"][0]["Sequence"]["id"] = "B".into(), "post_processor: "),
        ("siglip", |t| t["post_processor"]["special_tokens"] = json!({}), "expected ids of \"</s>\""),
        (
            "siglip",
            |t| t["pre_tokenizer"] = json!({"type": "FixedLength", "length": 0}),
            "pre_tokenizer: expected Sequence, Split",
        ),
        (
            "clip",
            |t| t["model"]["continuing_subword_prefix"] = "########".into(),
            "model: merges: expected two parts of a token",
        ),
        ("clip", |t| t["model"]["merges"][0] = json!(["startoftext", "endoftext</w>endoftext"]), "model: merges"),
        (
            "clip",
            |t| t["normalizer"]["normalizers"][1]["pattern"] = json!({"Regex": "a*"}),
            "normalizer: pattern: expected",
        ),
        (
            "clip",
            |t| t["normalizer"]["normalizers"][1]["pattern"] = json!({"String": ""}),
            "matches at least one character",
        ),
        (
            "clip",
            |t| {
                t["added_tokens"][0]["content"] = "\u{301}".into();
                t["added_tokens"][0]["normalized"] = true.into();
                t["normalizer"] = json!({"type": "StripAccents"});
            },
            "to remain when normalized",
        ),
    ];
    for (model, change, words) in cases {
        let (mut json, weights) = files(model);
        edit(&mut json[3], change);
        let checkpoint = checkpoint(json, weights).expect("not looked at yet");
        let Err(error) = TextEncoder::new(&checkpoint.tokenizer, &checkpoint.config) else {
            panic!("{words}: expected an error")
        };
        let error = error.to_string();
        assert!(error.starts_with("tokenizer.json: ") && error.contains(words), "{words}: {error}");
        assert!(error.len() < 1000, "{words}: {} bytes", error.len());
    }
}
