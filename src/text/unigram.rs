//! The pieces whose scores have the largest sum (Kudo 2018): `models::unigram` of the tokenizers crate, which follows
//! `EncodeOptimized` in SentencePiece's `unigram_model.cc`.

use super::bpe::byte_tokens;

/// How much an unknown character's score is below the lowest: `kUnkPenalty`.
const UNKNOWN_PENALTY: f64 = 10.0;

struct Piece {
    text: String,
    id: u32,
    score: f64,
}

/// A vocabulary with scores.
pub struct Unigram {
    /// In the order of their texts.
    pieces: Vec<Piece>,
    len: usize,
    unk: u32,
    unk_score: f64,
    /// Tokens of single bytes, if what is unknown is spelled in them.
    bytes: Option<Vec<Option<u32>>>,
}

/// The best way to the end of a piece.
#[derive(Clone, Copy)]
struct Way {
    score: f64,
    start: usize,
    id: u32,
}

impl Unigram {
    /// `complete`: fall back to bytes if the vocabulary has all of them, whatever `byte_fallback` says.
    pub fn new(vocab: Vec<(String, f64)>, unk: u32, byte_fallback: bool, complete: bool) -> Self {
        let len = vocab.len();
        let mut pieces: Vec<Piece> =
            vocab.into_iter().zip(0..).map(|((text, score), id)| Piece { text, id, score }).collect();
        let lowest = pieces.iter().map(|piece| piece.score).fold(f64::INFINITY, f64::min);
        // Of equal texts the last one counts.
        pieces.sort_unstable_by(|a, b| a.text.cmp(&b.text).then(b.id.cmp(&a.id)));
        pieces.dedup_by(|later, kept| later.text == kept.text);
        let mut unigram = Self { pieces, len, unk, unk_score: lowest - UNKNOWN_PENALTY, bytes: None };
        let bytes = byte_tokens(|token| unigram.id(token));
        if byte_fallback || complete && bytes.iter().all(Option::is_some) {
            unigram.bytes = Some(bytes);
        }
        unigram
    }

    pub fn id(&self, token: &str) -> Option<u32> {
        let at = self.pieces.binary_search_by(|piece| piece.text.as_str().cmp(token)).ok()?;
        Some(self.pieces[at].id)
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn encode(&self, word: &str, ids: &mut Vec<u32>) {
        let mut best: Vec<Option<Way>> = vec![None; word.len() + 1];
        for (start, c) in word.char_indices() {
            let before = best[start].map_or(0.0, |way| way.score);
            let mut offer = |len: usize, id: u32, score: f64| {
                let (way, score) = (&mut best[start + len], score + before);
                if way.is_none_or(|way| score > way.score) {
                    *way = Some(Way { score, start, id });
                }
            };
            let mut known = false;
            for piece in self.starts(&word[start..]) {
                offer(piece.text.len(), piece.id, piece.score);
                known |= piece.text.len() == c.len_utf8();
            }
            if !known {
                offer(c.len_utf8(), self.unk, self.unk_score);
            }
        }
        // From the end; unknown neighbours are one piece.
        let mut parts: Vec<(usize, usize, bool)> = Vec::new();
        let mut end = word.len();
        while let Some(Way { start, id, .. }) = best[end] {
            match (parts.last_mut(), id == self.unk) {
                (Some((first, _, true)), true) => *first = start,
                (_, unknown) => parts.push((start, end, unknown)),
            }
            end = start;
        }
        for (start, end, _) in parts.into_iter().rev() {
            let text = &word[start..end];
            let spelled = |bytes: &Vec<Option<u32>>| text.bytes().map(|byte| bytes[usize::from(byte)]).collect();
            match (self.id(text), self.bytes.as_ref().and_then(spelled)) {
                (Some(id), _) => ids.push(id),
                (None, bytes) => ids.extend::<Vec<u32>>(bytes.unwrap_or_else(|| vec![self.unk])),
            }
        }
    }

    /// Every piece that the text starts with.
    fn starts<'a>(&'a self, text: &'a str) -> impl Iterator<Item = &'a Piece> {
        let mut left = &self.pieces[..];
        let ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
        // Those that start with ever more of the text; of these the first is the shortest.
        let longer = ends.map_while(move |end| {
            let start = &text[..end];
            left = &left[left.partition_point(|piece| piece.text.as_str() < start)..];
            left = &left[..left.partition_point(|piece| piece.text.starts_with(start))];
            left.first().map(|piece| (piece, end))
        });
        longer.filter_map(|(piece, end)| (piece.text.len() == end).then_some(piece))
    }
}
