// y[p, t, g, c] = sum over d of shares[p, g, c, d] · v[p, t, g, d]

struct Params {
    batch: u32,
    tokens: u32,
    groups: u32,
    size: u32,  // columns of a group
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> shares: array<f32>;   // [batch, groups, size, size]
@group(0) @binding(2) var<storage, read> qkv: array<f32>;      // [batch, tokens, 3, groups, size]
@group(0) @binding(3) var<storage, read_write> y: array<f32>;  // [batch, tokens, groups, size]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let at = id.y * groups.x * 64u + id.x;
    let dim = params.groups * params.size;
    let row = at / dim;
    if row >= params.batch * params.tokens {
        return;
    }
    let c = at % dim;
    let own = (row / params.tokens * dim + c) * params.size;
    let v = (row * 3u + 2u) * dim + c / params.size * params.size;
    var sum = 0.0;
    for (var d = 0u; d < params.size; d++) {
        sum += shares[own + d] * qkv[v + d];
    }
    y[at] = sum;
}
