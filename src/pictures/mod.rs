//! Picture files, for programs that read many of them: decoded on other threads while the device works.

mod picture;
mod stream;

pub use picture::Picture;
pub use stream::{decoded, embed};
