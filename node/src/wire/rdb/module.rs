//! Names of modules (`moduleTypeNameByID`).

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The name in a module's 64-bit id: nine letters of six bits above ten bits of version.
pub(super) fn name(id: u64) -> String {
    let letter = |place: u32| LETTERS[(id >> (64 - 6 * (place + 1)) & 63) as usize];
    (0..9).map(|place| char::from(letter(place))).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_module_is_told_by_its_name() {
        assert_eq!(super::name(0), "AAAAAAAAA");
        assert_eq!(super::name(u64::MAX), "_________");
        // `ReJSON-RL` of version 3.
        assert_eq!(super::name(0x45e2_5238_df91_2c03), "ReJSON-RL");
    }
}
