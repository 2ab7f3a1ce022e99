//! What open_clip does to a text before it tokenizes it (`basic_clean` and `get_clean_fn` in its `tokenizer.py`):
//! `ftfy.fix_text`, HTML's entities twice, and one of three rules.
//!
//! Of ftfy 6.3 all is here but its repair of mojibake ("Ã©" for "é", `fix_encoding`), which guesses by a table of what
//! looks wrong.

use tokenizers::NormalizedString;

use super::html;
use crate::config::OpenClipCleaning;

/// The text as open_clip's tokenizers see it.
pub fn open_clip(text: &str, rule: OpenClipCleaning) -> String {
    let text = fix_text(text);
    let text = html::unescape(&html::unescape(&text));
    match rule {
        OpenClipCleaning::Whitespace => collapse(&text),
        OpenClipCleaning::Lower => collapse(&text).to_lowercase(),
        OpenClipCleaning::Canonicalize => {
            let kept: String = text.replace('_', " ").chars().filter(|c| !c.is_ascii_punctuation()).collect();
            collapse(&kept.to_lowercase())
        }
    }
}

/// Single spaces, none at the ends.
pub fn collapse(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `ftfy.fix_text`: line by line, each until nothing changes any more. From a line with a `<` on the text is taken for HTML, in
/// which entities have a meaning.
fn fix_text(text: &str) -> String {
    let mut html = false;
    let mut fixed = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        html |= line.contains('<');
        let mut line = line.to_string();
        loop {
            let next = fix(&line, html);
            if next == line {
                break;
            }
            line = next;
        }
        fixed += &line;
    }
    fixed
}

/// One round of `ftfy.fix_and_explain`, in its order.
fn fix(line: &str, html: bool) -> String {
    let text = if html { line.to_string() } else { unescape(line) };
    let mut wide = String::with_capacity(text.len());
    for c in text.chars() {
        match (c, ligature(c)) {
            // What Windows meant
            ('\u{80}'..='\u{9f}', _) => wide.extend(html::windows(c)),
            (_, Some(letters)) => wide += letters,
            (_, None) => wide.push(c),
        }
    }
    let mut plain = String::with_capacity(wide.len());
    for c in wide.chars() {
        match c {
            // Halfwidth and fullwidth forms
            '\u{3000}' => plain.push(' '),
            '\u{ff01}'..='\u{ffef}' => plain += NormalizedString::from(c.to_string()).nfkc().get(),
            '\u{2bc}' | '\u{2018}'..='\u{201b}' => plain.push('\''),
            '\u{201c}'..='\u{201f}' => plain.push('"'),
            _ => plain.push(c),
        }
    }
    let plain = plain.replace("\r\n", "\n").replace(['\r', '\u{2028}', '\u{2029}'], "\n");
    let mut plain = without_terminal_escapes(&plain);
    plain.retain(|c| !is_control(c));
    NormalizedString::from(plain).nfc().get().into()
}

/// Entities with a semicolon, also those of which somebody made capitals (`ftfy.fixes.unescape_html`).
fn unescape(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(start) = rest.find('&') {
        out += &rest[..start];
        rest = &rest[start..];
        let name = rest[1..].strip_prefix('#').unwrap_or(&rest[1..]);
        let len = name.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(name.len());
        let end = rest.len() - name.len() + len;
        match (1..=24).contains(&len) && rest[end..].starts_with(';') {
            true => {
                out += &entity(&rest[..=end]);
                rest = &rest[end + 1..];
            }
            false => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out + rest
}

/// What `&name;` or `&#number;` stands for, or itself.
fn entity(whole: &str) -> String {
    if whole.starts_with("&#") {
        let character = html::unescape(whole);
        return if character.contains(';') { whole.into() } else { character };
    }
    let name = &whole[1..whole.len() - 1];
    html::named(name).or_else(|| html::in_capitals(name)).unwrap_or(whole).into()
}

/// Colours and the like: ESC, `[`, numbers with semicolons, a letter.
fn without_terminal_escapes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("\u{1b}[") {
        let after = rest[start + 2..].trim_start_matches(|c: char| c.is_ascii_digit() || c == ';');
        match after.starts_with(|c: char| c.is_ascii_alphabetic()) {
            true => {
                out += &rest[..start];
                rest = &after[1..];
            }
            false => {
                out += &rest[..start + 2];
                rest = &rest[start + 2..];
            }
        }
    }
    out + rest
}

/// Invisible characters that mean nothing in a text.
fn is_control(c: char) -> bool {
    matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{e}'..='\u{1f}' | '\u{7f}' | '\u{206a}'..='\u{206f}' | '\u{feff}'
        | '\u{fff9}'..='\u{fffc}')
}

/// Letters that fonts or old character sets join.
fn ligature(c: char) -> Option<&'static str> {
    Some(match c {
        'Ĳ' => "IJ",
        'ĳ' => "ij",
        'ŉ' => "ʼn",
        'Ǳ' => "DZ",
        'ǲ' => "Dz",
        'ǳ' => "dz",
        'Ǆ' => "DŽ",
        'ǅ' => "Dž",
        'ǆ' => "dž",
        'Ǉ' => "LJ",
        'ǈ' => "Lj",
        'ǉ' => "lj",
        'Ǌ' => "NJ",
        'ǋ' => "Nj",
        'ǌ' => "nj",
        'ﬀ' => "ff",
        'ﬁ' => "fi",
        'ﬂ' => "fl",
        'ﬃ' => "ffi",
        'ﬄ' => "ffl",
        'ﬅ' => "ſt",
        'ﬆ' => "st",
        _ => return None,
    })
}
