//! Colours for amounts, from dark blue to bright yellow: the lightness grows evenly, so that they
//! keep their order in grey and for the colour-blind, who tell blue from yellow.

use crate::theme::Colour;

/// The colour of a share, 0 to 1.
pub(super) fn colour(share: f64) -> Colour {
    let share = if share.is_nan() {
        0.0
    } else {
        share.clamp(0.0, 1.0)
    };
    let lightness = 0.27 + 0.66 * share;
    // Blue below, yellow above, hardly any colour between: in the space of Oklab.
    let blue_to_yellow = -0.105 + 0.245 * share;
    let green_to_red = -0.012;
    from_oklab(lightness, green_to_red, blue_to_yellow)
}

/// What can be read on a colour.
pub(super) fn text_on(ground: Colour) -> Colour {
    // Of grey, nothing less than black and white stands out enough.
    let (dark, light) = (Colour(0, 0, 0), Colour(0xff, 0xff, 0xff));
    match dark.contrast(ground) >= light.contrast(ground) {
        true => dark,
        false => light,
    }
}

/// Björn Ottosson's Oklab to sRGB.
fn from_oklab(lightness: f64, a: f64, b: f64) -> Colour {
    let long = (lightness + 0.396_337_777_4 * a + 0.215_803_757_3 * b).powi(3);
    let medium = (lightness - 0.105_561_345_8 * a - 0.063_854_172_8 * b).powi(3);
    let short = (lightness - 0.089_484_177_5 * a - 1.291_485_548 * b).powi(3);
    let red = 4.076_741_662_1 * long - 3.307_711_591_3 * medium + 0.230_969_929_2 * short;
    let green = -1.268_438_004_6 * long + 2.609_757_401_1 * medium - 0.341_319_396_5 * short;
    let blue = -0.004_196_086_3 * long - 0.703_418_614_7 * medium + 1.707_614_701 * short;
    let part = |linear: f64| {
        let linear = linear.clamp(0.0, 1.0);
        let value = match linear <= 0.003_130_8 {
            true => 12.92 * linear,
            false => 1.055 * linear.powf(1.0 / 2.4) - 0.055,
        };
        (value * 255.0).round() as u8
    };
    Colour(part(red), part(green), part(blue))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> impl Iterator<Item = Colour> {
        (0..=100).map(|percent| colour(f64::from(percent) / 100.0))
    }

    #[test]
    fn more_is_always_lighter() {
        let lightness: Vec<f64> = all().map(Colour::luminance).collect();
        assert!(lightness.windows(2).all(|pair| pair[1] > pair[0]));
        assert!(lightness[0] < 0.05 && lightness[100] > 0.7, "{lightness:?}");
    }

    #[test]
    fn it_goes_from_blue_to_yellow() {
        let (low, high) = (colour(0.0), colour(1.0));
        assert!(low.2 > low.0 && low.2 > low.1, "{}", low.to_hex());
        assert!(high.0 > high.2 && high.1 > high.2, "{}", high.to_hex());
        assert_eq!((colour(-1.0), colour(2.0)), (low, high));
        assert_eq!(colour(f64::NAN), low);
    }

    #[test]
    fn words_can_be_read_on_every_one() {
        assert!(all().all(|ground| text_on(ground).contrast(ground) > 4.5));
    }
}
