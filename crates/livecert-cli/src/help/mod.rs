//! Help that teaches: a short `-h`, and a `--help` that is complete and has examples.

mod lessons;

use std::fmt::Write;

use anstyle::Style;
use clap::builder::StyledStr;
use clap::{Arg, Command, CommandFactory};

use crate::arguments::Arguments;
use lessons::lesson;

/// What the help of a command teaches beside its options.
struct Lesson {
    /// Its words, such as `dns add`; nothing for livecert itself.
    command: &'static str,
    /// What somebody wants, and the command that does it.
    examples: &'static [(&'static str, &'static str)],
    /// What else has to be known, in lines of at most 100 columns.
    notes: &'static [&'static str],
}

/// With more options than these, `-h` shows only those that most people need.
const MANY: usize = 14;
/// Those of them that most people need.
const NEEDED: [&str; 12] = [
    "names",
    "cert",
    "cert_name",
    "force",
    "dry_run",
    "server",
    "accept_tos",
    "contact",
    "challenge",
    "plugin",
    "plugin_arg",
    "deploy_hook",
];
/// Options of every command that `-h` shows.
const EVERYWHERE: [&str; 2] = ["json", "home"];

/// The command line with its help.
pub(crate) fn command() -> Command {
    taught(Arguments::command(), "")
}

fn taught(command: Command, path: &str) -> Command {
    let globals = |arg: &Arg| arg.is_global_set();
    let own = command.get_arguments().filter(|arg| !globals(arg) && !arg.is_hide_set()).count();
    let command = command.mut_args(|arg| {
        let id = arg.get_id().as_str();
        let short =
            if globals(&arg) { EVERYWHERE.contains(&id) } else { own <= MANY || NEEDED.contains(&id) };
        if !short {
            return arg.hide_short_help(true);
        }
        match arg.get_help().map(ToString::to_string) {
            Some(all) if arg.get_long_help().is_none() => arg.help(brief(&all)).long_help(all),
            _ => arg,
        }
    });
    let command = match lesson(path) {
        Some(lesson) => command.after_help(lesson.short()).after_long_help(lesson.long()),
        None => command,
    };
    command.mut_subcommands(|sub| {
        let path = format!("{path} {}", sub.get_name());
        taught(sub, path.trim_start())
    })
}

/// The first part of an option's help, which says enough to somebody who knows it.
fn brief(help: &str) -> String {
    let (text, default) =
        help.split_once(" [default: ").map_or((help, ""), |(text, default)| (text, default));
    let end = ["; ", " (", ", such as"].iter().filter_map(|end| text.find(end)).min().unwrap_or(text.len());
    let default = default.trim_end_matches(']');
    // A default that has to be explained is for the long help.
    if default.is_empty() || default.len() > 24 {
        return text[..end].to_owned();
    }
    format!("{} [default: {default}]", &text[..end])
}

impl Lesson {
    /// One example.
    fn short(&self) -> StyledStr {
        shown(&self.examples[..self.examples.len().min(1)], "Example", &[])
    }

    fn long(&self) -> StyledStr {
        let title = if self.examples.len() == 1 { "Example" } else { "Examples" };
        shown(self.examples, title, self.notes)
    }
}

fn shown(examples: &[(&str, &str)], title: &str, notes: &[&str]) -> StyledStr {
    let (heading, dim) = (Style::new().bold().underline(), Style::new().dimmed());
    let mut text = StyledStr::new();
    // Writing to memory cannot fail.
    let _ = write!(text, "{heading}{title}:{heading:#}");
    for (what, example) in examples {
        let example = example.replace('\n', "\n  ");
        let _ = write!(text, "\n  {dim}# {what}{dim:#}\n  {example}");
    }
    for note in notes {
        let _ = write!(text, "\n\n{note}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The commands that do something, each with its words.
    fn leaves(command: &Command, path: &str) -> Vec<String> {
        let subs = command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help");
        let below: Vec<String> =
            subs.flat_map(|sub| leaves(sub, format!("{path} {}", sub.get_name()).trim_start())).collect();
        if below.is_empty() { vec![path.to_owned()] } else { below }
    }

    /// The words of a line of shell, up to where its output goes.
    fn words(line: &str) -> Vec<String> {
        let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
        let mut chars = line.chars().peekable();
        while let Some(c) = chars.next() {
            match (quote, c) {
                (None, '|' | '>') => break,
                (None, '\\') if chars.peek() == Some(&'\n') => drop(chars.next()),
                (None, c) if c.is_whitespace() => words.extend(word.take()),
                (None, '\'' | '"') => {
                    quote = Some(c);
                    word.get_or_insert_default();
                }
                (Some(open), c) if c == open => quote = None,
                (_, c) => word.get_or_insert_default().push(c),
            }
        }
        words.extend(word);
        words
    }

    #[test]
    fn each_command_has_an_example_that_the_real_parser_takes() {
        for path in leaves(&command(), "") {
            assert!(
                lesson(&path).is_some_and(|lesson| !lesson.examples.is_empty()),
                "help/lessons.rs has no example for '{path}'"
            );
        }
        for lesson in lessons::LESSONS {
            let known =
                lesson.command.is_empty() || leaves(&command(), "").contains(&lesson.command.to_owned());
            assert!(known, "there is no command '{}'", lesson.command);
            for (_, example) in lesson.examples {
                let words = words(example);
                let begins = format!("livecert {}", lesson.command);
                assert!(words.join(" ").starts_with(begins.trim_end()), "{example}");
                let parsed = command().try_get_matches_from(&words);
                assert!(
                    parsed.is_ok(),
                    "{example}: {}",
                    parsed.err().map(|error| error.to_string()).unwrap_or_default()
                );
            }
        }
    }

    /// The help of a command as it is shown.
    fn shown_help(path: &str, flag: &str) -> String {
        let words = std::iter::once("livecert").chain(path.split_whitespace()).chain([flag]);
        let error = command().try_get_matches_from(words).unwrap_err();
        error.to_string()
    }

    #[test]
    fn no_line_of_any_help_is_too_long_and_the_short_one_is_short() {
        let mut all = leaves(&command(), "");
        all.push(String::new());
        for path in all {
            let (short, long) = (shown_help(&path, "-h"), shown_help(&path, "--help"));
            for line in short.lines().chain(long.lines()) {
                assert!(crate::screen::width(line) <= 100, "{path}: {line}");
            }
            let lines = short.lines().count();
            let most = if path.is_empty() { 65 } else { 45 };
            assert!(lines <= most && lines < long.lines().count(), "{path}: {lines} lines\n{short}");
            assert!(long.contains("Example"), "{path}");
        }
    }

    #[test]
    fn a_shells_words_are_split_like_a_shell_does() {
        let split = words("livecert issue '*.example.com' \\\n    --deploy-hook 'a b' \"\" > /x");
        assert_eq!(split, ["livecert", "issue", "*.example.com", "--deploy-hook", "a b", ""]);
    }
}
