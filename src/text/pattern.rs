//! Regular expressions as JavaScript has them, with the flag `u`: what they mean is JavaScript's, and what this reads otherwise than
//! JavaScript is refused. So a browser's `RegExp` says of every text the same.
//!
//! `regex_syntax` parses and translates. Between the two, the parts of its syntax tree that have another meaning are exchanged: `.`, `\d`,
//! `\s` and `\w`.

use regex_syntax::{
    ast::{
        AssertionKind, Ast, ClassPerl, ClassPerlKind, ClassSet, ClassSetItem, ClassUnicode, ClassUnicodeKind,
        ClassUnicodeOpKind, ErrorKind, GroupKind, HexLiteralKind, Literal, LiteralKind, Span, SpecialLiteralKind,
        parse::Parser,
    },
    hir::{self, Hir, translate::Translator},
};

use crate::error::{Error, Result};

/// Most characters of a pattern in a message.
const SHOWN: usize = 20;
/// What a `.` is not.
const LINE_ENDS: &str = r"\n\r\u2028\u2029";
const SPACES: &str = r"\t-\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff";

/// The expression of a whole text: `^` at its beginning and `$` at its end may be there or not.
///
/// # Errors
/// [`Error::BadInput`] that says what was expected, and where something else was found.
pub fn parse(pattern: &str) -> Result<Hir> {
    let bad = |span: &Span, expected: &str, why: &str| {
        let (before, rest) = pattern.split_at(span.start.offset);
        let (place, shown) = (before.chars().count() + 1, rest.chars().take(SHOWN).collect::<String>());
        let found = match (rest.is_empty(), shown.len() < rest.len()) {
            (true, _) => "its end".into(),
            (_, cut) => format!("\"{shown}{}\"", if cut { "…" } else { "" }),
        };
        Error::BadInput(format!("pattern, character {place}: expected {expected}, found {found}{why}"))
    };
    let mut ast = Parser::new().parse(pattern).map_err(|e| match e.kind() {
        ErrorKind::UnsupportedBackreference => bad(e.span(), "no reference back to a group", ""),
        ErrorKind::UnsupportedLookAround => bad(e.span(), LOOK_AROUND, ""),
        kind => bad(e.span(), "JavaScript's syntax", &format!(" ({kind})")),
    })?;
    let mut reading = Reading { pattern };
    reading.expression(&mut ast, true, true).map_err(|(span, expected)| bad(&span, expected, ""))?;
    let unknown = |e: hir::Error| bad(e.span(), "JavaScript's syntax", &format!(" ({})", e.kind()));
    Translator::new().translate(pattern, &ast).map_err(unknown)
}

const LOOK_AROUND: &str = "no look-around";

/// Where something is refused, and what was expected.
type Refused = std::result::Result<(), (Span, &'static str)>;

struct Reading<'a> {
    pattern: &'a str,
}

impl Reading<'_> {
    /// Refuses what JavaScript reads otherwise, and exchanges what it means otherwise. `first` and `last`: whether it begins the text and
    /// ends it.
    fn expression(&mut self, ast: &mut Ast, first: bool, last: bool) -> Refused {
        match ast {
            Ast::Empty(_) => {}
            Ast::Flags(flags) => return Err((flags.span, "no flags")),
            Ast::Literal(literal) => literal_is_shared(literal)?,
            Ast::Dot(_) => *ast = class_of(&format!("[^{LINE_ENDS}]")),
            Ast::Assertion(assertion) => match assertion.kind {
                AssertionKind::StartLine if first => *ast = Ast::empty(assertion.span),
                AssertionKind::EndLine if last => *ast = Ast::empty(assertion.span),
                AssertionKind::StartLine => return Err((assertion.span, "^ at the beginning alone")),
                AssertionKind::EndLine => return Err((assertion.span, "$ at the end alone")),
                _ => return Err((assertion.span, LOOK_AROUND)),
            },
            Ast::ClassUnicode(class) => self.property(class)?,
            Ast::ClassPerl(perl) => *ast = class_of(&of_perl(perl)),
            Ast::ClassBracketed(brackets) => {
                let start = self.text(&brackets.span).trim_start_matches(['[', '^']);
                if start.starts_with(']') || start.starts_with("--") {
                    return Err((brackets.span, "\\] and \\- at the beginning of a class"));
                }
                self.set(&mut brackets.kind)?;
            }
            Ast::Repetition(repetition) => {
                let op = self.text(&repetition.op.span);
                if op.starts_with("{,") || op.contains(char::is_whitespace) {
                    return Err((repetition.op.span, "a count such as {2,5}"));
                }
                if matches!(*repetition.ast, Ast::Repetition(_)) {
                    return Err((repetition.op.span, "something to repeat"));
                }
                self.expression(&mut repetition.ast, false, false)?;
            }
            Ast::Group(group) => {
                match &group.kind {
                    GroupKind::NonCapturing(flags) if !flags.items.is_empty() => return Err((flags.span, "no flags")),
                    GroupKind::CaptureName { starts_with_p: true, name } => {
                        return Err((name.span, "a group such as (?<name>…)"));
                    }
                    _ => {}
                }
                self.expression(&mut group.ast, first, last)?;
            }
            Ast::Alternation(any) => any.asts.iter_mut().try_for_each(|ast| self.expression(ast, first, last))?,
            Ast::Concat(all) => {
                let end = all.asts.len() - 1;
                for (at, ast) in all.asts.iter_mut().enumerate() {
                    self.expression(ast, first && at == 0, last && at == end)?;
                }
            }
        }
        Ok(())
    }

    fn set(&mut self, set: &mut ClassSet) -> Refused {
        match set {
            ClassSet::Item(item) => self.item(item),
            ClassSet::BinaryOp(op) => Err((op.span, "no &&, -- and ~~ in a class")),
        }
    }

    fn item(&mut self, item: &mut ClassSetItem) -> Refused {
        match item {
            ClassSetItem::Empty(_) => {}
            ClassSetItem::Literal(literal) => literal_is_shared(literal)?,
            ClassSetItem::Range(range) => {
                literal_is_shared(&range.start)?;
                literal_is_shared(&range.end)?;
            }
            ClassSetItem::Ascii(class) => return Err((class.span, "no class in a class")),
            ClassSetItem::Bracketed(class) => return Err((class.span, "\\[ in a class")),
            ClassSetItem::Unicode(class) => self.property(class)?,
            ClassSetItem::Perl(perl) => {
                let class = class_of(&of_perl(perl));
                let Ast::ClassBracketed(brackets) = &class else { unreachable!("it has brackets") };
                *item = ClassSetItem::Bracketed(brackets.clone());
            }
            ClassSetItem::Union(union) => union.items.iter_mut().try_for_each(|item| self.item(item))?,
        }
        Ok(())
    }

    /// `\p{L}` and `\p{Script=Greek}` are JavaScript's, `\pL`, `\p{^L}` and `\p{sc:Greek}` are not.
    fn property(&self, class: &ClassUnicode) -> Refused {
        let shared = match &class.kind {
            ClassUnicodeKind::OneLetter(_) => false,
            ClassUnicodeKind::Named(_) => !self.text(&class.span).contains('^'),
            ClassUnicodeKind::NamedValue { op, .. } => *op == ClassUnicodeOpKind::Equal,
        };
        if shared { Ok(()) } else { Err((class.span, "a property such as \\p{L}")) }
    }

    fn text(&self, span: &Span) -> &str {
        &self.pattern[span.start.offset..span.end.offset]
    }
}

fn of_perl(ClassPerl { kind, negated, .. }: &ClassPerl) -> String {
    let members = match kind {
        ClassPerlKind::Digit => "0-9",
        ClassPerlKind::Space => SPACES,
        ClassPerlKind::Word => "0-9A-Z_a-z",
    };
    format!("[{}{members}]", if *negated { "^" } else { "" })
}

fn class_of(written: &str) -> Ast {
    Parser::new().parse(written).expect("a class that is written here")
}

/// Escapes that JavaScript does not know stand for their letter there.
fn literal_is_shared(literal: &Literal) -> Refused {
    match literal.kind {
        LiteralKind::Special(SpecialLiteralKind::Bell)
        | LiteralKind::HexFixed(HexLiteralKind::UnicodeLong)
        | LiteralKind::HexBrace(HexLiteralKind::X | HexLiteralKind::UnicodeLong)
        | LiteralKind::Octal => Err((literal.span, "an escape of JavaScript's")),
        _ => Ok(()),
    }
}
