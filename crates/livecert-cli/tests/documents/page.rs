//! What a page of the documents holds for these tests: what is run, what is not and why, links and headings.
//!
//! What a reader need not see stands in comments of HTML:
//!
//! | comment | means |
//! | --- | --- |
//! | `setup:` and commands | run here, unseen |
//! | `file: PATH MODE` | the next block is the text of this file |
//! | `status: N` | the next block, or command of a table, ends with this status |
//! | `not run: REASON` | the next block, or command of a table, is only parsed |
//! | `tables` | from here on, the commands in the cells of tables are run, row by row |
//! | `fresh` | from here on, everything is as at the beginning of a page |
//! | `ca: acme-sim` | `LE_PROD` is our own ACME server instead of Pebble, until the next `fresh` |

use std::ops::Range;
use std::path::{Path, PathBuf};

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};

/// A page.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// Below the root of the repository.
    pub(crate) path: PathBuf,
    /// What is run in one environment after the other.
    pub(crate) runs: Vec<Run>,
    /// Commands that are only parsed: of blocks that are not run, and in the text.
    pub(crate) parsed: Vec<Words>,
    /// Links to other places of the repository.
    pub(crate) links: Vec<Words>,
    /// Headings, as anchors.
    pub(crate) anchors: Vec<String>,
    /// What is wrong with the page itself.
    pub(crate) mistakes: Vec<Words>,
}

/// A line of the page, and what is there.
#[derive(Debug, Clone)]
pub(crate) struct Words {
    pub(crate) line: usize,
    pub(crate) text: String,
}

/// What is run in one environment.
#[derive(Debug, Default)]
pub(crate) struct Run {
    pub(crate) own_ca: bool,
    pub(crate) steps: Vec<Step>,
}

#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) line: usize,
    pub(crate) kind: StepKind,
}

#[derive(Debug)]
pub(crate) enum StepKind {
    /// Commands, and the status of the last one.
    Script { text: String, status: i32 },
    /// A command, what a terminal shows of it, and its status.
    Console { command: String, shown: String, status: i32 },
    /// A file.
    File { path: PathBuf, mode: u32, text: String },
}

/// What the comment before a block says of it.
#[derive(Debug, Default)]
struct Note {
    status: Option<i32>,
    file: Option<(PathBuf, u32)>,
    not_run: bool,
}

/// All pages, below the root of the repository.
pub(crate) fn all(root: &Path) -> Vec<Page> {
    let mut paths = vec![PathBuf::from("README.md"), PathBuf::from("CONTRIBUTING.md")];
    let mut folders = vec![PathBuf::from("docs")];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(root.join(&folder)).expect("the folder of the documents");
        for entry in entries.filter_map(Result::ok) {
            let path = folder.join(entry.file_name());
            if entry.path().is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                paths.push(path);
            }
        }
    }
    paths.sort();
    let read = |path: &PathBuf| std::fs::read_to_string(root.join(path)).expect("a page");
    paths.iter().map(|path| Page::parse(path, &read(path))).collect()
}

impl Page {
    pub(crate) fn parse(path: &Path, text: &str) -> Self {
        let mut page = Page { path: path.to_owned(), ..Page::default() };
        page.runs.push(Run::default());
        let line_of = |range: &Range<usize>| text[..range.start].matches('\n').count() + 1;
        let (mut note, mut tables, mut in_cell) = (Note::default(), false, false);
        let mut block: Option<(usize, String, String)> = None;
        let mut heading: Option<String> = None;
        let mut comment = String::new();
        let mut known = std::collections::BTreeMap::<String, usize>::new();
        let events = Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter();
        for (event, range) in events {
            let line = line_of(&range);
            match event {
                Event::Start(Tag::CodeBlock(kind)) => {
                    let language = match kind {
                        CodeBlockKind::Fenced(language) => language.to_string(),
                        CodeBlockKind::Indented => String::new(),
                    };
                    block = Some((line + 1, language, String::new()));
                }
                Event::Text(words) if block.is_some() => {
                    if let Some((_, _, text)) = &mut block {
                        text.push_str(&words);
                    }
                }
                Event::End(TagEnd::CodeBlock) => {
                    if let Some((line, language, text)) = block.take() {
                        page.block(line, &language, text, std::mem::take(&mut note));
                    }
                }
                Event::Html(words) | Event::InlineHtml(words) => {
                    comment.push_str(&words);
                    if let Some(words) = comment.trim().strip_prefix("<!--").map(str::to_owned) {
                        if let Some((words, _)) = words.split_once("-->") {
                            page.comment(line, words.trim(), &mut note, &mut tables);
                            comment.clear();
                        }
                    } else {
                        comment.clear();
                    }
                }
                Event::Start(Tag::TableCell) => in_cell = true,
                Event::End(TagEnd::TableCell) => in_cell = false,
                Event::Code(words) => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(&words);
                    }
                    let is_command = words.starts_with("livecert ");
                    if is_command && tables && in_cell {
                        let note = std::mem::take(&mut note);
                        page.block(line, "sh", words.to_string(), note);
                    } else if is_command && !words.contains('…') {
                        page.parsed.push(Words { line, text: words.to_string() });
                    }
                }
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    page.links.push(Words { line, text: dest_url.to_string() });
                }
                Event::Start(Tag::Heading { level, .. }) => {
                    heading = Some(String::new());
                    // The contents have parts instead.
                    let contents = path.ends_with("SUMMARY.md");
                    if level == HeadingLevel::H1 && !page.anchors.is_empty() && !contents {
                        page.mistake(line, "a page has one title");
                    }
                }
                Event::Text(words) if heading.is_some() => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(&words);
                    }
                }
                Event::End(TagEnd::Heading(_)) => {
                    let anchor = anchor(&heading.take().unwrap_or_default());
                    let number = known.entry(anchor.clone()).or_default();
                    page.anchors.push(if *number == 0 { anchor } else { format!("{anchor}-{number}") });
                    *number += 1;
                }
                _ => {}
            }
        }
        page
    }

    fn mistake(&mut self, line: usize, text: &str) {
        self.mistakes.push(Words { line, text: text.to_owned() });
    }

    fn step(&mut self, line: usize, kind: StepKind) {
        if let Some(run) = self.runs.last_mut() {
            run.steps.push(Step { line, kind });
        }
    }

    fn comment(&mut self, line: usize, words: &str, note: &mut Note, tables: &mut bool) {
        let (word, rest) = words.split_once(':').unwrap_or((words, ""));
        let rest = rest.trim();
        match word {
            "setup" => self.step(line, StepKind::Script { text: rest.to_owned(), status: 0 }),
            "not run" if rest.is_empty() => self.mistake(line, "why is it not run?"),
            "not run" => note.not_run = true,
            "status" => match rest.parse() {
                Ok(status) => note.status = Some(status),
                Err(_) => self.mistake(line, "a status is a number"),
            },
            "file" => {
                let (path, mode) = rest.split_once(' ').unwrap_or((rest, "644"));
                match u32::from_str_radix(mode, 8) {
                    Ok(mode) => note.file = Some((path.into(), mode)),
                    Err(_) => self.mistake(line, "a mode is a number"),
                }
            }
            "tables" => *tables = true,
            "fresh" => {
                *tables = false;
                self.runs.push(Run::default());
            }
            "ca" if rest == "acme-sim" => {
                if let Some(run) = self.runs.last_mut() {
                    run.own_ca = true;
                }
            }
            _ => {}
        }
    }

    fn block(&mut self, line: usize, language: &str, text: String, note: Note) {
        let status = note.status.unwrap_or(0);
        if let Some((path, mode)) = note.file {
            return self.step(line, StepKind::File { path, mode, text });
        }
        match language {
            "sh" | "console" if note.not_run => {
                for (at, command) in commands(&text) {
                    self.parsed.push(Words { line: line + at, text: command });
                }
            }
            "sh" => self.step(line, StepKind::Script { text, status }),
            "console" => {
                for (at, command, shown) in conversation(&text) {
                    self.step(line + at, StepKind::Console { command, shown, status });
                }
            }
            "" => self.mistake(line, "a block says what is in it: ```sh, ```console, ```text, …"),
            _ => {}
        }
    }
}

/// The anchor that a heading gets in the book and on the web.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    let kept = kept.chars().filter(|&letter| letter.is_alphanumeric() || " -_".contains(letter));
    kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect()
}

/// The commands `livecert …` of a script, each in one line: what stands before them and after them is gone.
pub(crate) fn commands(script: &str) -> Vec<(usize, String)> {
    let mut all: Vec<(usize, String)> = Vec::new();
    let mut goes_on = false;
    for (at, line) in script.lines().enumerate() {
        let line = line.strip_prefix("$ ").or_else(|| line.strip_prefix("> ")).unwrap_or(line);
        let (words, more) = line.strip_suffix('\\').map_or((line, false), |words| (words, true));
        match all.last_mut() {
            Some((_, whole)) if goes_on => whole.push_str(words),
            _ => all.push((at, words.to_owned())),
        }
        goes_on = more;
    }
    let is_command = |(at, line): (usize, String)| {
        let begins = line.match_indices("livecert ").map(|(begin, _)| begin).find(|&begin| {
            let before = &line[..begin];
            let apart = before.is_empty() || before.ends_with([' ', '(']);
            apart && before.split_whitespace().next_back().is_none_or(goes_before)
        })?;
        let said = !line.contains('…') && !line.trim_start().starts_with('#');
        said.then(|| (at, line[begins..].to_owned()))
    };
    all.into_iter().filter_map(is_command).collect()
}

/// Whether a command may follow this word of a shell's line: an assignment, the end of another command, …
fn goes_before(word: &str) -> bool {
    const WORDS: [&str; 10] = ["sudo", "exec", "&&", "||", "|", "do", "then", "{", "(", "!"];
    WORDS.contains(&word) || word.contains('=') || word.ends_with([';', ')']) || word.ends_with(":ro")
}

/// Commands and what is shown of each.
fn conversation(text: &str) -> Vec<(usize, String, String)> {
    let mut all: Vec<(usize, String, String)> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if let Some(command) = line.strip_prefix("$ ") {
            all.push((at, command.to_owned(), String::new()));
        } else if let (Some(more), Some((_, command, shown))) = (line.strip_prefix("> "), all.last_mut())
            && shown.is_empty()
        {
            command.push('\n');
            command.push_str(more);
        } else if let Some((_, _, shown)) = all.last_mut() {
            shown.push_str(line);
            shown.push('\n');
        }
    }
    all
}

/// Whether a terminal showed this: `…` stands for anything within a line, and alone in a line for any lines.
pub(crate) fn is_shown(expected: &str, actual: &str) -> bool {
    let lines =
        |text: &str| text.trim_end().lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>();
    lines_match(&lines(expected), &lines(actual))
}

fn lines_match(expected: &[String], actual: &[String]) -> bool {
    match expected.split_first() {
        None => actual.is_empty(),
        Some((any, rest)) if any.trim() == "…" => {
            (0..=actual.len()).any(|skipped| lines_match(rest, &actual[skipped..]))
        }
        Some((line, rest)) => actual
            .split_first()
            .is_some_and(|(first, others)| line_matches(line, first) && lines_match(rest, others)),
    }
}

fn line_matches(expected: &str, actual: &str) -> bool {
    let Some((begin, rest)) = expected.split_once('…') else { return expected == actual };
    let Some(mut actual) = actual.strip_prefix(begin) else { return false };
    let mut parts = rest.split('…').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return actual.ends_with(part);
        }
        let Some(at) = actual.find(part) else { return false };
        actual = &actual[at + part.len()..];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# One & two

Say `livecert list`, and see [there](x.md#y).

<!-- setup:
mkdir a
mkdir b
-->

```sh
livecert list \\
    --json
```

<!-- not run: no terminal here -->
```sh
sudo livecert issue a.example \\
    --plugin manual
systemctl start livecert.service
```

<!-- status: 4 -->
```console
$ livecert status
a …
…
end
```

<!-- file: /etc/a 600 -->
```text
inside
```

<!-- fresh -->
<!-- ca: acme-sim -->
<!-- tables -->

| a | b |
| --- | --- |
| x | `livecert renew` <!-- status: 2 --> `livecert show x` |

    indented
";

    #[test]
    fn a_page_is_read() {
        let page = Page::parse(Path::new("docs/a.md"), PAGE);
        assert_eq!(page.anchors, ["one--two"]);
        assert_eq!(page.links[0].text, "x.md#y");
        let parsed: Vec<_> = page.parsed.iter().map(|words| words.text.as_str()).collect();
        assert_eq!(parsed, ["livecert list", "livecert issue a.example     --plugin manual"]);
        assert_eq!(page.runs.len(), 2);
        let steps = &page.runs[0].steps;
        assert!(matches!(&steps[0].kind, StepKind::Script { text, status: 0 } if text == "mkdir a\nmkdir b"));
        assert!(matches!(&steps[1].kind, StepKind::Script { text, .. } if text.contains("--json")));
        assert!(
            matches!(&steps[2].kind, StepKind::Console { command, status: 4, .. } if command == "livecert status")
        );
        assert!(matches!(&steps[3].kind, StepKind::File { mode: 0o600, text, .. } if text == "inside\n"));
        assert!(page.runs[1].own_ca);
        let rows = &page.runs[1].steps;
        assert!(matches!(&rows[0].kind, StepKind::Script { text, status: 0 } if text == "livecert renew"));
        assert!(matches!(&rows[1].kind, StepKind::Script { text, status: 2 } if text == "livecert show x"));
        assert_eq!(page.mistakes.len(), 1, "{:?}", page.mistakes);
    }

    #[test]
    fn what_is_shown_may_differ_where_it_says_so() {
        assert!(is_shown("a … c\n…\nend\n", "a bb c\nx\ny\nend"));
        assert!(is_shown("…\n", ""));
        assert!(is_shown("a…b…c", "a1b2b3c"));
        assert!(!is_shown("a … c", "a bb d"));
        assert!(!is_shown("a\n", "a\nb\n"));
        assert!(!is_shown("a\nb\n", "a\n"));
    }
}
