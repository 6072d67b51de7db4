//! Instructions, as valgrind's callgrind counts them: two runs of the same work differ by less than what one more look at
//! each certificate costs, however busy the machine is.

use super::World;
use crate::Failure;

/// How often each is counted; the least is told, because what a run waits for only adds to it.
const RUNS: usize = 3;

/// The table of instruction counts.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: String,
}

impl Table {
    /// Counts one command, with these words.
    pub(super) fn add(&mut self, title: &str, world: &World, words: &[String]) -> Result<(), Failure> {
        let mut counts = (0..RUNS).map(|_| counted(world, words)).collect::<Result<Vec<_>, _>>()?;
        counts.sort_unstable();
        let [least, most] = [counts[0], counts[RUNS - 1]].map(|count| format!("{:.2}", count as f64 / 1e6));
        self.rows += &format!("| {title} | {least} | {most} |\n");
        Ok(())
    }

    pub(super) fn text(&self) -> String {
        format!(
            "Instructions of the process, with all its threads: the least of {RUNS} runs, and the most.\n\n\
             | what | millions of instructions | most |\n| --- | --- | --- |\n{}",
            self.rows
        )
    }
}

/// Below callgrind everything takes fifty times as long, and on a busy machine now and then too long for a name server's answer.
fn counted(world: &World, own: &[String]) -> Result<u64, Failure> {
    instructions(world, own).or_else(|_| instructions(world, own)).or_else(|_| instructions(world, own))
}

fn instructions(world: &World, own: &[String]) -> Result<u64, Failure> {
    // The count is told in the end; the profile itself is not needed.
    let words = ["--tool=callgrind", "--callgrind-out-file=/dev/null"].map(str::to_owned);
    let outcome = world.below("valgrind", &words, own)?;
    let collected = outcome.stderr.lines().find_map(|line| line.split_once("Collected :"));
    let count = collected.and_then(|(_, count)| count.trim().parse().ok());
    count.ok_or_else(|| format!("callgrind has counted nothing: {}", outcome.stderr).into())
}
