//! Each kernel against its naive twin over a table of cases with odd sizes, and against wrong variants of itself that the
//! comparison must reject.

mod assemble;
mod attention;
mod case;
#[path = "../common/mod.rs"]
mod common;
mod layer_norm;
mod matmul;
mod normalize;
mod patchify;
mod resize;
mod score;

use libtest_mimic::{Arguments, Failed, Trial};

use case::Case;

fn main() {
    let arguments = Arguments::from_args();
    let skipped = !arguments.list && !common::runs_on_gpu();
    // Without the feature its tier is SKIPPED; lavapipe has it.
    let f16 = !skipped && !arguments.list && common::gpu().tiers().any(|tier| tier.needs_f16());
    println!("shader-f16: {f16}");
    let all = [
        assemble::cases(),
        attention::cases(),
        layer_norm::cases(),
        matmul::cases(),
        normalize::cases(),
        patchify::cases(),
        resize::cases(),
        score::cases(),
    ];
    let mut trials: Vec<Trial> = all.into_iter().flatten().flat_map(|case| trials(case, skipped, f16)).collect();
    trials.push(Trial::test("checker rejects NaN, infinity, a wrong number and a wrong length", checker_rejects));
    libtest_mimic::run(&arguments, trials).exit();
}

/// In each tier one trial that the kernel equals its twin, and one for each wrong variant.
fn trials(case: Case, skipped: bool, f16: bool) -> Vec<Trial> {
    let case = std::sync::Arc::new(case);
    let mut trials = Vec::new();
    for tier in case.tiers() {
        let skipped = skipped || (tier.needs_f16() && !f16);
        let name = format!("{} {}", tier.name(), case.name);
        let right = case.clone();
        let check = move || right.check(tier, &right.right).map_err(Failed::from);
        trials.push(Trial::test(name.clone(), check).with_ignored_flag(skipped));
        for (index, (what, _)) in case.wrong.iter().enumerate() {
            // Smaller than what these tiers round; the line is that of the exact tiers, in lib/output and lib/activation.
            if !tier.exact() && ["the other gelu", "bias dropped"].contains(what) {
                continue;
            }
            let wrong = case.clone();
            let check = move || match wrong.check(tier, &wrong.wrong[index].1) {
                Err(_) => Ok(()),
                Ok(()) => Err(Failed::from("expected the comparison to reject this, but it passed")),
            };
            trials.push(Trial::test(format!("wrong: {name}: {what}"), check).with_ignored_flag(skipped));
        }
    }
    trials
}

fn checker_rejects() -> Result<(), Failed> {
    use common::compare;
    let ones = [1.0f32; 3];
    assert!(compare("equal", &ones, &ones, &ones, 1e-6).is_ok());
    for wrong in [[1.0, f32::NAN, 1.0], [1.0, f32::INFINITY, 1.0], [1.0, 1.0, 1.00001]] {
        assert!(compare("wrong", &wrong, &ones, &ones, 1e-6).is_err(), "{wrong:?}");
    }
    assert!(compare("short", &ones[..2], &ones, &ones, 1e-6).is_err());
    assert!(compare("nothing", &[], &[], &[], 1e-6).is_err());
    Ok(())
}
