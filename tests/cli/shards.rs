//! `ocelli embed --list`: many pictures into a folder, and what is left of them after a run that was killed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::program::{fixture, json, list, number, ocelli, refused, write};

const IMAGES: [&str; 4] = ["rgb-61x37.png", "photo-113x79.jpg", "palette-48x29.png", "one-1x1.png"];

/// Numbers in an embedding of the fixture.
const DIM: usize = 36;

/// Copies of pictures under names of their own, and their paths.
fn pictures(folder: &Path, count: usize) -> Vec<String> {
    let copy = |at: usize| {
        let name = IMAGES[at % IMAGES.len()];
        let path = folder.join(format!("{at:03} {name}"));
        fs::copy(fixture(&format!("images/{name}")), &path).expect("a copy");
        path.display().to_string()
    };
    (0..count).map(copy).collect()
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Floats of NumPy's file, after the header of its version 1, and its shape as written there.
fn rows(path: &Path) -> (String, Vec<u32>) {
    let bytes = fs::read(path).expect("a .npy file");
    assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00");
    let start = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = String::from_utf8_lossy(&bytes[10..start]);
    let shape = header.split(['(', ')']).nth(1).expect("a shape").into();
    (shape, bytes[start..].chunks_exact(4).map(|four| u32::from_le_bytes(four.try_into().expect("four"))).collect())
}

/// Of a folder: the bits of each picture's vector, and the reasons of those without. Each id is there once.
fn read(folder: &Path) -> (BTreeMap<String, Vec<u32>>, BTreeMap<String, String>) {
    let (mut vectors, mut reasons) = (BTreeMap::new(), BTreeMap::new());
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        let Some(stem) = entry.to_str().and_then(|path| path.strip_suffix(".ids.jsonl")) else { continue };
        let ids = lines(&entry);
        let (shape, numbers) = rows(Path::new(&format!("{stem}.npy")));
        assert_eq!(shape, format!("{}, {DIM}", ids.len()));
        for (id, vector) in ids.iter().zip(numbers.chunks_exact(DIM)) {
            let id = id["id"].as_str().expect("an id").to_string();
            assert_eq!(vectors.insert(id, vector.to_vec()), None, "an id twice");
        }
        for line in lines(Path::new(&format!("{stem}.unreadable.jsonl"))) {
            let [id, reason] = ["id", "reason"].map(|key| line[key].as_str().expect("a word").to_string());
            assert_eq!(reasons.insert(id, reason), None, "an id twice");
        }
    }
    (vectors, reasons)
}

fn arguments<'a>(model: &'a str, list: &'a str, out: &'a str, shard: &'a str) -> [&'a str; 9] {
    ["embed", "--model", model, "--list", list, "--out", out, "--shard", shard]
}

#[test]
fn one_bad_picture_is_one_line_with_a_reason() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut files = pictures(folder.path(), 10);
    files.insert(4, write(folder.path(), "broken.jpg", "no picture"));
    files.insert(7, folder.path().join("missing.png").display().to_string());
    let (model, all) = (fixture("siglip"), write(folder.path(), "list.txt", &(files.join("\r\n") + "\n\n")));
    let out = folder.path().join("out");
    let output = ocelli(&arguments(&model, &all, &out.display().to_string(), "5"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    assert!(stderr.contains("left out: 2"), "{stderr}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("10 embedded, 2 left out, 0 there before"));
    let (vectors, reasons) = read(&out);
    assert_eq!(vectors.len(), 10);
    assert_eq!(reasons.keys().map(String::as_str).collect::<Vec<_>>(), [&files[4][..], &files[7]]);
    assert!(reasons[&files[4]].starts_with("expected a PNG"), "{reasons:?}");
    assert_eq!(lines(&out.join("000001.ids.jsonl")).len(), 4, "a shard counts those that were left out");
    let plain = json(&["embed", "--model", &model, &files[0], &files[1]]);
    for (file, embedding) in files.iter().zip(list(&plain["embeddings"])) {
        let bits: Vec<u32> = list(embedding).iter().map(|x| (number(x) as f32).to_bits()).collect();
        assert_eq!(vectors[file], bits, "{file}");
    }
    assert_ne!(vectors[&files[0]], vectors[&files[1]]);
    // Everything is there: nothing is done.
    let again = json(&arguments(&model, &all, &out.display().to_string(), "5"));
    assert_eq!(again, serde_json::json!({ "embedded": 0, "unreadable": 0, "skipped": 12 }));
    // A list that has grown, in another order.
    files.reverse();
    let more = folder.path().join("more.png");
    fs::copy(&files[0], &more).expect("a copy");
    files.insert(3, more.display().to_string());
    let longer = write(folder.path(), "longer.txt", &files.join("\n"));
    let grown = json(&arguments(&model, &longer, &out.display().to_string(), "5"));
    assert_eq!(grown, serde_json::json!({ "embedded": 1, "unreadable": 0, "skipped": 12 }));
    assert_eq!(read(&out).0.len(), 11);
}

/// A pipe among the pictures holds the program up in the middle of a shard, where it is killed.
#[cfg(unix)]
#[test]
fn a_run_that_was_killed_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let files = pictures(folder.path(), 60);
    fs::remove_file(&files[33]).expect("a file");
    assert!(Command::new("mkfifo").arg(&files[33]).status().expect("mkfifo").success());
    let (model, all) = (fixture("siglip"), write(folder.path(), "list.txt", &files.join("\n")));
    let out = folder.path().join("out");
    let target = out.display().to_string();
    let mut child = Command::new(env!("CARGO_BIN_EXE_ocelli"))
        .args(["--backend", "cpu"])
        .args(arguments(&model, &all, &target, "10"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let start = Instant::now();
    while !out.join("000002.ids.jsonl").exists() {
        assert!(start.elapsed() < Duration::from_secs(60), "expected three shards within a minute");
        sleep(Duration::from_millis(20));
    }
    let other = refused(&arguments(&model, &all, &target, "10"));
    assert!(other.contains("no other run writes to"), "{other}");
    child.kill().expect("it waits for the pipe");
    child.wait().expect("an end");

    fs::remove_file(&files[33]).expect("the pipe");
    fs::copy(&files[1], &files[33]).expect("a copy");
    // What a kill between two renames leaves behind does not count.
    fs::write(out.join("000003.npy"), "half").expect("a file");
    fs::write(out.join("000004.ids.jsonl.part"), "half").expect("a file");
    let first: BTreeSet<String> = read(&out).0.into_keys().collect();
    assert_eq!(first, files[..30].iter().cloned().collect());
    let rest = json(&arguments(&model, &all, &target, "10"));
    assert_eq!(rest, serde_json::json!({ "embedded": 30, "unreadable": 0, "skipped": 30 }));

    let whole = folder.path().join("whole");
    json(&arguments(&model, &all, &whole.display().to_string(), "1000"));
    assert_eq!(read(&out), read(&whole), "every id once, the same bits as in one run");
    assert_eq!(read(&whole).0.len(), 60);
}

#[test]
fn what_cannot_be_gone_on_with_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let files = pictures(folder.path(), 3);
    let (siglip, clip) = (fixture("siglip"), fixture("clip"));
    let all = write(folder.path(), "list.txt", &files.join("\n"));
    let out = folder.path().join("out").display().to_string();
    json(&arguments(&siglip, &all, &out, "2"));
    let other = refused(&arguments(&clip, &all, &out, "2"));
    assert!(other.contains("expected vectors of model") && other.contains("choose another folder"), "{other}");
    let format = refused(&[&arguments(&siglip, &all, &out, "2")[..], &["--format", "q8"]].concat());
    assert!(format.contains("in q8, found"), "{format}");
    let twice = write(folder.path(), "twice.txt", &[&files[0][..], &files[1], &files[0]].join("\n"));
    assert!(refused(&arguments(&siglip, &twice, &out, "2")).contains("in lines 1 and 3"));
    let empty = write(folder.path(), "empty.txt", "\n");
    assert!(refused(&arguments(&siglip, &empty, &out, "2")).contains("expected a path in each line"));
    let file = write(folder.path(), "file", "");
    assert!(refused(&arguments(&siglip, &all, &file, "2")).contains("file: "));
    assert!(!ocelli(&["embed", "--model", &siglip, "--list", &all]).status.success(), "no folder");
    assert!(!ocelli(&["embed", "--model", &siglip, "--out", &out, &files[0]]).status.success(), "no list");
}

/// A limit on the size of files stands for a full disk: both fail in the middle of a write.
#[cfg(unix)]
#[test]
fn a_full_disk_loses_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let files = pictures(folder.path(), 40);
    let (model, all) = (fixture("siglip"), write(folder.path(), "list.txt", &files.join("\n")));
    let out = folder.path().join("out");
    let target = out.display().to_string();
    let six = write(folder.path(), "six.txt", &files[..6].join("\n"));
    json(&arguments(&model, &six, &target, "3"));
    let before = read(&out);
    // One block of 1,024 bytes holds no shard of 34 rows.
    let full = Command::new("bash")
        .args([
            "-c",
            "ulimit -f 1; trap '' XFSZ; exec \"$@\"",
            "bash",
            env!("CARGO_BIN_EXE_ocelli"),
            "--backend",
            "cpu",
        ])
        .args(arguments(&model, &all, &target, "100"))
        .output()
        .expect("the program starts");
    let stderr = String::from_utf8_lossy(&full.stderr);
    assert!(!full.status.success() && stderr.contains("what was written before stays"), "{stderr}");
    assert_eq!(read(&out), before);
    assert!(!out.join("000002.npy.part").exists());
    let rest = json(&arguments(&model, &all, &target, "100"));
    assert_eq!(rest, serde_json::json!({ "embedded": 34, "unreadable": 0, "skipped": 6 }));
    assert_eq!(read(&out).0.len(), 40);
}
