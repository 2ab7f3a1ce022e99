// y[p, g, c, d] = softmax over d of (sum over t of q[p, t, g, c] · k[p, t, g, d]) / sqrt(tokens)
// Attention of columns to columns, group by group. One workgroup a row of y: its invocations are strips of tokens, SIZE columns each.

override SIZE: u32 = 32u;  // columns of a group, at most WORKGROUP

const WORKGROUP: u32 = 256u;

struct Params {
    batch: u32,
    tokens: u32,
    groups: u32,
    scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> qkv: array<f32>;      // [batch, tokens, 3, groups, SIZE]
@group(0) @binding(2) var<storage, read_write> y: array<f32>;  // [batch, groups, SIZE, SIZE]

var<workgroup> sums: array<f32, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let row = group.y * groups.x + group.x;
    let dim = params.groups * SIZE;
    if row >= params.batch * dim {
        return;
    }
    let strips = WORKGROUP / SIZE;
    let strip = lane / SIZE;
    let q_at = row % dim;
    let k_at = dim + q_at / SIZE * SIZE + lane % SIZE;
    let item = row / dim * params.tokens;
    var sum = 0.0;
    // The rest of the workgroup has no part.
    for (var t = strip; t < params.tokens && strip < strips; t += strips) {
        let token = (item + t) * 3u * dim;
        sum += qkv[token + q_at] * qkv[token + k_at];
    }
    sums[lane] = sum;
    workgroupBarrier();
    var score = 0.0;
    if lane < SIZE {
        for (var s = 0u; s < strips; s++) {
            score += sums[s * SIZE + lane];
        }
        score *= params.scale;
    }
    workgroupBarrier();
    sums[lane] = score;
    workgroupBarrier();
    if lane < SIZE {
        var peak = sums[0];
        for (var d = 1u; d < SIZE; d++) {
            peak = max(peak, sums[d]);
        }
        var total = 0.0;
        for (var d = 0u; d < SIZE; d++) {
            total += exp(sums[d] - peak);
        }
        y[row * SIZE + lane] = exp(score - peak) / total;
    }
}
