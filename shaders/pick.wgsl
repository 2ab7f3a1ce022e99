// y[r] = q, the place of the largest x[r, q] of a row; of equal ones the first; NONE where none is a number
// One workgroup a row, which may have as many numbers as a vocabulary has pieces.

const WORKGROUP: u32 = 256u;
const NONE: u32 = 0xffffffffu;
const LOWEST: f32 = -3.40282346638528859812e38;

struct Params {
    rows: u32,
    count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;        // [rows, count]
@group(0) @binding(2) var<storage, read_write> y: array<u32>;  // [rows]

var<workgroup> values: array<f32, WORKGROUP>;
var<workgroup> places: array<u32, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let row = group.y * groups.x + group.x;
    if row >= params.rows {
        return;
    }
    let start = row * params.count;
    var place = NONE;
    var value = LOWEST;
    for (var q = lane; q < params.count; q += WORKGROUP) {
        let other = x[start + q];
        if other > value {
            place = q;
            value = other;
        }
    }
    values[lane] = value;
    places[lane] = place;
    for (var left = WORKGROUP / 2u; left > 0u; left /= 2u) {
        workgroupBarrier();
        if lane < left {
            let other = values[lane + left];
            let at = places[lane + left];
            if other > values[lane] || (other == values[lane] && at < places[lane]) {
                values[lane] = other;
                places[lane] = at;
            }
        }
    }
    if lane == 0u {
        y[row] = places[0];
    }
}
