// y[r] = Σ exp(peak[s] − peak) · x[r, s] / Σ exp(peak[s] − peak) · total[s] over spans s: joins what attention_row.wgsl has split

override HEAD4: u32 = 16u;  // vectors in a head

struct Params {
    rows: u32,   // heads of all queries
    spans: u32,  // of the keys that a query sees; the first one has a key at least
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;        // [rows, spans, HEAD4 + 1], a span's peak and total in the last vector
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;  // [rows, HEAD4]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let at = id.y * groups.x * 64u + id.x;
    if at >= params.rows * HEAD4 {
        return;
    }
    let each = HEAD4 + 1u;
    let first = at / HEAD4 * params.spans * each;
    let end = first + params.spans * each;
    var peak = x[first + HEAD4].x;
    for (var span = first; span < end; span += each) {
        peak = max(peak, x[span + HEAD4].x);
    }
    var sum = vec4f();
    var total = 0.0;
    for (var span = first; span < end; span += each) {
        let tail = x[span + HEAD4];
        let share = exp(tail.x - peak);
        sum += share * x[span + at % HEAD4];
        total += share * tail.y;
    }
    y[at] = sum / total;
}
