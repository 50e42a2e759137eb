//! Dates for templates: UTC, and the codes of `strftime` that templates use.

/// A moment as seconds since 1970-01-01 00:00 UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment(pub i64);

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = [
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
];

impl Moment {
    /// This moment, by the system's clock.
    pub fn now() -> Self {
        let since = std::time::SystemTime::UNIX_EPOCH.elapsed();
        Self(since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(0)))
    }

    /// Year, month from 1 and day from 1 (Howard Hinnant's `civil_from_days`).
    fn date(self) -> (i64, i64, i64) {
        let days = self.0.div_euclid(86_400) + 719_468;
        let era = days.div_euclid(146_097);
        let day_of_era = days.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted + 2) / 5 + 1;
        let month = if shifted < 10 {
            shifted + 3
        } else {
            shifted - 9
        };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        (year, month, day)
    }

    /// `format` with its codes filled in; a code that is not known stays as it is.
    pub(super) fn format(self, format: &str) -> String {
        let (year, month, day) = self.date();
        let month_name = MONTHS[(month - 1).clamp(0, 11) as usize];
        let day_name = DAYS[self.0.div_euclid(86_400).rem_euclid(7) as usize];
        let second = self.0.rem_euclid(86_400);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        let mut text = String::with_capacity(format.len() + 16);
        let mut chars = format.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                text.push(c);
                continue;
            }
            match chars.next() {
                Some('Y') => text += &year.to_string(),
                Some('y') => text += &format!("{:02}", year.rem_euclid(100)),
                Some('m') => text += &format!("{month:02}"),
                Some('d') => text += &format!("{day:02}"),
                Some('e') => text += &format!("{day:2}"),
                Some('B') => text += month_name,
                Some('b' | 'h') => text += &month_name[..3],
                Some('A') => text += day_name,
                Some('a') => text += &day_name[..3],
                Some('H') => text += &format!("{hour:02}"),
                Some('I') => text += &format!("{:02}", (hour + 11) % 12 + 1),
                Some('p') => text += if hour < 12 { "AM" } else { "PM" },
                Some('M') => text += &format!("{minute:02}"),
                Some('S') => text += &format!("{second:02}"),
                Some('F') => text += &format!("{year}-{month:02}-{day:02}"),
                Some('T') => text += &format!("{hour:02}:{minute:02}:{second:02}"),
                Some('%') => text.push('%'),
                Some(other) => text.extend(['%', other]),
                None => text.push('%'),
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::Moment;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let show = |seconds| Moment(seconds).format("%A %d %b %Y %H:%M:%S %I%p %q 100%%");
        assert_eq!(show(0), "Thursday 01 Jan 1970 00:00:00 12AM %q 100%");
        assert_eq!(
            show(951_782_399),
            "Monday 28 Feb 2000 23:59:59 11PM %q 100%"
        );
        assert_eq!(
            show(951_782_400),
            "Tuesday 29 Feb 2000 00:00:00 12AM %q 100%"
        );
        assert_eq!(
            show(1_733_443_200),
            "Friday 06 Dec 2024 00:00:00 12AM %q 100%"
        );
    }
}
