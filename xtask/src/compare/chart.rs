//! The same as a picture: bars on a scale by powers of ten, since the clients are that far apart.

const WIDTH: f64 = 760.0;
const LABELS: f64 = 210.0;
const BAR: f64 = 14.0;
/// The left end of the scale, in seconds.
const LEAST: f64 = 0.01;
const MOST: f64 = 1000.0;

/// An SVG picture, readable on a light and on a dark page.
pub(super) fn svg(cases: &[(&str, Vec<(String, f64)>)]) -> String {
    let mut body = String::new();
    let mut top = 10.0;
    for (title, rows) in cases {
        top += 22.0;
        body += &format!("<text class='case' x='0' y='{top}'>{title}</text>\n");
        top += 8.0;
        for (client, wall) in rows {
            body += &bar(client, *wall, top);
            top += BAR + 5.0;
        }
    }
    let scale = [0.01, 0.1, 1.0, 10.0, 100.0, 1000.0].map(|value: f64| {
        let x = place(value);
        format!(
            "<line x1='{x:.1}' x2='{x:.1}' y1='14' y2='{top}'/><text class='scale' x='{x:.1}' y='10'>{value} s</text>\n"
        )
    });
    format!(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' font-family='sans-serif' font-size='12'>\n\
         <style>text{{fill:#222}}.case{{font-weight:bold}}.scale{{font-size:10px;text-anchor:middle;fill:#777}}\
         line{{stroke:#bbb;stroke-width:.5}}.other{{fill:#9aa7b5}}.ours{{fill:#1b7f5a}}\
         @media(prefers-color-scheme:dark){{text{{fill:#ddd}}.scale{{fill:#999}}line{{stroke:#555}}.other{{fill:#667788}}\
         .ours{{fill:#3fbf8f}}}}</style>\n{scale}{body}</svg>\n",
        width = WIDTH + 60.0,
        height = top + 6.0,
        scale = scale.concat(),
    )
}

fn bar(client: &str, wall: f64, top: f64) -> String {
    let (end, middle) = (place(wall), top + BAR - 3.0);
    let class = if client == "livecert" { "ours" } else { "other" };
    format!(
        "<text x='{LABELS}' y='{middle}' text-anchor='end' dx='-6'>{}</text>\
         <rect class='{class}' x='{LABELS}' y='{top}' width='{:.1}' height='{BAR}'/>\
         <text x='{:.1}' y='{middle}' dx='4'>{wall:.2} s</text>\n",
        client,
        end - LABELS,
        end,
    )
}

fn place(seconds: f64) -> f64 {
    let share = (seconds.clamp(LEAST, MOST) / LEAST).log10() / (MOST / LEAST).log10();
    LABELS + share * (WIDTH - LABELS)
}
