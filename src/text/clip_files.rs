//! CLIP's `vocab.json` and `merges.txt` as a `tokenizer.json`: `CLIPConverter` in transformers' `convert_slow_tokenizer.py`.

use serde_json::{Value, json};

/// Its content, or what is wrong in which of the two files.
pub fn tokenizer(vocab: &[u8], merges: &[u8]) -> Result<Value, String> {
    let vocab: Value =
        serde_json::from_slice(vocab).map_err(|e| format!("vocab.json: not the JSON that was expected: {e}"))?;
    let text =
        std::str::from_utf8(merges).map_err(|e| format!("merges.txt: expected UTF-8, found another byte: {e}"))?;
    // The first line says the version; older files end with an empty one.
    let lines = text.lines().filter(|line| !line.starts_with("#version") && !line.is_empty());
    let merge = |line: &str| match line.split_once(' ') {
        Some((a, b)) if !a.is_empty() && !b.is_empty() && !b.contains(' ') => Ok(json!([a, b])),
        _ => Err(format!("merges.txt: expected two tokens a line, found {line:?}")),
    };
    let merges: Vec<Value> = lines.map(merge).collect::<Result<_, _>>()?;
    let id = |token: &str| {
        vocab[token].as_u64().ok_or_else(|| format!("vocab.json: expected the token {token:?}, found none"))
    };
    let (start, end) = ("<|startoftext|>", "<|endoftext|>");
    let (start_id, end_id) = (id(start)?, id(end)?);
    let added = |id: u64, content: &str, normalized: bool| {
        json!({ "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": normalized, "special": true })
    };
    Ok(json!({
        "version": "1.0",
        "added_tokens": [added(start_id, start, true), added(end_id, end, false)],
        "normalizer": { "type": "Sequence", "normalizers": [
            { "type": "NFC" },
            { "type": "Replace", "pattern": { "Regex": r"\s+" }, "content": " " },
            { "type": "Lowercase" },
        ] },
        "pre_tokenizer": { "type": "Sequence", "pretokenizers": [
            { "type": "Split", "behavior": "Removed", "invert": true,
              "pattern": { "Regex": r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+" } },
            { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true },
        ] },
        "post_processor": { "type": "RobertaProcessing", "sep": [end, end_id], "cls": [start, start_id],
            "trim_offsets": false, "add_prefix_space": false },
        "decoder": { "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true },
        "model": { "type": "BPE", "unk_token": end, "continuing_subword_prefix": "", "end_of_word_suffix": "</w>",
            "fuse_unk": false, "byte_fallback": false, "vocab": vocab, "merges": merges },
    }))
}
