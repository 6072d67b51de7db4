//! `cargo xtask count`: what livecert costs this machine, in figures that do not depend on how busy it is: instructions,
//! system calls, memory. Times are beside them.

mod benches;
mod instructions;
mod large;

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;
use testbed::{Livecert, Options, PAT, PebbleOptions, Testbed, name_in_a_thousand_zones};

use crate::document::Marks;
use crate::setup::{self, build, root};
use crate::{Failure, say};

const DOCUMENT: &str = "docs/performance.md";
const MARKS: Marks = Marks {
    begin: "<!-- begin: written by `cargo xtask count` -->",
    end: "<!-- end: written by `cargo xtask count` -->",
};
/// Those of the parts, which are left out now and then.
const PARTS: Marks = Marks {
    begin: "<!-- begin: parts, written by `cargo xtask count` -->",
    end: "<!-- end: parts, written by `cargo xtask count` -->",
};

#[derive(Debug, Args)]
pub(crate) struct Words {
    /// How many certificates are in the large store
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    certificates: u32,
    /// Keep the large store in this folder, to try things with it
    #[arg(long, value_name = "FOLDER")]
    keep: Option<PathBuf>,
    /// Count with this program, and not with one that is built first: for another commit's, or another profile's
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// Leave out the parts (`cargo bench`)
    #[arg(long)]
    no_benches: bool,
    /// Leave docs/performance.md as it is
    #[arg(long)]
    dry_run: bool,
}

pub(crate) fn run(words: &Words) -> Result<(), Failure> {
    setup::programs(&["pebble", "valgrind", "strace", "time"])?;
    let program = match &words.program {
        Some(program) => std::path::absolute(program)?,
        None => build(&["--release", "-p", "livecert-cli"])?.join("livecert"),
    };
    let world = World::start(&program)?;
    let mut instructions = instructions::Table::default();
    instructions.add("`--version`", &world, &["--version".to_owned()])?;
    instructions.add("`issue` of one name", &world, &world.issue_words("counted.zone0000.example"))?;
    let count = words.certificates as usize;
    world.fill(count)?;
    let many = large::thousands(count as u64);
    instructions.add(&format!("`list`, {many} certificates"), &world, &["list".to_owned()])?;
    instructions.add(&format!("`renew`, {many} certificates, none due"), &world, &["renew".to_owned()])?;
    let document = root().join(DOCUMENT);
    let write = |marks: &Marks, text: &str| {
        say(text);
        if words.dry_run { Ok(()) } else { marks.fill(&document, text) }
    };
    write(&MARKS, &format!("{}\n{}", instructions.text(), large::table(&world, count)?))?;
    if !words.no_benches {
        write(&PARTS, &benches::table()?)?;
    }
    // It may be on another file system, where nothing can be renamed to.
    if let Some(folder) = &words.keep {
        let kept = Command::new("cp").arg("-a").arg(world.testbed.home()).arg(folder).status()?;
        if !kept.success() {
            return Err(format!("the store could not be copied to {}", folder.display()).into());
        }
    }
    Ok(())
}

/// Servers, and a store on which livecert is run.
struct World {
    testbed: Testbed,
    program: PathBuf,
}

impl World {
    fn start(program: &Path) -> Result<Self, Failure> {
        let (zone, pebble) =
            ("zone0000.example".to_owned(), PebbleOptions { nonce_reject: 0, ..PebbleOptions::default() });
        let testbed = Testbed::start(&Options { zones: vec![zone], pebble, ..Options::default() })?;
        testbed.secret_file("gandi.pat", PAT)?;
        Ok(World { testbed, program: program.to_owned() })
    }

    /// The command as it is.
    fn livecert(&self) -> Livecert {
        self.testbed.livecert(&self.program)
    }

    /// Runs the command below another one, such as `strace`, which has `words` before the command's own.
    fn below(&self, program: &str, words: &[String], own: &[String]) -> Result<testbed::Outcome, Failure> {
        let mut all = words.to_vec();
        all.push(self.program.display().to_string());
        all.extend_from_slice(own);
        let outcome = self.testbed.livecert(Path::new(program)).run(&all)?;
        // What needs a person is no failure of the command.
        if matches!(outcome.status, Some(0 | 4)) {
            return Ok(outcome);
        }
        Err(format!("{program} {}: {}", all.join(" "), outcome.stderr).into())
    }

    /// The words of an issue for one name, in the zone that is there.
    fn issue_words(&self, name: &str) -> Vec<String> {
        let mut words = vec!["issue".to_owned(), name.to_owned(), "--force".to_owned()];
        words.extend(self.testbed.issue_words());
        let token = self.testbed.folder().join("gandi.pat");
        words.extend(["--plugin-arg".to_owned(), format!("GandiPAT=file:{}", token.display())]);
        words
    }

    /// Gets one certificate, has a run look at it, so that the CA has been asked when to renew it, and multiplies it; after
    /// one more run there is nothing in the store that a run would write for the first time.
    fn fill(&self, count: usize) -> Result<(), Failure> {
        let first = name_in_a_thousand_zones(0);
        self.succeed(&self.issue_words(&first))?;
        let renew = ["renew".to_owned()];
        self.succeed(&renew)?;
        testbed::multiply(&self.testbed.home(), &first, (1..count).map(name_in_a_thousand_zones))?;
        self.succeed(&renew)
    }

    fn succeed(&self, words: &[String]) -> Result<(), Failure> {
        let outcome = self.livecert().run(words)?;
        if outcome.status == Some(0) { Ok(()) } else { Err(outcome.stderr.into()) }
    }
}
