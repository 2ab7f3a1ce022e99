//! Text files as people's editors save them, and lists of labels.

use std::{fs, path::Path};

use ocelli::Result;

use crate::bad_input;

/// The text of a file in UTF-8, without the byte order mark that some editors put before it.
pub fn read(path: &Path) -> Result<String> {
    let bad = |what: String| bad_input(format!("{}: {what}", path.display()));
    let bytes = fs::read(path).map_err(|e| bad(e.to_string()))?;
    let mark = bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff");
    // Or two letters in UTF-16 without its mark.
    if mark || bytes.iter().take(4).filter(|&&byte| byte == 0).count() == 2 {
        return Err(bad("expected text in UTF-8, found UTF-16: save it as UTF-8".into()));
    }
    let text = String::from_utf8(bytes)
        .map_err(|e| bad(format!("expected text in UTF-8, found other bytes ({e}): save it as UTF-8")))?;
    Ok(text.strip_prefix('\u{feff}').map(Into::into).unwrap_or(text))
}

/// The lines of a text, whether they end in LF, CR LF or CR.
pub fn lines(text: &str) -> impl Iterator<Item = &str> {
    // Of CR LF, what is between is an empty line, which no list wants.
    text.split(['\n', '\r'])
}

/// What stands between commas. A part that begins with a double quote goes on to the next one, commas and all; two of them are one
/// quote, as in CSV files.
pub fn comma_separated(text: &str) -> Result<Vec<String>> {
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let Some(mut quoted) = rest.strip_prefix('"') else {
            let (part, after) = rest.split_once(',').map_or((rest, None), |(part, after)| (part, Some(after)));
            parts.push(part.trim_end().into());
            let Some(after) = after else { return Ok(parts) };
            rest = after;
            continue;
        };
        let mut part = String::new();
        loop {
            let Some((before, after)) = quoted.split_once('"') else {
                return Err(bad_input(format!("{text:?}: expected a second quote (\"), found the end")));
            };
            part += before;
            let Some(more) = after.strip_prefix('"') else {
                rest = after.trim_start();
                break;
            };
            part.push('"');
            quoted = more;
        }
        parts.push(part);
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None if rest.is_empty() => return Ok(parts),
            None => return Err(bad_input(format!("{text:?}: expected a comma after the quotes, found {rest:?}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_and_other_encodings() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let text = |bytes: &[u8]| {
            fs::write(&file, bytes).expect("a file");
            read(file.path())
        };
        assert_eq!(text(b"\xef\xbb\xbfa dog\r\n").expect("text"), "a dog\r\n");
        assert_eq!(text(b"").expect("text"), "");
        let utf16 = |big: bool| -> Vec<u8> {
            "a dog".encode_utf16().flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
        };
        let with = |mark: &[u8], text: Vec<u8>| [mark, &text].concat();
        for bytes in [with(b"\xff\xfe", utf16(false)), with(b"\xfe\xff", utf16(true)), utf16(false), utf16(true)] {
            let error = text(&bytes).expect_err("UTF-16").to_string();
            assert!(error.contains("found UTF-16: save it as UTF-8"), "{error}");
        }
        let error = text(b"caf\xe9").expect_err("Latin-1").to_string();
        assert!(error.contains("expected text in UTF-8") && !error.contains("UTF-16"), "{error}");
    }

    #[test]
    fn lines_end_in_three_ways() {
        let found: Vec<&str> = lines("a\nb\r\nc\rd").filter(|line| !line.is_empty()).collect();
        assert_eq!(found, ["a", "b", "c", "d"]);
    }

    #[test]
    fn quotes_keep_commas() {
        let parts = |text: &str| comma_separated(text).expect("a list");
        assert_eq!(parts("a cat, a dog ,a tree"), ["a cat", "a dog", "a tree"]);
        assert_eq!(parts("\"red, round\" , b,\"c\""), ["red, round", "b", "c"]);
        assert_eq!(parts("\"say \"\"hi\"\", twice\""), ["say \"hi\", twice"]);
        assert_eq!(parts("a 5\" disk,a \"b\""), ["a 5\" disk", "a \"b\""]);
        assert_eq!(parts("a,,b,"), ["a", "", "b", ""]);
        assert!(comma_separated("\"a, b").is_err());
        assert!(comma_separated("\"a\" b, c").is_err());
    }
}
