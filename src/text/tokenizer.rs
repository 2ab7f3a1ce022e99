//! A model's tokenizer by itself: texts become token ids, and token ids text. It is the tokenizers crate's.

use std::{
    fmt::Display,
    ops::Range,
    sync::{Arc, OnceLock},
};

use tokenizers::{
    AddedToken, AddedVocabulary, Encoding, Model, ModelWrapper, NormalizedString, Normalizer, OffsetReferential,
    OffsetType, PreTokenizedString, PreTokenizer, Token, normalizer::Range as Cut,
};

use super::{
    clip_files,
    decoder::{Decoder, Spelling},
    parts::Parts,
    read, sentencepiece,
    spellings::Spellings,
    steps::{Normalizers, PreTokenizers, Template},
};
use crate::{
    config::TokenizerFiles,
    error::{Error, Result},
};

/// Stands for a token that was found in a text, until all ids are known: no vocabulary is so large.
const KEPT: u32 = u32::MAX;

/// Text to token ids, and token ids to text.
pub struct Tokenizer {
    model: ModelWrapper,
    unk: Option<u32>,
    normalizers: Normalizers,
    pre_tokenizers: PreTokenizers,
    template: Template,
    /// Tokens that are found in a text before the model sees it.
    added: AddedVocabulary,
    decoder: std::result::Result<Arc<Decoder>, String>,
    /// What tokens add to a text; made when it is asked for.
    spellings: OnceLock<Arc<Spellings>>,
    /// For messages.
    file: String,
}

impl Tokenizer {
    /// Makes the tokenizer of these files. `byte_fallback` as in [`crate::config::TextRule`].
    ///
    /// # Errors
    /// [`Error::BadCheckpoint`] that names the file if it is not a tokenizer, or one of parts that are not known, and
    /// [`Error::BadInput`] if there are no files.
    pub fn new(files: &TokenizerFiles, byte_fallback: bool) -> Result<Self> {
        Self::with_tokens(files, byte_fallback, &[])
    }

    /// The same with special tokens behind those of the file, if it has none of them.
    ///
    /// # Errors
    /// As [`Tokenizer::new`].
    pub fn with_tokens(files: &TokenizerFiles, byte_fallback: bool, tokens: &[String]) -> Result<Self> {
        let (file, parts) = match files {
            TokenizerFiles::None => return Err(Error::BadInput("tokenizer: expected one, found none".into())),
            TokenizerFiles::Json(json) => {
                let mut json = serde_json::from_slice(json).map_err(|e| bad("tokenizer.json", e))?;
                read::add_tokens(&mut json, tokens);
                ("tokenizer.json", read::tokenizer(json, byte_fallback))
            }
            TokenizerFiles::VocabMerges { vocab, merges } => {
                // Both files are named in the message itself.
                let json = clip_files::tokenizer(vocab, merges).map_err(Error::BadCheckpoint)?;
                ("vocab.json", read::tokenizer(json, byte_fallback))
            }
            TokenizerFiles::SentencePiece { name, bytes } => (name.as_str(), sentencepiece::read(bytes, byte_fallback)),
        };
        parts.and_then(|parts| Self::assemble(parts, file)).map_err(|e| bad(file, e))
    }

    fn assemble(parts: Parts, file: &str) -> std::result::Result<Self, String> {
        let Parts { model, unk, normalizers, pre_tokenizers, template, added: tokens, decoder } = parts;
        for token in tokens.iter().filter(|token| token.normalized && !token.content.is_empty()) {
            let mut text = NormalizedString::from(token.content.as_str());
            normalizers.normalize(&mut text).map_err(|e| e.to_string())?;
            // It would be found in every text, between the bytes of a character too.
            if text.is_empty() {
                let content = &token.content;
                return Err(format!("added_tokens: expected {content:?} to remain when normalized, found nothing"));
            }
        }
        let mut added = AddedVocabulary::new();
        added.add_tokens(tokens, &model, Some(&normalizers)).map_err(|e| format!("added_tokens: {e}"))?;
        let decoder = decoder.map(Arc::new);
        Ok(Self {
            model,
            unk,
            normalizers,
            pre_tokenizers,
            template,
            added,
            decoder,
            spellings: OnceLock::new(),
            file: file.into(),
        })
    }

    /// The id of the token that pads texts. Written out in a text it is this token, too, and not what the model makes of its characters:
    /// transformers makes a special token of whatever pads, whether the file says so or not. So CLIP's "wow!" ends in 0 where "!" pads.
    ///
    /// # Errors
    /// [`Error::BadCheckpoint`] if the tokenizer has no such token.
    pub(super) fn special(&mut self, token: &str) -> Result<u32> {
        let id = self.id(token).ok_or_else(|| self.bad(format!("expected the padding token {token:?}, found none")))?;
        if !self.is_special(id) {
            let added = [AddedToken::from(token, true)];
            self.added.add_tokens(added, &self.model, Some(&self.normalizers)).map_err(|e| self.bad(e))?;
        }
        Ok(id)
    }

    /// What is wrong with its file.
    pub(super) fn bad(&self, what: impl Display) -> Error {
        bad(&self.file, what)
    }

    /// How many tokens there are, those added to the model's included.
    #[must_use]
    pub fn vocab_size(&self) -> usize {
        let new = self.added.get_vocab().keys().filter(|token| self.model.token_to_id(token).is_none());
        self.model.get_vocab_size() + new.count()
    }

    /// The id of a token, such as `<image>`.
    #[must_use]
    pub fn id(&self, token: &str) -> Option<u32> {
        self.added.token_to_id(token, &self.model)
    }

    /// The ids of a text, with the special tokens that the tokenizer puts around it, and those that are written out in it. Of any
    /// length: not cut, not padded.
    ///
    /// # Errors
    /// [`Error::BadCheckpoint`] if the tokenizer has no token for something in the text.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let pieces = self.added.extract_and_normalize(Some(&self.normalizers), text);
        let tokens = self.tokens(pieces).map_err(|e| self.bad(e))?;
        let [before, after] = self.around();
        Ok([before, tokens.get_ids(), after].concat())
    }

    /// The special tokens that the tokenizer puts before and after a text.
    #[must_use]
    pub fn around(&self) -> [&[u32]; 2] {
        [&self.template.before, &self.template.after]
    }

    /// The ids of a text that somebody wrote, to be a part of a prompt: nothing is put around it, and none of the ids is a special
    /// token's, but for what the vocabulary does not know: `</s>` written out is four characters.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn encode_plain(&self, text: &str) -> Result<Vec<u32>> {
        let all = 0..text.len();
        self.encode_prompt(text, &[all])
    }

    /// The ids of a prompt; nothing is put around it. Special tokens written out in it count, but not in `foreign`, ranges of bytes that
    /// somebody else wrote: there they are text, as in [`Tokenizer::encode_plain`].
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn encode_prompt(&self, text: &str, foreign: &[Range<usize>]) -> Result<Vec<u32>> {
        self.prompt(text, foreign).map_err(|e| self.bad(e))
    }

    fn prompt(&self, text: &str, foreign: &[Range<usize>]) -> tokenizers::Result<Vec<u32>> {
        let kept = self.found(text, foreign);
        // The text is cut at these tokens and nowhere else: what stands between two of them is one text, whoever wrote it.
        let mut pieces = PreTokenizedString::from(text);
        pieces.split(|_, whole| {
            let piece = |range: Range<usize>| whole.slice(Cut::Original(range)).ok_or("added_tokens: cut a character");
            let (mut cut, mut at) = (Vec::with_capacity(2 * kept.len() + 1), 0);
            for (range, _) in &kept {
                if at < range.start {
                    cut.push((piece(at..range.start)?, None));
                }
                cut.push((piece(range.clone())?, Some(vec![Token::new(KEPT, String::new(), (0, 0))])));
                at = range.end;
            }
            if at < text.len() {
                cut.push((piece(at..text.len())?, None));
            }
            Ok(cut)
        })?;
        pieces.normalize(|piece| self.normalizers.normalize(piece))?;
        let (tokens, mut kept) = (self.tokens(pieces)?, kept.into_iter());
        let mut ids = Vec::with_capacity(tokens.len());
        for &id in tokens.get_ids() {
            if id == KEPT {
                ids.extend(kept.next().map(|(_, id)| id));
            } else if Some(id) == self.unk || !self.is_special(id) {
                ids.push(id);
            } else {
                // Unigrams have special tokens among their pieces.
                for c in self.model.id_to_token(id).unwrap_or_default().chars() {
                    ids.extend(self.model.tokenize(c.encode_utf8(&mut [0; 4]))?.iter().map(|token| token.id));
                }
            }
        }
        Ok(ids)
    }

    /// The added tokens that are written out in a text, each with its bytes; special ones not where they are foreign.
    fn found(&self, text: &str, foreign: &[Range<usize>]) -> Vec<(Range<usize>, u32)> {
        let pieces = self.added.extract_and_normalize(Some(&self.normalizers), text);
        let is_foreign = |start, end| foreign.iter().any(|range| range.start < end && start < range.end);
        pieces
            .get_splits(OffsetReferential::Original, OffsetType::Byte)
            .into_iter()
            .filter_map(|(_, (start, end), tokens)| {
                let id = tokens.as_ref()?.first()?.id;
                // What a normalizer puts in has no bytes of its own.
                let counts = start < end && !(self.is_special(id) && is_foreign(start, end));
                counts.then_some((start..end, id))
            })
            .collect()
    }

    fn tokens(&self, mut pieces: PreTokenizedString) -> tokenizers::Result<Encoding> {
        self.pre_tokenizers.pre_tokenize(&mut pieces)?;
        self.model.tokenize_in_pretokenized(&mut pieces, None)?;
        pieces.into_encoding(None, 0, OffsetType::None)
    }

    fn is_special(&self, id: u32) -> bool {
        self.added(id).is_some_and(|token| token.special)
    }

    /// The text of token ids; an id that no token has is passed over. `skip_special` leaves out special tokens, such as those at the
    /// ends of a text.
    ///
    /// Bytes that are no character become U+FFFD.
    ///
    /// # Errors
    /// [`Error::BadCheckpoint`] if the file does not say how its tokens are spelled, or says it in a way that is not known.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String> {
        let decoder = self.decoder()?;
        let mut spelling = Spelling::default();
        let mut text: String = ids.iter().map(|&id| self.push(decoder, &mut spelling, id, skip_special)).collect();
        text += &spelling.finish(decoder);
        Ok(text)
    }

    /// The same, as token ids come one by one.
    ///
    /// # Errors
    /// As [`Tokenizer::decode`].
    pub fn stream(self: &Arc<Self>, skip_special: bool) -> Result<TextStream> {
        let decoder = Arc::clone(self.decoder()?);
        Ok(TextStream { tokenizer: Arc::clone(self), decoder, skip_special, spelling: Spelling::default() })
    }

    /// What each of so many tokens adds to a text, within it. The first call decides how many there are.
    ///
    /// # Errors
    /// As [`Tokenizer::decode`], and for tokens that add something else at a word's end.
    pub(super) fn spellings(&self, vocab: usize) -> Result<Arc<Spellings>> {
        if self.decoder()?.has_suffix() {
            return Err(self.bad("expected tokens that are spelled alike everywhere, found some that end words"));
        }
        let all = || (0..vocab as u32).map(|id| self.spelled(id).unwrap_or_default());
        Ok(Arc::clone(self.spellings.get_or_init(|| Arc::new(Spellings::new(all())))))
    }

    /// What a token adds to a text, within it; none of one that was added to the vocabulary, that stands for what is not known, or that is
    /// not there.
    fn spelled(&self, id: u32) -> Option<Vec<u8>> {
        if Some(id) == self.unk || self.added(id).is_some() {
            return None;
        }
        Some(self.decoder.as_ref().ok()?.bytes(&self.model.id_to_token(id)?, false, false).0)
    }

    /// The same as the text's first one, where that is something else.
    pub(super) fn spelled_first(&self, id: u32) -> Option<Vec<u8>> {
        let decoder = self.decoder.as_ref().ok().filter(|decoder| decoder.is_other_at_first())?;
        Some(decoder.bytes(&self.model.id_to_token(id)?, false, true).0)
    }

    /// How many spaces at a text's start are no part of it, and whether the blank is one of them that stands between a prompt and a text.
    ///
    /// # Errors
    /// As [`Tokenizer::decode`].
    pub(super) fn blanks(&self) -> Result<(usize, bool)> {
        Ok(self.decoder()?.blanks())
    }

    fn decoder(&self) -> Result<&Arc<Decoder>> {
        self.decoder.as_ref().map_err(|why| self.bad(why))
    }

    fn added(&self, id: u32) -> Option<&AddedToken> {
        self.added.get_added_tokens_decoder().get(&id)
    }

    fn push(&self, decoder: &Decoder, spelling: &mut Spelling, id: u32, skip_special: bool) -> String {
        match self.added(id) {
            Some(token) if token.special && skip_special => String::new(),
            Some(token) => spelling.push(decoder, &token.content, true),
            None => self.model.id_to_token(id).map_or_else(String::new, |token| spelling.push(decoder, &token, false)),
        }
    }
}

/// A text that comes token by token, in whole characters.
pub struct TextStream {
    tokenizer: Arc<Tokenizer>,
    decoder: Arc<Decoder>,
    skip_special: bool,
    spelling: Spelling,
}

impl TextStream {
    /// Without so many spaces at the start of the text, besides those that the tokenizer leaves out.
    pub(super) fn without(mut self, blanks: usize) -> Self {
        self.spelling.lead = blanks;
        self
    }

    /// What this token adds to the text: none or more whole characters.
    pub fn push(&mut self, id: u32) -> String {
        self.tokenizer.push(&self.decoder, &mut self.spelling, id, self.skip_special)
    }

    /// What is left at the end: U+FFFD for bytes that never became a character. The next token starts another text.
    pub fn finish(&mut self) -> String {
        self.spelling.finish(&self.decoder)
    }
}

fn bad(file: &str, what: impl Display) -> Error {
    Error::BadCheckpoint(format!("{file}: {what}"))
}
