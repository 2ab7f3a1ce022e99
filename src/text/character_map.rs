//! SentencePiece's map from characters to their replacements, `precompiled_charsmap`: the size of a double array, its units, and
//! strings that end with 0. As the crates spm_precompiled and tokenizers read it (`normalizers::precompiled`).

use unicode_segmentation::UnicodeSegmentation;

/// A grapheme of fewer bytes is replaced as a whole.
const LONG: usize = 6;

/// A trie in a double array, and what its leaves point to.
pub struct CharacterMap {
    units: Vec<u32>,
    strings: String,
}

fn offset(unit: u32) -> usize {
    ((unit >> 10) << ((unit & 1 << 9) >> 6)) as usize
}

fn has_leaf(unit: u32) -> bool {
    unit >> 8 & 1 == 1
}

fn value(unit: u32) -> usize {
    (unit & !(1 << 31)) as usize
}

impl CharacterMap {
    /// None if a walk through the array leaves it, or leads to something else than the start of a character.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let (size, rest) = bytes.split_first_chunk::<4>()?;
        let (units, strings) = rest.split_at_checked(u32::from_le_bytes(*size) as usize / 4 * 4)?;
        let units = units.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        let map = Self { units, strings: String::from_utf8(strings.to_vec()).ok()? };
        map.check().map(|()| map)
    }

    fn check(&self) -> Option<()> {
        let mut seen = vec![false; self.units.len()];
        let mut open = vec![offset(*self.units.first()?)];
        while let Some(node) = open.pop() {
            for label in 1..=255 {
                let child = *self.units.get(node ^ label)?;
                if child & (1 << 31 | 0xff) != label as u32 {
                    continue;
                }
                let next = node ^ label ^ offset(child);
                let leaf = value(*self.units.get(next)?);
                if has_leaf(child) && !self.strings.is_char_boundary(leaf) {
                    return None;
                }
                if !std::mem::replace(&mut seen[next], true) {
                    open.push(next);
                }
            }
        }
        Some(())
    }

    pub fn apply(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        for grapheme in text.graphemes(true) {
            match self.replacement(grapheme).filter(|_| grapheme.len() < LONG) {
                Some(replacement) => out += replacement,
                None => {
                    for c in grapheme.chars() {
                        match self.replacement(c.encode_utf8(&mut [0; 4])) {
                            Some(replacement) => out += replacement,
                            None => out.push(c),
                        }
                    }
                }
            }
        }
        out
    }

    /// Of the shortest start of the text that has one.
    fn replacement(&self, text: &str) -> Option<&str> {
        let mut node = offset(self.units[0]);
        for byte in text.bytes().take_while(|byte| *byte != 0) {
            node ^= usize::from(byte);
            let unit = self.units[node];
            if unit & (1 << 31 | 0xff) != u32::from(byte) {
                return None;
            }
            node ^= offset(unit);
            if has_leaf(unit) {
                return self.strings[value(self.units[node])..].split('\0').next();
            }
        }
        None
    }
}
