//! Cases of what only Florence-2 has: DaViT's kernels, windows, beams, and attention to another text.

use super::case::{Case, Step, case, poison, small, vector, words};
use crate::{
    config::Mask,
    kernels::{
        ActId, Attention, ChannelMix, ChannelScores, Channels, Depthwise, Keys, PrependMean, Queries, Reorder, Rows,
        Windows,
    },
    quant::Format,
    random::Random,
};

pub(super) fn cases() -> Vec<(Case, Step)> {
    let mut all = vec![depthwise(), windows(false), windows(true), channel_scores(), channel_mix(), prepend_mean()];
    all.extend([reorder(), in_windows(), cross(1), cross(9)]);
    all
}

fn depthwise() -> (Case, Step) {
    const BATCH: usize = 2;
    const GRID: usize = 4;
    const DIM: usize = 5;
    let mut random = Random::new(40);
    let x = random.floats(BATCH * GRID * GRID * DIM);
    let weights =
        vec![small(Format::F32, &random.floats(9 * DIM), 9 * DIM), small(Format::F32, &random.floats(DIM), DIM)];
    let (weight, bias) = (vector(0, 9 * DIM), vector(1, DIM));
    let kernel = Depthwise { x: ActId(0), weight, bias, y: ActId(1), grid: GRID as u32 };
    // Eleven sums of products of numbers up to 1.
    let bound = Some((11.0, 12.0 * 2f64.powi(-24)));
    case("depthwise".into(), vec![words(&x), poison(x.len())], BATCH as u32, bound, (kernel, weights))
}

fn windows(back: bool) -> (Case, Step) {
    const BATCH: usize = 2;
    const DIM: usize = 5;
    // Four windows of 3 × 3, of which three lie beyond the grid in part.
    let (area, all) = (5 * 5, 6 * 6);
    let [from, to] = if back { [all, area] } else { [area, all] };
    let x = Random::new(41).floats(BATCH * from * DIM);
    let kernel = Windows { x: ActId(0), y: ActId(1), grid: 5, window: 3, dim: DIM as u32, back };
    let name = format!("windows{}", if back { ", back" } else { "" });
    // Copies.
    case(name, vec![words(&x), poison(BATCH * to * DIM)], BATCH as u32, None, (kernel, Vec::new()))
}

const CHANNELS: Channels = Channels { qkv: ActId(0), rows: Rows::PerItem(37), groups: 3, size: 6 };

fn channel_scores() -> (Case, Step) {
    let qkv = Random::new(42).floats(37 * 3 * 18);
    let kernel = ChannelScores { of: CHANNELS, y: ActId(1) };
    let acts = vec![words(&qkv), poison(18 * 6)];
    // Scores of up to 6 are sums of 37 products; exp makes a relative error of theirs, and a driver's own may be off by 2^-21.
    let bound = Some((1.0, 2f64.powi(-21) * 8.0 + 12.0 * 48.0 * 2f64.powi(-24)));
    case("channel_scores".into(), acts, 1, bound, (kernel, Vec::new()))
}

fn channel_mix() -> (Case, Step) {
    let mut random = Random::new(43);
    let acts = vec![words(&random.floats(37 * 3 * 18)), words(&random.floats(18 * 6)), poison(37 * 18)];
    let kernel = ChannelMix { shares: ActId(1), of: CHANNELS, y: ActId(2) };
    // Six sums of products of numbers up to 1.
    case("channel_mix".into(), acts, 1, Some((6.0, 8.0 * 2f64.powi(-24))), (kernel, Vec::new()))
}

fn prepend_mean() -> (Case, Step) {
    const BATCH: usize = 2;
    const ROWS: usize = 9;
    const DIM: usize = 5;
    let x = Random::new(44).floats(BATCH * ROWS * DIM);
    let kernel = PrependMean { x: ActId(0), y: ActId(1), rows: ROWS as u32, dim: DIM as u32 };
    let acts = vec![words(&x), poison(BATCH * (ROWS + 1) * DIM)];
    // Nine sums of numbers up to 1, and a division that WGSL lets be off by 2.5 units in the last place.
    case("prepend_mean".into(), acts, BATCH as u32, Some((1.0, 15.0 * 2f64.powi(-24))), (kernel, Vec::new()))
}

fn reorder() -> (Case, Step) {
    const MOST: u32 = 6;
    const DIM: u32 = 5;
    let state = Random::new(45).floats((3 * MOST * DIM) as usize);
    let kernel = Reorder { from: ActId(0), state: ActId(1), most: MOST, dim: DIM };
    // Copies.
    let (mut case, step) = case("reorder".into(), vec![vec![2, 0, 0], words(&state)], 3, None, (kernel, Vec::new()));
    case.run.past = 4;
    (case, step)
}

/// Tokens of windows, which see nothing of the others.
fn in_windows() -> (Case, Step) {
    const BATCH: usize = 2;
    const DIM: u32 = 3 * 8;
    let qkv = Random::new(46).floats(BATCH * 4 * 9 * 3 * DIM as usize);
    let len = Rows::PerItem(4 * 9);
    let q = Queries { act: ActId(0), len, stride: 3 * DIM, index: None };
    let kv = Keys { act: ActId(0), len, stride: 3 * DIM, k: DIM, v: 2 * DIM, most: None, lengths: None };
    let kernel = Attention { windows: 4, ..Attention::new(q, kv, ActId(1), [3, 8], Mask::None) };
    let acts = vec![words(&qkv), poison(BATCH * 4 * 9 * DIM as usize)];
    // As for other attentions.
    let bound = Some((1.0, 2f64.powi(-21) * 8.0 + 8f64.powf(1.5) / 4.0 * 2f64.powi(-24)));
    case("attention in windows".into(), acts, BATCH as u32, bound, (kernel, Vec::new()))
}

/// Beams that all see one other text.
fn cross(tokens: u32) -> (Case, Step) {
    const BATCH: usize = 3;
    const ROOM: u32 = 90;
    const DIM: u32 = 2 * 12;
    let mut random = Random::new(47);
    let q = random.floats(BATCH * (tokens * DIM) as usize);
    let mut kv = random.floats((ROOM * 2 * DIM) as usize);
    // What it has room for and does not hold must not show.
    kv[(70 * 2 * DIM) as usize..].fill(1e3);
    let queries = Queries { act: ActId(0), len: Rows::PerItem(tokens), stride: DIM, index: None };
    let keys = Keys {
        act: ActId(1),
        len: Rows::Shared(ROOM),
        stride: 2 * DIM,
        k: 0,
        v: DIM,
        most: None,
        lengths: Some(ActId(2)),
    };
    let kernel = Attention::new(queries, keys, ActId(3), [2, 12], Mask::None);
    let acts = vec![words(&q), words(&kv), vec![70; BATCH], poison(q.len())];
    // As for other attentions.
    let bound = Some((1.0, 2f64.powi(-21) * 8.0 + 12f64.powf(1.5) / 4.0 * 2f64.powi(-24)));
    case(format!("attention of {tokens} to another text"), acts, BATCH as u32, bound, (kernel, Vec::new()))
}
