//! PyTorch's own files: the weights are those of the same tensors as safetensors, bit for bit, and a pickle that is more than
//! tensors and containers is an error that says what it is. The files are torch's own (`tools/make_pytorch_fixtures.py`).

use ocelli::{
    checkpoint::PYTORCH_INDEX,
    quant::{Format, Matrix},
    text::TextEncoder,
};

use super::*;

const NAME: &str = "pytorch_model.bin";

fn torch(file: &str) -> Vec<u8> {
    fs::read(fixture("pytorch").join(file)).expect("a fixture")
}

/// The small files of a fixture, with these tensor files.
fn folder(model: &str, tensors: impl IntoIterator<Item = (String, Vec<u8>)>) -> Result<Checkpoint, Error> {
    let small =
        ["config.json", "preprocessor_config.json", "open_clip_config.json", "tokenizer_config.json", "tokenizer.json"];
    let there = |name: &str| Some((name.to_string(), fs::read(fixture(model).join(name)).ok()?));
    Checkpoint::from_files(small.into_iter().filter_map(there).chain(tensors))
}

fn one(model: &str, name: &str, bytes: Vec<u8>) -> Result<Checkpoint, Error> {
    folder(model, [(name.to_string(), bytes)])
}

/// Every weight as it is kept.
fn weights(checkpoint: &Checkpoint, format: Option<Format>) -> Result<Vec<Vec<u8>>, Error> {
    let InMemory { weights, host, .. } = InMemory::load(checkpoint, format)?;
    let bytes = |matrix: Matrix| [matrix.packed.values, matrix.packed.scales].concat();
    Ok(weights.into_iter().chain(host).map(bytes).collect())
}

#[test]
fn weights_are_those_of_safetensors() {
    for (model, safetensors, name, file) in [
        ("clip-eos", "model.safetensors", NAME, "clip-eos.bin"),
        ("clip-eos", "model.safetensors", NAME, "clip-eos-legacy.bin"),
        ("clip-eos", "model.safetensors", NAME, "clip-eos-training.bin"),
        ("siglip-bf16", "model.safetensors", NAME, "siglip-bf16-5.bin"),
        ("open-clip", "open_clip_model.safetensors", "open_clip_pytorch_model.bin", "open-clip.bin"),
    ] {
        let reference = one(model, safetensors, fs::read(fixture(model).join(safetensors)).expect("a fixture"));
        let reference = reference.expect("a sound fixture");
        let checkpoint = one(model, name, torch(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
        for format in [None, Some(Format::Q8)] {
            let expected = weights(&reference, format).expect("a sound fixture");
            let found = weights(&checkpoint, format).unwrap_or_else(|e| panic!("{file}: {e}"));
            assert!(found == expected, "{file}: expected the same weights in {format:?}");
        }
        assert_eq!(checkpoint.surplus(), None, "{file}");
    }
}

#[test]
fn safetensors_win_and_shards_are_found() {
    let safetensors = fs::read(fixture("clip-eos").join("model.safetensors")).expect("a fixture");
    let both = [("model.safetensors".to_string(), safetensors), (NAME.to_string(), b"rubbish".to_vec())];
    folder("clip-eos", both).expect("the file that is not wanted is not read");

    let shard = "pytorch_model-00001-of-00001.bin";
    let sharded = |name: &str| {
        let index = json!({ "weight_map": { "logit_scale": name } }).to_string().into_bytes();
        folder("clip-eos", [(PYTORCH_INDEX.to_string(), index), (shard.to_string(), torch("clip-eos.bin"))])
    };
    model::entries(&sharded(shard).expect("a sound folder")).expect("every tensor");
    // open_clip's config alone changes nothing.
    let beside = fs::read(fixture("open-clip").join("open_clip_config.json")).expect("a fixture");
    let beside = [("open_clip_config.json".to_string(), beside), (NAME.to_string(), torch("clip-eos.bin"))];
    model::entries(&folder("clip-eos", beside).expect("a sound folder")).expect("every tensor");
    let Err(error) = sharded("model.safetensors") else { panic!("expected a refusal") };
    assert!(error.to_string().starts_with(PYTORCH_INDEX), "{error}");
    let none = folder("clip-eos", []).err().expect("there are no tensors").to_string();
    assert!(none.starts_with("model.safetensors") && none.contains(NAME), "{none}");
}

/// What is wrong with a file that is named so.
fn refusal(bytes: Vec<u8>) -> String {
    let opened = one("clip-eos", NAME, bytes).and_then(|checkpoint| weights(&checkpoint, None).map(drop));
    let error = opened.expect_err("expected this to be refused");
    assert_eq!(error.code(), "bad-checkpoint", "{error}");
    assert!(error.to_string().starts_with(&format!("{NAME}: ")), "{error}");
    error.to_string()
}

/// A file in the old format of this pickle, without its first two bytes, and these storages: name, length that is said, bytes.
fn legacy(pickle: &[u8], storages: &[(&str, u64, usize)]) -> Vec<u8> {
    let names: Vec<u8> = storages.iter().flat_map(|(name, ..)| text(name)).collect();
    let mut all = [
        &b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."[..],
        b"\x80\x02M\xe9\x03.\x80\x02}.\x80\x02",
        pickle,
        b".\x80\x02](",
        &names,
        b"e.",
    ]
    .concat();
    for (_, said, bytes) in storages {
        all.extend(said.to_le_bytes());
        all.extend(vec![0; *bytes]);
    }
    all
}

fn text(text: &str) -> Vec<u8> {
    [&b"X"[..], &(text.len() as u32).to_le_bytes(), text.as_bytes()].concat()
}

fn int(number: i32) -> Vec<u8> {
    [&b"J"[..], &number.to_le_bytes()].concat()
}

fn tuple(items: &[i32]) -> Vec<u8> {
    [&b"("[..], &items.iter().flat_map(|&n| int(n)).collect::<Vec<_>>(), b"t"].concat()
}

/// `{"logit_scale": tensor}`: floats of the storage "s", of so many.
fn tensor(count: i32, offset: i32, shape: &[i32], strides: &[i32]) -> Vec<u8> {
    [
        &b"}"[..],
        &text("logit_scale"),
        b"ctorch._utils\n_rebuild_tensor_v2\n((",
        &text("storage"),
        b"ctorch\nFloatStorage\n",
        &text("s"),
        &text("cpu"),
        &int(count),
        b"tQ",
        &int(offset),
        &tuple(shape),
        &tuple(strides),
        b"\x89NtRs",
    ]
    .concat()
}

#[test]
fn a_pickle_that_calls_anything_is_refused_by_its_name() {
    let call = text("touch /tmp/never");
    let cases: [(&str, Vec<u8>); 13] = [
        ("calls os.system: refused", [&b"cos\nsystem\n"[..], &call, b"\x85R"].concat()),
        ("calls builtins.eval: refused", [&text("builtins")[..], &text("eval"), b"\x93", &call, b"\x85R"].concat()),
        ("calls torch.load: refused", [&b"ctorch\nload\n"[..], &call, b"\x85R"].concat()),
        ("calls collections.Counter: refused", b"ccollections\nCounter\n)R".to_vec()),
        ("calls open_clip.model.CLIP: refused", b"copen_clip.model\nCLIP\n)\x81}b".to_vec()),
        (
            "calls torch._utils._rebuild_wrapper_subclass: refused",
            b"ctorch._utils\n_rebuild_wrapper_subclass\n)R".to_vec(),
        ),
        // INST, OBJ, NEWOBJ_EX, EXT1, PERSID
        ("found 0x69", b"(ios\nsystem\n".to_vec()),
        ("found 0x6f", b"(ccollections\nOrderedDict\no".to_vec()),
        ("found 0x92", b"ccollections\nOrderedDict\n)}\x92".to_vec()),
        ("found 0x82", b"\x82\x01".to_vec()),
        ("found 0x50", b"Pstorage\n".to_vec()),
        ("another class", b"ccollections\nOrderedDict\n)\x81".to_vec()),
        ("other arguments", [&b"ccollections\nOrderedDict\n"[..], &call, b"\x85R"].concat()),
    ];
    for (expected, pickle) in cases {
        let message = refusal(legacy(&pickle, &[]));
        assert!(message.contains(expected), "{expected}: {message}");
    }
}

#[test]
fn bombs_and_loops_are_refused_at_once() {
    let twice = |empty: &[u8], add: &dyn Fn() -> Vec<u8>| {
        // The same container twice in the next, which is remembered in its place; and so on.
        let mut pickle = [empty, b"q\x000"].concat();
        for _ in 0..1000 {
            pickle.extend([empty, &add(), b"q\x000"].concat());
        }
        pickle.extend(b"h\x00");
        pickle
    };
    let lists = twice(b"]", &|| b"(h\x00h\x00e".to_vec());
    let dicts = twice(b"}", &|| [&b"("[..], &text("a"), b"h\x00", &text("b"), b"h\x00u"].concat());
    let deep: Vec<u8> =
        (0..100_000).flat_map(|_| [&b"}"[..], &text("a")].concat()).chain(*b"N").chain([b's'; 100_000]).collect();
    let tuples: Vec<u8> = [&b")"[..], &[0x85; 100_000]].concat();
    let loops = [&b"}q\x00"[..], &text("a"), b"h\x00s"].concat();
    let module = [&b"c__torch__\nM\n)\x81q\x00}"[..], &text("a"), b"h\x00sb"].concat();
    let huge_name = [&b"}"[..], &text(&"n".repeat(1 << 20)), b"}s"].concat();
    let cases: [(&str, Vec<u8>); 9] = [
        ("expected a dictionary of tensors", lists),
        ("dictionaries in one another", dicts),
        ("dictionaries in one another", deep),
        ("expected a dictionary of tensors", tuples),
        ("in two or in itself", loops),
        ("in two or in itself", module),
        ("names of at most", huge_name),
        ("ends too early", [&b"\x8b\xff\xff\xff\x7f"[..], &[0; 100]].concat()),
        ("ends too early", [&b"\x8d"[..], &u64::MAX.to_le_bytes()].concat()),
    ];
    for (expected, pickle) in cases {
        let start = std::time::Instant::now();
        let message = refusal(legacy(&pickle, &[]));
        assert!(message.contains(expected), "{expected}: {message}");
        assert!(start.elapsed().as_secs() < 5, "{expected}: took {:?}", start.elapsed());
    }
}

#[test]
fn sizes_that_lie_are_refused() {
    let sound = |shape: &[i32], strides: &[i32]| tensor(6, 0, shape, strides);
    let cases: [(&str, Vec<u8>, u64, usize); 12] = [
        ("expected 6 numbers, found 7", sound(&[6], &[1]), 7, 24),
        ("bytes, found", sound(&[6], &[1]), 6, 20),
        ("bytes, found", sound(&[6], &[1]), 6, 28),
        ("within its storage", sound(&[7], &[1]), 6, 24),
        ("within its storage", tensor(6, 1, &[6], &[1]), 6, 24),
        ("within its storage", sound(&[i32::MAX, i32::MAX, i32::MAX], &[1, 1, 1].map(|_| i32::MAX)), 6, 24),
        ("storage, offset, shape", tensor(6, -1, &[5], &[1]), 6, 24),
        ("storage, offset, shape", sound(&[-6], &[1]), 6, 24),
        ("storage, offset, shape", sound(&[6], &[]), 6, 24),
        ("numbers that lie side by side", sound(&[6], &[0]), 6, 24),
        ("numbers that lie side by side", sound(&[2, 2], &[3, 1]), 6, 24),
        ("dimensions", sound(&[1; 9], &[1; 9]), 6, 24),
    ];
    for (expected, pickle, said, bytes) in cases {
        let message = refusal(legacy(&pickle, &[("s", said, bytes)]));
        let overflow = message.contains("side by side") && expected == "within its storage";
        assert!(message.contains(expected) || overflow, "{expected}: {message}");
    }
    // Storages whose ends lie beyond 64 bits.
    let storage = |key: &str| {
        let size = [&b"\x8a\x08"[..], &i64::MAX.to_le_bytes()].concat();
        [&b"("[..], &text("storage"), b"ctorch\nByteStorage\n", &text(key), &text("cpu"), &size, b"tQ0"].concat()
    };
    let huge = [storage("a"), storage("b"), storage("c"), b"}".to_vec()].concat();
    refusal(legacy(&huge, &["a", "b", "c"].map(|key| (key, i64::MAX as u64, 0))));
    let message = refusal(legacy(&sound(&[6], &[1]), &[]));
    assert!(message.contains("expected storage \"s\", found none"), "{message}");
    // The file is sound; it lacks the other tensors.
    let message = refusal(legacy(&sound(&[1], &[1]), &[("s", 6, 24)]));
    assert!(message.contains("expected a tensor of shape") && message.contains("found none"), "{message}");
}

/// Where the entry of a record begins in a zip file's table, and its own header.
fn record(file: &[u8], name: &str) -> (usize, usize) {
    let u32_at = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().expect("four bytes")) as usize;
    let mut at = u32_at(file.len() - 6);
    while !file[at + 46..].starts_with(name.as_bytes()) {
        let lengths = [28, 30, 32].map(|field| usize::from(file[at + field]) + 256 * usize::from(file[at + field + 1]));
        at += 46 + lengths.iter().sum::<usize>();
    }
    (at, u32_at(at + 42))
}

#[test]
fn zip_files_that_lie_are_refused() {
    type Damage = fn(&mut Vec<u8>);
    let cases: [(&str, Damage); 11] = [
        ("data.pkl: expected a record that is stored", |w| {
            let (entry, _) = record(w, "clip-eos/data.pkl");
            w[entry + 10] = 8;
        }),
        ("data/3: expected a record that is stored", |w| {
            let (entry, _) = record(w, "clip-eos/data/3");
            w[entry + 10] = 8;
        }),
        ("data/3: expected a record that is stored", |w| {
            let (entry, _) = record(w, "clip-eos/data/3");
            w[entry + 8] |= 1;
        }),
        ("data/3: expected its bytes right before", |w| {
            let (entry, _) = record(w, "clip-eos/data/3");
            for field in [20, 24] {
                w[entry + field] -= 2;
            }
        }),
        ("data/3: expected", |w| {
            let (entry, _) = record(w, "clip-eos/data/3");
            for field in [20, 24] {
                w[entry + field + 2] += 1;
            }
        }),
        ("data/3: expected its bytes right before", |w| {
            let (_, header) = record(w, "clip-eos/data/3");
            w[header + 28] += 1;
        }),
        // Two records in one place.
        ("before the next record", |w| {
            let ((a, _), (b, _)) = (record(w, "clip-eos/data/0"), record(w, "clip-eos/data/1"));
            w.copy_within(b + 42..b + 46, a + 42);
        }),
        ("data/1: expected one record of this name, found two", |w| {
            let (entry, _) = record(w, "clip-eos/data/0");
            w[entry + 46 + "clip-eos/data/".len()] = b'1';
        }),
        ("byteorder: expected", |w| {
            let at = w.windows(6).position(|bytes| bytes == b"little").expect("a word");
            w[at] = b'b';
        }),
        ("expected a zip file's table", |w| {
            let at = w.windows(4).rposition(|bytes| bytes == b"PK\x06\x06").expect("the end in 64 bits");
            w[at + 32] = 255;
        }),
        ("expected a zip file's table", |w| w.push(0)),
    ];
    for (expected, damage) in cases {
        let mut file = torch("clip-eos.bin");
        damage(&mut file);
        let message = refusal(file);
        assert!(message.contains(expected), "{expected}: {message}");
    }
}

#[test]
fn files_that_end_early_are_refused_wherever() {
    for name in ["clip-eos.bin", "clip-eos-legacy.bin", "clip-eos-training.bin"] {
        let file = torch(name);
        for length in (0..300).chain((300..file.len()).step_by(1009)).chain(file.len() - 60..file.len()) {
            refusal(file[..length].to_vec());
        }
    }
}

#[test]
fn other_files_are_refused_by_what_they_are() {
    let endian = |mut file: Vec<u8>| {
        let at = file.windows(13).position(|bytes| bytes == b"little_endian").expect("a key");
        file[at + 13 + 2] = 0x89;
        file
    };
    for (expected, file) in [
        ("a web page", b"<!doctype html>".to_vec()),
        ("Git LFS pointer", b"version https://git-lfs".to_vec()),
        (
            "expected a file that torch.save wrote",
            fs::read(fixture("clip-eos").join("model.safetensors")).expect("a fixture"),
        ),
        ("whose first byte is the lowest", endian(torch("clip-eos-legacy.bin"))),
        ("dictionary of tensors", legacy(b"N", &[])),
    ] {
        let message = refusal(file);
        assert!(message.contains(expected), "{expected}: {message}");
    }
}

/// OpenAI's own file in a folder with these others.
fn openai(beside: &[(&str, Vec<u8>)]) -> (tempfile::TempDir, Result<Checkpoint, Error>) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ViT-B-32.pt");
    fs::write(&path, torch("openai.pt")).expect("a file");
    for (name, bytes) in beside {
        fs::write(folder.path().join(name), bytes).expect("a file");
    }
    let opened = Checkpoint::open(&path);
    (folder, opened)
}

#[test]
fn openais_own_file_says_what_it_is() {
    let json = torch("tokenizer.json");
    let (_folder, opened) = openai(&[("tokenizer.json", json.clone())]);
    let checkpoint = opened.expect("a sound file");
    let Config { vision, text, embedding, .. } = &checkpoint.config;
    assert_eq!((vision.image_size, vision.patch_size, vision.encoder.layers, vision.encoder.heads), (24, 8, 2, 1));
    assert_eq!((text.tokens, text.encoder.hidden, text.encoder.layers, *embedding), (16, 64, 1, 20));
    weights(&checkpoint, None).expect("every tensor");
    assert_eq!(checkpoint.surplus(), None, "three numbers are known to be of no use");

    // The tokenizer as OpenAI published it gives the same ids.
    let tokenizer: Value = serde_json::from_slice(&json).expect("JSON");
    let merges = tokenizer["model"]["merges"].as_array().expect("merges").iter().filter_map(Value::as_str);
    let lines: String = std::iter::once("\"bpe_simple_vocab\"").chain(merges).map(|line| format!("{line}\n")).collect();
    let mut gz = flate2::read::GzEncoder::new(lines.as_bytes(), flate2::Compression::fast());
    let mut packed = Vec::new();
    std::io::Read::read_to_end(&mut gz, &mut packed).expect("bytes");
    let (_folder, opened) = openai(&[("bpe_simple_vocab_16e6.txt.gz", packed)]);
    let ids = |checkpoint: &Checkpoint| {
        let encoder = TextEncoder::new(&checkpoint.tokenizer, &checkpoint.config).expect("a tokenizer");
        ["a photo of a cat", "TWO dogs in the SNOW, isn't it? é猫"].map(|text| encoder.encode(text).expect("ids"))
    };
    assert_eq!(ids(&opened.expect("a sound file")), ids(&checkpoint));

    for (beside, expected) in [(None, "put bpe_simple_vocab_16e6.txt.gz there"), (Some(b"rubbish".to_vec()), "gzip")] {
        let beside: Vec<_> = beside.into_iter().map(|bytes| ("bpe_simple_vocab_16e6.txt.gz", bytes)).collect();
        let error = openai(&beside).1.err().expect("expected a refusal").to_string();
        assert!(error.contains(expected), "{error}");
    }
    // A file of tensors alone says nothing; nor do other tensors.
    let error = Checkpoint::open(&fixture("pytorch/open-clip.bin")).err().expect("expected a refusal");
    assert!(error.code() == "wrong-model" && error.to_string().contains("open_clip_pytorch_model.bin"), "{error}");
    let error = Config::of_openai("RN50.pt", &|_| None).expect_err("expected a refusal");
    assert!(error.code() == "wrong-model" && error.to_string().contains("ResNets"), "{error}");
}
