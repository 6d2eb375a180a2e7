//! Tables as text: columns as wide as what is in them, numbers to the right.

use crate::ui::harmless;

/// How a column stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// A table that is being filled.
#[derive(Clone, Debug)]
pub struct TextTable {
    heads: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

impl TextTable {
    /// A table with these columns. A head that begins with `>` is of a column of numbers.
    #[must_use]
    pub fn new(heads: &[&'static str]) -> Self {
        let heads = heads.iter().map(|head| match head.strip_prefix('>') {
            Some(head) => (head, Align::Right),
            None => (*head, Align::Left),
        });
        Self {
            heads: heads.collect(),
            rows: Vec::new(),
        }
    }

    /// One more row. What came from a node is made harmless for a terminal.
    pub fn row<S: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = S>) {
        let cells = cells.into_iter().map(|cell| harmless(cell.as_ref()));
        self.rows.push(cells.collect());
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The lines, without blanks at their ends.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let width = |text: &str| text.chars().count();
        let widths: Vec<usize> = (0..self.heads.len())
            .map(|column| {
                let cells = self.rows.iter().filter_map(|row| row.get(column));
                let widest = cells.map(|cell| width(cell)).max().unwrap_or(0);
                widest.max(width(self.heads[column].0))
            })
            .collect();
        let heads = self.heads.iter().map(|(head, _)| (*head).to_owned());
        let all = std::iter::once(heads.collect::<Vec<_>>()).chain(self.rows.iter().cloned());
        all.map(|row| {
            let cells = row.iter().zip(&widths).zip(&self.heads);
            let cells = cells.map(|((cell, wide), (_, align))| {
                let blanks = " ".repeat(wide - width(cell));
                match align {
                    Align::Left => format!("{cell}{blanks}"),
                    Align::Right => format!("{blanks}{cell}"),
                }
            });
            let line = cells.collect::<Vec<_>>().join("  ");
            line.trim_end().to_owned()
        })
        .collect()
    }
}

/// A count with its thousands apart.
#[must_use]
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The same of a number that may be below 0.
pub fn signed(number: i64) -> String {
    let sign = if number < 0 { "-" } else { "" };
    format!("{sign}{}", count(number.unsigned_abs()))
}

/// Bytes in the unit in which they have two to four digits.
#[must_use]
pub fn bytes(number: u64) -> String {
    let mut value = number as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024.0 || unit == "GiB" {
            let digits = usize::from(unit != "B" && value < 100.0);
            return format!("{value:.digits$} {unit}");
        }
        value /= 1024.0;
    }
    unreachable!("the last unit takes all")
}

/// A time in the unit in which it has two to four digits.
#[must_use]
pub fn time(nanoseconds: u64) -> String {
    let value = nanoseconds as f64;
    match nanoseconds {
        0..1_000 => format!("{nanoseconds} ns"),
        1_000..1_000_000 => format!("{:.1} us", value / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} ms", value / 1e6),
        1_000_000_000..120_000_000_000 => format!("{:.1} s", value / 1e9),
        _ => {
            let seconds = nanoseconds / 1_000_000_000;
            let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
            match hours {
                0 => format!("{minutes}:{:02} min", seconds % 60),
                _ => format!("{hours}:{minutes:02}:{:02} h", seconds % 60),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let mut table = TextTable::new(&["NAME", ">QUEUE", "WAITS FOR"]);
        table.row(["größer", "16/16", ""]);
        table.row(["b\x1b[2J", "0", "nothing"]);
        assert_eq!(
            table.lines(),
            [
                "NAME        QUEUE  WAITS FOR",
                "größer      16/16",
                "b\\u{1b}[2J      0  nothing",
            ]
        );
    }

    #[test]
    fn numbers_have_their_units() {
        assert_eq!(signed(-1_614), "-1,614");
        assert_eq!(signed(i64::MAX), "9,223,372,036,854,775,807");
        assert_eq!(
            ["0", "999", "1,000", "1,234,567"],
            [0, 999, 1000, 1_234_567].map(count)
        );
        let of = [0, 1023, 65_536, 150 << 20, 3 << 40].map(bytes);
        assert_eq!(of, ["0 B", "1023 B", "64.0 KiB", "150 MiB", "3072 GiB"]);
        let of = [999, 59_900, 1_500_000, 90_000_000_000, 3_723_000_000_000].map(time);
        assert_eq!(of, ["999 ns", "59.9 us", "1.5 ms", "90.0 s", "1:02:03 h"]);
    }
}
