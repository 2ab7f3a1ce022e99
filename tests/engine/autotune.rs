//! Which tier is chosen, from timings that nobody measured; and a race on the device at hand.

use ocelli::{
    Gpu, Power,
    autotune::{autotune, candidates, choose, choose_exact, cpu_self_test, is_slow, race, self_test, step_test, work},
    gpu::{
        Size,
        Tier::{self, Dot8, Half, Plain, Registers, Serial, Sliced, Tiled, Vector, Wide},
        Tuning,
    },
    kernels::{ActId, Kernel, Matmul, MatrixRef, Operand, Place, RACED, Rows, Run, Shuffle, WeightId},
    plan::Plan,
    quant::Format,
};

use crate::{altered::Altered, common};

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
fn weights_in_f32_get_no_rounding_by_themselves() {
    let times = vec![(Registers, Some(9.0)), (Wide, Some(5.0)), (Half, Some(0.1)), (Dot8, Some(0.1))];
    assert_eq!((choose(&times), choose_exact(&times)), (Half, Wide));
    assert_eq!(choose_exact(&vec![(Half, Some(1.0))]), Plain);
    let tuning = Tuning::new([choose(&times); 3], [choose_exact(&times); 3]);
    let tier = |tuning: &Tuning, format| product(400, format).variant(tuning, Run::items(1));
    assert_eq!([Format::F32, Format::F16, Format::Q8, Format::Q4].map(|f| tier(&tuning, f)), [Wide, Half, Half, Half]);
    // Who asks for it gets it.
    assert_eq!(tier(&Tuning::all(Half), Format::F32), Half);
}

#[test]
fn the_tier_goes_by_the_rows_of_a_run_and_by_its_outputs() {
    let tuning = Tuning::new([Registers, Tiled, Wide], [Registers, Tiled, Wide]);
    let with = |outputs| MatrixRef { rows: outputs, ..product(1, Format::Q8).weight };
    let product = Matmul { rows: Rows::PerItem(196), weight: with(RACED), ..product(1, Format::Q8) };
    assert_eq!([1, 2, 3, 8].map(|batch| product.variant(&tuning, Run::items(batch))), [Tiled, Tiled, Wide, Wide]);
    let product = Matmul { rows: Rows::PerToken, ..product };
    assert_eq!(
        [7, 8, 40, 512].map(|tokens| product.variant(&tuning, Run::tokens(1, tokens))),
        [Plain, Registers, Tiled, Wide]
    );
    // As many tiles as of more rows, or of fewer; but a few rows stay few, and no others become so.
    let of = |rows, outputs| {
        Matmul { rows: Rows::Shared(rows), weight: with(outputs), ..product.clone() }.variant(&tuning, Run::items(1))
    };
    assert_eq!([196, 128, 127].map(|rows| of(rows, 4 * RACED)), [Wide, Wide, Tiled]);
    assert_eq!([of(1568, 64), of(32, 1), of(31, 50_000)], [Tiled, Tiled, Registers]);
}

/// A plan is compiled in every tier that its runs may want: [`GpuPlan`](ocelli::backend::GpuPlan) looks at runs of 1, 2, 4, … tokens.
#[test]
fn every_class_of_sizes_is_met_by_powers_of_two() {
    let tuning = Tuning::new([Registers, Tiled, Wide], [Registers, Tiled, Wide]);
    for outputs in [1, 64, 576, RACED, 2304, 4 * RACED, 50_000] {
        let weight = MatrixRef { rows: outputs, ..product(1, Format::Q8).weight };
        let product = Matmul { rows: Rows::PerToken, weight, ..product(1, Format::Q8) };
        let tier = |batch, tokens| product.variant(&tuning, Run::tokens(batch, tokens));
        for batch in 1..=9 {
            let sampled: Vec<Tier> = (0..14).map(|power| tier(batch, 1 << power)).collect();
            assert!((1..8192).all(|tokens| sampled.contains(&tier(batch, tokens))), "{batch} × {outputs}");
        }
    }
}

#[test]
fn a_few_rows_have_tiers_of_their_own() {
    let tier =
        |tier, rows, place| Matmul { place, ..product(rows, Format::Q8) }.variant(&Tuning::all(tier), Run::items(1));
    for rows in [1, 7] {
        let columns = Place::Columns { first: 0, of: 1 };
        for place in [Place::Set, Place::Add, columns] {
            let found = [Plain, Registers, Tiled, Wide, Half, Dot8].map(|own| tier(own, rows, place));
            assert_eq!(found, [Plain, Plain, Vector, Vector, Vector, Vector]);
        }
        let shuffle = Place::Shuffle(Shuffle { lead: 0, grid: 1, kernel: 1 });
        assert_eq!([Registers, Wide].map(|own| tier(own, rows, shuffle)), [Plain; 2]);
    }
    assert_eq!([Registers, Wide].map(|own| tier(own, 8, Place::Set)), [Registers, Wide]);
    // Nothing that is chosen, stored or asked for.
    for own in [Vector, Serial] {
        assert!(own.exact() && !Tier::ALL.contains(&own) && Tier::parse(own.name()).is_err());
    }
}

#[test]
fn what_failed_or_cannot_be_measured_is_not_chosen() {
    assert_eq!(choose(&vec![(Plain, Some(3.0)), (Tiled, None), (Wide, Some(f64::NAN)), (Registers, Some(0.0))]), Plain);
    assert_eq!(choose(&vec![(Plain, None), (Half, Some(1.0))]), Half);
    assert_eq!(choose(&vec![(Plain, None), (Tiled, None)]), Plain);
    assert_eq!(choose(&Vec::new()), Plain);
}

/// A matrix product of so many rows with one number.
fn product(rows: u32, format: Format) -> Matmul {
    let weight = MatrixRef { id: WeightId(0), format, rows: 1, cols: 1 };
    Matmul::new(ActId(0), weight, ActId(1), Rows::Shared(rows))
}

/// A plan of matrix products with so many rows, 2 operations each.
fn plan(rows: &[u32]) -> Plan {
    let mut plan = Plan::default();
    let x = plan.scratch("x", Rows::Shared(1), 1000);
    for &rows in rows {
        plan.step("product", Matmul { x: Operand::Act(x), y: x, ..product(rows, Format::F32) });
    }
    plan
}

#[test]
fn a_submit_is_cut_where_it_would_be_long() {
    let plan = plan(&[10, 10, 50, 10, 10]);
    assert_eq!(plan.flops(Run::items(1)), 180);
    assert_eq!(plan.parts(Run::items(1), 1000).len(), 1);
    assert_eq!(plan.parts(Run::items(1), 120), [0..2, 2..4, 4..5]);
    // What is too much by itself is a part of its own.
    assert_eq!(plan.parts(Run::items(1), 40), [0..2, 2..3, 3..5]);
    assert_eq!(plan.parts(Run::items(1), 0), [0..1, 1..2, 2..3, 3..4, 4..5]);
}

#[test]
fn every_tier_is_sound_on_this_device() {
    if !common::runs_on_gpu() {
        return;
    }
    let gpu = pollster::block_on(Gpu::new(Power::Any)).expect("looked for before");
    for tier in gpu.tiers() {
        assert!(pollster::block_on(self_test(&gpu, &Tuning::all(tier))).expect("it runs"), "{}", tier.name());
    }
}

/// Reductions that take a subgroup to be larger or smaller than it is, and what else a step's kernels may get wrong.
#[test]
fn a_wrong_reduction_in_a_decoders_step_is_seen() {
    if !common::runs_on_gpu() {
        return;
    }
    let gpu = pollster::block_on(Gpu::new(Power::Any)).expect("looked for before");
    let right = |tier, from, to| {
        let change = |plan: Plan| plan.with_kernels(|_, inner| Altered::miscompiled(inner, from, to));
        pollster::block_on(step_test(&gpu, tier, change)).expect("it runs")
    };
    for tier in Tier::ALL.into_iter().filter(|&tier| gpu.tiers().any(|own| own == tier)) {
        assert!(right(tier, "nothing", "else"), "{}", tier.name());
    }
    let of_vector = [
        // Products of a row and a matrix, of which a part of the lanes is summed.
        ("i < LANES;", "i < LANES / 2u;"),
        // Norms and attention, whose workgroups of 64 are summed as if they were 16 or 32 invocations.
        ("i < WORKGROUP;", "i < 16u;"),
        ("i < WORKGROUP;", "i < 32u;"),
        ("i < min(FAN, WORKGROUP);", "i < 4u;"),
        // The keys of one invocation for those of all.
        ("let all = sum_over_lanes(lane, total);", "let all = total;"),
        ("top = largest_over_lanes(lane, top);", "top = top + 1.0;"),
        // Keys behind those that are there.
        ("return first + i + 1u;", "return first + i + 2u;"),
        // The largest logit of some.
        ("var left = WORKGROUP / 2u;", "var left = 16u;"),
    ];
    for (from, to) in of_vector {
        assert!(!right(Tiled, from, to), "{to}");
    }
    // What the others do not share leaves them as they are.
    assert!(
        right(Registers, "i < LANES;", "i < LANES / 2u;")
            && right(Plain, "let all = sum_over_lanes(lane, total);", "let all = total;")
    );
    assert!(!right(Registers, "i < min(FAN, WORKGROUP);", "i < 2u;") && !right(Plain, "j < end;", "j + 1u < end;"));
}

#[test]
fn the_cpu_is_sound() {
    assert!(pollster::block_on(cpu_self_test()).expect("it runs"));
}

#[test]
fn a_race_on_this_device() {
    if !common::runs_on_gpu() {
        return;
    }
    let gpu = pollster::block_on(Gpu::new(Power::Any)).expect("looked for before");
    // Dot8 is raced if asked for, and never a candidate by itself.
    assert!(!candidates(&gpu).any(|tier| tier == Dot8));
    let slow = pollster::block_on(is_slow(&gpu)).expect("it runs");
    for size in [Size::Few, Size::Some] {
        let times = pollster::block_on(race(&gpu, Format::Q8, gpu.tiers(), work(size, slow))).expect("it runs").times;
        assert_eq!(times.iter().map(|(tier, _)| *tier).collect::<Vec<Tier>>(), gpu.tiers().collect::<Vec<_>>());
        assert!(times.iter().all(|(_, time)| time.is_some_and(|ms| ms > 0.0)), "{times:?}");
    }
    let tuned = pollster::block_on(autotune(&gpu)).expect("it runs");
    assert!(tuned.rate > 0.0 && tuned.tuning.tiers().all(|tier| candidates(&gpu).any(|t| t == tier)));
    assert!(Size::ALL.into_iter().all(|size| tuned.tuning.at(size.least(), Format::F32).exact()));
    assert!(!slow || tuned.tuning.tiers().all(|tier| tier != Sliced));
}

#[test]
fn a_tier_that_the_device_cannot_run_is_refused() {
    if !common::runs_on_gpu() {
        return;
    }
    let gpu = pollster::block_on(Gpu::new(Power::Any)).expect("looked for before");
    for tier in Tier::ALL {
        assert_eq!(gpu.check_tuning(&Tuning::all(tier)).is_ok(), gpu.tiers().any(|t| t == tier), "{}", tier.name());
        assert_eq!(Tier::parse(tier.name()).expect("its own name"), tier);
    }
    let error = Tier::parse("fast").expect_err("no tier").to_string();
    assert!(error.contains("registers") && error.contains("fast"), "{error}");
}
