// y[i] = what is left of 64 · turns multiplications and additions: the arithmetic that this device can do at best.

struct Params {
    turns: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;  // [invocations]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let a = vec4f(0.999 + f32(id.x) * 1.0e-9);
    let b = vec4f(0.001);
    var s0 = vec4f(0.1);
    var s1 = vec4f(0.2);
    var s2 = vec4f(0.3);
    var s3 = vec4f(0.4);
    for (var i = 0u; i < params.turns; i++) {
        // Written out: on some devices a turn of the loop costs as much as its arithmetic.
        s0 = s0 * a + b;
        s1 = s1 * a + b;
        s2 = s2 * a + b;
        s3 = s3 * a + b;
        s0 = s0 * a + b;
        s1 = s1 * a + b;
        s2 = s2 * a + b;
        s3 = s3 * a + b;
        s0 = s0 * a + b;
        s1 = s1 * a + b;
        s2 = s2 * a + b;
        s3 = s3 * a + b;
        s0 = s0 * a + b;
        s1 = s1 * a + b;
        s2 = s2 * a + b;
        s3 = s3 * a + b;
    }
    let sum = s0 + s1 + s2 + s3;
    y[id.x] = sum.x + sum.y + sum.z + sum.w;
}
