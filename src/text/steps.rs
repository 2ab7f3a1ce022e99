//! What a `tokenizer.json` has around its model: steps of the tokenizers crate, each made by its name. What has no name here is
//! refused, and so is what the crate would panic on: in the browser a panic is the end of the module.

use serde_json::Value;
use tokenizers::{
    NormalizedString, Normalizer, PreTokenizedString, PreTokenizer, SplitDelimiterBehavior,
    normalizers::{self, Lowercase, NFC, NFD, NFKC, NFKD, Nmt, Precompiled, Prepend, Replace, Strip, StripAccents},
    pre_tokenizers::{
        byte_level::ByteLevel,
        digits::Digits,
        metaspace::{Metaspace, PrependScheme},
        punctuation::Punctuation,
        split::{Split, SplitPattern},
        whitespace::{Whitespace, WhitespaceSplit},
    },
};

use crate::json::brief;

pub type Result<T> = std::result::Result<T, String>;

/// Longest pattern, in bytes; GPT-4o's has 400.
const MAX_PATTERN: usize = 2048;

/// CLIP's words: short forms, letters, single digits, all else but white space.
const CLIP: &str = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";

/// What becomes of a text before it is cut.
#[derive(Default)]
pub struct Normalizers(Vec<Box<dyn Normalizer + Send>>);

impl Normalizer for Normalizers {
    fn normalize(&self, text: &mut NormalizedString) -> tokenizers::Result<()> {
        self.0.iter().try_for_each(|step| step.normalize(text))
    }
}

/// Where it is cut before the model sees it.
#[derive(Default)]
pub struct PreTokenizers(Vec<Box<dyn PreTokenizer + Send + Sync>>);

impl PreTokenizer for PreTokenizers {
    fn pre_tokenize(&self, text: &mut PreTokenizedString) -> tokenizers::Result<()> {
        self.0.iter().try_for_each(|step| step.pre_tokenize(text))
    }
}

/// Special tokens before and after a text.
#[derive(Default)]
pub struct Template {
    pub before: Vec<u32>,
    pub after: Vec<u32>,
}

pub fn unexpected(what: &str, expected: &str, found: &Value) -> String {
    format!("{what}: expected {expected}, found {}", brief(found))
}

pub fn id(value: &Value, what: &str) -> Result<u32> {
    let id = value.as_u64().and_then(|id| u32::try_from(id).ok());
    id.ok_or_else(|| unexpected(what, "an id", value))
}

pub fn flag(part: &Value, key: &str, default: bool) -> Result<bool> {
    match &part[key] {
        Value::Null => Ok(default),
        value => value.as_bool().ok_or_else(|| unexpected(key, "true or false", value)),
    }
}

fn string(part: &Value, key: &str) -> Result<String> {
    part[key].as_str().map(String::from).ok_or_else(|| unexpected(key, "a string", &part[key]))
}

/// Every part of a sequence, or the only one.
fn each(part: &Value, list: &str, read: &mut impl FnMut(&Value) -> Result<()>) -> Result<()> {
    match part {
        Value::Null => Ok(()),
        _ if part["type"] == "Sequence" => match part[list].as_array() {
            Some(parts) => parts.iter().try_for_each(|part| each(part, list, read)),
            None => Err(unexpected(list, "a list", &part[list])),
        },
        _ => read(part),
    }
}

/// From `normalizer`.
pub fn normalizers(value: &Value) -> Result<Normalizers> {
    let mut steps = Normalizers::default();
    each(value, "normalizers", &mut |part| {
        steps.0.push(normalizer(part)?);
        Ok(())
    })?;
    Ok(steps)
}

fn normalizer(part: &Value) -> Result<Box<dyn Normalizer + Send>> {
    Ok(match part["type"].as_str().unwrap_or_default() {
        "NFC" => Box::new(NFC),
        "NFD" => Box::new(NFD),
        "NFKC" => Box::new(NFKC),
        "NFKD" => Box::new(NFKD),
        "Nmt" => Box::new(Nmt),
        "Lowercase" => Box::new(Lowercase),
        "StripAccents" => Box::new(StripAccents),
        "ByteLevel" => Box::new(normalizers::ByteLevel::new()),
        "Strip" => Box::new(Strip::new(flag(part, "strip_left", true)?, flag(part, "strip_right", true)?)),
        "Prepend" => Box::new(Prepend::new(string(part, "prepend")?)),
        "Replace" => Box::new(replace(part)?),
        "Precompiled" => {
            let bytes = part["precompiled_charsmap"].as_str().and_then(|text| base64::decode(text).ok());
            let broken = "precompiled_charsmap: expected a character map, found a broken one";
            let bytes = bytes.filter(|bytes| is_character_map(bytes).is_some()).ok_or(broken)?;
            Box::new(Precompiled::from(&bytes).map_err(|_| broken)?)
        }
        _ => {
            let expected = "Sequence, NFC, NFD, NFKC, NFKD, Nmt, Lowercase, StripAccents, ByteLevel, Strip, Prepend, \
                Replace or Precompiled";
            return Err(unexpected("normalizer", expected, part));
        }
    })
}

/// Whether a pattern is no longer than published ones are, and repeats nothing hundreds of times: it would compile for seconds, to
/// tens of megabytes.
fn is_small(regex: &str) -> bool {
    if regex.len() > MAX_PATTERN {
        return false;
    }
    let counts = regex.split('{').skip(1).map(|rest| rest.split('}').next().unwrap_or_default());
    !counts
        .flat_map(|count| count.split(',').map(str::trim))
        .any(|count| count.len() > 2 && count.bytes().all(|c| c.is_ascii_digit()))
}

/// What is replaced must not be found where nothing is: what is put in there loses its place in the text.
fn replace(part: &Value) -> Result<Replace> {
    let pattern = &part["pattern"];
    let shortest = |regex: &str| regex_syntax::parse(regex).ok()?.properties().minimum_len();
    let content = string(part, "content")?;
    let made = match (pattern["String"].as_str(), pattern["Regex"].as_str()) {
        (Some(text), None) if !text.is_empty() => Replace::new(text, content),
        (None, Some(regex)) if is_small(regex) && shortest(regex).is_some_and(|len| len > 0) => {
            Replace::new(normalizers::replace::ReplacePattern::Regex(regex.into()), content)
        }
        _ => {
            let expected = "a String, or a plain and short Regex without repetitions beyond {99}, that matches at least one character";
            return Err(unexpected("normalizer: pattern", expected, pattern));
        }
    };
    made.map_err(|e| format!("normalizer: pattern: {e}"))
}

/// From `pre_tokenizer`.
pub fn pre_tokenizers(value: &Value) -> Result<PreTokenizers> {
    let mut steps = PreTokenizers::default();
    let mut cut = false;
    each(value, "pretokenizers", &mut |part| {
        steps.0.push(pre_tokenizer(part, cut)?);
        cut = part["pattern"]["Regex"] == CLIP && part["behavior"] == "Removed" && part["invert"] == true;
        Ok(())
    })?;
    Ok(steps)
}

/// `cut`: whether CLIP's pattern comes before it.
fn pre_tokenizer(part: &Value, cut: bool) -> Result<Box<dyn PreTokenizer + Send + Sync>> {
    Ok(match part["type"].as_str().unwrap_or_default() {
        "Whitespace" => Box::new(Whitespace),
        "WhitespaceSplit" => Box::new(WhitespaceSplit),
        "Digits" => Box::new(Digits::new(flag(part, "individual_digits", false)?)),
        "Punctuation" => Box::new(Punctuation::new(behavior(part, "Isolated")?)),
        "Split" => {
            let pattern = match (part["pattern"]["String"].as_str(), part["pattern"]["Regex"].as_str()) {
                (Some(text), None) => SplitPattern::String(text.into()),
                (None, Some(regex)) if is_small(regex) => SplitPattern::Regex(regex.into()),
                _ => {
                    let expected = "a String, or a short Regex without repetitions beyond {99}";
                    return Err(unexpected("pre_tokenizer: pattern", expected, &part["pattern"]));
                }
            };
            let split = Split::new(pattern, behavior(part, "")?, flag(part, "invert", false)?);
            Box::new(split.map_err(|e| format!("pre_tokenizer: pattern: {e}"))?)
        }
        "ByteLevel" => {
            let prefix = flag(part, "add_prefix_space", true)?;
            // Its own pattern, the slowest step of all, cuts nothing that CLIP's has left.
            let cuts = flag(part, "use_regex", true)? && (prefix || !cut);
            Box::new(ByteLevel::new(prefix, true, cuts))
        }
        "Metaspace" => {
            let mut letters = part["replacement"].as_str().unwrap_or_default().chars();
            let (Some(space), None) = (letters.next(), letters.next()) else {
                return Err(unexpected("pre_tokenizer: replacement", "one character", &part["replacement"]));
            };
            let otherwise = if flag(part, "add_prefix_space", true)? { "always" } else { "never" };
            let scheme = match part["prepend_scheme"].as_str().unwrap_or(otherwise) {
                "always" => PrependScheme::Always,
                "first" => PrependScheme::First,
                "never" => PrependScheme::Never,
                _ => return Err(unexpected("prepend_scheme", "always, first or never", &part["prepend_scheme"])),
            };
            Box::new(Metaspace::new(space, scheme, flag(part, "split", true)?))
        }
        _ => {
            let expected = "Sequence, Split, ByteLevel, Metaspace, Digits, Punctuation, Whitespace or WhitespaceSplit";
            return Err(unexpected("pre_tokenizer", expected, part));
        }
    })
}

fn behavior(part: &Value, default: &str) -> Result<SplitDelimiterBehavior> {
    match part["behavior"].as_str().unwrap_or(default) {
        "Removed" => Ok(SplitDelimiterBehavior::Removed),
        "Isolated" => Ok(SplitDelimiterBehavior::Isolated),
        "MergedWithPrevious" => Ok(SplitDelimiterBehavior::MergedWithPrevious),
        "MergedWithNext" => Ok(SplitDelimiterBehavior::MergedWithNext),
        "Contiguous" => Ok(SplitDelimiterBehavior::Contiguous),
        _ => {
            let expected = "Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous";
            Err(unexpected("pre_tokenizer: behavior", expected, &part["behavior"]))
        }
    }
}

/// From `post_processor`.
pub fn template(value: &Value) -> Result<Template> {
    let mut all = Template::default();
    each(value, "processors", &mut |part| {
        match part["type"].as_str().unwrap_or_default() {
            // It moves places in the text, which nobody asks for here.
            "ByteLevel" => {}
            "RobertaProcessing" | "BertProcessing" => {
                all.before.insert(0, id(&part["cls"][1], "post_processor: cls")?);
                all.after.push(id(&part["sep"][1], "post_processor: sep")?);
            }
            "TemplateProcessing" => {
                let Template { before, after } = single(part)?;
                all.before.splice(..0, before);
                all.after.extend(after);
            }
            _ => {
                let expected = "Sequence, TemplateProcessing, RobertaProcessing, BertProcessing or ByteLevel";
                return Err(unexpected("post_processor", expected, part));
            }
        }
        Ok(())
    })?;
    Ok(all)
}

/// What a template puts around the one text that there is.
fn single(part: &Value) -> Result<Template> {
    let single = &part["single"];
    let pieces = single.as_array().ok_or_else(|| unexpected("post_processor: single", "a list", single))?;
    let (mut template, mut texts) = (Template::default(), 0);
    for piece in pieces {
        if piece["Sequence"]["id"] == "A" {
            texts += 1;
            continue;
        }
        let what = "post_processor: special_tokens";
        let name = piece["SpecialToken"]["id"].as_str().ok_or_else(|| unexpected(what, "a name", piece))?;
        let ids = &part["special_tokens"][name]["ids"];
        let side = if texts == 0 { &mut template.before } else { &mut template.after };
        for value in ids.as_array().ok_or_else(|| unexpected(what, &format!("ids of {name:?}"), ids))? {
            side.push(id(value, what)?);
        }
    }
    match texts {
        1 => Ok(template),
        _ => Err(unexpected("post_processor: single", "the sequence A once", single)),
    }
}

/// SentencePiece's map from characters to their replacements: the size of a double array, its units, and strings that end
/// with 0. Every walk through the array must stay inside it, and lead to the start of a character; nothing if one does not.
/// `DoubleArray::common_prefix_search` and `Precompiled::transform` in the crate spm_precompiled.
fn is_character_map(bytes: &[u8]) -> Option<()> {
    let (size, rest) = bytes.split_first_chunk::<4>()?;
    let (units, strings) = rest.split_at_checked(u32::from_le_bytes(*size) as usize / 4 * 4)?;
    let strings = std::str::from_utf8(strings).ok()?;
    let units: Vec<u32> = units.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    let offset = |unit: u32| ((unit >> 10) << ((unit & 1 << 9) >> 6)) as usize;
    let mut seen = vec![false; units.len()];
    let mut open = vec![offset(*units.first()?)];
    while let Some(node) = open.pop() {
        for label in 1..=255 {
            let child = *units.get(node ^ label)?;
            if child & (1 << 31 | 0xff) != label as u32 {
                continue;
            }
            let next = node ^ label ^ offset(child);
            let value = *units.get(next)? & !(1 << 31);
            if child >> 8 & 1 == 1 && !strings.is_char_boundary(value as usize) {
                return None;
            }
            if !std::mem::replace(&mut seen[next], true) {
                open.push(next);
            }
        }
    }
    Some(())
}
