use super::*;
use crate::drawing::sheet::Item;
use crate::sample::{kill_master, partition_and_stall};

fn sheets() -> Vec<(u32, Sheet)> {
    let mut sheets = Vec::new();
    for trace in [kill_master(), partition_and_stall()] {
        for width_px in [640, 900, 1400, 2200] {
            let model = Model::of(&trace);
            let options = Options {
                width_px,
                ..Options::default()
            };
            sheets.push((width_px, lay_out(&model, &options)));
            let whole = Options {
                window: Some(model.run),
                ..options
            };
            sheets.push((width_px, lay_out(&model, &whole)));
        }
    }
    sheets
}

#[test]
fn labels_never_overlap_and_never_leave_the_sheet() {
    for (width_px, sheet) in sheets() {
        let texts: Vec<(&str, Box2)> = sheet
            .items
            .iter()
            .filter_map(|item| {
                let Item::Text(text, at, kind) = item else {
                    return None;
                };
                Some((text.as_str(), kind.space(text, *at)))
            })
            .collect();
        assert!(texts.len() > 40);
        for (index, (text, space)) in texts.iter().enumerate() {
            let inside = space.left >= 0.0 && space.right <= sheet.width && space.bottom <= sheet.y;
            assert!(inside, "{text:?} leaves the sheet of {width_px}: {space:?}");
            for (other, taken) in &texts[index + 1..] {
                assert!(
                    !space.touches(*taken),
                    "{width_px}: {text:?} over {other:?}"
                );
            }
        }
    }
}

#[test]
fn the_same_run_makes_the_same_svg() {
    let trace = kill_master();
    let options = Options {
        width_px: 800,
        overview: false,
        ..Options::default()
    };
    let one = svg(&trace, &options).unwrap();
    assert_eq!(one, svg(&trace, &options).unwrap());
    insta::assert_snapshot!(without_fonts(&one));
}

#[test]
fn an_svg_is_well_formed_and_fetches_nothing() {
    let mut trace = kill_master();
    trace.header.drill = "</title><script>alert(1)</script> & \"'".to_owned();
    trace.header.nodes[1].name = "<image href=x>".to_owned();
    let text = svg(&trace, &Options::default()).unwrap();
    let document = roxmltree::Document::parse(&text).unwrap();
    let names: Vec<&str> = document
        .descendants()
        .map(|node| node.tag_name().name())
        .collect();
    for forbidden in ["script", "image", "use", "a"] {
        assert!(!names.contains(&forbidden), "{forbidden} in the picture");
    }
    let plain = without_fonts(&text);
    assert_eq!(plain.matches("http").count(), 1, "only the namespace");
}

#[test]
fn a_png_has_the_size_that_was_asked_for() {
    let options = Options {
        width_px: 800,
        density: 2,
        ..Options::default()
    };
    let file = png(&kill_master(), &options).unwrap();
    let decoder = ::png::Decoder::new(std::io::Cursor::new(&file));
    let mut reader = decoder.read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!(info.width, 1600);
    let dark = pixels
        .chunks(3)
        .filter(|pixel| pixel.iter().all(|part| *part < 80))
        .count();
    assert!(dark > 5000, "the text is missing");
    let last = pixels.len() - 1;
    assert_eq!(
        (pixels[0], pixels[last]),
        (255, 255),
        "paper from edge to edge"
    );
}

fn without_fonts(svg: &str) -> String {
    let (head, rest) = svg.split_once("<style>").unwrap();
    let (_, rest) = rest.split_once("</style>").unwrap();
    format!("{head}{rest}")
}

/// Writes the sample pictures where one can look at them: `cargo test -p redrill-reports -- --ignored`.
#[test]
#[ignore = "writes files to look at"]
fn write_sample_pictures() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/pictures");
    std::fs::create_dir_all(&folder).unwrap();
    for trace in [kill_master(), partition_and_stall()] {
        let name = &trace.header.drill;
        let whole = Options {
            window: Some(Model::of(&trace).run),
            ..Options::default()
        };
        let file = |suffix: &str| folder.join(format!("{name}{suffix}"));
        std::fs::write(file(".svg"), svg(&trace, &Options::default()).unwrap()).unwrap();
        std::fs::write(file(".png"), png(&trace, &Options::default()).unwrap()).unwrap();
        std::fs::write(file("-whole.png"), png(&trace, &whole).unwrap()).unwrap();
    }
}
