//! What the fuzz targets call: each takes any bytes and panics where something that must hold doesn't.

mod captured;
mod composed;
mod deb;
mod declared;
mod lists;
mod signed;

pub use captured::captured;
pub use composed::{certificates, ld_so, passwd, soname};
pub use deb::{ar, control, deb, tar};
pub use declared::{script, units};
pub use lists::{index, packages, source_index, sources_deb822, sources_list};
pub use signed::{release, signed};

/// Parts of one input, between lines `%%`.
fn parts<const N: usize>(bytes: &[u8]) -> [&[u8]; N] {
    const MARK: &[u8] = b"\n%%\n";
    let mut rest = Some(bytes);
    std::array::from_fn(|number| {
        let Some(all) = rest else { return b"".as_slice() };
        match memchr::memmem::find(all, MARK).filter(|_| number + 1 < N) {
            // The line end before the mark belongs to the part.
            Some(at) => {
                rest = Some(&all[at + MARK.len()..]);
                &all[..=at]
            }
            None => {
                rest = None;
                all
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use larder_testkit::hostile::feed;

    #[test]
    fn archives_take_any_bytes() {
        feed("ar", 8000, super::ar);
        feed("tar", 8000, super::tar);
        feed("control", 8000, super::control);
    }

    #[test]
    fn packages_are_converted_and_composed_or_refused() {
        feed("deb", 150, super::deb);
    }

    #[test]
    fn lists_and_their_indexes_take_any_bytes() {
        feed("packages", 3000, super::packages);
        feed("index", 4000, super::index);
        feed("source-index", 4000, super::source_index);
        feed("sources-deb822", 8000, super::sources_deb822);
        feed("sources-list", 8000, super::sources_list);
    }

    #[test]
    fn releases_are_what_was_signed_or_refused() {
        feed("release", 4000, super::release);
        feed("signed", 100, super::signed);
    }

    #[test]
    fn declarations_can_always_be_written() {
        feed("script", 3000, super::script);
        feed("units", 3000, super::units);
    }

    #[test]
    fn what_scripts_left_can_always_be_declared() {
        feed("captured", 5000, super::captured);
    }

    #[test]
    fn composers_take_any_files() {
        feed("certificates", 60, super::certificates);
        feed("ld-so", 150, super::ld_so);
        feed("passwd", 150, super::passwd);
        feed("soname", 150, super::soname);
    }

    #[test]
    fn an_input_has_parts() {
        assert_eq!(super::parts(b"a\n%%\nb\n%%\nc"), [b"a\n".as_slice(), b"b\n%%\nc"]);
        assert_eq!(super::parts(b"a"), [b"a".as_slice(), b""]);
    }
}
