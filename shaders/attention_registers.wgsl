// attention for devices whose barriers are slow: each invocation takes four queries of a head, and eight keys at a time, so
// that a key or a value that was loaded serves four queries. Heads of whole vectors only. The streaming softmax is that of attention.wgsl.

@group(0) @binding(1) var<storage, read> q: array<vec4f>;        // [batch or 1, q_len, q_stride / 4]
@group(0) @binding(2) var<storage, read> kv: array<vec4f>;       // [batch, kv_len, kv_stride / 4]
@group(0) @binding(4) var<storage, read_write> y: array<vec4f>;  // [batch, q_len, heads, head_size / 4]

const HIDDEN: f32 = -3.0e38;

fn keys4(at: vec4u, d: u32) -> mat4x4f {
    return mat4x4f(kv[at.x + d], kv[at.y + d], kv[at.z + d], kv[at.w + d]);
}

// Scores of keys that this query does not see are as low as can be.
fn visible(scores: vec4f, keys: vec4u, start: u32, end: u32) -> vec4f {
    let s = scores * params.scale;
    let all = vec4f(capped(s.x), capped(s.y), capped(s.z), capped(s.w));
    return select(vec4f(HIDDEN), all, (keys >= vec4u(start)) & (keys < vec4u(end)));
}

fn largest(scores: vec4f) -> f32 {
    return max(max(scores.x, scores.y), max(scores.z, scores.w));
}

@compute @workgroup_size(4)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let at = id.y * groups.x * 4u + id.x;
    let quads = (params.count + 3u) / 4u;
    if at >= params.batch * params.heads * quads {
        return;
    }
    let size4 = params.head_size / 4u;
    let h = at / quads % params.heads;
    let b = at / (quads * params.heads);
    // A rest of fewer than four takes the last query again.
    let last = params.first + params.count - 1u;
    let queries = min(vec4u(params.first + at % quads * 4u) + vec4u(0u, 1u, 2u, 3u), vec4u(last));
    let q_at = (vec4u(b * params.q_item) + queries * params.q_stride) / 4u + vec4u(h * size4);
    let starts = vec4u(first_seen(b, queries.x), first_seen(b, queries.y), first_seen(b, queries.z), first_seen(b, queries.w));
    let ends = vec4u(keys_seen(b, queries.x), keys_seen(b, queries.y), keys_seen(b, queries.z), keys_seen(b, queries.w));
    let stride4 = params.kv_stride / 4u;
    let item = b * params.kv_item / 4u + h / GROUP * size4;

    var sum0: array<vec4f, 32>;
    var sum1: array<vec4f, 32>;
    var sum2: array<vec4f, 32>;
    var sum3: array<vec4f, 32>;
    var peak = vec4f(HIDDEN);
    var total = vec4f();
    for (var j = starts.x; j < ends.w; j += 8u) {
        let first = vec4u(j) + vec4u(0u, 1u, 2u, 3u);
        let second = first + 4u;
        let first_at = min(first, vec4u(params.kv_len - 1u)) * stride4 + item;
        let second_at = min(second, vec4u(params.kv_len - 1u)) * stride4 + item;
        var a0 = vec4f();
        var a1 = vec4f();
        var a2 = vec4f();
        var a3 = vec4f();
        var b0 = vec4f();
        var b1 = vec4f();
        var b2 = vec4f();
        var b3 = vec4f();
        let k_offset = params.k_offset / 4u;
        for (var d = 0u; d < size4; d++) {
            let k0 = keys4(first_at, k_offset + d);
            let k1 = keys4(second_at, k_offset + d);
            let q0 = q[q_at.x + d];
            let q1 = q[q_at.y + d];
            let q2 = q[q_at.z + d];
            let q3 = q[q_at.w + d];
            a0 += q0 * k0;
            b0 += q0 * k1;
            a1 += q1 * k0;
            b1 += q1 * k1;
            a2 += q2 * k0;
            b2 += q2 * k1;
            a3 += q3 * k0;
            b3 += q3 * k1;
        }
        a0 = visible(a0, first, starts.x, ends.x);
        b0 = visible(b0, second, starts.x, ends.x);
        a1 = visible(a1, first, starts.y, ends.y);
        b1 = visible(b1, second, starts.y, ends.y);
        a2 = visible(a2, first, starts.z, ends.z);
        b2 = visible(b2, second, starts.z, ends.z);
        a3 = visible(a3, first, starts.w, ends.w);
        b3 = visible(b3, second, starts.w, ends.w);
        let tops = vec4f(largest(max(a0, b0)), largest(max(a1, b1)), largest(max(a2, b2)), largest(max(a3, b3)));
        let new_peak = max(peak, tops);
        let keep = exp(peak - new_peak);
        a0 = exp(a0 - new_peak.x);
        b0 = exp(b0 - new_peak.x);
        a1 = exp(a1 - new_peak.y);
        b1 = exp(b1 - new_peak.y);
        a2 = exp(a2 - new_peak.z);
        b2 = exp(b2 - new_peak.z);
        a3 = exp(a3 - new_peak.w);
        b3 = exp(b3 - new_peak.w);
        let one = vec4f(1.0);
        total = total * keep + vec4f(dot(a0 + b0, one), dot(a1 + b1, one), dot(a2 + b2, one), dot(a3 + b3, one));
        peak = new_peak;
        let v_offset = params.v_offset / 4u;
        for (var d = 0u; d < size4; d++) {
            // matrix * vector: its columns, weighted
            let v0 = keys4(first_at, v_offset + d);
            let v1 = keys4(second_at, v_offset + d);
            sum0[d] = sum0[d] * keep.x + v0 * a0 + v1 * b0;
            sum1[d] = sum1[d] * keep.y + v0 * a1 + v1 * b1;
            sum2[d] = sum2[d] * keep.z + v0 * a2 + v1 * b2;
            sum3[d] = sum3[d] * keep.w + v0 * a3 + v1 * b3;
        }
    }

    let y_at = ((b * params.q_len + queries) * params.heads + h) * size4;
    for (var d = 0u; d < size4; d++) {
        y[y_at.x + d] = sum0[d] / total.x;
        y[y_at.y + d] = sum1[d] / total.y;
        y[y_at.z + d] = sum2[d] / total.z;
        y[y_at.w + d] = sum3[d] / total.w;
    }
}
