// y[p, t, d] = by[p, 0, d] · x[t, d] + by[p, 1, d]

struct Params {
    batch: u32,
    tokens: u32,
    dim: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;        // [tokens, dim]
@group(0) @binding(2) var<storage, read> by: array<f32>;       // [batch, 2, dim]: factor, addend
@group(0) @binding(3) var<storage, read_write> y: array<f32>;  // [batch, tokens, dim]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let at = id.y * groups.x * 64u + id.x;
    let item = params.tokens * params.dim;
    if at >= params.batch * item {
        return;
    }
    let factor = at / item * 2u * params.dim + at % params.dim;
    y[at] = by[factor] * x[at % item] + by[factor + params.dim];
}
