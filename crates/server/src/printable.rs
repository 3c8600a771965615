//! Text of others on a terminal.

/// The text with its control characters written as JSON does, so that nothing of it reaches a terminal as a
/// command.
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c.is_control() {
            true => shown.push_str(&format!("\\u{:04x}", u32::from(c))),
            false => shown.push(c),
        }
    }
    shown
}
