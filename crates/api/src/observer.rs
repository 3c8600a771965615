//! Whoever counts what the API does.

use std::time::Duration;

/// Is told what happens, on the thread on which it does: it MUST NOT block.
pub trait Observer: Send + Sync {
    /// A request was answered.
    fn answered(&self, answered: Answered<'_>);
    /// A login was refused for its e-mail address or its password.
    fn login_failed(&self);
}

/// What a request was, and what became of it.
#[derive(Debug, Clone, Copy)]
pub struct Answered<'a> {
    /// The method, as it was sent.
    pub method: &'a str,
    /// The pattern of the route, such as `/api/v1/customers/{customer}`; `None` where there is none.
    pub route: Option<&'a str>,
    /// The status of the answer.
    pub status: u16,
    /// From the head of the request to the head of the answer.
    pub took: Duration,
}

/// Nobody.
impl Observer for () {
    fn answered(&self, _: Answered<'_>) {}

    fn login_failed(&self) {}
}
