//! Small sound tokenizers of every part that a `tokenizer.json` may have.

use serde_json::{Value, json};

pub fn tokenizers() -> Vec<Value> {
    vec![clip(), siglip(), gemma(), gpt()]
}

fn whole(normalizer: Value, pre_tokenizer: Value, post_processor: Value, model: Value) -> Value {
    let special = |id: u32, content: &str| {
        json!({ "id": id, "content": content, "special": true, "single_word": false, "lstrip": false, "rstrip": true,
            "normalized": id == 1 })
    };
    json!({
        "version": "1.0",
        "truncation": { "direction": "Right", "max_length": 8, "strategy": "LongestFirst", "stride": 0 },
        "padding": { "strategy": { "Fixed": 12 }, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0,
            "pad_type_id": 0, "pad_token": "<pad>" },
        "added_tokens": [special(0, "<pad>"), special(1, "</s>"), special(2, "<unk>"), special(3, "<|endoftext|>")],
        "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": post_processor,
        "decoder": null,
        "model": model,
    })
}

fn with_decoder(mut tokenizer: Value, decoder: Value) -> Value {
    tokenizer["decoder"] = decoder;
    tokenizer
}

fn template() -> Value {
    json!({
        "type": "TemplateProcessing",
        "single": [{ "Sequence": { "id": "A", "type_id": 0 } }, { "SpecialToken": { "id": "</s>", "type_id": 0 } }],
        "pair": [{ "Sequence": { "id": "A", "type_id": 0 } }, { "Sequence": { "id": "B", "type_id": 1 } }],
        "special_tokens": { "</s>": { "id": "</s>", "ids": [1], "tokens": ["</s>"] } },
    })
}

const SPECIAL: [&str; 4] = ["<pad>", "</s>", "<unk>", "<|endoftext|>"];

fn vocab(pieces: &[&str]) -> Value {
    SPECIAL.iter().chain(pieces).zip(0..).map(|(piece, id)| (piece.to_string(), json!(id))).collect::<Value>()
}

fn clip() -> Value {
    whole(
        json!({ "type": "Sequence", "normalizers": [
            { "type": "NFC" },
            { "type": "Replace", "pattern": { "Regex": "\\s+" }, "content": " " },
            { "type": "Lowercase" },
            { "type": "Strip", "strip_left": true, "strip_right": true },
            { "type": "Prepend", "prepend": "a" },
        ]}),
        json!({ "type": "Sequence", "pretokenizers": [
            { "type": "Split", "behavior": "Removed", "invert": true, "pattern": {
                "Regex": "<\\|startoftext\\|>|<\\|endoftext\\|>|'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+" } },
            { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true },
        ]}),
        json!({ "type": "RobertaProcessing", "sep": ["</s>", 1], "cls": ["<pad>", 0], "trim_offsets": false,
            "add_prefix_space": false }),
        json!({ "type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": "",
            "end_of_word_suffix": "</w>", "fuse_unk": false, "byte_fallback": false,
            "vocab": vocab(&["a", "c", "t", "a</w>", "t</w>", "ca", "cat</w>"]),
            "merges": [["c", "a"], ["ca", "t</w>"]] }),
    )
}

fn siglip() -> Value {
    let pieces: Vec<Value> = SPECIAL
        .iter()
        .chain(&["▁", "▁a", "cat", "c", "a", "t", "<0x0A>", "<0xF0>"])
        .zip(0u8..)
        .map(|(piece, i)| json!([piece, -f64::from(i)]))
        .collect();
    let tokenizer = whole(
        json!({ "type": "Sequence", "normalizers": [
            { "type": "Strip", "strip_left": false, "strip_right": true },
            { "type": "Replace", "pattern": { "Regex": " {2,}" }, "content": "▁" },
        ]}),
        json!({ "type": "Sequence", "pretokenizers": [
            { "type": "WhitespaceSplit" },
            { "type": "Metaspace", "replacement": "▁", "add_prefix_space": true, "prepend_scheme": "always", "split": true },
        ]}),
        template(),
        json!({ "type": "Unigram", "unk_id": 2, "byte_fallback": true, "vocab": pieces }),
    );
    with_decoder(
        tokenizer,
        json!({ "type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true }),
    )
}

fn gemma() -> Value {
    let tokenizer = whole(
        json!({ "type": "Replace", "pattern": { "String": " " }, "content": "▁" }),
        json!({ "type": "Split", "pattern": { "String": " " }, "behavior": "MergedWithPrevious", "invert": false }),
        template(),
        json!({ "type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": true, "ignore_merges": false,
            "vocab": vocab(&["▁", "a", "c", "t", "▁a", "at", "cat", "<0xF0>", "<0x9F>"]),
            "merges": ["▁ a", "a t", "c at"] }),
    );
    let steps = json!([
        { "type": "Replace", "pattern": { "String": "▁" }, "content": " " },
        { "type": "ByteFallback" },
        { "type": "Fuse" },
    ]);
    with_decoder(tokenizer, json!({ "type": "Sequence", "decoders": steps }))
}

/// What models that write have.
fn gpt() -> Value {
    let byte_level = json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true });
    let tokenizer = whole(
        json!({ "type": "Sequence", "normalizers": [{ "type": "NFD" }, { "type": "StripAccents" }, { "type": "Nmt" }] }),
        json!({ "type": "Sequence", "pretokenizers": [
            { "type": "Digits", "individual_digits": true },
            { "type": "Split", "behavior": "Isolated", "invert": false, "pattern": {
                "Regex": "(?i:'s|'t)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}|\\s+(?!\\S)|\\s+" } },
            { "type": "Punctuation", "behavior": "Contiguous" },
            byte_level,
        ]}),
        json!({ "type": "Sequence", "processors": [byte_level, template()] }),
        json!({ "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "##",
            "end_of_word_suffix": "", "fuse_unk": false, "byte_fallback": false, "ignore_merges": true,
            "vocab": vocab(&["Ġ", "a", "c", "t", "##t", "##a", "at", "cat", "##at"]),
            "merges": [["a", "##t"], ["c", "##at"]] }),
    );
    with_decoder(tokenizer, byte_level)
}

/// Gemma's kind with every merge that its pieces allow, as a model file of SentencePiece has them.
pub fn derived_gemma() -> Value {
    let mut tokenizer = gemma();
    tokenizer["model"]["merges"] = json!(["▁ a", "a t", "c at"]);
    tokenizer["added_tokens"].as_array_mut().expect("tokens").iter_mut().for_each(|token| {
        for flag in ["rstrip", "normalized"] {
            token[flag] = false.into();
        }
    });
    tokenizer
}
