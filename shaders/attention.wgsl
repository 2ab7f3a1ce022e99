// y[b, i, h, :] = Σ_j softmax_j(cap(q[b, i, h, :] · k[b, j, h / GROUP, :] · scale)) v[b, j, h / GROUP, :]
// Streaming softmax (Milakov and Gimelshein 2018): one pass over j with a running maximum, no matrix of scores.
// One invocation a query and head; its query and its sum stay with it, heads of up to 256.

@group(0) @binding(1) var<storage, read> q: array<f32>;        // [batch or 1, q_len, q_stride]
@group(0) @binding(2) var<storage, read> kv: array<f32>;       // [batch, kv_len, kv_stride]
@group(0) @binding(4) var<storage, read_write> y: array<f32>;  // [batch, q_len, heads, head_size]

fn load_q(at: u32, left: u32) -> vec4f {
    if left >= 4u {
        return vec4f(q[at], q[at + 1u], q[at + 2u], q[at + 3u]);
    }
    var tail = vec4f(q[at], 0.0, 0.0, 0.0);
    if left > 1u {
        tail.y = q[at + 1u];
    }
    if left > 2u {
        tail.z = q[at + 2u];
    }
    return tail;
}

fn load_kv(at: u32, left: u32) -> vec4f {
    if left >= 4u {
        return vec4f(kv[at], kv[at + 1u], kv[at + 2u], kv[at + 3u]);
    }
    var tail = vec4f(kv[at], 0.0, 0.0, 0.0);
    if left > 1u {
        tail.y = kv[at + 1u];
    }
    if left > 2u {
        tail.z = kv[at + 2u];
    }
    return tail;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let at = id.y * groups.x * 64u + id.x;
    if at >= params.batch * params.count * params.heads {
        return;
    }
    // Neighbours share the head, so that they read the same keys and values.
    let i = params.first + at % params.count;
    let h = at / params.count % params.heads;
    let b = at / (params.count * params.heads);
    let size = params.head_size;
    let size4 = (size + 3u) / 4u;

    var query: array<vec4f, 64>;
    var sum: array<vec4f, 64>;
    let q_at = b * params.q_item + i * params.q_stride + h * size;
    for (var d = 0u; d < size4; d++) {
        query[d] = load_q(q_at + d * 4u, size - d * 4u) * params.scale;
        sum[d] = vec4f();
    }

    let end = keys_seen(b, i);
    var peak = -3.0e38;
    var total = 0.0;
    for (var j = first_seen(b, i); j < end; j++) {
        let token = b * params.kv_item + j * params.kv_stride + h / GROUP * size;
        let k_at = token + params.k_offset;
        var score = 0.0;
        for (var d = 0u; d < size4; d++) {
            score += dot(query[d], load_kv(k_at + d * 4u, size - d * 4u));
        }
        score = capped(score);
        let new_peak = max(peak, score);
        let keep = exp(peak - new_peak);
        let share = exp(score - new_peak);
        let v_at = token + params.v_offset;
        for (var d = 0u; d < size4; d++) {
            sum[d] = sum[d] * keep + share * load_kv(v_at + d * 4u, size - d * 4u);
        }
        total = total * keep + share;
        peak = new_peak;
    }

    let y_at = ((b * params.q_len + i) * params.heads + h) * size;
    for (var d = 0u; d < size; d++) {
        y[y_at + d] = sum[d / 4u][d % 4u] / total;
    }
}
