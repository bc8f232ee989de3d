//! LZF, in which Redis packs long strings.

/// The most bytes that one packed byte can stand for: three stand for at most 264.
const MAX_RATIO: usize = 88;

/// Unpacks to exactly `len` bytes; `None` if the bytes are not LZF or unpack to another length.
/// Reserves no more than the packed bytes can stand for.
pub(super) fn unpack(packed: &[u8], len: usize) -> Option<Vec<u8>> {
    if len > packed.len().saturating_mul(MAX_RATIO) {
        return None;
    }
    let mut out = Vec::with_capacity(len);
    let mut rest = packed;
    while let [control, tail @ ..] = rest {
        rest = tail;
        if *control < 32 {
            let (literal, tail) = rest.split_at_checked(usize::from(*control) + 1)?;
            out.extend_from_slice(literal);
            rest = tail;
        } else {
            let mut run = usize::from(control >> 5);
            if run == 7 {
                run += usize::from(take(&mut rest)?);
            }
            let back = usize::from(control & 31) << 8 | usize::from(take(&mut rest)?);
            repeat(&mut out, back + 1, run + 2)?;
        }
        if out.len() > len {
            return None;
        }
    }
    (out.len() == len).then_some(out)
}

fn take(rest: &mut &[u8]) -> Option<u8> {
    let (&first, tail) = rest.split_first()?;
    *rest = tail;
    Some(first)
}

/// Appends `run` bytes from `back` bytes before the end; the two may overlap.
fn repeat(out: &mut Vec<u8>, back: usize, run: usize) -> Option<()> {
    let start = out.len().checked_sub(back)?;
    for place in start..start + run {
        out.push(out[place]);
    }
    Some(())
}
