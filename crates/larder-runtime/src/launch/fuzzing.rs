//! What the fuzz targets call: each takes any bytes and panics where something that must hold doesn't.

use super::channel::Message;
use super::identity::{Identity, NO_ID};
use crate::view::wire;

/// The listing of a view is refused, or is the same when written and read again.
pub fn listing(bytes: &[u8]) {
    if let Ok(tree) = wire::decode(bytes) {
        let written = wire::encode(&tree);
        assert_eq!(written.len(), bytes.len());
        assert_eq!(wire::decode(&written).ok().as_ref(), Some(&tree));
    }
}

/// Who is asked for (the first line), looked up in an image's passwd and group (parted by a line `%%`): a number is itself, and
/// none is the number that leaves root in place.
pub fn identity(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (asked, files) = text.split_once('\n').unwrap_or((&text, ""));
    let (passwd, group) = files.split_once("\n%%\n").unwrap_or((files, ""));
    let Ok(found) = Identity::look_up(asked, passwd, group) else { return };
    assert!([found.uid, found.gid].iter().chain(&found.groups).all(|&id| id != NO_ID));
    let (user, group) = asked.split_once(':').map_or((asked, None), |(user, group)| (user, Some(group)));
    if let Ok(number) = user.parse::<u32>() {
        assert_eq!(found.uid, number);
    }
    if let Some(Ok(number)) = group.map(str::parse::<u32>) {
        assert_eq!(found.gid, number);
    }
}

/// What the container's side sends: a failure arrives as it was sent.
pub fn message(bytes: &[u8]) {
    if let Ok(Some(Message::Failed(failure))) = Message::decode(bytes, None) {
        let again = Message::decode(&failure.clone().encode(), None);
        let is_short = bytes.len() < 2000;
        assert!(matches!(again, Ok(Some(Message::Failed(again))) if again == failure || !is_short));
        _ = failure.into_error().to_string();
    }
}

#[cfg(test)]
mod tests {
    use larder_testkit::hostile::feed;

    #[test]
    fn decoders_take_any_bytes() {
        feed("identity", 8000, super::identity);
        feed("listing", 20_000, super::listing);
        feed("message", 4000, super::message);
    }
}
