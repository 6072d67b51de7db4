//! The parts of documents that commands write, between marks.

use std::path::Path;

use crate::Failure;

/// The marks around a part.
pub(crate) struct Marks {
    pub(crate) begin: &'static str,
    pub(crate) end: &'static str,
}

impl Marks {
    /// What is between them now.
    pub(crate) fn read(&self, document: &Path) -> Result<String, Failure> {
        let text = std::fs::read_to_string(document)?;
        self.split(document, &text).map(|(_, part, _)| part.to_owned())
    }

    /// Puts a text between them.
    pub(crate) fn fill(&self, document: &Path, part: &str) -> Result<(), Failure> {
        let text = std::fs::read_to_string(document)?;
        let (head, _, tail) = self.split(document, &text)?;
        let Marks { begin, end } = self;
        Ok(std::fs::write(document, format!("{head}{begin}\n\n{}\n\n{end}{tail}", part.trim_end()))?)
    }

    fn split<'a>(&self, document: &Path, text: &'a str) -> Result<(&'a str, &'a str, &'a str), Failure> {
        let parts = text.split_once(self.begin).and_then(|(head, rest)| {
            let (part, tail) = rest.split_once(self.end)?;
            Some((head, part, tail))
        });
        parts.ok_or_else(|| {
            format!("{} has lost the marks of what is written there", document.display()).into()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_marks_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let document = folder.path().join("a.md");
        let marks = Marks { begin: "<!-- b -->", end: "<!-- e -->" };
        std::fs::write(&document, "one\n<!-- b -->\n\nold\n\n<!-- e -->\ntwo\n").unwrap();
        assert_eq!(marks.read(&document).unwrap().trim(), "old");
        marks.fill(&document, "new\n").unwrap();
        let text = std::fs::read_to_string(&document).unwrap();
        assert_eq!(text, "one\n<!-- b -->\n\nnew\n\n<!-- e -->\ntwo\n");
        std::fs::write(&document, "no marks").unwrap();
        assert!(marks.fill(&document, "new").is_err());
    }
}
