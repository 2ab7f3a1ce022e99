//! Damaged files, many of them, the same ones for the same seed: no parser panics, none allocates out of proportion to its
//! file, and every error names a file.
//!
//! `./build.sh fuzz [RUNS [SEED [FILE]]]`, 1,000,000 runs of each parser where nothing is said; `./build.sh test` does a
//! few. A run that fails is printed with its seed and number, and its bytes are kept in `target/fuzz/`.

mod mutate;
mod parsers;
mod seeds;
#[path = "../common/written.rs"]
mod written;

use std::{
    cell::Cell,
    collections::BTreeMap,
    fs,
    io::{Seek, Write},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use libtest_mimic::{Arguments, Failed, Trial};
use mutate::damage;
use ocelli::{Error, random::Random};
use parsers::{Parser, Part};
use peak_alloc::PeakAlloc;

/// Counts what is allocated, by all threads: so one parser runs at a time.
#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Where the fixtures are.
const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The stack that a browser gives to wasm; ours must do with it.
const STACK: usize = 1 << 20;

fn main() {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let (runs, seed) = (number("OCELLI_FUZZ_RUNS").unwrap_or(2000), number("OCELLI_FUZZ_SEED").unwrap_or(1));
    std::panic::set_hook(Box::new(|panic| LAST.set(Some(panic.to_string()))));
    let mut trials: Vec<Trial> = parsers::all()
        .into_iter()
        .map(|parser| {
            Trial::test(format!("{}: {runs} runs from seed {seed}", parser.name), move || fuzz(&parser, runs, seed))
        })
        .collect();
    trials.push(Trial::test(
        "wrong: a panic, too much memory, a nameless error, and a parser that takes anything",
        wrong,
    ));
    libtest_mimic::run(&arguments, trials).exit();
}

thread_local! {
    /// What the last panic said.
    static LAST: Cell<Option<String>> = const { Cell::new(None) };
}

/// What came of all runs.
#[derive(Default)]
struct Tally {
    accepted: u64,
    /// Bytes at once, the most beyond `most.0` for each byte of the file.
    beyond: usize,
    slowest: Duration,
    /// What is wrong, with the first run that shows it and its bytes.
    troubles: BTreeMap<String, (u64, Vec<u8>)>,
}

fn fuzz(parser: &Parser, runs: u64, seed: u64) -> Result<(), Failed> {
    let Tally { accepted, beyond, slowest, troubles } = on_a_small_stack(|| attack(parser, runs, seed));
    println!(
        "{}: {accepted} of {runs} accepted; at most {beyond} bytes beyond {} a byte; the slowest took {slowest:?}",
        parser.name, parser.most.0
    );
    let lines = troubles.into_iter().map(|(why, (run, bytes))| {
        let path = keep(parser, seed, run, &bytes);
        let start: String = String::from_utf8_lossy(&bytes).chars().take(300).collect();
        format!("seed {seed}, run {run}: {why}\nkept in {}; it starts with\n{start}\n", path.display())
    });
    let lines: String = lines.collect();
    if !lines.is_empty() {
        return Err(lines.into());
    }
    // Damage that nothing survives tests nothing behind the first check, and so does damage that is none.
    if accepted * 200 < runs || accepted * 10 > runs * 9 {
        return Err(
            format!("expected 0.5 % to 90 % of damaged files to be accepted, found {accepted} of {runs}").into()
        );
    }
    Ok(())
}

fn on_a_small_stack<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work).expect("a thread");
        thread.join().expect("panics are caught inside")
    })
}

fn attack(parser: &Parser, runs: u64, seed: u64) -> Tally {
    let mut tally = Tally::default();
    // An overflow of the stack cannot be caught: what was tried last is found here then.
    let last = folder().join(format!("{}-seed{seed}-last-run", parser.name));
    let mut last = fs::File::create(last).expect("target/ can be written");
    for run in 0..runs {
        last.rewind().and_then(|()| writeln!(last, "seed {seed} run {run:9}")).expect("target/ can be written");
        // Each run has a seed of its own, so that one can be repeated without those before it.
        let mut random = Random::new(seed.wrapping_mul(1 << 40).wrapping_add(run));
        let bytes = input(&mut random, parser);
        if let Err(why) = tally.judge(parser, &bytes) {
            // The first of each kind; a handful says enough.
            if tally.troubles.len() < 20 {
                tally.troubles.entry(why).or_insert((run, bytes));
            }
        }
    }
    tally
}

impl Tally {
    fn judge(&mut self, parser: &Parser, bytes: &[u8]) -> Result<(), String> {
        let before = MEMORY.current_usage();
        MEMORY.reset_peak_usage();
        let start = Instant::now();
        let result = catch_unwind(AssertUnwindSafe(|| (parser.run)(bytes)));
        self.slowest = self.slowest.max(start.elapsed());
        let (times, plus) = parser.most;
        let beyond = MEMORY.peak_usage().saturating_sub(before).saturating_sub(times * bytes.len());
        self.beyond = self.beyond.max(beyond);
        if beyond > plus {
            return Err(format!("expected at most {times} for each byte and {plus} bytes at once"));
        }
        match result {
            Ok(Ok(())) => self.accepted += 1,
            Ok(Err(error)) if parsers::names_a_file(&error) => {}
            Ok(Err(error)) => return Err(format!("expected an error that names a file, found {error}")),
            Err(_) => return Err(format!("a panic: {}", LAST.take().unwrap_or_default())),
        }
        Ok(())
    }
}

fn input(random: &mut Random, parser: &Parser) -> Vec<u8> {
    if parser.part == Part::Whole || random.below(8) == 0 {
        return damage(random, &parser.seeds);
    }
    let seed = &parser.seeds[random.below(parser.seeds.len())];
    if parser.part == Part::Pytorch {
        return pytorch_input(random, seed);
    }
    let data = 8 + u64::from_le_bytes(seed[..8].try_into().expect("eight bytes")) as usize;
    let header = damage(random, &[seed[8..data].to_vec()]);
    [&(header.len() as u64).to_le_bytes()[..], &header, &seed[data..]].concat()
}

/// A file of PyTorch with damage where it is read first. In a zip file all else stays in its place.
fn pytorch_input(random: &mut Random, seed: &[u8]) -> Vec<u8> {
    let find = |what: &[u8]| seed.windows(what.len()).position(|bytes| bytes == what);
    let range = match (find(b"PK\x07\x08"), find(b"PK\x01\x02")) {
        (Some(end), Some(_)) if random.below(3) > 0 => 64..end,
        (Some(_), Some(table)) => table..seed.len(),
        // In the old format the description comes first.
        _ => 0..10_000,
    };
    let mut part = damage(random, &[seed[range.clone()].to_vec()]);
    if seed.starts_with(b"PK") {
        part.resize(range.len(), 0);
    }
    [&seed[..range.start], &part, &seed[range.end..]].concat()
}

fn keep(parser: &Parser, seed: u64, run: u64, bytes: &[u8]) -> PathBuf {
    let path = folder().join(format!("{}-seed{seed}-run{run}", parser.name));
    fs::write(&path, bytes).expect("target/ can be written");
    path
}

fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("fuzz");
    fs::create_dir_all(&folder).expect("target/ can be written");
    folder
}

/// What the fuzzer is for must not pass it.
fn wrong() -> Result<(), Failed> {
    let parser = |run: fn(&[u8]) -> Result<(), Error>| Parser {
        name: "planted",
        seeds: vec![br#"{"hidden_size": 48, "layers": [1, 2, 3]}"#.to_vec()],
        part: Part::Whole,
        run: Box::new(run),
        most: (128, 4096),
    };
    let cases: [(&str, Parser); 4] = [
        (
            "a panic",
            parser(|bytes| {
                let size =
                    serde_json::from_slice::<serde_json::Value>(bytes).ok().and_then(|v| v["hidden_size"].as_u64());
                // A product that overflows for huge sizes only.
                size.map_or(Ok(()), |n| i32::try_from(n).map(drop).map_err(|e| panic!("{e}")))
            }),
        ),
        (
            "bytes at once",
            parser(|bytes| {
                let size =
                    serde_json::from_slice::<serde_json::Value>(bytes).ok().and_then(|v| v["hidden_size"].as_u64());
                std::hint::black_box(Vec::<u8>::with_capacity(size.unwrap_or(0).min(1 << 30) as usize));
                Ok(())
            }),
        ),
        (
            "names a file",
            parser(|bytes| match bytes.is_ascii() {
                true => Ok(()),
                false => Err(Error::BadCheckpoint("oops".into())),
            }),
        ),
        ("accepted", parser(|_| Ok(()))),
    ];
    for (what, parser) in &cases {
        let Err(failed) = fuzz(parser, 3000, 1) else { return Err(format!("{what}: passed").into()) };
        let message = failed.message().unwrap_or_default();
        assert!(message.contains(what), "{what}: {message}");
    }
    let refusing = parser(|_| Err(Error::BadCheckpoint("config.json: no".into())));
    assert!(fuzz(&refusing, 3000, 1).is_err(), "a parser that takes nothing");
    Ok(())
}
