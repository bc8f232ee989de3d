//! CRC-64 as Redis takes it (`crc64.c`).

use std::fmt;

use crc::{CRC_64_REDIS, Crc, Digest, Table};

static CRC64: Crc<u64, Table<16>> = Crc::<u64, Table<16>>::new(&CRC_64_REDIS);

/// The sum over all bytes at once.
pub(super) fn of(bytes: &[u8]) -> u64 {
    CRC64.checksum(bytes)
}

/// The sum over what has passed by.
#[derive(Clone)]
pub(super) struct Running(Digest<'static, u64, Table<16>>);

impl Running {
    pub(super) fn new() -> Self {
        Self(CRC64.digest())
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(super) fn sum(&self) -> u64 {
        self.0.clone().finalize()
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Running({:016x})", self.sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_redis() {
        assert_eq!(of(b"123456789"), 0xe9c6_d914_c4b8_d9ca);
        let mut running = Running::new();
        running.add(b"1234");
        running.add(b"56789");
        assert_eq!(running.sum(), 0xe9c6_d914_c4b8_d9ca);
    }
}
