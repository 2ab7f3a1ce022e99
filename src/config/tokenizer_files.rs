//! The files of a folder's tokenizer.

/// One of the three ways in which tokenizers are published; `src/text` understands them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenizerFiles {
    /// No files: the text tower is not loaded.
    None,
    /// `tokenizer.json`, of the tokenizers library.
    Json(Vec<u8>),
    /// `vocab.json` and `merges.txt`: CLIP's byte pairs, as OpenAI published them.
    VocabMerges {
        /// JSON object of ids by token.
        vocab: Vec<u8>,
        /// One merge a line, in order of priority.
        merges: Vec<u8>,
    },
    /// `spiece.model` or `tokenizer.model`, of SentencePiece.
    SentencePiece {
        /// The file's name, one of the two.
        name: String,
        /// The file's content, a protocol buffer.
        bytes: Vec<u8>,
    },
}

/// Names of the files, in the order in which they are preferred; the second and third are one tokenizer.
pub const TOKENIZER_FILES: [&str; 5] =
    ["tokenizer.json", "vocab.json", "merges.txt", "spiece.model", "tokenizer.model"];

impl TokenizerFiles {
    /// The preferred tokenizer among the files that `file` finds; none if no tokenizer is complete.
    pub fn choose(mut file: impl FnMut(&str) -> Option<Vec<u8>>) -> Option<Self> {
        let [json, vocab, merges, spiece, model] = TOKENIZER_FILES;
        if let Some(json) = file(json) {
            return Some(Self::Json(json));
        }
        if let (Some(vocab), Some(merges)) = (file(vocab), file(merges)) {
            return Some(Self::VocabMerges { vocab, merges });
        }
        [spiece, model].into_iter().find_map(|name| Some(Self::SentencePiece { name: name.into(), bytes: file(name)? }))
    }

    /// The tokenizer in OpenAI's `bpe_simple_vocab_16e6.txt`, of so many tokens: merges alone, from which the vocabulary follows
    /// (`SimpleTokenizer` in `clip/simple_tokenizer.py`).
    #[cfg(not(target_arch = "wasm32"))]
    #[must_use]
    pub fn of_openai(text: &str, tokens: usize) -> Self {
        let printable = (b'!'..=b'~').chain(0xa1..=0xac).chain(0xae..=0xff).map(char::from);
        let letters: Vec<String> = printable.chain('\u{100}'..'\u{144}').map(String::from).collect();
        let merges: Vec<&str> = text.lines().skip(1).take(tokens.saturating_sub(2 * letters.len() + 2)).collect();
        let last = letters.iter().map(|letter| format!("{letter}</w>"));
        let merged = merges.iter().map(|merge| merge.replace(' ', ""));
        let special = ["<|startoftext|>", "<|endoftext|>"].map(String::from);
        let all = letters.iter().cloned().chain(last).chain(merged).chain(special);
        let vocab: serde_json::Value = all.zip(0..).map(|(token, id)| (token, serde_json::Value::from(id))).collect();
        let merges = format!("#version: 0.2\n{}\n", merges.join("\n"));
        Self::VocabMerges { vocab: vocab.to_string().into_bytes(), merges: merges.into_bytes() }
    }

    /// The files with their names.
    #[must_use]
    pub fn files(self) -> Vec<(String, Vec<u8>)> {
        let [json, vocab_json, merges_txt, ..] = TOKENIZER_FILES;
        match self {
            Self::None => Vec::new(),
            Self::Json(bytes) => vec![(json.into(), bytes)],
            Self::VocabMerges { vocab, merges } => vec![(vocab_json.into(), vocab), (merges_txt.into(), merges)],
            Self::SentencePiece { name, bytes } => vec![(name, bytes)],
        }
    }
}
