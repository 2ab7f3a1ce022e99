//! The program itself, for tests that run it.

#![allow(dead_code, reason = "each test program uses its part")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

pub fn fixture(name: &str) -> String {
    root().join("tests/fixtures").join(name).display().to_string()
}

/// Writes a file, and says where it is.
pub fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, text).expect("a file");
    path.display().to_string()
}

pub fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).expect("a list")
}

pub fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

/// Runs the program, on the CPU unless the arguments say something else: it is there on every machine, and faster than a GPU that it
/// would have to emulate.
pub fn ocelli(arguments: &[&str]) -> Output {
    let cpu: &[&str] = if arguments.contains(&"--backend") { &[] } else { &["--backend", "cpu"] };
    Command::new(env!("CARGO_BIN_EXE_ocelli"))
        .args(cpu)
        .args(arguments)
        // A Mesa layer that talks to stderr without being asked.
        .env("NODEVICE_SELECT", "1")
        .output()
        .expect("the program starts")
}

/// Whether there is a GPU; without one these tests are SKIPPED, and under REQUIRE_GPU=1 they fail.
pub fn has_gpu() -> bool {
    if ocelli(&["--backend", "gpu", "--tier", "plain", "info"]).status.success() {
        return true;
    }
    assert!(std::env::var_os("REQUIRE_GPU").is_none_or(|v| v != "1"), "REQUIRE_GPU=1, and there is no adapter");
    println!("SKIPPED: no GPU");
    false
}

pub fn json(arguments: &[&str]) -> Value {
    let output = ocelli(&[&["--json"], arguments].concat());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {stderr}");
    assert!(stderr.is_empty(), "{arguments:?}: {stderr}");
    serde_json::from_slice(&output.stdout).expect("JSON on stdout")
}

pub fn refused(arguments: &[&str]) -> String {
    let output = ocelli(arguments);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{arguments:?} succeeded");
    assert!(output.stdout.is_empty(), "{arguments:?}: nothing on stdout");
    assert_eq!(stderr.trim_end().lines().count(), 1, "{arguments:?}: one line: {stderr}");
    assert!(stderr.starts_with("ocelli: "), "{arguments:?}: {stderr}");
    stderr
}
