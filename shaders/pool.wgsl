// y[b, d] = x[b, index[b], d], or the first token if not HAS_INDEX

override HAS_INDEX: bool = true;

struct Params {
    batch: u32,
    tokens: u32,
    dim: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;        // [batch, tokens, dim]
@group(0) @binding(2) var<storage, read> index: array<u32>;    // [batch]
@group(0) @binding(3) var<storage, read_write> y: array<f32>;  // [batch, dim]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let at = id.y * groups.x * 64u + id.x;
    if at >= params.batch * params.dim {
        return;
    }
    let b = at / params.dim;
    var token = 0u;
    if HAS_INDEX {
        token = index[b];
    }
    y[at] = x[(b * params.tokens + token) * params.dim + at % params.dim];
}
