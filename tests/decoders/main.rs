//! Models that write, against transformers: every tap, the logits of a prompt and of each step, greedy tokens; on the GPU and on the CPU.
//! And what must not pass: usual mistakes, whose distances stand beside the bound.
//!
//! What users of these models have reported elsewhere, and which test has it:
//!
//! | | report | what must be | test |
//! |---|---|---|---|
//! | 1 | llama.cpp#16776 | tiles and their bytes are the reference's, of 5000 × 50 too | `tiles`: `smolvlms_tiles_are_the_references` |
//! | 2 | smollm#146 | few tokens for a small picture where they are asked for, and told before | `tiles`: `less_detail_is_one_tile`; `vlm` of `tests/web`: `countTokens` |
//! | 3 | mlxcel#1364 | the rule of the tiles from whichever file has it | `prompts`: `the_rule_of_the_tiles_is_the_folders` |
//! | 4 | transformers#30918 | PaliGemma's prompt sees all of itself, its answer what is before | "mistakes are far away", "a prompt that is known in part" |
//! | 5 | transformers#30824 | `<loc0000>` is one id, and boxes come out | `prompts`: `ids_are_the_processors`; `cli_locate`: `boxes_and_masks_of_an_answer` |
//! | 6 | supervision#1663 | what is no box is left out, and its neighbours stay | `locations`: `what_is_wrong_leaves_its_neighbours` |
//! | 7 | onnxruntime#26732 | numbers that f16 cannot hold, in every tier | "numbers above what f16 holds" |
//! | 8 | transformers.js#1741 | no buffer for a step; a token's time grows by its attention alone | `vlm-gpu` of `tests/web`; `full.mjs` tells times |
//! | 9 | transformers.js#853 | streamed texts are whole, whatever their tokens cut | `text_reference`; `vlm` of `tests/web` |
//! | 10 | gemma-4-webgpu-kernels#8, wllama#218 | a tier that sums wrongly is dropped; the same text in two browsers | `vlm-gpu` of `tests/web`, in Firefox with `--firefox` |

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
