//! Entities of HTML, as Python's `html.unescape` reads them. The table is Python's (`tools/make_entities.py`).

use std::{collections::HashMap, sync::LazyLock};

/// By name: the characters, and what stands before the name in the file.
static ENTITIES: LazyLock<HashMap<&str, (String, &str)>> = LazyLock::new(|| {
    let lines = include_str!("entities.txt").lines().filter_map(|line| line.split_once(' '));
    let character = |hex: &str| u32::from_str_radix(hex, 16).ok().and_then(char::from_u32);
    let entity = |(name, codes): (&'static str, &str)| {
        let (mark, name) = name.split_at(name.len() - name.trim_start_matches(['&', '^']).len());
        (name, (codes.split(' ').filter_map(character).collect(), mark))
    };
    lines.map(entity).collect()
});

/// What the numbers 128 to 159 mean: Windows' characters.
const WINDOWS: &str = "€\u{81}‚ƒ„…†‡ˆ‰Š‹Œ\u{8d}Ž\u{8f}\u{90}‘’“”•–—˜™š›œ\u{9d}žŸ";

fn find(name: &str, allowed: impl Fn(&str) -> bool) -> Option<&'static str> {
    ENTITIES.get(name).filter(|(_, mark)| allowed(mark)).map(|(characters, _)| characters.as_str())
}

/// What `&name;` stands for.
pub fn named(name: &str) -> Option<&'static str> {
    find(name, |mark| mark != "^")
}

/// What `&NAME;` stands for to `ftfy`: the capital, if there is one, of what it is in small letters.
pub fn in_capitals(name: &str) -> Option<&'static str> {
    let whole = format!("&{name};");
    let shouted = !name.contains(|c: char| c.is_ascii_lowercase()) && unescape(&whole) == whole;
    find(name, |mark| mark == "^").or_else(|| named(&name.to_ascii_lowercase()).filter(|_| shouted))
}

/// Windows' character for one of the control characters from U+0080 to U+009F.
pub fn windows(c: char) -> Option<char> {
    WINDOWS.chars().nth((c as usize).checked_sub(0x80)?)
}

/// What `&#code;` stands for; some numbers stand for nothing.
fn numbered(code: u32) -> Option<char> {
    match char::from_u32(code) {
        None | Some('\0') => Some('\u{fffd}'),
        Some(c @ '\u{80}'..='\u{9f}') => windows(c),
        Some('\u{1}'..='\u{8}' | '\u{b}' | '\u{e}'..='\u{1f}' | '\u{7f}' | '\u{fdd0}'..='\u{fdef}') => None,
        Some(_) if code & 0xfffe == 0xfffe => None,
        Some(c) => Some(c),
    }
}

/// `html.unescape`: numbers and names, with a semicolon or, where browsers do not ask for it, without.
pub fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out += &rest[..at];
        rest = &rest[at + 1..];
        rest = match number(rest).or_else(|| name(rest)) {
            Some((characters, after)) => {
                out += &characters;
                after
            }
            None => {
                out.push('&');
                rest
            }
        };
    }
    out + rest
}

/// `#123;` or `#x7b;` at the start: what it stands for, and what comes after it.
fn number(text: &str) -> Option<(String, &str)> {
    let digits = text.strip_prefix('#')?;
    let (radix, digits) = match digits.strip_prefix(['x', 'X']) {
        Some(hex) => (16, hex),
        None => (10, digits),
    };
    let len = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
    if len == 0 {
        return None;
    }
    // What does not fit is no character either.
    let code = u32::from_str_radix(&digits[..len], radix).unwrap_or(u32::MAX);
    let after = digits[len..].strip_prefix(';').unwrap_or(&digits[len..]);
    Some((numbered(code).map(String::from).unwrap_or_default(), after))
}

/// A name at the start, or the longest start of it that needs no semicolon.
fn name(text: &str) -> Option<(String, &str)> {
    let ends = |c: char| "\t\n\u{c} <&#;".contains(c);
    let len = text.char_indices().take(32).take_while(|(_, c)| !ends(*c)).map(|(at, c)| at + c.len_utf8()).last()?;
    if let Some(after) = text[len..].strip_prefix(';')
        && let Some(characters) = named(&text[..len])
    {
        return Some((characters.into(), after));
    }
    let starts = (2..=len).rev().filter(|len| text.is_char_boundary(*len));
    let mut known = starts.filter_map(|len| Some((find(&text[..len], |mark| mark == "&")?, len)));
    known.next().map(|(characters, len)| (characters.into(), &text[len..]))
}
