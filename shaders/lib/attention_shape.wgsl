// keys_seen(b, i): the end of the keys that query i of item b sees; of all, or if CAUSAL of those up to its own place, or if
// HAS_LENGTHS of those that the item has: the rest is padding. first_seen(b, i): their start.

override CAUSAL: bool = false;
override HAS_INDEX: bool = false;
override HAS_LENGTHS: bool = false;
override HAS_CAP: bool = false;
override WINDOW: u32 = 0u;  // if CAUSAL, so many keys at most that a query sees; 0: all
override GROUP: u32 = 1u;   // heads of a query token that share a head of keys and values

struct Params {
    batch: u32,
    heads: u32,      // of a query token
    head_size: u32,  // at most 256; a multiple of 4 where vectors are loaded, at most 128 in registers
    q_len: u32,
    kv_len: u32,
    q_stride: u32,   // floats between two query tokens
    q_item: u32,     // floats between two items' queries; 0 where all items share them
    kv_stride: u32,  // floats between two key tokens
    kv_item: u32,    // floats between two items' keys
    k_offset: u32,   // where keys start in a token
    v_offset: u32,   // where values start in a token
    scale: f32,      // of products of queries and keys
    cap: f32,
    first: u32,      // the first query of a part
    count: u32,      // queries of a part
    spans: u32,      // parts of the keys that a query sees, in attention_row.wgsl
    span: u32,       // keys of such a part
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(3) var<storage, read> index: array<u32>;  // [batch]: the place of an item's first query, or its number of keys

fn keys_seen(b: u32, i: u32) -> u32 {
    if HAS_LENGTHS {
        return index[b];
    }
    if !CAUSAL {
        return params.kv_len;
    }
    // Without an index the last query sees all keys.
    var first = params.kv_len - params.q_len;
    if HAS_INDEX {
        first = index[b];
    }
    return first + i + 1u;
}

fn first_seen(b: u32, i: u32) -> u32 {
    if !CAUSAL || WINDOW == 0u {
        return 0u;
    }
    let end = keys_seen(b, i);
    return end - min(end, WINDOW);
}

// A score, cap · tanh(score / cap) if HAS_CAP.
fn capped(score: f32) -> f32 {
    if !HAS_CAP {
        return score;
    }
    // Clamped, because a driver may compute tanh through exp, which overflows; tanh(10) is 1 in f32.
    return params.cap * tanh(clamp(score / params.cap, -10.0, 10.0));
}
