//! What the commands cost that look at all certificates.

use std::time::Instant;

use super::World;
use crate::Failure;
use crate::usage::{self, Usage};

const RUNS: usize = 7;

/// What one command took.
struct Cost {
    /// Seconds, the median.
    wall: f64,
    /// Seconds of processor time, the least.
    cpu: f64,
    /// MiB, the most.
    memory: f64,
    calls: u64,
}

/// The table of a store with so many certificates, of which none is due.
pub(super) fn table(world: &World, count: usize) -> Result<String, Failure> {
    let mut text = format!(
        "{} certificates over {} zones, none due, and nothing has to be asked of the CA; what is read is in memory. {RUNS} \
         runs: the median of the wall time, the least of the processor time, the most of the memory.\n\n",
        thousands(count as u64),
        thousands(count.div_ceil(10) as u64),
    );
    text += "| command | wall time | processor time | system calls | peak memory |\n";
    text += "| --- | --- | --- | --- | --- |\n";
    let page = world.testbed.folder().join("page.html").display().to_string();
    for words in [
        &["renew"][..],
        &["list"],
        &["list", "--json"],
        &["status"],
        &["status", "--json"],
        &["status", "--html", &page],
    ] {
        let own: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        let Cost { wall, cpu, memory, calls } = cost(world, &own)?;
        let words = words.join(" ").replace(&page, "FILE");
        let calls = thousands(calls);
        text += &format!("| `{words}` | {wall:.2} s | {cpu:.2} s | {calls} | {memory:.0} MiB |\n");
    }
    Ok(text)
}

fn cost(world: &World, own: &[String]) -> Result<Cost, Failure> {
    let note = world.testbed.folder().join("note.txt");
    let (mut walls, mut cpu, mut memory) = (Vec::new(), f64::MAX, 0.0_f64);
    let words = usage::WORDS.map(str::to_owned);
    let words = [&words[..], &[note.display().to_string()]].concat();
    for _ in 0..RUNS {
        let begun = Instant::now();
        world.below(usage::TIME, &words, own)?;
        walls.push(begun.elapsed().as_secs_f64());
        let used = Usage::read(&note)?;
        cpu = cpu.min(used.cpu);
        memory = memory.max(used.memory);
    }
    walls.sort_by(f64::total_cmp);
    Ok(Cost { wall: walls[RUNS / 2], cpu, memory, calls: calls(world, own)? })
}

/// How many system calls there are, of all threads.
fn calls(world: &World, own: &[String]) -> Result<u64, Failure> {
    let note = world.testbed.folder().join("calls.txt");
    let words = ["-f", "-c", "-o"].map(str::to_owned);
    world.below("strace", &[&words[..], &[note.display().to_string()]].concat(), own)?;
    let text = std::fs::read_to_string(&note)?;
    let total = text.lines().find(|line| line.trim_end().ends_with(" total"));
    // % time, seconds, usecs/call, calls, and errors where there were some.
    let calls = total.and_then(|line| line.split_whitespace().nth(3)).and_then(|calls| calls.parse().ok());
    calls.ok_or_else(|| format!("strace has counted nothing:\n{text}").into())
}

/// A number as it is read: 1,234,567.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_threes() {
        assert_eq!([0, 12, 123, 1234, 1_234_567].map(thousands), ["0", "12", "123", "1,234", "1,234,567"]);
    }
}
