// Numbers of a row that are loaded at once: four, for rows of a multiple of 4. Theirs are sum_of(v) and largest_of(v).

alias Numbers = vec4f;
const WIDTH: u32 = 4u;

fn sum_of(v: Numbers) -> f32 {
    return v.x + v.y + v.z + v.w;
}

fn largest_of(v: Numbers) -> f32 {
    return max(max(v.x, v.y), max(v.z, v.w));
}
