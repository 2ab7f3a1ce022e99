//! A tokenizer as `tokenizer.json` describes it: token ids, exactly those of the tokenizers crate, which judges this in
//! `tests/text_reference.rs`. Only the parts that CLIP's and SigLIP's tokenizers are made of are known; `read` refuses all others.

use rustc_hash::FxHashMap;

use super::{bpe::Bpe, normalizer::Normalizer, unigram::Unigram, words::Words};

/// Text to token ids.
pub struct Tokenizer {
    /// Found in the text as it is.
    raw: AddedTokens,
    normalizers: Vec<Normalizer>,
    /// Found in the normalized text.
    normalized: AddedTokens,
    words: Vec<Words>,
    model: Model,
    /// Special tokens, and None where the text's own ids go.
    template: Vec<Option<u32>>,
    ids: FxHashMap<String, u32>,
}

/// What turns a word into ids.
pub enum Model {
    Bpe(Bpe),
    Unigram(Unigram),
}

impl Model {
    fn encode(&self, word: &str, ids: &mut Vec<u32>) {
        match self {
            Self::Bpe(bpe) => bpe.encode(word, ids),
            Self::Unigram(unigram) => unigram.encode(word, ids),
        }
    }

    fn id(&self, token: &str) -> Option<u32> {
        match self {
            Self::Bpe(bpe) => bpe.id(token),
            Self::Unigram(unigram) => unigram.id(token),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Bpe(bpe) => bpe.len(),
            Self::Unigram(unigram) => unigram.len(),
        }
    }
}

/// A token that is found before the model sees the text: one of `added_tokens`.
pub struct AddedToken {
    pub content: String,
    /// Whether it takes the white space before and after it along.
    pub strip: (bool, bool),
    /// Whether it is found in the normalized text, as what the normalizer makes of it.
    pub normalized: bool,
}

impl Tokenizer {
    /// The tokens in the file's order, a later one in place of an earlier one of the same content.
    pub fn new(
        added: Vec<AddedToken>,
        normalizers: Vec<Normalizer>,
        words: Vec<Words>,
        model: Model,
        template: Vec<Option<u32>>,
    ) -> Result<Self, String> {
        let mut tokens: FxHashMap<String, (u32, AddedToken)> = FxHashMap::default();
        let mut next = model.len() as u32;
        for token in added.into_iter().filter(|token| !token.content.is_empty()) {
            let known = tokens.get(&token.content).map(|(id, _)| *id).or_else(|| model.id(&token.content));
            let id = known.unwrap_or(next);
            next += u32::from(known.is_none());
            tokens.insert(token.content.clone(), (id, token));
        }
        let ids = tokens.iter().map(|(content, (id, _))| (content.clone(), *id)).collect();
        let (mut raw, mut normalized) = (Vec::new(), Vec::new());
        for (content, (id, token)) in tokens {
            match token.normalized {
                false => raw.push(Pattern { content, id, strip: token.strip }),
                true => {
                    let content = normalizers.iter().fold(content, |text, normalizer| normalizer.apply(text));
                    normalized.push(Pattern { content, id, strip: token.strip });
                }
            }
        }
        let (raw, normalized) = (AddedTokens::new(raw)?, AddedTokens::new(normalized)?);
        Ok(Self { raw, normalizers, normalized, words, model, template, ids })
    }

    pub fn id(&self, token: &str) -> Option<u32> {
        self.ids.get(token).copied().or_else(|| self.model.id(token))
    }

    /// Tokens of the model, and those added to them.
    pub fn len(&self) -> usize {
        self.model.len() + self.ids.keys().filter(|token| self.model.id(token).is_none()).count()
    }

    pub fn encode(&self, text: &str) -> Vec<u32> {
        let mut ids = Vec::new();
        self.raw.split(text, &mut ids, |text, ids| {
            let text = self.normalizers.iter().fold(text.to_string(), |text, normalizer| normalizer.apply(text));
            self.normalized.split(&text, ids, |text, ids| {
                let words = self.words.iter().fold(vec![text.to_string()], |words, step| step.split(&words));
                words.iter().for_each(|word| self.model.encode(word, ids));
            });
        });
        self.template.iter().flat_map(|part| part.as_ref().map_or(&ids[..], std::slice::from_ref)).copied().collect()
    }
}

struct Pattern {
    content: String,
    id: u32,
    strip: (bool, bool),
}

/// Added tokens of one kind, the longest first: at the leftmost place where one is found, the longest counts.
struct AddedTokens(Vec<Pattern>);

impl AddedTokens {
    fn new(mut patterns: Vec<Pattern>) -> Result<Self, String> {
        patterns.sort_by(|a, b| b.content.len().cmp(&a.content.len()).then_with(|| a.content.cmp(&b.content)));
        if let Some(twice) = patterns.windows(2).find(|pair| pair[0].content == pair[1].content) {
            return Err(format!("added_tokens: expected each once, found {:?} again", twice[0].content));
        }
        // It would be found everywhere.
        match patterns.last() {
            Some(last) if last.content.is_empty() => {
                Err(format!("added_tokens: expected token {} to remain when normalized, found nothing", last.id))
            }
            _ => Ok(Self(patterns)),
        }
    }

    /// Ids of the tokens that are found, and what `other` makes of the text between them.
    fn split(&self, text: &str, ids: &mut Vec<u32>, mut other: impl FnMut(&str, &mut Vec<u32>)) {
        let (mut at, mut done) = (0, 0);
        while at < text.len() {
            let rest = &text.as_bytes()[at..];
            let Some(token) = self.0.iter().find(|token| rest.starts_with(token.content.as_bytes())) else {
                at += 1;
                continue;
            };
            let (mut start, mut end) = (at, at + token.content.len());
            at = end;
            if token.strip.0 {
                start = text[..start].trim_end().len().max(done);
            }
            if token.strip.1 {
                end = text.len() - text[end..].trim_start().len();
            }
            if done < start {
                other(&text[done..start], ids);
            }
            // Nothing is left of one that lies in the white space of the one before.
            if start < end {
                ids.push(token.id);
            }
            done = end.max(done);
        }
        if done < text.len() {
            other(&text[done..], ids);
        }
    }
}
