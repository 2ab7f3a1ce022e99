// attention for few queries, and for heads of up to 256: a workgroup takes a query of a head and KEYS keys at a time. Each invocation
// scores every WORKGROUPth key, and sums some vectors of the output over every PARTSth value. Heads of whole vectors only.
// The streaming softmax is that of attention.wgsl. If SPLIT, the keys of a query are shared out among workgroups in spans, and
// attention_join.wgsl joins what they leave: sums that are not divided yet, with their peak and their total. Joined to lib/row_reduce.

override HEAD4: u32 = 16u;  // vectors in a head, at most 16 · WORKGROUP
override SPLIT: bool = false;

@group(0) @binding(1) var<storage, read> q: array<vec4f>;        // [batch or 1, q_len, q_stride / 4]
@group(0) @binding(2) var<storage, read> kv: array<vec4f>;       // [batch, kv_len, kv_stride / 4]
@group(0) @binding(4) var<storage, read_write> y: array<vec4f>;  // [batch, q_len, heads, head_size / 4]; SPLIT: […, spans, head_size / 4 + 1]

const HIDDEN: f32 = -3.0e38;
const KEYS: u32 = 128u;
const STRIPS: u32 = 16u;  // vectors of the output of an invocation at most

var<workgroup> query: array<vec4f, HEAD4>;
var<workgroup> shares: array<f32, KEYS>;          // scores, then shares
var<workgroup> partial4: array<vec4f, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let at = group.y * groups.x + group.x;
    if at >= params.batch * params.spans * params.heads * params.count {
        return;
    }
    // Neighbours share keys and values.
    let i = params.first + at % params.count;
    let h = at / params.count % params.heads;
    let place = at / (params.count * params.heads) % params.spans;
    let b = at / (params.count * params.heads * params.spans);
    let q_at = (b * params.q_item + i * params.q_stride) / 4u + h * HEAD4;
    let stride4 = params.kv_stride / 4u;
    let item = b * params.kv_item / 4u + h / GROUP * HEAD4;
    let k_item = item + params.k_offset / 4u;
    let v_item = item + params.v_offset / 4u;
    // Where heads are narrow, several invocations share a vector of the output.
    let width = min(HEAD4, WORKGROUP);
    let parts = WORKGROUP / width;
    let strips = (HEAD4 + width - 1u) / width;
    let part = lane / width;
    let own = lane % width;

    for (var d = lane; d < HEAD4; d += WORKGROUP) {
        query[d] = q[q_at + d];
    }
    var sum: array<vec4f, STRIPS>;
    var peak = HIDDEN;
    var total = 0.0;
    let start = first_seen(b, i) + place * params.span;
    let end = min(keys_seen(b, i), start + params.span);
    for (var first = start; first < end; first += KEYS) {
        let count = min(KEYS, end - first);
        workgroupBarrier();  // the query is there, and the last shares have been read
        var top = peak;
        for (var j = lane; j < count; j += WORKGROUP) {
            let k_at = k_item + (first + j) * stride4;
            var score = 0.0;
            for (var d = 0u; d < HEAD4; d++) {
                score += dot(query[d], kv[k_at + d]);
            }
            score = capped(score * params.scale);
            shares[j] = score;
            top = max(top, score);
        }
        top = largest_over_lanes(lane, top);
        let keep = exp(peak - top);
        peak = top;
        total *= keep;
        for (var j = lane; j < count; j += WORKGROUP) {
            let share = exp(shares[j] - peak);
            shares[j] = share;
            total += share;
        }
        workgroupBarrier();
        for (var s = 0u; s < strips; s++) {
            sum[s] *= keep;
        }
        // The rest of the workgroup has no part.
        for (var j = part; j < count && part < parts; j += parts) {
            let share = shares[j];
            let v_at = v_item + (first + j) * stride4;
            for (var s = 0u; s < strips; s++) {
                sum[s] += share * kv[v_at + min(s * width + own, HEAD4 - 1u)];
            }
        }
    }
    let all = sum_over_lanes(lane, total);
    let head = (b * params.q_len + i) * params.heads + h;
    var y_at = head * HEAD4;
    var divisor = all;
    if SPLIT {
        y_at = (head * params.spans + place) * (HEAD4 + 1u);
        divisor = 1.0;
        if lane == 0u {
            y[y_at + HEAD4] = vec4f(peak, all, 0.0, 0.0);
        }
    }
    for (var s = 0u; s < strips; s++) {
        workgroupBarrier();  // the last sums have been read
        partial4[lane] = sum[s];
        workgroupBarrier();
        let d = s * width + own;
        if part == 0u && d < HEAD4 {
            var value = partial4[own];
            for (var p = 1u; p < parts; p++) {
                value += partial4[p * width + own];
            }
            y[y_at + d] = value / divisor;
        }
    }
}
