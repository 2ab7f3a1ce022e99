//! Models that write, against transformers: every tap, the logits of a prompt and of each step, greedy tokens; on the GPU and on the CPU.
//! And what must not pass: usual mistakes, whose distances stand beside the bound.

mod choices;
#[path = "../common/mod.rs"]
mod common;
mod golden;
mod large;
mod patterns;
mod steps;
mod taps;
mod wrong;

use libtest_mimic::{Arguments, Failed, Trial};
use ocelli::{Gpu, Power, backend::Cpu};

type Outcome = Result<(), Failed>;

/// A device of its own: a session owns the one it runs on.
fn gpu() -> Gpu {
    pollster::block_on(Gpu::new(Power::Any)).expect("an adapter was found before")
}

fn main() {
    let arguments = Arguments::from_args();
    let skipped = !arguments.list && !common::runs_on_gpu();
    let mut trials = Vec::new();
    let mut add = |model: &'static str, what: &str, on_gpu: bool, test: fn(&str) -> Outcome| {
        let name = format!("{model}: {what}, on the {}", if on_gpu { "GPU" } else { "CPU" });
        trials.push(Trial::test(name, move || test(model)).with_ignored_flag(on_gpu && skipped));
    };
    macro_rules! both {
        ($models:expr, $what:literal, $test:path) => {
            for model in $models {
                add(model, $what, true, |model| $test(model, &gpu));
                add(model, $what, false, |model| $test(model, &Cpu::default));
            }
        };
    }
    let all = golden::TEXTS.into_iter().chain(golden::PICTURES);
    both!(all.clone(), "taps and logits of a prompt", taps::prompt);
    both!(all.clone(), "greedy tokens and their logits", steps::greedy);
    both!(all.clone(), "a prompt that is known in part", steps::cached);
    both!(golden::PICTURES, "other pictures", taps::pictures);
    both!(["llama", "gemma3"], "a prompt of several runs", steps::chunks);
    both!(["llama", "paligemma"], "poison behind the last token", steps::poison);
    both!(all.clone(), "q8", steps::quantized);
    both!(choices::MODELS, "one of several answers", choices::probabilities);
    both!(patterns::MODELS, "texts that keep to a pattern", patterns::texts);
    for model in all {
        add(model, "mistakes are far away", false, wrong::mistakes);
    }
    for model in ["llama", "gemma3"] {
        add(model, "numbers above what f16 holds", true, large::numbers);
    }
    for model in ["llama", "paligemma"] {
        add(model, "what cannot be", false, steps::errors);
        add(model, "answers that cannot be", false, choices::errors);
    }
    libtest_mimic::run(&arguments, trials).exit();
}
