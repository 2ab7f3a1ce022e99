//! What shaders read as `params`, with names that a test can compare with theirs.

/// Where the field of a struct lies: its name and its first byte.
pub type Field = (&'static str, usize);

/// A struct as the shader lays it out, and the list of its fields.
macro_rules! params {
    (struct Params { $($field:ident: $type:ty,)* }) => {
        #[repr(C)]
        #[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
        struct Params {
            $($field: $type,)*
        }

        impl Params {
            const FIELDS: &'static [$crate::kernels::Field] =
                &[$((stringify!($field), std::mem::offset_of!(Params, $field)),)*];
        }
    };
}

pub(super) use params;
