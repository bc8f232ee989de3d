use super::*;

/// What a decoder makes of bytes that arrive in parts, and what it left.
fn in_parts(bytes: &[u8], part: usize) -> (Result<Option<Rdb>, RdbError>, BytesMut) {
    let mut decoder = Decoder::new();
    let mut input = BytesMut::new();
    for part in bytes.chunks(part.max(1)) {
        input.extend_from_slice(part);
        match decoder.next(&mut input) {
            Ok(None) => {}
            whole => {
                let left = bytes.len() - decoder.taken();
                let rest = bytes[bytes.len() - left..].into();
                return (whole, rest);
            }
        }
    }
    (Ok(None), input)
}

const TYPES: &[u8] = include_bytes!("../../../../tests/fixtures/types.rdb");

#[test]
fn a_snapshot_is_read_however_it_is_cut() {
    let whole = read(TYPES).unwrap();
    for part in [1, 2, 3, 7, 100, 1000, TYPES.len()] {
        let (rdb, rest) = in_parts(TYPES, part);
        assert_eq!(rdb, Ok(Some(whole.clone())), "parts of {part}");
        assert!(rest.is_empty());
    }
}

#[test]
fn what_follows_a_snapshot_is_left() {
    let bytes = [DUMP, b"and more"].concat();
    let (rdb, rest) = in_parts(&bytes, 100);
    assert_eq!(rdb.unwrap().unwrap(), read(DUMP).unwrap());
    assert_eq!(&rest[..], b"and more");
}

#[test]
fn a_decoder_takes_what_it_needs_no_more() {
    let mut decoder = Decoder::new();
    let mut input = BytesMut::from(&b"REDIS0010\x01\x01l\x02\x03abc\x05de"[..]);
    assert_eq!(decoder.next(&mut input), Ok(None));
    assert_eq!((&input[..], decoder.taken()), (&b"\x05de"[..], 17));
    input.extend_from_slice(b"fgh\xff\0\0\0\0\0\0\0");
    assert_eq!(decoder.next(&mut input), Ok(None));
    input.extend_from_slice(b"\0");
    let rdb = decoder.next(&mut input).unwrap().unwrap();
    assert_eq!((rdb.len, rdb.snapshot.entries.len()), (32, 1));
    assert_eq!(decoder.next(&mut input), Ok(None));
}

/// A string of 96 MB that arrives in small parts is looked at once it is whole, not at each.
#[test]
fn a_long_string_is_not_looked_at_again_with_every_part() {
    let mut decoder = Decoder::new();
    let mut input = BytesMut::from(&b"REDIS0010\x00\x01k\x80\x06\x00\x00\x00"[..]);
    let part = vec![b'x'; 1024];
    for _ in 0..96 * 1024 - 1 {
        input.extend_from_slice(&part);
        assert_eq!(decoder.next(&mut input), Ok(None));
    }
    assert_eq!(decoder.taken(), 9);
}

#[test]
fn a_writer_that_goes_in_steps_writes_the_same() {
    let snapshot = decode(TYPES).unwrap();
    let whole = encoded(&snapshot);
    for step in [0, 1, 50, 5000] {
        let mut writer = Encoder::new(&snapshot, &Aux::default());
        let (mut out, mut part) = (BytesMut::new(), BytesMut::new());
        while writer.write(&mut part, step.max(1)) {
            assert!(part.len() >= step);
            out.unsplit(part.split());
        }
        out.unsplit(part);
        assert_eq!(out, whole, "steps of {step}");
        assert!(!writer.write(&mut out, step));
        assert_eq!(out, whole);
    }
}

proptest! {
    #[test]
    fn cuts_make_no_difference(bytes in proptest::collection::vec(any::<u8>(), 0..200), part in 1_usize..20) {
        for bytes in [file(&bytes), bytes] {
            match read(&bytes) {
                Ok(rdb) => {
                    let (whole, _) = in_parts(&bytes, part);
                    prop_assert_eq!(whole, Ok(Some(rdb)));
                }
                Err(RdbError { fault: RdbFault::EndOfFile, .. }) => {
                    prop_assert_eq!(in_parts(&bytes, part).0, Ok(None));
                }
                Err(error) => prop_assert_eq!(in_parts(&bytes, part).0, Err(error)),
            }
        }
    }
}
