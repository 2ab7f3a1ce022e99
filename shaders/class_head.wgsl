// y[t, q] = (cos[t, q] + shift[t]) · (elu(scale[t]) + 1), elu(s) = s above 0, else exp(s) - 1

struct Params {
    rows: u32,
    labels: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> cosines: array<f32>;  // [rows, labels]
@group(0) @binding(2) var<storage, read> scale: array<vec2f>;  // [rows]: shift, scale
@group(0) @binding(3) var<storage, read_write> y: array<f32>;  // [rows, labels]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let at = id.y * groups.x * 64u + id.x;
    if at >= params.rows * params.labels {
        return;
    }
    let own = scale[at / params.labels];
    // elu + 1 without the difference of two near numbers.
    let factor = select(exp(min(own.y, 0.0)), own.y + 1.0, own.y > 0.0);
    y[at] = (cosines[at] + own.x) * factor;
}
