// attention for GPUs: a workgroup takes QUERIES queries of a head and keeps keys, then values, of KEYS tokens in its memory. Each
// invocation scores two queries against every eighth key, and sums every eighth vector of their outputs. Heads of whole
// vectors only. The streaming softmax is that of attention.wgsl.

override HEAD4: u32 = 16u;      // vectors in a head
override KEYS: u32 = 32u;       // keys in a tile, a multiple of 8, at most 32
override QUERIES: u32 = 16u;    // of a workgroup
override WORKGROUP: u32 = 64u;  // invocations: QUERIES · LANES / 2
override TILE: u32 = 512u;      // HEAD4 · KEYS: naga 30 takes no product as the length of an array
override SHARES: u32 = 512u;    // QUERIES · KEYS

@group(0) @binding(1) var<storage, read> q: array<vec4f>;        // [batch or 1, q_len, q_stride / 4]
@group(0) @binding(2) var<storage, read> kv: array<vec4f>;       // [batch, kv_len, kv_stride / 4]
@group(0) @binding(4) var<storage, read_write> y: array<vec4f>;  // [batch, q_len, heads, head_size / 4]

const HIDDEN: f32 = -3.0e38;
const LANES: u32 = 8u;   // invocations that share two queries
const STRIPS: u32 = 4u;  // keys, and vectors of an output, of an invocation at most

var<workgroup> tile: array<vec4f, TILE>;          // [KEYS, HEAD4]: keys, then values
var<workgroup> shares: array<f32, SHARES>;        // [QUERIES, KEYS]
var<workgroup> partial: array<vec2f, WORKGROUP>;  // of each invocation's two queries

fn load_tile(first: u32, item: u32, offset: u32, lane: u32) {
    for (var at = lane; at < TILE; at += WORKGROUP) {
        let token = min(first + at / HEAD4, params.kv_len - 1u);
        tile[at] = kv[item + token * (params.kv_stride / 4u) + offset / 4u + at % HEAD4];
    }
}

// The largest over the invocations that share two queries.
fn largest_of(pair: u32) -> vec2f {
    var value = partial[pair * LANES];
    for (var i = 1u; i < LANES; i++) {
        value = max(value, partial[pair * LANES + i]);
    }
    return value;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let blocks = (params.count + QUERIES - 1u) / QUERIES;
    let at = group.y * groups.x + group.x;
    if at >= params.batch * params.heads * blocks {
        return;
    }
    let block = at % blocks;
    let h = at / blocks % params.heads;
    let b = at / (blocks * params.heads);
    let pair = lane / LANES;
    let own = lane % LANES;
    let asked = vec2u(params.first + block * QUERIES + pair * 2u) + vec2u(0u, 1u);
    let end = params.first + params.count;
    let queries = min(asked, vec2u(end - 1u));
    let q_at = (vec2u(b * params.q_item) + queries * params.q_stride) / 4u + vec2u(h * HEAD4);
    let item = b * params.kv_item / 4u + h / GROUP * HEAD4;
    let starts = vec2u(first_seen(b, queries.x), first_seen(b, queries.y));
    let ends = vec2u(keys_seen(b, queries.x), keys_seen(b, queries.y));
    // Of the whole workgroup.
    let start = first_seen(b, params.first + block * QUERIES);
    let last = keys_seen(b, min(params.first + (block + 1u) * QUERIES, end) - 1u);

    var sum0: array<vec4f, STRIPS>;
    var sum1: array<vec4f, STRIPS>;
    var peak = vec2f(HIDDEN);
    var total = vec2f();
    for (var first = start; first < last; first += KEYS) {
        workgroupBarrier();  // the last values have been read
        load_tile(first, item, params.k_offset, lane);
        workgroupBarrier();
        var scores = array<vec2f, STRIPS>();
        for (var d = 0u; d < HEAD4; d++) {
            let q0 = q[q_at.x + d];
            let q1 = q[q_at.y + d];
            for (var s = 0u; s < KEYS / LANES; s++) {
                let key = tile[(s * LANES + own) * HEAD4 + d];
                scores[s] += vec2f(dot(q0, key), dot(q1, key));
            }
        }
        var tops = peak;
        for (var s = 0u; s < KEYS / LANES; s++) {
            let key = first + s * LANES + own;
            let score = scores[s] * params.scale;
            let seen = (vec2u(key) >= starts) & (vec2u(key) < ends);
            scores[s] = select(vec2f(HIDDEN), vec2f(capped(score.x), capped(score.y)), seen);
            tops = max(tops, scores[s]);
        }
        partial[lane] = tops;
        workgroupBarrier();
        let new_peak = largest_of(pair);
        let keep = exp(peak - new_peak);
        total *= keep;
        for (var s = 0u; s < KEYS / LANES; s++) {
            let share = exp(scores[s] - new_peak);
            shares[(pair * 2u) * KEYS + s * LANES + own] = share.x;
            shares[(pair * 2u + 1u) * KEYS + s * LANES + own] = share.y;
            total += share;
        }
        peak = new_peak;
        load_tile(first, item, params.v_offset, lane);
        workgroupBarrier();
        for (var s = 0u; s < STRIPS; s++) {
            sum0[s] *= keep.x;
            sum1[s] *= keep.y;
        }
        for (var j = 0u; j < KEYS; j++) {
            let share = vec2f(shares[pair * 2u * KEYS + j], shares[(pair * 2u + 1u) * KEYS + j]);
            for (var s = 0u; s < (HEAD4 + LANES - 1u) / LANES; s++) {
                let value = tile[j * HEAD4 + min(s * LANES + own, HEAD4 - 1u)];
                sum0[s] += share.x * value;
                sum1[s] += share.y * value;
            }
        }
    }
    workgroupBarrier();  // the last peaks have been read
    partial[lane] = total;
    workgroupBarrier();
    var all = vec2f();
    for (var i = 0u; i < LANES; i++) {
        all += partial[pair * LANES + i];
    }
    let y_at = ((b * params.q_len + queries) * params.heads + h) * HEAD4;
    for (var s = 0u; s < (HEAD4 + LANES - 1u) / LANES; s++) {
        let d = s * LANES + own;
        if d < HEAD4 && asked.x < end {
            y[y_at.x + d] = sum0[s] / all.x;
        }
        if d < HEAD4 && asked.y < end {
            y[y_at.y + d] = sum1[s] / all.y;
        }
    }
}
