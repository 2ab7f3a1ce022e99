//! The table at the end of a zip file: which record lies where. Only records that are stored as they are can be read, and
//! `torch.save` writes no others.
//!
//! The format is PKWARE's APPNOTE.TXT, with the 64-bit fields of its section 4.3.14. A record is found from where the next one
//! begins, because the table does not say how much padding torch has put before its bytes, and asking each record would be a
//! request for each tensor.

use std::ops::Range;

use super::{MOST_BYTES, take};
use crate::checkpoint::Bytes;

type Result<T> = std::result::Result<T, String>;

/// A record of the file.
struct Record {
    name: String,
    /// Where its own header begins.
    start: u64,
    /// Length of its content in the file.
    size: u64,
    /// Whether the content is neither compressed nor encrypted.
    stored: bool,
    /// Bytes after the content that say its length once more.
    descriptor: u64,
    /// Where the next record begins, or the table.
    next: u64,
}

/// The records of a zip file.
pub struct Zip {
    /// By name.
    records: Vec<Record>,
    /// The folder that all names of `torch.save` begin with, without its slash.
    pub root: String,
}

/// The end of the table without its comment, the record that says where its 64-bit twin is, and that twin.
const END: usize = 22;
const LOCATOR: usize = 20;
const END_64: u64 = 56;
/// A record in the table, and at its own place, without names.
const ENTRY: usize = 46;
const LOCAL: usize = 30;
/// The longest comment, and with it usually the whole table: one request.
const TAIL: u64 = 1 << 16;

fn u16_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]))
}

fn u32_at(bytes: &[u8], at: usize) -> u64 {
    u16_at(bytes, at) | u16_at(bytes, at + 2) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u32_at(bytes, at) | u32_at(bytes, at + 4) << 32
}

const NO_TABLE: &str = "expected a zip file's table at its end, found none: the file is incomplete, fetch it again";

impl Zip {
    /// Reads the table of a file of so many bytes.
    pub fn read(bytes: &dyn Bytes, size: u64) -> Result<Self> {
        let tail_start = size.saturating_sub(TAIL + END as u64);
        let tail = take(bytes, tail_start..size)?;
        let found = (0..=tail.len().saturating_sub(END)).rev().find(|&at| {
            tail[at..].starts_with(b"PK\x05\x06") && at + END + u16_at(&tail, at + 20) as usize == tail.len()
        });
        let end = found.ok_or(NO_TABLE)?;
        let (count, table) = table(bytes, &tail, end, tail_start + end as u64)?;
        if table.end > size || table.end - table.start > MOST_BYTES || count > (table.end - table.start) / ENTRY as u64
        {
            return Err("expected a zip file's table within the file, found it elsewhere".into());
        }
        let entries = take(bytes, table.clone())?;
        let mut records = records(&entries, count)?;
        let root = records.first().and_then(|first| first.name.split_once('/')).map(|(root, _)| root.to_string());
        let root = root.ok_or("expected a zip file that torch.save wrote, found another")?;
        records.sort_by_key(|record| std::cmp::Reverse(record.start));
        let mut next = table.start;
        for record in &mut records {
            record.next = next;
            next = record.start;
        }
        records.sort_by(|a, b| a.name.cmp(&b.name));
        if let Some(pair) = records.windows(2).find(|pair| pair[0].name == pair[1].name) {
            return Err(format!("{}: expected one record of this name, found two", pair[0].name));
        }
        Ok(Self { records, root })
    }

    fn find(&self, name: &str) -> Option<&Record> {
        let at = self.records.binary_search_by(|record| record.name.as_str().cmp(name)).ok()?;
        Some(&self.records[at])
    }

    /// Where the content of a record is; none if there is no such record.
    pub fn place(&self, bytes: &dyn Bytes, name: &str) -> Result<Option<Range<u64>>> {
        let Some(record) = self.find(name) else { return Ok(None) };
        let wrong = |what: &str| format!("{name}: {what}");
        if !record.stored {
            return Err(wrong("expected a record that is stored as it is, found a compressed or encrypted one"));
        }
        let end = record.next.checked_sub(record.descriptor);
        let start = end.and_then(|end| end.checked_sub(record.size));
        let header_end = record.start.checked_add((LOCAL + record.name.len()) as u64);
        let place = match (start, end, header_end) {
            (Some(start), Some(end), Some(header_end)) if header_end <= start => start..end,
            _ => return Err(wrong(&format!("expected {} bytes before the next record, found fewer", record.size))),
        };
        let header = record.start..record.start + LOCAL as u64;
        if bytes.has(header.clone()) {
            let header = take(bytes, header)?;
            let names = u16_at(&header, 26) + u16_at(&header, 28);
            if !header.starts_with(b"PK\x03\x04") || record.start + LOCAL as u64 + names != place.start {
                return Err(wrong("expected its bytes right before the next record, found them elsewhere"));
            }
        }
        Ok(Some(place))
    }
}

/// How many records there are, and where the table is; `end` is the place of its end in `tail`, and `at` in the file.
fn table(bytes: &dyn Bytes, tail: &[u8], end: usize, at: u64) -> Result<(u64, Range<u64>)> {
    let fields = &tail[end..];
    let (mut count, mut length, mut start) = (u16_at(fields, 10), u32_at(fields, 12), u32_at(fields, 16));
    if let Some(locator) = end.checked_sub(LOCATOR).map(|at| &tail[at..]).filter(|l| l.starts_with(b"PK\x06\x07")) {
        let place = u64_at(locator, 8);
        let place = place.checked_add(END_64).filter(|&end| end <= at).map(|end| place..end).ok_or(NO_TABLE)?;
        let fields = take(bytes, place)?;
        if !fields.starts_with(b"PK\x06\x06") {
            return Err(NO_TABLE.into());
        }
        (count, length, start) = (u64_at(&fields, 32), u64_at(&fields, 40), u64_at(&fields, 48));
    }
    let end = start.checked_add(length).filter(|&end| end <= at).ok_or(NO_TABLE)?;
    Ok((count, start..end))
}

fn records(mut table: &[u8], count: u64) -> Result<Vec<Record>> {
    let mut records = Vec::with_capacity(count as usize);
    for _ in 0..count {
        let broken = || "expected an entry for each record in the zip file's table, found something else".to_string();
        let fixed = table.get(..ENTRY).filter(|entry| entry.starts_with(b"PK\x01\x02")).ok_or_else(broken)?;
        let [name_end, extra_end, end] = [28, 30, 32].map({
            let mut end = ENTRY;
            move |field| {
                end += u16_at(fixed, field) as usize;
                end
            }
        });
        let entry = table.get(..end).ok_or_else(broken)?;
        let name = std::str::from_utf8(&entry[ENTRY..name_end]).map_err(|_| broken())?;
        // The long forms of what does not fit, in this order.
        let mut long = long_fields(&entry[name_end..extra_end]);
        let is_long = long.is_some();
        let mut wide = |short: u64| -> Result<u64> {
            if short != 0xffff_ffff {
                return Ok(short);
            }
            let (eight, rest) = long.and_then(|fields| fields.split_at_checked(8)).ok_or_else(broken)?;
            long = Some(rest);
            Ok(u64_at(eight, 0))
        };
        let (whole, size, start) = (wide(u32_at(entry, 24))?, wide(u32_at(entry, 20))?, wide(u32_at(entry, 42))?);
        let flags = u16_at(entry, 8);
        records.push(Record {
            name: name.into(),
            start,
            size,
            stored: u16_at(entry, 10) == 0 && flags & 1 == 0 && whole == size,
            descriptor: match (flags & 8 != 0 && size > 0, is_long) {
                (false, _) => 0,
                (true, false) => 16,
                (true, true) => 24,
            },
            next: 0,
        });
        table = &table[end..];
    }
    Ok(records)
}

/// The field of an entry that holds 64-bit sizes.
fn long_fields(mut extra: &[u8]) -> Option<&[u8]> {
    while extra.len() >= 4 {
        let (id, length) = (u16_at(extra, 0), u16_at(extra, 2) as usize);
        let field = extra.get(4..4 + length)?;
        if id == 1 {
            return Some(field);
        }
        extra = &extra[4 + length..];
    }
    None
}
