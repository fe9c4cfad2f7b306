//! What is packed into a component beside its code: custom sections, which any WASM tool carries along and none runs.
//!
//! So a packed plugin is one file that is still a component.

use wasm_encoder::{CustomSection, Section};
use wasmparser::{Parser, Payload};

use crate::words::one_line;

/// Sections of ours are named `pgsteward/<name>`.
const PREFIX: &str = "pgsteward/";

/// The sections of ours, by name in the order of the file.
///
/// # Errors
/// When the bytes are no WASM.
pub fn sections(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>, String> {
    let mut found = Vec::new();
    each(bytes, |name, data, _| found.extend(name.strip_prefix(PREFIX).map(|name| (name.to_string(), data.to_vec()))))?;
    Ok(found)
}

/// The component with these sections in place of any that it had.
///
/// # Errors
/// When the bytes are no WASM.
pub fn with_sections(bytes: &[u8], sections: &[(String, Vec<u8>)]) -> Result<Vec<u8>, String> {
    let mut packed = without_sections(bytes)?;
    for (name, data) in sections {
        let name = format!("{PREFIX}{name}");
        let section = CustomSection { name: name.as_str().into(), data: data.as_slice().into() };
        packed.push(section.id());
        wasm_encoder::Encode::encode(&section, &mut packed);
    }
    Ok(packed)
}

/// The component alone.
///
/// # Errors
/// When the bytes are no WASM.
pub fn without_sections(bytes: &[u8]) -> Result<Vec<u8>, String> {
    without(bytes, |name| name.starts_with(PREFIX))
}

/// The file without custom sections of these names.
pub(crate) fn without(bytes: &[u8], which: impl Fn(&str) -> bool) -> Result<Vec<u8>, String> {
    let mut cut = Vec::new();
    each(bytes, |name, _, range| cut.extend(which(name).then_some(range)))?;
    let mut kept = bytes.to_vec();
    for (start, end) in cut.into_iter().rev() {
        kept.drain(start..end);
    }
    Ok(kept)
}

/// Goes through the custom sections of the outermost level: the name, what is in it, where it stands.
fn each(bytes: &[u8], mut see: impl FnMut(&str, &[u8], (usize, usize))) -> Result<(), String> {
    let (mut depth, mut before) = (0_usize, 0_usize);
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(|error| one_line(&error.to_string()))?;
        is_whole(&payload, bytes)?;
        let end = match &payload {
            Payload::Version { range, .. } => range.end,
            Payload::CustomSection(section) => section.range().end,
            other => other.as_section().map_or(before, |(_, range)| range.end),
        };
        match &payload {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::CustomSection(section) if depth == 0 => {
                see(section.name(), section.data(), (before, end));
            }
            _ => {}
        }
        before = before.max(end);
    }
    Ok(())
}

/// Whether what is nested ends within the file. The parser takes a file for whole that was cut off between two sections of
/// a nested component; anything put behind it would become part of that component.
pub(crate) fn is_whole(payload: &Payload<'_>, bytes: &[u8]) -> Result<(), String> {
    match payload {
        Payload::ModuleSection { unchecked_range: range, .. } | Payload::ComponentSection { unchecked_range: range, .. }
            if range.end > bytes.len() =>
        {
            Err(format!("it was cut off: a part of it would end at byte {}, and it has {}", range.end, bytes.len()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn component() -> Vec<u8> {
        wat::parse_str(r#"(component (core module (func)) (component (core module)))"#).unwrap()
    }

    #[test]
    fn what_was_packed_comes_out_and_the_component_is_as_it_was() {
        let files = [("tests/a.test.yaml".to_string(), b"cases: []".to_vec()), ("README.md".to_string(), vec![0; 300])];
        let packed = with_sections(&component(), &files).unwrap();
        assert_eq!(sections(&packed).unwrap(), files);
        assert_eq!(without_sections(&packed).unwrap(), component());
        let again = with_sections(&packed, &files[..1]).unwrap();
        assert_eq!(sections(&again).unwrap(), files[..1], "packing again replaces");
        assert!(sections(b"\0asm").is_err());
    }
    #[test]
    fn a_file_cut_off_between_two_nested_sections_is_refused() {
        let inner = "(type (func)) (import \"a\" (func (type 0))) (type (func))";
        let whole = wat::parse_str(format!("(component (component {inner}))")).unwrap();
        let name = whole.iter().rposition(|byte| *byte == b'a').unwrap();
        for bytes in (name..whole.len()).filter_map(|end| whole.get(..end)) {
            assert!(sections(bytes).is_err(), "{} of {} bytes", bytes.len(), whole.len());
            assert!(crate::inspect(bytes).is_err(), "{} of {} bytes", bytes.len(), whole.len());
        }
        assert!(sections(&whole).is_ok());
    }
}
