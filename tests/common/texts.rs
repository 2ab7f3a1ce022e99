//! Random texts of all Unicode, and tokenizers in other files.

#![allow(dead_code, reason = "each test program uses its part")]

use ocelli::{config::TokenizerFiles, random::Random};
use serde_json::Value;

/// What texts are put together of, beside words and any characters: what one of the steps sees as something special.
const PARTS: [&str; 48] = [
    " ",
    "  ",
    "\t",
    "\n",
    "\r\n",
    "\u{a0}",
    "\u{3000}",
    "\u{2028}",
    "\u{85}",
    "'s",
    "'LL",
    "'re",
    "'",
    "!?",
    "...",
    "▁",
    "▁▁",
    "<|startoftext|>",
    "<|endoftext|>",
    "</s>",
    "<unk>",
    "<mask>",
    "<eos>",
    "<0x41>",
    "\u{0}",
    "e\u{301}",
    "\u{301}",
    "İ",
    "ΑΣ",
    "ß",
    "ﬁ",
    "½",
    "٣",
    "Ⅷ",
    "ｶﾞ",
    "한글",
    "\u{1112}\u{1161}\u{11ab}",
    "漢字",
    "👩\u{200d}👩\u{200d}👧",
    "🇪🇺",
    "🐱",
    "\u{fe0f}",
    "\u{feff}",
    "नमस्ते",
    "สวัสดี",
    "\u{1d165}",
    "ǅ",
    "\u{10ffff}",
];

const WORDS: [&str; 12] =
    ["a", "photo", "of", "cat", "dogs", "the", "street", "Café", "NAÏVE", "2024", "abcabc", "extraordinarily"];

fn text(random: &mut Random) -> String {
    let parts = if random.below(100) == 0 { 800 } else { random.below(20) };
    let mut text = String::new();
    for _ in 0..parts {
        match random.below(8) {
            0..=2 => text += WORDS[random.below(WORDS.len())],
            3 | 4 => text += PARTS[random.below(PARTS.len())],
            5 => text.push(' '),
            6 => text.extend(char::from_u32(random.below(0x3000) as u32)),
            _ => text.extend(char::from_u32(random.below(0x11_0000) as u32)),
        }
    }
    text
}

pub fn texts(seed: u64, count: usize) -> Vec<String> {
    let mut random = Random::new(seed);
    (0..count).map(|_| text(&mut random)).collect()
}

/// `vocab.json` and `merges.txt`, as they are published, out of a `tokenizer.json`.
pub fn vocab_merges(json: &Value) -> TokenizerFiles {
    let merge = |merge: &Value| match merge.as_str() {
        Some(text) => text.to_string(),
        None => format!("{} {}", merge[0].as_str().expect("a token"), merge[1].as_str().expect("a token")),
    };
    let lines: Vec<String> = json["model"]["merges"].as_array().expect("merges").iter().map(merge).collect();
    TokenizerFiles::VocabMerges {
        vocab: json["model"]["vocab"].to_string().into_bytes(),
        merges: format!("#version: 0.2\n{}\n", lines.join("\n")).into_bytes(),
    }
}
