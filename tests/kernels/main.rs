//! Each kernel against its naive twin over a table of cases with odd sizes, and against wrong variants of itself that the
//! comparison must reject.

mod add_shared;
mod attention;
mod attention_spans;
mod best;
mod case;
mod channel_mix;
mod channel_scores;
mod class_head;
#[path = "../common/mod.rs"]
mod common;
mod depthwise;
mod embed;
mod gated;
mod gather;
mod layer_norm;
mod matmul;
mod modulate;
mod normalize;
mod patchify;
mod pick;
mod pixel_shuffle;
mod prepend_mean;
mod reorder;
mod resize;
mod resize_float;
mod rms_norm;
mod rope;
mod shuffle;
mod unfold;
mod windows;

use std::{
    panic::{self, AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use libtest_mimic::{Arguments, Failed, Trial};

use case::{Build, Case};
use ocelli::{backend::Cpu, gpu::Tier};

fn main() {
    // Wrong variants may panic, on threads of their own: a line says so, a backtrace each would hide what failed.
    panic::set_hook(Box::new(|info| eprintln!("{info}")));
    let arguments = Arguments::from_args();
    let skipped = !arguments.list && !common::runs_on_gpu();
    // Without the feature its tier is SKIPPED; lavapipe has it.
    let f16 = !skipped && !arguments.list && common::gpu().tiers().any(|tier| tier.needs_f16());
    println!("shader-f16: {f16}");
    let all = [
        add_shared::cases(),
        attention::cases(),
        attention_spans::cases(),
        best::cases(),
        channel_mix::cases(),
        channel_scores::cases(),
        class_head::cases(),
        depthwise::cases(),
        embed::cases(),
        gated::cases(),
        gather::cases(),
        layer_norm::cases(),
        matmul::cases(),
        modulate::cases(),
        normalize::cases(),
        patchify::cases(),
        pick::cases(),
        pixel_shuffle::cases(),
        prepend_mean::cases(),
        reorder::cases(),
        resize::cases(),
        resize_float::cases(),
        rms_norm::cases(),
        rope::cases(),
        shuffle::cases(),
        unfold::cases(),
        windows::cases(),
    ];
    let cases: Vec<Arc<Case>> = all.into_iter().flatten().map(Arc::new).collect();
    let on_cpu: Vec<Trial> = cases.iter().flat_map(|case| trials_of("cpu", case, on_the_cpu)).collect();
    let mut trials: Vec<Trial> = cases.iter().flat_map(|case| trials(case, skipped, f16)).collect();
    trials.extend(on_cpu);
    trials.push(Trial::test("checker rejects NaN, infinity, a wrong number and a wrong length", checker_rejects));
    trials.push(Trial::test("attention that is split is the whole", attention_spans::split_is_the_whole));
    trials.push(Trial::test("unfold is what a convolution sees", unfold::is_what_a_convolution_sees));
    trials.push(Trial::test("shuffle is a transposed convolution", shuffle::is_a_transposed_convolution));
    libtest_mimic::run(&arguments, trials).exit();
}

/// In each tier one trial that the kernel equals its twin, and one for each wrong variant.
fn trials(case: &Arc<Case>, skipped: bool, f16: bool) -> Vec<Trial> {
    let in_tier = |(tier, tuned): (Tier, Tier)| {
        let skipped = skipped || (tier.needs_f16() && !f16);
        let trials = trials_of(tier.name(), case, move |case, step| case.check(tuned, step));
        // Smaller than what these tiers round; the line is that of the exact tiers, in lib/output and lib/activation.
        let rounded = |trial: &Trial| {
            let small = ["the other gelu", "gelu in place of relu", "gelu in place of silu", "bias dropped"];
            small.iter().any(|what| trial.name().ends_with(what))
        };
        trials
            .into_iter()
            .filter(move |trial| tier.exact() || !rounded(trial))
            .map(move |trial| trial.with_ignored_flag(skipped))
            .collect::<Vec<_>>()
    };
    case.tiers().into_iter().flat_map(in_tier).collect()
}

/// One trial that the kernel equals its twin on a device, and one for each wrong variant.
fn trials_of(
    device: &str,
    case: &Arc<Case>,
    check: impl Fn(&Case, &Build) -> Result<(), String> + Copy + Send + 'static,
) -> Vec<Trial> {
    let name = format!("{device} {}", case.name);
    let right = case.clone();
    let mut trials = vec![Trial::test(name.clone(), move || check(&right, &right.right).map_err(Failed::from))];
    for (index, (what, _)) in case.wrong.iter().enumerate() {
        let wrong = case.clone();
        let reject = move || match check(&wrong, &wrong.wrong[index].1) {
            Err(_) => Ok(()),
            Ok(()) => Err(Failed::from("expected the comparison to reject this, but it passed")),
        };
        trials.push(Trial::test(format!("wrong: {name}: {what}"), reject));
    }
    trials
}

/// What a GPU reads beyond an activation's end is caught as another number, and here as a panic.
fn on_the_cpu(case: &Case, step: &Build) -> Result<(), String> {
    let check = AssertUnwindSafe(|| case.check_on(&Cpu::default(), Tier::Plain, step));
    catch_unwind(check).unwrap_or_else(|panic| {
        let why = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        Err(format!("expected an output, found a panic: {}", why.unwrap_or("not said")))
    })
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
