//! The parsers of tests/fuzz under libFuzzer: OCELLI_FUZZ_FILE says which. Its sound files are the first corpus.
#![no_main]

#[path = "../../tests/fuzz/parsers.rs"]
#[allow(dead_code, reason = "memory is libFuzzer's to bound here")]
mod parsers;
#[path = "../../tests/fuzz/seeds.rs"]
mod seeds;
#[path = "../../tests/common/written.rs"]
mod written;

use std::{fs, path::Path, sync::LazyLock};

use libfuzzer_sys::fuzz_target;
use parsers::Parser;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

static PARSER: LazyLock<Parser> = LazyLock::new(|| {
    let name = std::env::var("OCELLI_FUZZ_FILE").expect("OCELLI_FUZZ_FILE: the name of a file");
    let parser = parsers::all().into_iter().find(|parser| parser.name == name);
    parser.unwrap_or_else(|| panic!("OCELLI_FUZZ_FILE: expected a file that has a parser, found {name}"))
});

fuzz_target!(
    init: {
        let corpus = Path::new(ROOT).join("target/fuzz/corpus").join(PARSER.name);
        fs::create_dir_all(&corpus).expect("target/ can be written");
        for (at, seed) in PARSER.seeds.iter().enumerate() {
            fs::write(corpus.join(format!("sound-{at}")), seed).expect("target/ can be written");
        }
    },
    |data: &[u8]| {
        if let Err(error) = (PARSER.run)(data) {
            assert!(parsers::names_a_file(&error), "expected an error that names a file, found {error}");
        }
    }
);
