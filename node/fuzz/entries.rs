//! What must hold for any bytes, one function a format. Each panics if it does not.

use bytes::{BufMut, BytesMut};
use redrill_node::store::{Limits, Value};
use redrill_node::wire::{aof, bus, rdb, resp};
use redrill_node::{Config, SavedState, nodes_conf};

/// Cuts `data` into pieces of lengths that its first byte decides, and feeds them to `next` until
/// that gives an error that ends the stream.
fn feed<T>(
    data: &[u8],
    chunk_len: usize,
    mut next: impl FnMut(&mut BytesMut) -> Result<Option<T>, bool>,
) {
    let mut buf = BytesMut::new();
    for chunk in data.chunks(chunk_len) {
        buf.put_slice(chunk);
        loop {
            match next(&mut buf) {
                Ok(Some(_)) | Err(false) => {}
                Ok(None) => break,
                Err(true) => return,
            }
        }
    }
}

fn chunk_len(data: &[u8]) -> usize {
    1 + usize::from(data.first().copied().unwrap_or(0))
}

/// Cluster-bus packets: cuts make no difference, and what was read is written so that it reads
/// the same.
pub(crate) fn bus(data: &[u8]) {
    let decode = |chunk_len| {
        let mut results = Vec::new();
        let mut decoder = bus::Decoder::new();
        feed(data, chunk_len, |buf| {
            let result = decoder.next(buf);
            if !matches!(result, Ok(None)) {
                results.push(result.clone());
            }
            result.map_err(|error| error.is_fatal())
        });
        results
    };
    let whole = decode(data.len().max(1));
    assert_eq!(whole, decode(chunk_len(data)));
    for message in whole.into_iter().flatten().flatten() {
        let mut packet = BytesMut::new();
        bus::encode(&message, &mut packet);
        assert_eq!(packet.len(), bus::encoded_len(&message));
        assert_eq!(bus::decode(&packet), Ok(message));
    }
}

/// Requests: cuts make no difference, lengths add up, and commands come back from the wire.
pub(crate) fn resp_request(data: &[u8]) {
    let decode = |chunk_len| {
        let mut results = Vec::new();
        let mut decoder = resp::RequestDecoder::new();
        feed(data, chunk_len, |buf| {
            let result = decoder.next(buf);
            if !matches!(result, Ok(None)) {
                results.push(result.clone());
            }
            result.map_err(|_| true)
        });
        results
    };
    let whole = decode(data.len().max(1));
    assert_eq!(whole, decode(chunk_len(data)));
    let requests: Vec<_> = whole.into_iter().flatten().flatten().collect();
    let taken: usize = requests.iter().map(|request| request.wire_len).sum();
    assert!(taken <= data.len());
    for request in requests {
        let mut wire = BytesMut::new();
        resp::encode_command(&request.command, &mut wire);
        assert_eq!(wire.len(), resp::command_len(&request.command));
        let again = resp::RequestDecoder::new().next(&mut wire);
        assert_eq!(again.unwrap().unwrap().command, request.command);
    }
}

/// Replies: bytes after one make no difference, and what is written reads back to the same
/// bytes.
pub(crate) fn resp_reply(data: &[u8]) {
    let Ok(Some((reply, len))) = resp::decode_reply(data) else {
        return;
    };
    assert!(resp::decode_reply(&data[..len]).unwrap().is_some());
    assert_eq!(resp::decode_reply(&data[..len - 1]), Ok(None));
    for resp3 in [false, true] {
        let mut wire = BytesMut::new();
        resp::encode_reply(&reply, resp3, &mut wire);
        let (again, len) = resp::decode_reply(&wire).unwrap().unwrap();
        assert_eq!(len, wire.len());
        let mut wire_again = BytesMut::new();
        resp::encode_reply(&again, resp3, &mut wire_again);
        assert_eq!(wire, wire_again);
    }
}

/// State files: errors point into the text, and what was read is written so that it reads the
/// same.
pub(crate) fn nodes_conf(data: &[u8]) {
    let _ = nodes_conf::parse_cluster_nodes(data);
    match SavedState::parse(data) {
        Ok(Some(state)) => {
            let text = state.to_text();
            let again = SavedState::parse(text.as_bytes()).unwrap().unwrap();
            assert_eq!(again.to_text(), text);
        }
        Ok(None) => assert!(data.is_empty()),
        Err(error) => {
            assert!(error.span.start <= error.span.end && error.span.end <= data.len());
            assert!(error.line > 0 && error.column > 0);
        }
    }
}

/// Configuration files: every directive can be set to what it shows.
pub(crate) fn redis_conf(data: &[u8]) {
    match Config::parse_file(data) {
        Ok((config, _)) => {
            for directive in Config::directives() {
                let shown = config.get(directive.name).unwrap();
                let mut again = Config::default();
                if again.set(directive.name, &shown).is_ok() {
                    assert_eq!(
                        again.get(directive.name).unwrap(),
                        shown,
                        "{}",
                        directive.name
                    );
                }
            }
        }
        Err(error) => {
            let lines = data.split(|&byte| byte == b'\n').count();
            assert!((1..=lines).contains(&error.line));
        }
    }
}

/// Snapshots: what was read is written so that it reads the same, and cuts make no difference.
pub(crate) fn rdb(data: &[u8]) {
    read_rdb(data);
    // Without a checksum, so that damage reaches the reader itself.
    if let Some(start) = data.len().checked_sub(8) {
        read_rdb(&[&data[..start], &[0; 8]].concat());
    }
    rdb_in_parts(data);
}

fn rdb_in_parts(data: &[u8]) {
    let mut decoder = rdb::Decoder::new();
    let mut input = BytesMut::new();
    let mut result = Ok(None);
    for part in data.chunks(chunk_len(data)) {
        input.put_slice(part);
        result = decoder.next(&mut input);
        assert!(decoder.taken() <= data.len());
        if !matches!(result, Ok(None)) {
            break;
        }
    }
    match (rdb::read(data), result) {
        (Err(whole), Ok(None)) => assert_eq!(whole.fault, rdb::RdbFault::EndOfFile),
        (whole, parts) => assert_eq!(whole.map(Some), parts),
    }
}

/// Single values: what was restored is dumped so that it restores the same.
pub(crate) fn payload(data: &[u8]) {
    restore(data);
    // With the checksum that belongs to it, so that damage reaches the reader itself.
    let content = &data[..data.len().saturating_sub(8)];
    let sum = crc(content);
    restore(&[content, &sum.to_le_bytes()].concat());
}

fn restore(payload: &[u8]) {
    let Ok(value) = rdb::restore(payload, &Limits::DEFAULT) else {
        return;
    };
    assert!(matches!(value, Value::String(_)) || !value.is_empty());
    let again = rdb::dump(&value, rdb::DEFAULT_LIST_FILL);
    assert_eq!(rdb::verify(&again), Ok(()));
    assert_eq!(rdb::restore(&again, &Limits::DEFAULT), Ok(value));
}

/// The checksum that an empty snapshot with these bytes would have: bit by bit, as the polynomial
/// says.
fn crc(bytes: &[u8]) -> u64 {
    const REFLECTED: u64 = 0x95ac_9329_ac4b_c9b5;
    bytes.iter().fold(0, |crc, &byte| {
        (0..8).fold(crc ^ u64::from(byte), |crc, _| {
            (crc >> 1) ^ (REFLECTED * (crc & 1))
        })
    })
}

/// Append-only files: errors point into the file, and the commands read back.
pub(crate) fn aof(data: &[u8]) {
    let mut reader = aof::AofReader::new(data, 0);
    let mut commands = Vec::new();
    loop {
        match reader.next_command() {
            Ok(Some(command)) => commands.push(command),
            Ok(None) => break,
            Err(error) => {
                assert!(error.offset <= data.len());
                break;
            }
        }
    }
    assert!(reader.valid_up_to() <= data.len());
    let mut file = BytesMut::new();
    for command in &commands {
        resp::encode_command(command, &mut file);
    }
    let mut again = aof::AofReader::new(&file, 0);
    for command in commands {
        assert_eq!(again.next_command(), Ok(Some(command)));
    }
    assert_eq!(again.next_command(), Ok(None));
}

/// Manifests of append-only files: what was read is written so that it reads the same.
pub(crate) fn aof_manifest(data: &[u8]) {
    match aof::Manifest::parse(data) {
        // Remarks alone name no file.
        Ok(manifest) if manifest.is_empty() => {}
        Ok(manifest) => {
            let text = manifest.to_text();
            assert_eq!(aof::Manifest::parse(text.as_bytes()), Ok(manifest));
        }
        Err(error) => assert!(error.line <= data.split(|&byte| byte == b'\n').count()),
    }
}

fn read_rdb(data: &[u8]) {
    match rdb::read(data) {
        Ok(snapshot) => {
            assert!(snapshot.len <= data.len());
            let mut bytes = BytesMut::new();
            rdb::encode(&snapshot.snapshot, &mut bytes);
            assert_eq!(rdb::decode(&bytes), Ok(snapshot.snapshot));
        }
        Err(error) => assert!(error.offset <= data.len()),
    }
}
