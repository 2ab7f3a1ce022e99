// y[p, t, d] += x[first + t, d]

struct Params {
    batch: u32,
    tokens: u32,
    dim: u32,
    first: u32,  // row of x
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;        // [first + tokens or more, dim]
@group(0) @binding(2) var<storage, read_write> y: array<f32>;  // [batch, tokens, dim]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let at = id.y * groups.x * 64u + id.x;
    let item = params.tokens * params.dim;
    if at < params.batch * item {
        y[at] += x[params.first * params.dim + at % item];
    }
}
