//! Tiles: the host counts them with their true size, and neighbours find what they read in different banks of a workgroup's memory.

use std::collections::BTreeSet;

use ocelli::{config::Mask, gpu::Tier, kernels::*, quant::Format};

use crate::every::{constant, validate};

/// The host starts as many workgroups as there are tiles: it has their size from nowhere but `Matmul::workgroups`.
#[test]
fn tiles_have_the_size_that_the_host_counts_with() {
    let matmul = |rows: u32, cols: u32| {
        let weight = MatrixRef { id: WeightId(0), format: Format::Q8, rows: cols, cols: 32 };
        Matmul::new(ActId(0), weight, ActId(1), Rows::Shared(rows))
    };
    let mut sizes = Vec::new();
    for tier in [Tier::Tiled, Tier::Wide, Tier::Half, Tier::Dot8, Tier::Sliced] {
        let (module, _) = validate(&matmul(1, 1).shader(tier).source()).expect("a sound shader");
        let [workgroup, rows, cols] =
            ["WORKGROUP", "ROWS", "COLS"].map(|name| constant(&module, name).expect("said in lib/tile_*.wgsl"));
        let (rows, cols) = (workgroup * rows, workgroup * cols);
        let groups = |rows, cols| matmul(rows, cols).workgroups(tier, Run::items(1));
        assert_eq!(
            [groups(rows, cols), groups(rows + 1, cols), groups(rows, cols + 1)],
            [[1, 1, 1], [1, 2, 1], [2, 1, 1]]
        );
        sizes.push(rows);
    }
    assert_eq!(sizes, [32, 64, 64, 32, 32], "two sizes, or the comparison sees nothing");
    // For a few rows their size is the host's, and is put into the shader.
    let tier = Tier::Vector;
    let shader = matmul(1, 1).shader(tier);
    let value = |name| shader.overrides.iter().find(|(other, _)| *other == name).expect("an override").1;
    let [lanes, cols, workgroup] = ["LANES", "COLS", "WORKGROUP"].map(value);
    assert_eq!(lanes * cols, workgroup);
    let groups = |rows, cols| matmul(rows, cols).workgroups(tier, Run::items(1));
    assert_eq!([groups(1, cols), groups(3, cols), groups(1, cols + 1)], [[1, 1, 1], [1, 1, 3], [2, 1, 1]]);
    // More columns than one dimension of a dispatch has room for.
    let [x, y, z] = groups(2, 70_000 * cols);
    assert!(x <= 65_535 && x * y >= 70_000 && z == 2);
}

/// How many times a memory of 32 banks of four bytes is asked until eight neighbours have each had a vector of 16 bytes from it: a GPU
/// serves 128 bytes at a time, where no two come from the same bank.
fn passes(vectors: impl Iterator<Item = u32>) -> usize {
    let mut banks = [const { BTreeSet::new() }; 8];
    for vector in vectors {
        banks[vector as usize % 8].insert(vector);
    }
    banks.iter().map(BTreeSet::len).max().unwrap_or(0)
}

/// The indices are those of `matmul_tiled.wgsl` and `attention_tiled.wgsl`.
#[test]
fn neighbours_meet_different_banks() {
    // What is loaded side by side is put side by side along K; without padding four or eight would meet.
    let stored = |turn: u32, stride: u32| passes((0..8).map(|at| at % turn * stride + at / turn));
    assert_eq!([stored(4, 64), stored(4, 32), stored(8, 32)], [4, 4, 8]);
    let weight = MatrixRef { id: WeightId(0), format: Format::F32, rows: 1, cols: 32 };
    for tier in [Tier::Tiled, Tier::Sliced, Tier::Wide] {
        let shader = Matmul::new(ActId(0), weight, ActId(1), Rows::Shared(99)).shader(tier);
        let (module, _) = validate(&shader.source()).expect("a sound shader");
        let [turn, x, w] = ["TURN", "X_STRIDE", "W_STRIDE"].map(|name| constant(&module, name).expect("a number"));
        assert_eq!([stored(turn, x), stored(turn, w)], [1, 1], "{}", tier.name());
    }
    // Neighbours read keys one after the other, and shares of theirs.
    let read = |lanes: u32, row: u32, shares: u32| {
        [passes((0..8).map(|lane| lane % lanes * row)), passes((0..8).map(|lane| lane / lanes * shares))]
    };
    assert_eq!(read(8, 16, 32), [8, 1]);
    assert_eq!(read(4, 16, 24), [4, 2]);
    for head_size in (4..=128).step_by(4) {
        let kv = Keys { act: ActId(0), len: Rows::Shared(9), stride: 384, k: 128, v: 256, most: None, lengths: None };
        let q = Queries { act: ActId(0), len: Rows::Shared(9), stride: 384, index: None };
        let attention = Attention::new(q, kv, ActId(1), [1, head_size], Mask::None);
        for tier in [Tier::Tiled, Tier::Wide] {
            let shader = attention.shader(tier);
            let value = |name| shader.overrides.iter().find(|(other, _)| *other == name).expect("an override").1;
            let [lanes, row, keys, quads, workgroup] = ["LANES", "ROW", "KEYS", "QUADS", "WORKGROUP"].map(value);
            assert_eq!(read(lanes, row, keys + 1), [1, 1], "heads of {head_size}, {}", tier.name());
            assert_eq!([value("TILE"), value("SHARES"), workgroup], [keys * row, quads * (keys + 1), quads * lanes]);
            assert!(row >= head_size / 4 && keys >= 8 && keys % lanes == 0 && keys / lanes <= 8);
            assert!(16 * (keys * row + quads * (keys + 1) + workgroup) <= 16 * 1024, "more than a workgroup may have");
        }
    }
}
