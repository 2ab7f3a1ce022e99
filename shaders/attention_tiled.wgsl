// attention for GPUs: a workgroup takes QUADS · 4 queries of a head and keeps keys, then values, of KEYS tokens in its memory. LANES
// invocations share four queries: each scores them against every LANESth key, and sums every LANESth vector of their outputs, so that
// a key or a value that was loaded serves four queries. Heads of whole vectors only. The streaming softmax is that of attention.wgsl.

override HEAD4: u32 = 16u;      // vectors in a head
override ROW: u32 = 17u;        // vectors from key to key in the tile: an odd number, so that neighbours read from different banks
override KEYS: u32 = 32u;       // keys in a tile, a multiple of 8, at most 32
override QUADS: u32 = 8u;       // fours of queries of a workgroup
override LANES: u32 = 8u;       // invocations that share four queries: 4 or 8
override WORKGROUP: u32 = 64u;  // invocations: QUADS · LANES
override TILE: u32 = 544u;      // KEYS · ROW: naga 30 takes no product as the length of an array
override SHARES: u32 = 264u;    // QUADS · (KEYS + 1)

@group(0) @binding(1) var<storage, read> q: array<vec4f>;        // [batch or 1, q_len, q_stride / 4]
@group(0) @binding(2) var<storage, read> kv: array<vec4f>;       // [batch, kv_len, kv_stride / 4]
@group(0) @binding(4) var<storage, read_write> y: array<vec4f>;  // [batch, q_len, heads, head_size / 4]

const HIDDEN: f32 = -3.0e38;
const STRIPS: u32 = 8u;  // keys, and vectors of an output, of an invocation at most

var<workgroup> tile: array<vec4f, TILE>;          // [KEYS, ROW]: keys, then values
var<workgroup> shares: array<vec4f, SHARES>;      // [QUADS, KEYS + 1], of four queries each; odd rows as above
var<workgroup> partial: array<vec4f, WORKGROUP>;  // of each invocation's four queries

fn load_tile(first: u32, item: u32, offset: u32, lane: u32) {
    for (var at = lane; at < KEYS * HEAD4; at += WORKGROUP) {
        let token = min(first + at / HEAD4, params.kv_len - 1u);
        tile[at / HEAD4 * ROW + at % HEAD4] = kv[item + token * (params.kv_stride / 4u) + offset / 4u + at % HEAD4];
    }
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let block_size = QUADS * 4u;
    let blocks = (params.count + block_size - 1u) / block_size;
    let at = group.y * groups.x + group.x;
    if at >= params.batch * params.heads * blocks {
        return;
    }
    let h = at / blocks % params.heads;
    let b = at / (blocks * params.heads);
    let quad = lane / LANES;
    let own = lane % LANES;
    let end = params.first + params.count;
    let block = params.first + at % blocks * block_size;
    let asked = vec4u(block + quad * 4u) + vec4u(0u, 1u, 2u, 3u);
    // A rest of fewer than four takes the last query again.
    let queries = min(asked, vec4u(end - 1u));
    let q_at = (vec4u(b * params.q_item) + queries * params.q_stride) / 4u + vec4u(h * HEAD4);
    let item = b * params.kv_item / 4u + h / GROUP * HEAD4;
    let starts = vec4u(first_seen(b, queries.x), first_seen(b, queries.y), first_seen(b, queries.z), first_seen(b, queries.w));
    let ends = vec4u(keys_seen(b, queries.x), keys_seen(b, queries.y), keys_seen(b, queries.z), keys_seen(b, queries.w));
    // Of the whole workgroup.
    let start = first_seen(b, block);
    let last = keys_seen(b, min(block + block_size, end) - 1u);

    var sum0: array<vec4f, STRIPS>;
    var sum1: array<vec4f, STRIPS>;
    var sum2: array<vec4f, STRIPS>;
    var sum3: array<vec4f, STRIPS>;
    var peak = vec4f(HIDDEN);
    var total = vec4f();
    for (var first = start; first < last; first += KEYS) {
        workgroupBarrier();  // the last values have been read
        load_tile(first, item, params.k_offset, lane);
        workgroupBarrier();
        var scores = array<vec4f, STRIPS>();
        for (var d = 0u; d < HEAD4; d++) {
            // A number of all four queries in each column.
            let q4 = transpose(mat4x4f(q[q_at.x + d], q[q_at.y + d], q[q_at.z + d], q[q_at.w + d]));
            for (var s = 0u; s < KEYS / LANES; s++) {
                let key = tile[(s * LANES + own) * ROW + d];
                scores[s] = scores[s] + q4[0] * key.x + q4[1] * key.y + q4[2] * key.z + q4[3] * key.w;
            }
        }
        var tops = peak;
        for (var s = 0u; s < KEYS / LANES; s++) {
            let key = vec4u(first + s * LANES + own);
            let score = scores[s] * params.scale;
            let all = vec4f(capped(score.x), capped(score.y), capped(score.z), capped(score.w));
            scores[s] = select(vec4f(HIDDEN), all, (key >= starts) & (key < ends));
            tops = max(tops, scores[s]);
        }
        partial[lane] = tops;
        workgroupBarrier();
        for (var i = 0u; i < LANES; i++) {
            tops = max(tops, partial[quad * LANES + i]);
        }
        let keep = exp(peak - tops);
        peak = tops;
        total *= keep;
        for (var s = 0u; s < KEYS / LANES; s++) {
            let share = exp(scores[s] - peak);
            shares[quad * (KEYS + 1u) + s * LANES + own] = share;
            total += share;
        }
        load_tile(first, item, params.v_offset, lane);
        workgroupBarrier();
        for (var s = 0u; s < (HEAD4 + LANES - 1u) / LANES; s++) {
            sum0[s] *= keep.x;
            sum1[s] *= keep.y;
            sum2[s] *= keep.z;
            sum3[s] *= keep.w;
        }
        for (var j = 0u; j < KEYS; j++) {
            let share = shares[quad * (KEYS + 1u) + j];
            for (var s = 0u; s < (HEAD4 + LANES - 1u) / LANES; s++) {
                let value = tile[j * ROW + min(s * LANES + own, HEAD4 - 1u)];
                sum0[s] += share.x * value;
                sum1[s] += share.y * value;
                sum2[s] += share.z * value;
                sum3[s] += share.w * value;
            }
        }
    }
    workgroupBarrier();  // the last peaks have been read
    partial[lane] = total;
    workgroupBarrier();
    total = vec4f();
    for (var i = 0u; i < LANES; i++) {
        total += partial[quad * LANES + i];
    }
    let y_at = ((b * params.q_len + queries) * params.heads + h) * HEAD4;
    for (var s = 0u; s < (HEAD4 + LANES - 1u) / LANES; s++) {
        let d = s * LANES + own;
        // A query that is there again has the same numbers.
        if d < HEAD4 && asked.x < end {
            y[y_at.x + d] = sum0[s] / total.x;
            y[y_at.y + d] = sum1[s] / total.y;
            y[y_at.z + d] = sum2[s] / total.z;
            y[y_at.w + d] = sum3[s] / total.w;
        }
    }
}
