//! When certificates and tokens end, and when renewals are planned, as a drawing (SVG).

use jiff::{SignedDuration, Timestamp};
use livecert::certificate::Standing;

use super::html::Html;
use super::tone;
use crate::command::standing::day;

/// More lines than these are no drawing any more; the table has them all.
const LINES: usize = 60;
/// Sizes in the drawing's own units.
const WIDTH: f64 = 960.0;
const NAMES: f64 = 270.0;
const RIGHT: f64 = 20.0;
const LINE: f64 = 24.0;
const TOP: f64 = 34.0;
/// How many characters of a name have room.
const NAME: usize = 36;

/// Where moments are.
struct Scale {
    from: Timestamp,
    seconds: f64,
}

impl Scale {
    /// From a little before now to a little after the last end.
    fn new(all: &[Standing], now: Timestamp) -> Self {
        let day = SignedDuration::from_hours(24);
        // A certificate of many years would press all else together.
        let farthest = now.checked_add(day * 400).unwrap_or(now);
        let nearest = now.checked_add(day * 7).unwrap_or(now);
        let last = all.iter().filter_map(|one| one.not_after).max().unwrap_or(now).clamp(nearest, farthest);
        let margin = last.duration_since(now) / 20;
        let from = now.checked_sub(margin).unwrap_or(now);
        Scale { from, seconds: (last.duration_since(from) + margin).as_secs_f64().max(1.0) }
    }

    /// Whether a moment has its place: the ends of tokens may be far away, and the table of tokens has them.
    fn has(&self, at: Timestamp) -> bool {
        (0.0..=self.seconds).contains(&at.duration_since(self.from).as_secs_f64())
    }

    fn x(&self, at: Timestamp) -> f64 {
        let share = at.duration_since(self.from).as_secs_f64() / self.seconds;
        NAMES + share.clamp(0.0, 1.0) * (WIDTH - NAMES - RIGHT)
    }
}

/// Draws it.
pub(super) fn draw(html: &mut Html, all: &[Standing], now: Timestamp) {
    let shown = &all[..all.len().min(LINES)];
    let scale = Scale::new(shown, now);
    #[allow(clippy::cast_precision_loss, reason = "there are at most 60")]
    let height = TOP + LINE * shown.len() as f64 + 8.0;
    html.raw("<section id=\"timeline\">\n<h2>Ends and renewals</h2>\n");
    html.raw("<svg role=\"img\" aria-label=\"When certificates and tokens end, and when renewals are planned\" viewBox=\"0 0 ");
    html.number(WIDTH).raw(" ").number(height).raw("\">\n");
    let x = scale.x(now);
    months(html, &scale, x, height);
    vertical(html, "now", x, height);
    label(html, "now", x, "middle", "now");
    let mut y = TOP;
    for one in shown {
        line(html, one, &scale, now, y);
        y += LINE;
    }
    html.raw("</svg>\n<p class=\"key\"><span class=\"bar\"></span> valid until <span class=\"due\"></span> planned renewal ");
    html.raw("<span class=\"token\"></span> end of its token</p>\n");
    if let more @ 1.. = all.len() - shown.len() {
        html.raw("<p>").text(&format!("{more} more, renewed later, are in the table.")).raw("</p>\n");
    }
    html.raw("</section>\n");
}

fn line(html: &mut Html, one: &Standing, scale: &Scale, now: Timestamp, y: f64) {
    let name = livecert::certificate::readable(one.cert.as_str());
    html.raw("<g class=\"").raw(tone(one.worst)).raw("\"><title>").text(&name).raw(": ");
    html.text(&match (one.not_after, one.renew_at) {
        (Some(end), Some(at)) => format!("ends {}, renewal {}", day(end), day(at)),
        _ => "no certificate yet".to_owned(),
    });
    html.raw("</title><text class=\"name\" x=\"").number(NAMES - 10.0).raw("\" y=\"").number(y + 15.0);
    html.raw("\" text-anchor=\"end\">").text(&crate::screen::cut_middle(&name, NAME, "…")).raw("</text>");
    if let Some(end) = one.not_after {
        let (from, to) = (scale.x(one.not_before.unwrap_or(now)), scale.x(end));
        html.raw("<rect class=\"life\" x=\"").number(from).raw("\" y=\"").number(y + 5.0).raw("\" width=\"");
        html.number((to - from).max(2.0)).raw("\" height=\"13\" rx=\"3\"/>");
    }
    if let Some(at) = one.renew_at {
        html.raw("<rect class=\"due\" x=\"").number(scale.x(at) - 1.5).raw("\" y=\"").number(y + 2.0);
        html.raw("\" width=\"3\" height=\"19\"/>");
    }
    if let Some(token) = one.credential.as_ref().filter(|token| scale.has(token.ends)) {
        html.raw("<circle class=\"token\" cx=\"")
            .number(scale.x(token.ends))
            .raw("\" cy=\"")
            .number(y + 11.5);
        html.raw("\" r=\"4.5\"/>");
    }
    html.raw("</g>\n");
}

/// A line and a name at the beginning of each month, or of each third one where there are many.
fn months(html: &mut Html, scale: &Scale, now: f64, height: f64) {
    let Some(first) = scale.from.to_zoned_datetime(jiff::tz::TimeZone::system()).first_of_month().ok() else {
        return;
    };
    let step = if scale.seconds > 200.0 * 86_400.0 { 2 } else { 1 };
    for month in (1..=14).filter(|month| month % step == 0) {
        let Ok(begin) = first.checked_add(jiff::Span::new().months(month)).and_then(|at| at.start_of_day())
        else {
            continue;
        };
        let since = begin.timestamp().duration_since(scale.from).as_secs_f64();
        if since > scale.seconds {
            break;
        }
        let x = scale.x(begin.timestamp());
        vertical(html, "month", x, height);
        // Where `now` stands there is no room for another word.
        if (x - now).abs() > 60.0 {
            label(html, "month", x, "middle", &begin.strftime("%b %Y").to_string());
        }
    }
}

fn vertical(html: &mut Html, class: &'static str, x: f64, height: f64) {
    html.raw("<line class=\"")
        .raw(class)
        .raw("\" x1=\"")
        .number(x)
        .raw("\" x2=\"")
        .number(x)
        .raw("\" y1=\"24\" y2=\"");
    html.number(height).raw("\"/>\n");
}

fn label(html: &mut Html, class: &'static str, x: f64, anchor: &'static str, text: &str) {
    html.raw("<text class=\"")
        .raw(class)
        .raw("\" x=\"")
        .number(x)
        .raw("\" y=\"16\" text-anchor=\"")
        .raw(anchor);
    html.raw("\">").text(text).raw("</text>\n");
}
