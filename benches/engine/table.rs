//! The one table that is printed, and the median of a few runs.

/// Rows of: what, the engine's figure, what it is held against, their ratio.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<[String; 4]>,
}

impl Table {
    /// Adds a row, and shows it at once on stderr.
    pub(crate) fn row(&mut self, what: String, figure: String, against: String, ratio: String) {
        eprintln!("{what}: {figure}; {against}; {ratio}");
        self.rows.push([what, figure, against, ratio]);
    }

    /// Prints what there is.
    pub(crate) fn print(&self) {
        let heads = ["what", "measured", "against", "ratio"].map(str::to_owned);
        let width = |column: usize| self.rows.iter().chain([&heads]).map(|row| row[column].len()).max();
        let widths = [0, 1, 2, 3].map(|column| width(column).unwrap_or(0));
        for row in [&heads].into_iter().chain(&self.rows) {
            let [what, figure, against, ratio] = row;
            let [a, b, c, d] = widths;
            println!("{what:<a$}  {figure:>b$}  {against:>c$}  {ratio:>d$}");
        }
    }
}

/// The middle one.
pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
