//! Names of groups and streams: what the service takes, and what is made of a record's text that it would not.
//!
//! What stands in the configuration must be right as it is. What a record puts into a template is cleaned: a character
//! that can't be there becomes `_`, and a name ends at its 512th character.

/// The longest name of a group or stream, characters.
const MAX_NAME: usize = 512;

/// A name that holds only what group names can.
pub(super) fn group(name: &str) -> Result<(), &'static str> {
    cleanable(name)?;
    if name.chars().nth(MAX_NAME).is_some() {
        return Err("is longer than 512 characters");
    }
    if name.chars().all(is_of_group) {
        Ok(())
    } else {
        Err("holds a character that names of log groups can't: they are made of letters, digits and _ - / . #")
    }
}

/// A name that holds only what stream names can.
pub(super) fn stream(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("is empty");
    }
    if name.chars().nth(MAX_NAME).is_some() {
        return Err("is longer than 512 characters");
    }
    if name.chars().all(is_of_stream) {
        Ok(())
    } else {
        Err("holds `:`, `*` or a control character, which names of log streams can't")
    }
}

/// A name that [`clean_group`] makes a right one.
pub(super) fn cleanable(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        Err("is empty")
    } else if name.starts_with("aws/") {
        Err("begins with `aws/`, which is the service's own")
    } else {
        Ok(())
    }
}

/// The group of a name that passed [`cleanable`].
pub(super) fn clean_group(name: &str) -> String {
    clean(name, is_of_group)
}

/// The stream of a name that is not empty.
pub(super) fn clean_stream(name: &str) -> String {
    clean(name, is_of_stream)
}

fn clean(name: &str, takes: fn(char) -> bool) -> String {
    name.chars().take(MAX_NAME).map(|c| if takes(c) { c } else { '_' }).collect()
}

fn is_of_group(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '/' | '.' | '#')
}

fn is_of_stream(c: char) -> bool {
    !c.is_control() && !matches!(c, ':' | '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_as_they_must_be() {
        for name in ["/aws/ecs/shop", "a", "A-Z_0.9#x", &"a".repeat(512)] {
            assert_eq!(group(name), Ok(()), "{name}");
        }
        for name in ["", "aws/x", "a b", "a:b", "a*", "é", "a\n", &"a".repeat(513)] {
            assert!(group(name).is_err(), "{name}");
        }
        for name in ["web/app/0a1b", "a b", "é", "a\"b", &"é".repeat(512)] {
            assert_eq!(stream(name), Ok(()), "{name}");
        }
        for name in ["", "a:b", "a*", "a\n", &"a".repeat(513)] {
            assert!(stream(name).is_err(), "{name}");
        }
    }

    #[test]
    fn what_a_record_says_is_cleaned() {
        for text in ["web app:1*", "é/水\n", "a\0b", &"x:".repeat(600), "aws", " "] {
            assert_eq!(group(&clean_group(text)), Ok(()), "{text:?}");
            assert_eq!(stream(&clean_stream(text)), Ok(()), "{text:?}");
        }
        assert_eq!(clean_group("web app:1"), "web_app_1");
        assert_eq!(clean_stream("web app:1*"), "web app_1_");
    }
}
