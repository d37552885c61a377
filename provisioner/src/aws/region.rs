//! Names of regions: their form, and those that there were when this program was made.

use crate::spelling::nearest;

/// Regions of AWS's endpoint data, as of 2026-11. A newer one passes where it has the form of one.
const KNOWN: [&str; 45] = [
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-central-1",
    "ca-west-1",
    "cn-north-1",
    "cn-northwest-1",
    "eu-central-1",
    "eu-central-2",
    "eu-isoe-west-1",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "eusc-de-east-1",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-gov-east-1",
    "us-gov-west-1",
    "us-iso-east-1",
    "us-iso-west-1",
    "us-isob-east-1",
    "us-isof-east-1",
    "us-isof-south-1",
    "us-west-1",
    "us-west-2",
];
const DIRECTIONS: [&str; 9] = [
    "central",
    "east",
    "north",
    "northeast",
    "northwest",
    "south",
    "southeast",
    "southwest",
    "west",
];

/// Whether a text can name a region; where it cannot, the region that was most likely meant.
pub(crate) fn check(text: &str) -> Result<(), Option<&'static str>> {
    if KNOWN.contains(&text) {
        return Ok(());
    }
    let near = nearest(text, KNOWN);
    match area_of(text) {
        // Regions are added where there are others, and rarely anywhere else.
        Some(area) if KNOWN.iter().any(|known| area_of(known) == Some(area)) => Ok(()),
        Some(_) if near.is_none_or(|near| strsim::damerau_levenshtein(text, near) > 1) => Ok(()),
        _ => Err(near),
    }
}

/// What stands before direction and number, where a text has the form of a region: `us-gov` of `us-gov-east-1`.
fn area_of(text: &str) -> Option<&str> {
    let (rest, number) = text.rsplit_once('-')?;
    let (area, direction) = rest.rsplit_once('-')?;
    let is_number = (1..=2).contains(&number.len()) && number.chars().all(|c| c.is_ascii_digit());
    let is_area = |part: &str| (2..=4).contains(&part.len()) && part.chars().all(|c| c.is_ascii_lowercase());
    (is_number && DIRECTIONS.contains(&direction) && area.split('-').all(is_area)).then_some(area)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_told_with_the_nearest_and_new_regions_pass() {
        for (text, expected) in [
            ("eu-west-1", Ok(())),
            ("us-gov-west-1", Ok(())),
            ("us-isof-south-1", Ok(())),
            ("eu-west-4", Ok(())),
            ("nz-north-1", Ok(())),
            ("eu-wset-1", Err(Some("eu-west-1"))),
            ("eu-west1", Err(Some("eu-west-1"))),
            ("ue-west-1", Err(Some("eu-west-1"))),
            ("eu-west-1a", Err(Some("eu-west-1"))),
            ("us-east", Err(Some("us-east-1"))),
            ("us-esat-1", Err(Some("us-east-1"))),
            ("frankfurt", Err(None)),
            ("eu-west-1.evil.example", Err(None)),
            ("", Err(None)),
        ] {
            assert_eq!(check(text), expected, "{text}");
        }
        let mut sorted = KNOWN;
        sorted.sort_unstable();
        assert_eq!(sorted, KNOWN);
    }
}
