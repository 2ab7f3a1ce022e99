//! Detection and segmentation against Hugging Face transformers: pixels, taps, logits, boxes, masks, and what must not pass.

#[path = "../common/altered.rs"]
mod altered;
mod boxes;
mod broken;
#[path = "../common/mod.rs"]
mod common;
mod golden;
mod masks;
mod objects;
mod reports;
mod taps;
mod wrong;

use libtest_mimic::{Arguments, Trial};
use ocelli::{Gpu, Power, backend::Cpu};

type Outcome = Result<(), libtest_mimic::Failed>;
type Test = fn(&str) -> Outcome;

const DETECTORS: [&str; 3] = ["owlvit", "owlv2", "owlv2-scale"];
const SEGMENTERS: [&str; 3] = ["clipseg", "clipseg-refined", "clipseg-rd16"];

fn gpu() -> Gpu {
    pollster::block_on(Gpu::new(Power::Any)).expect("an adapter was found before")
}

/// The same test on the GPU and on the CPU.
macro_rules! both {
    ($name:literal, $test:path) => {
        [
            (concat!($name, " on the GPU"), true, (|model: &str| $test(model, &gpu)) as Test),
            (concat!($name, " on the CPU"), false, (|model: &str| $test(model, &Cpu::default)) as Test),
        ]
    };
}

fn main() {
    let arguments = Arguments::from_args();
    let skipped = !arguments.list && !common::runs_on_gpu();
    let every =
        [both!("pixels are the reference's", taps::pixels), both!("taps are the reference's", taps::taps)].concat();
    let mut trials = Vec::new();
    let mut add = |model: &'static str, tests: &[(&'static str, bool, Test)]| {
        for &(name, on_gpu, test) in tests {
            let trial = Trial::test(format!("{model}: {name}"), move || test(model));
            trials.push(trial.with_ignored_flag(on_gpu && skipped));
        }
    };
    for model in DETECTORS.into_iter().chain(SEGMENTERS) {
        add(model, &[("naive twins give the reference's taps", false, taps::twins)]);
        add(model, &[("every tier", true, taps::tiers), ("each tower alone", false, taps::towers)]);
        add(model, &[("a quantised folder", false, taps::quantized)]);
        add(model, &both!("embeddings of texts", taps::texts));
    }
    for model in DETECTORS {
        add(model, &every);
        add(model, &both!("logits, boxes and objectness", boxes::answers));
        add(model, &wrong::detectors(model));
        add(model, &broken::TESTS[..1]);
    }
    for model in SEGMENTERS {
        add(model, &every);
        add(model, &both!("masks", masks::answers));
        add(model, &wrong::segmenters(model));
        add(model, &broken::TESTS[1..]);
        add(model, &[("a picture as a prompt", false, masks::guided)]);
    }
    for model in ["owlvit", "owlv2"] {
        add(model, &both!("detections in the picture", boxes::detections));
        add(
            model,
            &[("several templates a query", false, boxes::templates), ("an example picture", false, boxes::guided)],
        );
    }
    add("owlvit", &[("an example picture without any box in it", false, boxes::guided_nowhere)]);
    add("owlv2", &both!("a smaller canvas", boxes::canvas));
    add("owlv2", &both!("whatever is there", objects::answers));
    add("owlv2", &[("whatever is there in other scenes", false, objects::foreign)]);
    add("owlvit", &[("no objectness", false, objects::none)]);
    add("owlv2", &[("what cannot be", false, boxes::errors)]);
    add("clipseg", &[("what cannot be", false, masks::errors)]);
    add("every", &[("mistakes are farther away than the bounds", false, wrong::recorded)]);
    for (name, on_gpu, test) in reports::all() {
        trials.push(Trial::test(name, test).with_ignored_flag(on_gpu && skipped));
    }
    libtest_mimic::run(&arguments, trials).exit();
}
