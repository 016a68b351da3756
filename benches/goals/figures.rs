//! Samples of alternating runs, and what is read from them.

use std::fmt;

/// One figure of every run of one side.
#[derive(Debug, Clone, Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// Adds a run's figure.
    pub fn push(&mut self, figure: f64) {
        self.0.push(figure);
    }

    /// The middle one; of two in the middle their mean.
    pub fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        match sorted.len() {
            0 => f64::NAN,
            odd if odd % 2 == 1 => sorted[middle],
            _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
        }
    }

    /// Each run's figure by that of the other side's run beside it.
    pub fn by(&self, other: &Samples) -> Samples {
        Samples(self.0.iter().zip(&other.0).map(|(one, other)| one / other).collect())
    }

    /// The least and the largest, where there are several.
    fn range_shown(&self) -> String {
        let least = self.0.iter().copied().fold(f64::INFINITY, f64::min);
        let most = self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        match self.0.len() {
            0 | 1 => String::new(),
            _ => format!(" ({}–{})", short(least), short(most)),
        }
    }
}

/// The median and, where there are several, the least and the largest.
impl fmt::Display for Samples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", short(self.median()), self.range_shown())
    }
}

/// What a goal found: its figure, and the sides that it comes from.
#[derive(Debug, Clone)]
pub struct Finding {
    /// What is held against the goal.
    pub figure: f64,
    /// The same as it is shown.
    pub shown: String,
}

impl Finding {
    /// One side's median by the other's; the range is that of the neighbouring
    /// runs' ratios.
    pub fn ratio(one: (&str, &Samples), other: (&str, &Samples), unit: &str) -> Finding {
        let figure = one.1.median() / other.1.median();
        let range = one.1.by(other.1).range_shown();
        let shown = format!(
            "**{figure:.2}**{range}; {} {} {unit}, {} {} {unit}",
            one.0, one.1, other.0, other.1
        );
        Finding { figure, shown }
    }

    /// A figure that is no ratio.
    pub fn plain(samples: &Samples, unit: &str) -> Finding {
        let figure = samples.median();
        Finding { figure, shown: format!("**{}**{} {unit}", short(figure), samples.range_shown()) }
    }

    /// Adds to what is shown.
    #[must_use]
    pub fn note(mut self, text: &str) -> Finding {
        self.shown.push_str("; ");
        self.shown.push_str(text);
        self
    }
}

/// Three digits, more before the point.
pub fn short(figure: f64) -> String {
    match figure.abs() {
        large if large >= 100.0 => format!("{figure:.0}"),
        middle if middle >= 10.0 => format!("{figure:.1}"),
        _ => format!("{figure:.2}"),
    }
}
