//! What is said to a model that writes, and the pictures in it.

/// Who says something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Whoever set the model up.
    System,
    /// Whoever asks.
    User,
    /// The model.
    Assistant,
}

impl Role {
    /// `system`, `user` or `assistant`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// A part of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// What somebody wrote.
    Text(String),
    /// A picture, by its place among those of the prompt.
    Picture(usize),
}

/// What somebody says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Who.
    pub role: Role,
    /// Texts and pictures, in their order.
    pub content: Vec<Part>,
}

impl Message {
    /// A question about so many pictures, which stand before it.
    #[must_use]
    pub fn ask(pictures: usize, text: &str) -> Self {
        let content = (0..pictures).map(Part::Picture).chain([Part::Text(text.into())]).collect();
        Self { role: Role::User, content }
    }

    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.content.iter().filter_map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            Part::Picture(_) => None,
        })
    }

    pub(super) fn pictures(&self) -> impl Iterator<Item = usize> {
        self.content.iter().filter_map(|part| match part {
            Part::Picture(at) => Some(*at),
            Part::Text(_) => None,
        })
    }
}
