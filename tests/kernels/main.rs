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
mod pool;
mod resize;
mod similarity;

use libtest_mimic::{Arguments, Failed, Trial};

use case::Case;

fn main() {
    let arguments = Arguments::from_args();
    let skipped = !arguments.list && !common::runs_on_gpu();
    let all = [
        assemble::cases(),
        attention::cases(),
        layer_norm::cases(),
        matmul::cases(),
        normalize::cases(),
        patchify::cases(),
        pool::cases(),
        resize::cases(),
        similarity::cases(),
    ];
    let mut trials: Vec<Trial> = all.into_iter().flatten().flat_map(|case| trials(case, skipped)).collect();
    trials.push(Trial::test("checker rejects NaN, infinity, a wrong number and a wrong length", checker_rejects));
    libtest_mimic::run(&arguments, trials).exit();
}

/// One trial that the kernel equals its twin, and one for each wrong variant.
fn trials(case: Case, skipped: bool) -> Vec<Trial> {
    let case = std::sync::Arc::new(case);
    let mut trials = Vec::new();
    let right = case.clone();
    trials.push(Trial::test(case.name.clone(), move || right.check(&right.right).map_err(Failed::from)));
    for (index, (what, _)) in case.wrong.iter().enumerate() {
        let wrong = case.clone();
        trials.push(Trial::test(format!("wrong: {}: {what}", case.name), move || {
            match wrong.check(&wrong.wrong[index].1) {
                Err(_) => Ok(()),
                Ok(()) => Err(Failed::from("expected the comparison to reject this, but it passed")),
            }
        }));
    }
    trials.into_iter().map(|t| t.with_ignored_flag(skipped)).collect()
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
