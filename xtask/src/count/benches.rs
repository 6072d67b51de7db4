//! The parts: what `cargo bench` says.

use std::process::Stdio;

use crate::Failure;
use crate::setup::{cargo_command, root};

/// The table of all benches.
pub(super) fn table() -> Result<String, Failure> {
    let mut bench = cargo_command();
    bench.args(["bench", "--locked", "--workspace", "--benches"]).current_dir(root());
    let output = bench.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err("`cargo bench` failed: see above".into());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(format!(
        "Parts (`cargo bench`), the median and the fastest of many rounds.\n\n\
         | part | median | fastest |\n| --- | --- | --- |\n{}",
        rows(&text).concat()
    ))
}

/// The rows of what divan has printed: trees, whose leaves have the times.
fn rows(text: &str) -> Vec<String> {
    let mut rows = Vec::new();
    let mut above: Vec<String> = Vec::new();
    for line in text.lines() {
        let cells: Vec<&str> = line.split('│').map(str::trim).collect();
        let depth = line.chars().position(|letter| letter.is_alphanumeric()).unwrap_or(0) / 3;
        let first = line.trim_start_matches(|letter: char| !letter.is_alphanumeric());
        let name = first.split_whitespace().next().unwrap_or_default();
        above.truncate(depth);
        above.push(name.to_owned());
        let times = first.strip_prefix(name).unwrap_or_default();
        let fastest = times.split('│').next().unwrap_or_default().trim();
        let is_time = |text: &str| text.starts_with(|digit: char| digit.is_ascii_digit());
        if let [.., median, _mean, _samples, _iterations] = cells[..]
            && is_time(fastest)
            && is_time(median)
        {
            rows.push(format!("| {} | {median} | {fastest} |\n", above.join(" ").replace('_', " ")));
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_leaves_of_the_tree_are_rows() {
        let text = "\
Timer precision: 20 ns
jws                   fastest       │ slowest       │ median        │ mean          │ samples │ iters
├─ sign_p256          19.1 µs       │ 48.7 µs       │ 19.6 µs       │ 20.4 µs       │ 100     │ 100
╰─ many                             │               │               │               │         │
   ├─ 20              1.1 ms        │ 1.7 ms        │ 1.2 ms        │ 1.4 ms        │ 100     │ 100
   ╰─ 30              2.1 ms        │ 2.7 ms        │ 2.2 ms        │ 2.4 ms        │ 100     │ 100
";
        assert_eq!(
            rows(text),
            [
                "| jws sign p256 | 19.6 µs | 19.1 µs |\n",
                "| jws many 20 | 1.2 ms | 1.1 ms |\n",
                "| jws many 30 | 2.2 ms | 2.1 ms |\n"
            ]
        );
    }
}
