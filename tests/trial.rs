//! Which tier is chosen, from timings that nobody measured; and a race on the device at hand.

use ocelli::{
    Gpu, Power,
    config::Activation,
    gpu::Tier::{self, Dot8, Half, Plain, Registers, Tiled, Wide},
    kernels::{Matmul, MatrixRef, Operand, Rows, WeightId},
    plan::Plan,
    quant::Format,
    trial::{candidates, choose, race, settle, sound},
};

#[path = "common/mod.rs"]
mod common;

#[test]
fn the_fastest_is_chosen() {
    assert_eq!(choose(&vec![(Plain, Some(3.0)), (Registers, Some(1.0)), (Tiled, Some(2.0))]), Registers);
    assert_eq!(choose(&vec![(Plain, Some(3.0)), (Registers, Some(4.0)), (Wide, Some(2.0))]), Wide);
    assert_eq!(choose(&vec![(Plain, Some(1.0)), (Registers, Some(4.0))]), Plain);
}

#[test]
fn what_rounds_more_must_be_worth_it() {
    assert_eq!(choose(&vec![(Wide, Some(1.0)), (Half, Some(0.95))]), Wide);
    assert_eq!(choose(&vec![(Wide, Some(1.0)), (Half, Some(0.85))]), Half);
    assert_eq!(choose(&vec![(Wide, Some(1.0)), (Half, Some(0.8)), (Dot8, Some(0.5))]), Dot8);
}

#[test]
fn what_failed_or_cannot_be_measured_is_not_chosen() {
    assert_eq!(choose(&vec![(Plain, Some(3.0)), (Tiled, None), (Wide, Some(f64::NAN)), (Registers, Some(0.0))]), Plain);
    assert_eq!(choose(&vec![(Plain, None), (Half, Some(1.0))]), Half);
    assert_eq!(choose(&vec![(Plain, None), (Tiled, None)]), Plain);
    assert_eq!(choose(&Vec::new()), Plain);
}

/// A plan of matrix products with so many rows, 2 operations each.
fn plan(rows: &[u32]) -> Plan {
    let mut plan = Plan::default();
    let x = plan.act("x", 1000);
    for &rows in rows {
        plan.step(
            "product",
            Matmul {
                x: Operand::Act(x),
                weight: MatrixRef { id: WeightId(0), format: Format::F32, rows: 1, cols: 1 },
                bias: None,
                y: x,
                rows: Rows::Shared(rows),
                activation: Activation::None,
                accumulate: false,
                place: None,
            },
        );
    }
    plan
}

#[test]
fn a_submit_is_cut_where_it_would_be_long() {
    let plan = plan(&[10, 10, 50, 10, 10]);
    assert_eq!(plan.flops(1), 180);
    assert_eq!(plan.parts(1, 1000).len(), 1);
    assert_eq!(plan.parts(1, 120), [0..2, 2..4, 4..5]);
    // What is too much by itself is a part of its own.
    assert_eq!(plan.parts(1, 40), [0..2, 2..3, 3..5]);
    assert_eq!(plan.parts(1, 0), [0..1, 1..2, 2..3, 3..4, 4..5]);
}

#[test]
fn every_tier_is_sound_on_this_device() {
    if !common::runs_on_gpu() {
        return;
    }
    let gpu = pollster::block_on(Gpu::new(Power::Any)).expect("looked for before");
    for tier in gpu.tiers() {
        gpu.set_tier(tier).expect("it can");
        assert!(pollster::block_on(sound(&gpu)).expect("it runs"), "{}", tier.name());
    }
}

#[test]
fn a_race_on_this_device() {
    if !common::runs_on_gpu() {
        return;
    }
    let gpu = pollster::block_on(Gpu::new(Power::Any)).expect("looked for before");
    // Dot8 is raced if asked for, and never a candidate by itself.
    assert!(!candidates(&gpu).any(|tier| tier == Dot8));
    let times = pollster::block_on(race(&gpu, Format::Q8, gpu.tiers())).expect("it runs").times;
    assert_eq!(gpu.tier(), Plain, "a race changes nothing");
    assert_eq!(times.iter().map(|(tier, _)| *tier).collect::<Vec<Tier>>(), gpu.tiers().collect::<Vec<_>>());
    assert!(times.iter().all(|(_, time)| time.is_some_and(|ms| ms > 0.0)), "{times:?}");
    pollster::block_on(settle(&gpu)).expect("it runs");
    assert!(candidates(&gpu).any(|tier| tier == gpu.tier()));
}

#[test]
fn a_tier_that_the_device_cannot_run_is_refused() {
    if !common::runs_on_gpu() {
        return;
    }
    let gpu = pollster::block_on(Gpu::new(Power::Any)).expect("looked for before");
    for tier in Tier::ALL {
        assert_eq!(gpu.set_tier(tier).is_ok(), gpu.tiers().any(|t| t == tier), "{}", tier.name());
        assert_eq!(Tier::parse(tier.name()).expect("its own name"), tier);
    }
    let error = Tier::parse("fast").expect_err("no tier").to_string();
    assert!(error.contains("registers") && error.contains("fast"), "{error}");
}
