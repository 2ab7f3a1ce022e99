//! The files that a folder's tokenizer comes in.

/// One of the three ways in which tokenizers are published; `src/text` understands them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenizerFiles {
    /// None, where the text tower is not loaded.
    None,
    /// `tokenizer.json`, of the tokenizers library.
    Json(Vec<u8>),
    /// `vocab.json` and `merges.txt`: CLIP's byte pairs, as OpenAI published them.
    VocabMerges {
        /// Ids by token.
        vocab: Vec<u8>,
        /// A merge a line, the first to be made first.
        merges: Vec<u8>,
    },
    /// `spiece.model` or `tokenizer.model`, of SentencePiece.
    SentencePiece {
        /// Which of the two.
        name: String,
        /// The protocol buffer.
        bytes: Vec<u8>,
    },
}

/// Names of the files, in the order in which they are preferred; the second and third are one tokenizer.
pub const TOKENIZER_FILES: [&str; 5] =
    ["tokenizer.json", "vocab.json", "merges.txt", "spiece.model", "tokenizer.model"];

impl TokenizerFiles {
    /// From those of [`TOKENIZER_FILES`] that are there; none if no tokenizer is complete.
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

    /// The files again, by name.
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
