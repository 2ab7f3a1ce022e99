//! Whole models against Hugging Face transformers: ids, pixels, taps, embeddings, scores, and what must not pass;
//! and models of random shapes against the naive twins.

#[path = "../common/mod.rs"]
mod common;
mod golden;
mod naflex;
mod plain;
mod random;
mod reference;
mod right;
mod tiers;
mod wrong;

use libtest_mimic::{Arguments, Trial};

type Outcome = Result<(), libtest_mimic::Failed>;
type Test = fn(&str) -> Outcome;

fn main() {
    let arguments = Arguments::from_args();
    let skipped = !arguments.list && !common::runs_on_gpu();
    let tests: [(&str, Test); 17] = [
        ("pixels are Pillow's, bit for bit", right::pixels),
        ("taps are the reference's", right::taps),
        ("naive twins give the reference's taps", reference::taps),
        ("quantised taps are the naive twins'", right::quantized_taps),
        ("embeddings in f32", right::embeddings_f32),
        ("embeddings in f16", right::embeddings_f16),
        ("embeddings in q8", right::embeddings_q8),
        ("embeddings in q4", right::embeddings_q4),
        ("q4 moves embeddings by a third less than plain rounding", plain::beaten_by_a_third),
        ("every tier", tiers::all),
        ("on the CPU", tiers::cpu),
        ("texts of every length", right::text_lengths),
        ("batches that overlap", right::batches),
        ("dispatches of a picture", right::dispatches),
        ("scores", right::scores),
        ("labels that stay on the GPU", right::label_sets),
        ("a quantised folder equals quantising on the way in", right::quantized_folder),
    ];
    let mut trials = Vec::new();
    for model in common::MODELS {
        for (name, test) in tests {
            trials.push(Trial::test(format!("{model}: {name}"), move || test(model)).with_ignored_flag(skipped));
        }
        for (name, test) in wrong::tests(model) {
            trials.push(Trial::test(format!("wrong: {model}: {name}"), move || test(model)).with_ignored_flag(skipped));
        }
    }
    trials.push(
        Trial::test("wrong: siglip: weights that overflow", || wrong::overflow("siglip")).with_ignored_flag(skipped),
    );
    trials.push(Trial::test("a picture of 20,000 × 300 pixels, in strips", right::large).with_ignored_flag(skipped));
    trials.push(Trial::test("naflex: several numbers of patches", naflex::on_gpu).with_ignored_flag(skipped));
    trials.push(Trial::test("naflex: several numbers of patches on the CPU", naflex::on_cpu));
    trials.push(Trial::test("naflex: what cannot be", naflex::errors));
    trials.extend(random::trials(skipped));
    libtest_mimic::run(&arguments, trials).exit();
}
