//! What lives at the lower edge of the terminal: where the time goes, for one certificate in a few lines, for many in a
//! line each and a total.

use std::collections::BTreeMap;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use livecert::certificate::RenewalResult;
use livecert::dns::WatchedServer;
use livecert::progress::{Event, Step};
use livecert::store::CertName;

use super::words::{self, count};
use crate::screen::{Screen, cut_end, cut_middle, harmless, width};

/// How much room there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) width: usize,
    pub(crate) height: usize,
}

/// The work that is under way. All moments are counted from one beginning.
#[derive(Debug, Default)]
pub(super) struct Board {
    /// How many certificates the run is about; `None` if it is about one.
    total: Option<usize>,
    running: Vec<Course>,
    /// Whether it failed, of each one that has ended.
    ended: BTreeMap<CertName, bool>,
}

/// The way of one certificate.
#[derive(Debug)]
struct Course {
    cert: CertName,
    begun: Duration,
    legs: Vec<Leg>,
    servers: Vec<WatchedServer>,
    /// What happens beside the steps, such as a hook.
    note: Option<String>,
    stored: bool,
}

/// One step of it.
#[derive(Debug)]
struct Leg {
    step: Step,
    begun: Duration,
    took: Option<Duration>,
    detail: String,
}

impl Board {
    /// A run begins.
    pub(super) fn begins(&mut self, certificates: usize) {
        self.total = (certificates > 1).then_some(certificates);
    }

    /// Whether it is about many certificates.
    pub(super) fn is_batch(&self) -> bool {
        self.total.is_some()
    }

    /// Where the time went for one certificate, such as `order 40 ms · publish 60 ms`; `None` if nothing is known.
    pub(super) fn times(&self, cert: &CertName, at: Duration, unicode: bool) -> Option<String> {
        let course = self.running.iter().find(|course| course.cert == *cert)?;
        let legs = course
            .legs
            .iter()
            .map(|leg| (leg.step, leg.took.unwrap_or_else(|| at.saturating_sub(leg.begun))));
        let told = legs.filter(|(_, took)| took.as_millis() > 0);
        let told: Vec<String> = told.map(|(step, took)| format!("{} {}", step.word(), time(took))).collect();
        (!told.is_empty()).then(|| told.join(if unicode { " · " } else { ", " }))
    }

    /// Hears of what happens.
    pub(super) fn hear(&mut self, cert: &CertName, event: &Event<'_>, at: Duration) {
        let failed = match event {
            Event::Ended { result: RenewalResult::NotDue(_) | RenewalResult::NeedsPerson } => None,
            Event::Ended { result } => Some(matches!(result, RenewalResult::Failed(_))),
            Event::Settled { error } => Some(error.is_some()),
            event => return self.hear_step(cert, event, at),
        };
        self.running.retain(|course| course.cert != *cert);
        // A deployment may fail after all, at the end of the run.
        if let Some(failed) = failed {
            self.ended.insert(cert.clone(), failed);
        }
    }

    fn hear_step(&mut self, cert: &CertName, event: &Event<'_>, at: Duration) {
        let course = self.course(cert, at);
        match event {
            Event::Begins { step } => course.begin(*step, at),
            Event::Ordered { names, open } => {
                let open = if *open == 0 { "already proved".to_owned() } else { format!("{open} to prove") };
                course.detail(Step::Order, format!("{}, {open}", count(*names, "name")));
            }
            Event::Published { values, .. } => course.detail(Step::Publish, count(*values, "proof")),
            Event::Propagating { servers, .. } => {
                let ready = servers.iter().filter(|server| server.ready == server.all).count();
                course.servers = servers.to_vec();
                course
                    .detail(Step::Propagation, format!("{ready} of {}", count(servers.len(), "name server")));
            }
            Event::Propagated { .. } => course.end(at),
            Event::Stored { .. } => {
                course.end(at);
                course.stored = true;
            }
            event => {
                if let Some(text) = words::step(event) {
                    course.note = Some(text);
                }
            }
        }
    }

    /// The way of a certificate, which may begin with this.
    fn course(&mut self, cert: &CertName, at: Duration) -> &mut Course {
        let index = self.running.iter().position(|course| course.cert == *cert).unwrap_or_else(|| {
            let cert = cert.clone();
            let (legs, servers) = (Vec::new(), Vec::new());
            self.running.push(Course { cert, begun: at, legs, servers, note: None, stored: false });
            self.running.len() - 1
        });
        &mut self.running[index]
    }

    /// The certificates that have begun, and whose certificate is not there.
    pub(super) fn unfinished(&self) -> Vec<CertName> {
        self.running.iter().filter(|course| !course.stored).map(|course| course.cert.clone()).collect()
    }

    /// The lines that are to be seen, at most so many and so long as there is room for.
    pub(super) fn frame(&self, at: Duration, size: Size, screen: Screen) -> Vec<String> {
        // The line below the last one is the cursor's, and one above it shows what was said last.
        let most = size.height.saturating_sub(2).max(1);
        // A terminal may wrap what fills its last column.
        let room = size.width.saturating_sub(1).max(1);
        let pen = Pen { at, room, screen };
        match (self.total, self.running.as_slice()) {
            (None, []) => Vec::new(),
            (None, [course]) if most >= 9 => course.lines(pen),
            (None, courses) => courses.iter().take(most).map(|course| course.line(pen, 24)).collect(),
            (Some(total), courses) => {
                let shown = courses.len().min(most.saturating_sub(1));
                let name = courses.iter().map(|course| width(&pen.name(course))).max().unwrap_or(0);
                let name = name.clamp(8, (room * 2 / 5).max(8));
                let mut lines: Vec<String> =
                    courses[..shown].iter().map(|course| course.line(pen, name)).collect();
                lines.push(self.summary(total, courses.len() - shown, pen));
                lines
            }
        }
    }

    fn summary(&self, total: usize, hidden: usize, pen: Pen) -> String {
        let gap = if pen.screen.unicode { " · " } else { ", " };
        let failed = self.ended.values().filter(|failed| **failed).count();
        let failed = if failed > 0 { format!("{gap}{failed} failed") } else { String::new() };
        let hidden = if hidden > 0 { format!(" ({hidden} not shown)") } else { String::new() };
        let text = format!(
            "{} of {total} done{failed}{gap}{} under way{hidden}{gap}{}",
            self.ended.len(),
            self.running.len(),
            time(pen.at)
        );
        cut_end(&text, pen.room, pen.screen.ellipsis())
    }
}

/// What all lines of a frame have in common.
#[derive(Debug, Clone, Copy)]
struct Pen {
    at: Duration,
    room: usize,
    screen: Screen,
}

impl Pen {
    fn name(self, course: &Course) -> String {
        self.screen.name(course.cert.as_str())
    }

    /// A sign that turns.
    fn spinner(self) -> char {
        let signs = if self.screen.unicode {
            &['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'][..]
        } else {
            &['|', '/', '-', '\\']
        };
        #[allow(clippy::cast_possible_truncation, reason = "only the remainder counts")]
        let turn = (self.at.as_millis() / 100) as usize;
        signs[turn % signs.len()]
    }

    fn done(self) -> &'static str {
        if self.screen.unicode { "✓" } else { "+" }
    }

    fn open(self) -> &'static str {
        if self.screen.unicode { "·" } else { "." }
    }

    fn cut(self, text: &str, indent: usize) -> String {
        cut_end(&harmless(text), self.room.saturating_sub(indent), self.screen.ellipsis())
    }
}

impl Course {
    fn begin(&mut self, step: Step, at: Duration) {
        self.end(at);
        self.note = None;
        // Another server is asked, or another try begins.
        if let Some(known) = self.legs.iter().position(|leg| leg.step >= step) {
            self.legs.truncate(known);
        }
        self.legs.push(Leg { step, begun: at, took: None, detail: String::new() });
    }

    /// The step that is under way has ended.
    fn end(&mut self, at: Duration) {
        if let Some(leg) = self.legs.last_mut() {
            leg.took.get_or_insert_with(|| at.saturating_sub(leg.begun));
        }
    }

    fn detail(&mut self, step: Step, detail: String) {
        if let Some(leg) = self.legs.iter_mut().find(|leg| leg.step == step) {
            leg.detail = detail;
        }
    }

    /// In a line for each step.
    fn lines(&self, pen: Pen) -> Vec<String> {
        let bold = Style::new().bold();
        let name = cut_middle(&pen.name(self), pen.room.saturating_sub(12), pen.screen.ellipsis());
        let all = time(pen.at.saturating_sub(self.begun));
        let mut lines = vec![format!("{bold}{name}{bold:#}  {all}")];
        let (green, dim) = (AnsiColor::Green.on_default(), Style::new().dimmed());
        for step in Step::ALL {
            let word = step.word();
            let Some(leg) = self.legs.iter().find(|leg| leg.step == step) else {
                lines.push(format!("  {dim}{} {word}{dim:#}", pen.open()));
                continue;
            };
            let (sign, took) = match leg.took {
                Some(took) => (format!("{green}{}{green:#}", pen.done()), took),
                None => (pen.spinner().to_string(), pen.at.saturating_sub(leg.begun)),
            };
            let detail = pen.cut(&leg.detail, 28);
            lines.push(format!("  {sign} {word:<11} {:>9}  {detail}", time(took)).trim_end().to_owned());
            if step == Step::Propagation && leg.took.is_none() {
                lines.extend(self.server_line(pen));
            }
        }
        if let Some(note) = &self.note {
            lines.push(format!("  {} {}", pen.spinner(), pen.cut(note, 4)));
        }
        lines
    }

    /// The name servers, each with the time that it took.
    fn server_line(&self, pen: Pen) -> Option<String> {
        const INDENT: usize = 4;
        let mut line = String::new();
        let names: Vec<String> = self.servers.iter().map(|server| harmless(&server.name)).collect();
        let domain = common_domain(&names);
        for (index, (server, name)) in self.servers.iter().zip(&names).enumerate() {
            let name = domain.and_then(|domain| name.strip_suffix(domain)).unwrap_or(name);
            let told = match server.after {
                Some(after) => format!("{} {name} {}", pen.done(), time(after)),
                None => format!("{} {name}", pen.open()),
            };
            let gap = if index == 0 { "" } else { "  " };
            let more = format!("{gap}+{}", self.servers.len() - index);
            // What follows may have to be counted.
            let reserve = if index + 1 < self.servers.len() { 5 } else { 0 };
            if INDENT + width(&line) + width(gap) + width(&told) + reserve > pen.room {
                line.push_str(&more);
                break;
            }
            line.push_str(gap);
            line.push_str(&told);
        }
        (!line.is_empty()).then(|| format!("    {line}"))
    }

    /// All in one line.
    fn line(&self, pen: Pen, name_room: usize) -> String {
        let name = cut_middle(&pen.name(self), name_room, pen.screen.ellipsis());
        let pad = " ".repeat(name_room.saturating_sub(width(&name)));
        let all = time(pen.at.saturating_sub(self.begun));
        let what = match (&self.note, self.legs.last()) {
            (Some(note), _) => note.clone(),
            (None, Some(leg)) if leg.detail.is_empty() => leg.step.word().to_owned(),
            (None, Some(leg)) => format!("{}: {}", leg.step.word(), leg.detail),
            (None, None) => String::new(),
        };
        let used = 2 + name_room + 2 + 9 + 2;
        format!("{} {name}{pad}  {all:>9}  {}", pen.spinner(), pen.cut(&what, used)).trim_end().to_owned()
    }
}

/// The domain that all of several names are in, with the dot in front: it need not be repeated.
fn common_domain(names: &[String]) -> Option<&str> {
    let (first, rest) = names.split_first()?;
    let domain = &first[first.find('.')?..];
    let has_it = |name: &String| name.len() > domain.len() && name.ends_with(domain);
    let is_name = first.parse::<std::net::IpAddr>().is_err();
    (is_name && !rest.is_empty() && rest.iter().all(has_it)).then_some(domain)
}

/// A time as people say it.
pub(super) fn time(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0 => format!("{} ms", time.as_millis()),
        1..10 => format!("{:.1} s", time.as_secs_f64()),
        10..120 => format!("{seconds} s"),
        _ => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Size = Size { width: 80, height: 24 };
    const LARGE: Size = Size { width: 200, height: 50 };

    fn cert(name: &str) -> CertName {
        name.parse().unwrap()
    }

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn server(name: &str, after: Option<u64>) -> WatchedServer {
        WatchedServer { name: name.to_owned(), all: 2, ready: after.map_or(1, |_| 2), after: after.map(at) }
    }

    /// A certificate that waits for its name servers.
    fn waiting(board: &mut Board, name: &str, begun: u64) {
        let cert = cert(name);
        let mut hear = |event: Event<'_>, after: u64| board.hear(&cert, &event, at(begun + after));
        hear(Event::Begins { step: Step::Order }, 0);
        hear(Event::Ordered { names: 3, open: 2 }, 38);
        hear(Event::Begins { step: Step::Publish }, 40);
        hear(Event::Published { values: 2, took: at(60) }, 100);
        hear(Event::Begins { step: Step::Propagation }, 101);
        let servers = [
            ("ns-132-a.gandi.net", Some(400)),
            ("ns-157-b.gandi.net", None),
            ("ns-202-c.gandi.net", Some(1300)),
        ]
        .map(|(name, after)| server(name, after));
        hear(Event::Propagating { ready: 5, all: 6, servers: &servers }, 1500);
    }

    fn drawn(board: &Board, millis: u64, size: Size, unicode: bool) -> String {
        let screen = Screen { width: Some(size.width), unicode };
        let lines = board.frame(at(millis), size, screen);
        assert!(lines.len() < size.height.max(2), "{lines:?}");
        let plain: Vec<String> =
            lines.iter().map(|line| anstream::adapter::strip_str(line).to_string()).collect();
        assert!(plain.iter().all(|line| width(line) < size.width), "{plain:?}");
        plain.join("\n")
    }

    #[test]
    fn one_certificate_is_told_step_by_step() {
        let mut board = Board::default();
        waiting(&mut board, "xn--bcher-kva.example", 0);
        insta::assert_snapshot!("one_80", drawn(&board, 2340, SMALL, true));
        insta::assert_snapshot!("one_200", drawn(&board, 2340, LARGE, true));
        insta::assert_snapshot!("one_ascii", drawn(&board, 2340, SMALL, false));
        insta::assert_snapshot!("one_narrow", drawn(&board, 2340, Size { width: 40, height: 24 }, true));
        insta::assert_snapshot!("one_low", drawn(&board, 2340, Size { width: 80, height: 5 }, true));
        let cert = cert("xn--bcher-kva.example");
        board.hear(&cert, &Event::Begins { step: Step::Validation }, at(2400));
        board.hear(&cert, &Event::Begins { step: Step::Finalize }, at(3200));
        board.hear(&cert, &Event::Stored { generation: 2 }, at(3320));
        assert!(board.unfinished().is_empty());
        let hook = Event::HookBegins { kind: "deploy", command: "systemctl reload nginx" };
        board.hear(&cert, &hook, at(3330));
        insta::assert_snapshot!("one_hook", drawn(&board, 3400, SMALL, true));
        let times = board.times(&cert, at(9000), true).unwrap();
        assert_eq!(
            times,
            "order 40 ms · publish 61 ms · propagation 2.3 s · validation 800 ms · finalize 120 ms"
        );
        assert!(!board.times(&cert, at(9000), false).unwrap().contains('·'));
    }

    #[test]
    fn many_are_told_in_a_line_each_and_never_in_more_than_there_is_room_for() {
        let mut board = Board::default();
        board.begins(40);
        for number in 0..30_u64 {
            waiting(&mut board, &format!("host-{number}.a-rather-long-name.example.com"), number * 50);
        }
        let stored = RenewalResult::NotDue(jiff::Timestamp::UNIX_EPOCH);
        board.hear(
            &cert("host-0.a-rather-long-name.example.com"),
            &Event::Ended { result: &stored },
            at(2000),
        );
        let failed = RenewalResult::Failed(Box::new(livecert::certificate::CertificateError::NoNames));
        board.hear(
            &cert("host-1.a-rather-long-name.example.com"),
            &Event::Ended { result: &failed },
            at(2000),
        );
        // One that was never begun does not count.
        board.hear(&cert("idle.example.com"), &Event::Ended { result: &stored }, at(2000));
        insta::assert_snapshot!("batch_80", drawn(&board, 2500, Size { width: 80, height: 12 }, true));
        insta::assert_snapshot!("batch_200", drawn(&board, 2500, Size { width: 200, height: 12 }, true));
        for height in 1..60 {
            for width in [40, 60, 80, 120] {
                drawn(&board, 2500, Size { width, height }, true);
            }
        }
    }

    #[test]
    fn another_try_begins_anew() {
        let mut board = Board::default();
        waiting(&mut board, "example.com", 0);
        board.hear(&cert("example.com"), &Event::Begins { step: Step::Order }, at(5000));
        assert_eq!(board.times(&cert("example.com"), at(5100), true).unwrap(), "order 100 ms");
    }
}
