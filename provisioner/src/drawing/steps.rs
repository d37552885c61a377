//! Round numbers for the lines of a grid.

/// The next number of the form 1, 2 or 5 times a power of ten. One that is too small by less than `slack` of the value is
/// taken all the same.
pub(crate) fn round_up(value: f64, slack: f64) -> f64 {
    let power = 10_f64.powf(value.max(f64::MIN_POSITIVE).log10().floor());
    let factor = [1.0, 2.0, 5.0]
        .into_iter()
        .find(|factor| factor * power >= value * (1.0 - slack));
    factor.unwrap_or(10.0) * power
}

/// From `first` on in steps, the last not above `last` but for what rounding does to it.
pub(crate) fn ticks(first: f64, last: f64, step: f64) -> Vec<f64> {
    let mut ticks = Vec::new();
    let mut count = 0.0;
    while first + count * step <= last + step * 1e-9 {
        // Never -0.
        ticks.push(first + count * step + 0.0);
        count += 1.0;
    }
    ticks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9
    }

    #[test]
    fn round_numbers_are_one_two_and_five_of_each_power_of_ten() {
        for (value, slack, want) in [
            (0.3, 0.0, 0.5),
            (1.0, 0.0, 1.0),
            (1.001, 0.0, 2.0),
            (1.0005, 0.001, 1.0),
            (21.0, 0.001, 50.0),
            (99.0, 0.001, 100.0),
        ] {
            assert!(
                near(round_up(value, slack), want),
                "{value}: {}",
                round_up(value, slack)
            );
        }
        assert!(round_up(0.0, 0.0) > 0.0, "a step is never nothing");
    }

    #[test]
    fn ticks_end_where_the_axis_does() {
        for (first, last, step, want) in [
            (0.0, 0.3, 0.1, vec![0.0, 0.1, 0.2, 0.3]),
            (-1.0, 1.5, 1.0, vec![-1.0, 0.0, 1.0]),
            (2.0, 1.0, 1.0, vec![]),
        ] {
            let found = ticks(first, last, step);
            let same = found.len() == want.len() && found.iter().zip(&want).all(|(a, b)| near(*a, *b));
            assert!(same, "{found:?}");
        }
        assert!(ticks(-0.0, 1.0, 1.0)[0].is_sign_positive());
    }
}
