//! Damage, the same for the same random numbers: to bytes as they are, and to the tree of a JSON file.

use serde_json::{Map, Value, json};

use ocelli::random::Random;

fn pick<'a, T>(random: &mut Random, from: &'a [T]) -> &'a T {
    &from[random.below(from.len())]
}

/// Numbers at which parsers break, and what only looks like a number.
const NUMBERS: [&str; 22] = [
    "0",
    "-1",
    "1",
    "2",
    "7",
    "255",
    "65536",
    "16777217",
    "2147483648",
    "4294967295",
    "4294967296",
    "9007199254740993",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "1e308",
    "1e999",
    "-1e-320",
    "0.1",
    "NaN",
    "-Infinity",
];

/// Strings at which parsers break; the last two are no strings in JSON. Patterns and types of tokenizers are among them.
const STRINGS: [&str; 22] = [
    "\"\"",
    "\" \"",
    "\"\\u0000\"",
    "\"▁\"",
    "\"é\\u0301İß\"",
    "\"../../etc/passwd\"",
    "\"<0x00>\"",
    "\"<0xZZ>\"",
    "\"(a+)+$\"",
    "\"(?=.*\"",
    "\"\\\\p{L}{9999}\"",
    "\"(?<=a|bc)\\\\1\"",
    "\"$A $B:1 </s>\"",
    "\"Sequence\"",
    "\"BPE\"",
    "\"Unigram\"",
    "\"ByteLevel\"",
    "\"Metaspace\"",
    "\"F4\"",
    "\"BF16\"",
    "\"\\ud800\"",
    "\"\n\"",
];

/// What is put into the tree as a string and comes out as it stands, so that a tree can hold what JSON cannot.
const RAW: &str = "@@raw:";
/// The same for a key that is there already.
const AGAIN: &str = "@@again:";

/// A file damaged in one to four ways.
pub fn damage(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = pick(random, seeds).clone();
    let tree = (random.below(3) > 0).then(|| serde_json::from_slice::<Value>(&bytes).ok()).flatten();
    if let Some(mut tree) = tree {
        for _ in 0..=random.below(4) {
            edit(random, &mut tree);
        }
        bytes = print(&tree);
        if random.below(4) > 0 {
            return bytes;
        }
    }
    for _ in 0..=random.below(4) {
        scratch(random, &mut bytes, seeds);
    }
    bytes
}

fn print(tree: &Value) -> Vec<u8> {
    let text = tree.to_string().replace(AGAIN, "");
    let mark = format!("\"{RAW}");
    let mut parts = text.split(&mark);
    let mut out = parts.next().unwrap_or_default().to_string();
    for part in parts {
        // Raw text was escaped as a string on its way in: unescape it as one.
        let end = (0..part.len()).find(|&i| part.as_bytes()[i] == b'"' && !escaped(part, i)).unwrap_or(part.len());
        let raw = serde_json::from_str(&format!("\"{}\"", &part[..end])).unwrap_or_else(|_| part[..end].to_string());
        out += &raw;
        out += part.get(end + 1..).unwrap_or_default();
    }
    out.into_bytes()
}

fn escaped(text: &str, at: usize) -> bool {
    text.as_bytes()[..at].iter().rev().take_while(|&&b| b == b'\\').count() % 2 == 1
}

fn raw(text: &str) -> Value {
    format!("{RAW}{text}").into()
}

fn count(tree: &Value) -> usize {
    1 + match tree {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(fields) => fields.values().map(count).sum::<usize>(),
        _ => 0,
    }
}

/// The node that is `nth` from the root, children after parents.
fn node<'a>(tree: &'a mut Value, nth: &mut usize) -> Option<&'a mut Value> {
    if *nth == 0 {
        return Some(tree);
    }
    *nth -= 1;
    match tree {
        Value::Array(items) => items.iter_mut().find_map(|item| node(item, nth)),
        Value::Object(fields) => fields.values_mut().find_map(|field| node(field, nth)),
        _ => None,
    }
}

fn any_node<'a>(random: &mut Random, tree: &'a mut Value) -> &'a mut Value {
    // Halfway towards the root: a long vocabulary must not get all the edits.
    let all = count(tree);
    let most = if random.below(2) == 0 { all.min(40) } else { all };
    node(tree, &mut random.below(most)).expect("fewer than there are")
}

/// One structural edit.
fn edit(random: &mut Random, tree: &mut Value) {
    let other = any_node(random, tree).clone();
    let target = any_node(random, tree);
    match random.below(9) {
        0 => *target = any_value(random),
        1 => *target = other,
        2 => *target = raw(pick::<&str>(random, &NUMBERS)),
        3 => *target = raw(pick::<&str>(random, &STRINGS)),
        4 => {
            for _ in 0..*pick(random, &[1, 2, 100, 200]) {
                let inner = std::mem::take(target);
                *target = if random.below(2) == 0 { json!([inner]) } else { json!({ "normalizers": [inner] }) };
            }
        }
        _ => match target {
            Value::Object(fields) => edit_object(random, fields, other),
            Value::Array(items) => edit_array(random, items, other),
            Value::Number(_) => *target = raw(pick::<&str>(random, &NUMBERS)),
            Value::String(text) if random.below(2) == 0 => *text = text.repeat(*pick(random, &[0, 2, 300])),
            _ => *target = any_value(random),
        },
    }
}

fn edit_object(random: &mut Random, fields: &mut Map<String, Value>, other: Value) {
    let keys: Vec<String> = fields.keys().cloned().collect();
    if keys.is_empty() {
        fields.insert("type".into(), other);
        return;
    }
    let (key, second) = (pick(random, &keys), pick(random, &keys));
    match random.below(5) {
        0 => drop(fields.remove(key)),
        1 => drop(fields.insert(format!("{AGAIN}{key}"), other)),
        2 => {
            let value = fields.remove(key).expect("its own key");
            fields.insert(format!("{key}s"), value);
        }
        3 => {
            let (a, b) = (fields[key].clone(), fields[second].clone());
            fields.insert(key.clone(), b);
            fields.insert(second.clone(), a);
        }
        _ => drop(fields.insert(key.clone(), other)),
    }
}

fn edit_array(random: &mut Random, items: &mut Vec<Value>, other: Value) {
    let (len, small) = (items.len(), count(&other) < 100);
    let (a, b) = (random.below(len), random.below(len));
    match random.below(5) {
        0 => items.truncate(a),
        1 if len > 0 => drop(items.remove(a)),
        2 if len > 0 => items.swap(a, b),
        3 if small => items.extend(std::iter::repeat_n(other, *pick(random, &[1, 2, 500]))),
        _ => items.insert(a, other),
    }
}

fn any_value(random: &mut Random) -> Value {
    match random.below(7) {
        0 => Value::Null,
        1 => (random.below(2) == 0).into(),
        2 => random.bits().into(),
        3 => json!([]),
        4 => json!({}),
        5 => raw(pick::<&str>(random, &NUMBERS)),
        _ => raw(pick::<&str>(random, &STRINGS)),
    }
}

/// One change that knows no structure.
fn scratch(random: &mut Random, bytes: &mut Vec<u8>, seeds: &[Vec<u8>]) {
    if bytes.is_empty() {
        bytes.extend(pick(random, seeds));
        return;
    }
    let (at, len) = (random.below(bytes.len()), bytes.len());
    let end = (at + random.below(64)).min(len);
    match random.below(12) {
        0 => bytes[at] ^= 1 << random.below(8),
        1 => bytes[at] = random.bits() as u8,
        2 => bytes.truncate(at),
        3 => drop(bytes.drain(at..end)),
        4 => {
            let chunk = bytes[at..end].to_vec();
            bytes.splice(at..at, chunk);
        }
        5 => {
            // Chunks swapped: what lies between the two places goes first.
            let middle = at + (len - at) / 2;
            bytes[at..].rotate_left(middle - at);
        }
        6 => {
            let other = pick(random, seeds);
            let from = random.below(other.len());
            bytes.splice(at.., other[from..].iter().copied());
        }
        7 => insert(bytes, at, pick::<&str>(random, &NUMBERS).as_bytes()),
        8 => insert(bytes, at, pick::<&str>(random, &STRINGS).as_bytes()),
        9 => insert(bytes, at, pick::<&[u8]>(random, &[b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf8\x88", b"\0"])),
        10 => {
            let nest = pick::<&str>(random, &["[", "{\"a\":", "[[0],", "{\"\":0},", "0,"]);
            insert(bytes, at, nest.repeat(*pick(random, &[3, 130, 3000])).as_bytes());
        }
        _ => digit(random, bytes, at),
    }
}

fn insert(bytes: &mut Vec<u8>, at: usize, what: &[u8]) {
    bytes.splice(at..at, what.iter().copied());
}

/// The next digit becomes another: shapes, offsets and ids that lie.
fn digit(random: &mut Random, bytes: &mut [u8], at: usize) {
    if let Some(digit) = bytes[at..].iter_mut().find(|b| b.is_ascii_digit()) {
        *digit = b'0' + random.below(10) as u8;
    }
}
