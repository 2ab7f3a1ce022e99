// keys_seen(b, i): how many keys query i of item b sees; all of them, or if CAUSAL those up to its own place, or if HAS_LENGTHS
// those that the item has: the rest is padding.

override CAUSAL: bool = false;
override HAS_INDEX: bool = false;
override HAS_LENGTHS: bool = false;

struct Params {
    batch: u32,
    heads: u32,
    head_size: u32,  // at most 128; a multiple of 4 where vectors are loaded
    q_len: u32,
    kv_len: u32,
    q_stride: u32,   // floats between two query tokens
    q_item: u32,     // floats between two items' queries; 0 where all items share them
    kv_stride: u32,  // floats between two key tokens
    kv_item: u32,    // floats between two items' keys
    k_offset: u32,   // where keys start in a token
    v_offset: u32,   // where values start in a token
    scale: f32,      // 1 / sqrt(head_size)
    first: u32,      // the first query of a part
    count: u32,      // queries of a part
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
