// sum_over_lanes(lane, value), largest_over_lanes(lane, value): of all lanes' values, known to each of them; for kernels with one
// workgroup a row. A tree of two steps: a lane joins every FANth value, then FAN of what came of that. So 64 lanes load 16 values each.

override WORKGROUP: u32 = 64;

const FAN: u32 = 8u;

var<workgroup> partial: array<f32, WORKGROUP>;

fn joined(a: f32, b: f32, largest: bool) -> f32 {
    return select(a + b, max(a, b), largest);
}

fn over_lanes(lane: u32, value: f32, largest: bool) -> f32 {
    workgroupBarrier();  // what was there has been read
    partial[lane] = value;
    workgroupBarrier();
    if WORKGROUP > FAN {
        var part = partial[lane % FAN];
        for (var i = lane % FAN + FAN; i < WORKGROUP; i += FAN) {
            part = joined(part, partial[i], largest);
        }
        workgroupBarrier();
        partial[lane] = part;
        workgroupBarrier();
    }
    var all = partial[0];
    for (var i = 1u; i < min(FAN, WORKGROUP); i++) {
        all = joined(all, partial[i], largest);
    }
    return all;
}

fn sum_over_lanes(lane: u32, value: f32) -> f32 {
    return over_lanes(lane, value, false);
}

fn largest_over_lanes(lane: u32, value: f32) -> f32 {
    return over_lanes(lane, value, true);
}
