//! The CPU path: its numbers are the same to the last bit on any number of threads, and it needs no GPU.

use std::process::Output;

use ocelli::{
    Checkpoint, Session,
    backend::Cpu,
    pictures::Picture,
    quant::Format,
    session::{LoadOptions, Source},
    threads::Threads,
};
use serde_json::{Value, json};

use crate::program::{fixture, json, root};

/// So many that a run has several batches' worth of shapes.
const PICTURES: [&str; 3] = ["rgb-61x37.png", "tall-23x97.png", "rgba-40x53.png"];
const TEXTS: [&str; 3] = ["a cat", "a photo of two dogs in the snow", ""];

/// Embeddings of pictures and texts as bits; whatever can be shared by threads is.
fn bits(model: &str, format: Format, threads: usize) -> Vec<u32> {
    let threads = Threads::new(Some(threads)).expect("threads").sharing_from(0);
    let checkpoint = Checkpoint::open(fixture(model).as_ref()).expect("a sound fixture");
    let options = LoadOptions { format: Some(format), ..LoadOptions::default() };
    let session = Session::load(Cpu::from(threads), &checkpoint, options).expect("a sound fixture");
    let open = |name: &&str| Picture::open(fixture(&format!("images/{name}")).as_ref()).expect("a sound fixture");
    let pictures: Vec<Picture> = PICTURES.iter().map(open).collect();
    let sources: Vec<&dyn Source<Cpu>> = pictures.iter().map(|picture| picture as _).collect();
    let pictures = pollster::block_on(session.embed_images(&sources)).expect("sound pictures");
    let texts = pollster::block_on(session.embed_texts(&TEXTS)).expect("sound texts");
    [pictures, texts].iter().flatten().flatten().map(|x| x.to_bits()).collect()
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    for model in ["clip", "siglip", "naflex"] {
        let mut before = Vec::new();
        for format in Format::ALL {
            let expected = bits(model, format, 1);
            assert!(!expected.is_empty());
            // Some fixtures' weights are f16 already.
            assert!(format == Format::F16 || expected != before, "{model}: another format has other bits");
            for threads in [1, 2, 3, 5] {
                assert_eq!(bits(model, format, threads), expected, "{model}, {format:?} on {threads} threads");
            }
            before = expected;
        }
    }
}

/// The program where Vulkan has no driver.
fn without_vulkan(arguments: &[&str]) -> Output {
    let nowhere = |name| (name, "/nowhere/icd.json");
    std::process::Command::new(env!("CARGO_BIN_EXE_ocelli"))
        .args(arguments)
        .envs(["VK_DRIVER_FILES", "VK_ICD_FILENAMES"].map(nowhere))
        .output()
        .expect("the program starts")
}

/// A server: classify, embed and eval go by themselves to the CPU, and say what they say where it was asked for.
#[test]
fn without_a_vulkan_driver() {
    let answer = |arguments: &[&str]| -> Value {
        let output = without_vulkan(&[&["--json"], arguments].concat());
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("JSON on stdout")
    };
    // The environment is what it should be: there is no GPU, not even one that is emulated.
    let gpu = without_vulkan(&["--backend", "gpu", "info"]);
    let why = String::from_utf8_lossy(&gpu.stderr).into_owned();
    assert!(!gpu.status.success() && why.lines().count() == 1, "{why}");
    assert_eq!(answer(&["info"])["adapter"], "CPU");

    let model = root().join("www/models/ocelli-tiny").display().to_string();
    let [dog, pizza] =
        ["dog", "pizza"].map(|name| root().join(format!("www/samples/{name}.png")).display().to_string());
    let classify =
        ["classify", "--model", &model, "--labels", "dog,pizza", "--template", "a picture of a {}", &dog, &pizza];
    let embed = ["embed", "--model", &model, "--text", "a dog"];
    for arguments in [&classify[..], &embed] {
        assert_eq!(answer(arguments), json(&[&["--backend", "cpu"], arguments].concat()), "{arguments:?}");
    }
    let ranked = answer(&classify);
    assert_eq!(
        (&ranked[0]["results"][0]["label"], &ranked[1]["results"][0]["label"]),
        (&json!("dog"), &json!("pizza"))
    );

    let folder = tempfile::tempdir().expect("a folder");
    let manifest = folder.path().join("manifest.json");
    let list = json!({
        "images": root().join("www/samples"),
        "templates": ["a picture of a {}"],
        "classes": [{ "name": "dog" }, { "name": "pizza" }],
        "pictures": [{ "file": "dog.png", "class": "dog" }, { "file": "pizza.png", "class": "pizza" }],
    });
    std::fs::write(&manifest, list.to_string()).expect("a file");
    let eval = answer(&["eval", "--model", &model, "--manifest", &manifest.display().to_string()]);
    assert_eq!((&eval["top1"]["right"], &eval["top1"]["of"]), (&json!(2), &json!(2)), "{eval}");
}
