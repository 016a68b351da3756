//! A run as a picture: latency by percentile, and throughput over time, in one
//! SVG that needs nothing else and follows the reader's light or dark theme.

use std::fmt::Display;
use std::fs;
use std::path::Path;

use plotters::coord::Shift;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, ValueFormatter};
use plotters::prelude::*;

use super::BenchError;
use super::latency::Latencies;
use super::report::Report;
use super::run::SLOTS_PER_SECOND;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Axes<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<Scale, Scale>>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

const SIZE: (u32, u32) = (960, 760);
/// Of the title; the panels share the rest.
const TITLE_HEIGHT: u32 = 64;
const LATENCY_HEIGHT: u32 = 420;

// In the light theme; [`style`] exchanges them in the dark one, so each is used
// for one thing only.
const PAPER: RGBColor = RGBColor(255, 255, 255);
const INK: RGBColor = RGBColor(31, 35, 40);
const AXIS: RGBColor = RGBColor(89, 99, 110);
const GRID: RGBColor = RGBColor(216, 222, 228);
const DELIVERY: RGBColor = RGBColor(9, 105, 218);
const ANSWER: RGBColor = RGBColor(188, 76, 0);
const THROUGHPUT: RGBColor = RGBColor(26, 127, 55);

/// The dark theme's colour for each of them.
const DARK: [(RGBColor, &str); 7] = [
    (PAPER, "#0D1117"),
    (INK, "#E6EDF3"),
    (AXIS, "#9198A1"),
    (GRID, "#30363D"),
    (DELIVERY, "#58A6FF"),
    (ANSWER, "#F0883E"),
    (THROUGHPUT, "#3FB950"),
];

/// Draws a run into a file.
///
/// # Errors
/// The file cannot be written.
pub fn write(path: &Path, report: &Report) -> Result<(), BenchError> {
    let failed = |e: &dyn Display| BenchError(format!("{} cannot be written: {e}", path.display()));
    let svg = draw(report).map_err(|e| failed(&e))?;
    fs::write(path, svg).map_err(|e| failed(&e))
}

fn draw(report: &Report) -> Result<String, Box<dyn std::error::Error>> {
    let mut svg = String::new();
    {
        let page = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        page.fill(&PAPER)?;
        let (title, panels) = page.split_vertically(TITLE_HEIGHT);
        let bold = ("sans-serif", 24).into_font().style(FontStyle::Bold).color(&INK);
        title.draw_text(&format!("ChatBench {}", report.mode), &bold, (24, 14))?;
        let small = ("sans-serif", 16).into_font().color(&AXIS);
        title.draw_text(&report.headline(), &small, (24, 42))?;
        let (upper, lower) = panels.split_vertically(LATENCY_HEIGHT);
        latency(&upper, report)?;
        throughput(&lower, report)?;
        page.present()?;
    }
    // Right behind the opening tag.
    let head = svg.find('>').map_or(0, |at| at + 1);
    svg.insert_str(head, &style());
    Ok(svg)
}

/// The rules that exchange the colours for a reader who likes it dark.
fn style() -> String {
    let mut rules = String::new();
    for (RGBColor(r, g, b), dark) in DARK {
        let light = format!("#{r:02X}{g:02X}{b:02X}");
        rules.push_str(&format!("[fill=\"{light}\"]{{fill:{dark}}}"));
        rules.push_str(&format!("[stroke=\"{light}\"]{{stroke:{dark}}}"));
    }
    format!(
        "\n<style>text{{font-family:system-ui,sans-serif}}\
         @media(prefers-color-scheme:dark){{{rules}}}</style>"
    )
}

// ---- latency ----

/// Where a percentile stands: each further nine is as wide as the first.
fn nines(percent: f64) -> f64 {
    -(1.0 - percent / 100.0).log10()
}

/// And back, as a label.
fn percentile(nines: f64) -> String {
    format!("{} %", trimmed(100.0 - 100.0 * 10_f64.powf(-nines)))
}

/// Points of a curve, as (nines, log10 of microseconds), as far as there is
/// more than one sample beyond.
fn curve(latencies: &Latencies) -> Vec<(f64, f64)> {
    const STEPS_PER_NINE: f64 = 50.0;
    let last = (latencies.count() as f64).log10().min(5.0);
    let steps = (last * STEPS_PER_NINE) as u32;
    let point = |step: u32| {
        let nines = f64::from(step) / STEPS_PER_NINE;
        let percent = 100.0 - 100.0 * 10_f64.powf(-nines);
        let us = latencies.percentile(percent).as_secs_f64() * 1e6;
        (nines, us.max(0.1).log10())
    };
    // From the first step on: the very least is only one sample.
    (1..=steps).map(point).collect()
}

fn latency(area: &Area<'_>, report: &Report) -> Drawn {
    let m = &report.measured;
    let curves = [
        ("delivery: from the intended sending to the copy's arrival", &m.delivery, DELIVERY),
        ("answer: from the intended sending to the server's answer", &m.answer, ANSWER),
    ];
    let curves: Vec<_> = curves
        .into_iter()
        .filter(|(_, latencies, _)| latencies.count() > 0)
        .map(|(name, latencies, colour)| (name, curve(latencies), colour))
        .collect();
    let all = || curves.iter().flat_map(|(_, points, _)| points.iter());
    let last = all().map(|(x, _)| *x).fold(2.0, f64::max);
    let least = all().map(|(_, y)| *y).fold(f64::INFINITY, f64::min);
    let most = all().map(|(_, y)| *y).fold(f64::NEG_INFINITY, f64::max);
    let (least, most) = if least < most { (least, most) } else { (2.0, 4.0) };
    let (bottom, top) = (least - 0.1, most + 0.35);
    let percents = [50.0, 90.0, 99.0, 99.9, 99.99, 99.999];
    let x = Scale { range: 0.0..last, ticks: percents.map(nines).to_vec(), label: percentile };
    let y = Scale {
        range: bottom..top,
        ticks: log_ticks(bottom, top),
        label: |log_us| time(10_f64.powf(log_us)),
    };
    let mut axes = chart(area, "Latency by percentile").build_cartesian_2d(x, y)?;
    grid(&mut axes, "percentile", "latency (log)")?;
    for (name, points, colour) in curves {
        line(&mut axes, name, points, colour)?;
    }
    legend(&mut axes, SeriesLabelPosition::UpperLeft)
}

/// 1, 2 and 5 of each power of ten, or only the powers where those are many.
fn log_ticks(bottom: f64, top: f64) -> Vec<f64> {
    let steps: &[f64] = if top - bottom > 3.0 { &[1.0] } else { &[1.0, 2.0, 5.0] };
    let powers = bottom.floor() as i32..=top.ceil() as i32;
    let ticks = powers.flat_map(|power| steps.iter().map(move |s| s.log10() + f64::from(power)));
    ticks.filter(|tick| (bottom..=top).contains(tick)).collect()
}

/// Microseconds as people write them.
fn time(us: f64) -> String {
    match us {
        s if s >= 0.999e6 => format!("{} s", trimmed(s / 1e6)),
        ms if ms >= 999.0 => format!("{} ms", trimmed(ms / 1e3)),
        us => format!("{} µs", trimmed(us)),
    }
}

/// Three decimals at most, without what is only noise.
fn trimmed(figure: f64) -> String {
    let text = format!("{figure:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

// ---- throughput ----

fn throughput(area: &Area<'_>, report: &Report) -> Drawn {
    let m = &report.measured;
    let (name, slots, colour) = match m.received {
        0 => ("messages answered", &m.answered_over_time, ANSWER),
        _ => ("copies delivered", &m.received_over_time, THROUGHPUT),
    };
    let per_slot = SLOTS_PER_SECOND as f64;
    // One that has hardly begun would look like a break-down.
    let whole = (m.time.as_secs_f64() * per_slot).round();
    let slot = |at: usize| slots.get(at).copied().unwrap_or(0) as f64 * per_slot;
    // Each at the middle of its time.
    let points: Vec<(f64, f64)> =
        (0..whole as usize).map(|at| ((at as f64 + 0.5) / per_slot, slot(at))).collect();
    let most = points.iter().map(|(_, rate)| *rate).fold(1.0, f64::max) * 1.3;
    let seconds = whole.max(1.0) / per_slot;
    let x = Scale {
        range: 0.0..seconds,
        ticks: even_ticks(seconds, 10.0),
        label: |seconds| format!("{} s", trimmed(seconds)),
    };
    let y = Scale { range: 0.0..most, ticks: even_ticks(most, 5.0), label: count };
    let mut axes = chart(area, "Throughput").build_cartesian_2d(x, y)?;
    grid(&mut axes, "time since the warm-up", "per second")?;
    let under = AreaSeries::new(points.iter().copied(), 0.0, colour.mix(0.15));
    axes.draw_series(under)?;
    line(&mut axes, name, points, colour)?;
    legend(&mut axes, SeriesLabelPosition::UpperRight)
}

/// Round figures from 0 on, at most so many.
fn even_ticks(top: f64, most: f64) -> Vec<f64> {
    let power = 10_f64.powf((top / most).log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
    let step = steps.into_iter().find(|step| top / step <= most).unwrap_or(power * 10.0);
    (0..=(top / step + 1e-6) as u32).map(|number| f64::from(number) * step).collect()
}

/// 12 k, 1.5 M.
fn count(figure: f64) -> String {
    match figure {
        millions if millions >= 1e6 => format!("{} M", trimmed(millions / 1e6)),
        thousands if thousands >= 1e3 => format!("{} k", trimmed(thousands / 1e3)),
        few => trimmed(few),
    }
}

// ---- both ----

/// An axis with ticks where we want them.
struct Scale {
    range: std::ops::Range<f64>,
    ticks: Vec<f64>,
    label: fn(f64) -> String,
}

impl Ranged for Scale {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        let share = (value - self.range.start) / (self.range.end - self.range.start);
        from + (share * f64::from(to - from)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        let shown = |tick: &&f64| (self.range.start..=self.range.end + 1e-9).contains(*tick);
        self.ticks.iter().filter(shown).copied().collect()
    }

    fn range(&self) -> std::ops::Range<f64> {
        self.range.clone()
    }
}

impl ValueFormatter<f64> for Scale {
    fn format_ext(&self, value: &f64) -> String {
        (self.label)(*value)
    }
}

fn chart<'a, 'b>(area: &'a Area<'b>, caption: &str) -> ChartBuilder<'a, 'b, SVGBackend<'b>> {
    let mut chart = ChartBuilder::on(area);
    let font = ("sans-serif", 19).into_font().color(&INK);
    chart.caption(caption, font).margin_left(16).margin_right(32).margin_bottom(8);
    chart.x_label_area_size(48).y_label_area_size(84);
    chart
}

fn grid(axes: &mut Axes<'_, '_>, x: &str, y: &str) -> Drawn {
    let font = || ("sans-serif", 15).into_font().color(&AXIS);
    let mut mesh = axes.configure_mesh();
    mesh.axis_style(AXIS).bold_line_style(GRID).light_line_style(TRANSPARENT);
    mesh.label_style(font()).axis_desc_style(font()).x_desc(x).y_desc(y);
    mesh.draw()?;
    Ok(())
}

fn line(axes: &mut Axes<'_, '_>, name: &str, points: Vec<(f64, f64)>, colour: RGBColor) -> Drawn {
    let style = colour.stroke_width(2);
    axes.draw_series(LineSeries::new(points, style))?
        .label(name)
        .legend(move |(x, y)| PathElement::new([(x, y), (x + 22, y)], style));
    Ok(())
}

fn legend<'b: 'a, 'a>(axes: &mut Axes<'a, 'b>, position: SeriesLabelPosition) -> Drawn {
    let font = ("sans-serif", 15).into_font().color(&INK);
    let mut labels = axes.configure_series_labels();
    labels.position(position).label_font(font).legend_area_size(30).margin(10);
    labels.background_style(PAPER).border_style(GRID);
    labels.draw()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round() {
        assert_eq!(even_ticks(5.0, 5.0), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(even_ticks(130_000.0, 5.0), [0.0, 50_000.0, 100_000.0]);
        assert_eq!(log_ticks(1.9, 3.0).len(), 4, "100, 200, 500 and 1000");
        assert_eq!(log_ticks(0.0, 4.0), [0.0, 1.0, 2.0, 3.0, 4.0]);
    }

    #[test]
    fn figures_are_written_as_people_do() {
        assert_eq!([20.0, 1000.0, 2.5e6].map(time), ["20 µs", "1 ms", "2.5 s"]);
        assert_eq!([500.0, 12_000.0, 1.5e6].map(count), ["500", "12 k", "1.5 M"]);
        assert_eq!((nines(90.0), nines(99.9).round()), (1.0, 3.0));
    }
}
