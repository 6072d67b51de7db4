//! The last part of what a command printed, made harmless for terminals, logs and state files.

use tokio::io::{AsyncRead, AsyncReadExt};

/// How much is kept, in bytes.
const KEPT: usize = 16 * 1024;

/// The last bytes that were printed.
#[derive(Debug, Default)]
pub(super) struct Tail {
    bytes: Vec<u8>,
    cut: bool,
}

impl Tail {
    /// Reads to the end of `pipe`; an error is taken for the end. May be dropped at any moment, and keeps what it has.
    pub(super) async fn fill(&mut self, pipe: &mut (impl AsyncRead + Unpin)) {
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = pipe.read(&mut buffer).await {
            self.push(&buffer[..read]);
        }
    }

    fn push(&mut self, more: &[u8]) {
        self.bytes.extend_from_slice(more);
        if let Some(over @ 1..) = self.bytes.len().checked_sub(KEPT) {
            self.bytes.drain(..over);
            self.cut = true;
        }
    }

    /// As text: see [`harmless`]. A mark in front says that there was more.
    pub(super) fn text(&self) -> String {
        let text = harmless(&String::from_utf8_lossy(&self.bytes));
        if self.cut { format!("[…] {text}") } else { text }
    }
}

/// `text` without what could change how a terminal shows the rest: control characters, and those that turn the direction
/// of writing, are escaped. Line breaks and tabs stay.
pub(crate) fn harmless(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.trim_end().replace("\r\n", "\n").chars() {
        match c {
            '\n' | '\t' => clean.push(c),
            '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                clean.extend(c.escape_unicode());
            }
            c if c.is_control() => clean.extend(c.escape_default()),
            c => clean.push(c),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tail(bytes: &[u8]) -> String {
        let mut tail = Tail::default();
        bytes.chunks(1000).for_each(|chunk| tail.push(chunk));
        tail.text()
    }

    #[test]
    fn the_last_part_is_kept_and_nothing_in_it_reaches_the_terminal() {
        assert_eq!(tail(b"reloaded\r\nnginx\n\n"), "reloaded\nnginx");
        assert_eq!(tail(b"\x1b[2Jgone\x07 \xff\xe2\x80\xae"), "\\u{1b}[2Jgone\\u{7} \u{fffd}\\u{202e}");
        let long = tail(&[vec![b'a'; 20_000], b"the end".to_vec()].concat());
        assert!(long.starts_with("[…] a") && long.ends_with("athe end"), "{long}");
        assert_eq!(long.chars().count(), KEPT + 4);
    }

    proptest! {
        #[test]
        fn whatever_is_printed_is_bounded_and_harmless(
            line in proptest::collection::vec(any::<u8>(), 0..400),
            times in 0..100_usize,
        ) {
            let text = tail(&line.repeat(times));
            prop_assert!(text.chars().all(|c| !c.is_control() || c == '\n' || c == '\t'));
            prop_assert!(text.len() <= 10 * KEPT + 8);
        }
    }
}
