//! HTML that cannot be broken by what is put into it: what is not written in this program is always escaped.

use std::fmt::Write;

use crate::screen::turns;

/// A page in the making.
pub(super) struct Html(String);

impl Html {
    pub(super) fn new() -> Self {
        Html(String::new())
    }

    /// Markup of this program's own.
    pub(super) fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// A text, as an element's content or between the quotes of an attribute.
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        for c in text.chars().filter(|c| !turns(*c)) {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                c if c.is_control() => self.0.push(' '),
                c => self.0.push(c),
            }
        }
        self
    }

    /// A number, with one digit after the point.
    pub(super) fn number(&mut self, number: f64) -> &mut Self {
        // Writing to memory cannot fail.
        let _ = write!(self.0, "{number:.1}");
        self
    }

    pub(super) fn into_string(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_becomes_markup() {
        let mut html = Html::new();
        html.raw("<p title=\"").text("\" onload='x'").raw("\">").text("</p><script>&\u{0}\n").raw("</p>");
        assert_eq!(
            html.into_string(),
            "<p title=\"&quot; onload=&#39;x&#39;\">&lt;/p&gt;&lt;script&gt;&amp;  </p>"
        );
    }
}
