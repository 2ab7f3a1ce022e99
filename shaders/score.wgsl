// logit[i, l] = scale · cosines[i, l] + bias
// y[i, l] = logit (RULE 0), σ(logit) (RULE 1) or softmax over l (RULE 2). One workgroup a picture.

override RULE: u32 = 0u;
override WORKGROUP: u32 = 64;

struct Params {
    images: u32,
    labels: u32,
    scale: f32,
    bias: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> cosines: array<f32>;  // [images, labels]
@group(0) @binding(2) var<storage, read_write> y: array<f32>;  // [images, labels]

var<workgroup> partial: array<f32, WORKGROUP>;

fn logit(at: u32) -> f32 {
    return params.scale * cosines[at] + params.bias;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let i = group.y * groups.x + group.x;
    if i >= params.images {
        return;
    }
    let row = i * params.labels;
    if RULE != 2u {
        for (var l = lane; l < params.labels; l += WORKGROUP) {
            if RULE == 1u {
                y[row + l] = 1.0 / (1.0 + exp(-logit(row + l)));
            } else {
                y[row + l] = logit(row + l);
            }
        }
        return;
    }
    var peak = -3.0e38;
    for (var l = lane; l < params.labels; l += WORKGROUP) {
        peak = max(peak, logit(row + l));
    }
    partial[lane] = peak;
    workgroupBarrier();
    for (var other = 0u; other < WORKGROUP; other++) {
        peak = max(peak, partial[other]);
    }
    workgroupBarrier();
    var total = 0.0;
    for (var l = lane; l < params.labels; l += WORKGROUP) {
        total += exp(logit(row + l) - peak);
    }
    partial[lane] = total;
    workgroupBarrier();
    total = 0.0;
    for (var other = 0u; other < WORKGROUP; other++) {
        total += partial[other];
    }
    for (var l = lane; l < params.labels; l += WORKGROUP) {
        y[row + l] = exp(logit(row + l) - peak) / total;
    }
}
