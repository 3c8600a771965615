//! `customers user`: makes, lists and disables the users who log in.

use std::io::{BufRead, Read};

use customers_domain::password::{Password, PasswordHash};
use customers_domain::user::{EmailAddress, NewUser};
use customers_storage::Store;

use crate::Failure;
use crate::cli::UserCommand;
use crate::output::print;

/// The most bytes of a password that are read: more than it can have.
const MOST_BYTES: u64 = 8 * 1024;

/// Does what was asked for.
pub async fn run(store: Store, command: UserCommand) -> Result<(), Failure> {
    let users = store.users;
    match command {
        UserCommand::Create(user) => {
            let new = NewUser {
                email: user.email.clone(),
                name: user.name,
                scope: user.scope,
                password: hash_from_stdin()?,
            };
            users.add(new).await.map_err(Failure::other)?;
            print(&format!("Made the user {} of scope {}.", user.email, user.scope))?;
        }
        UserCommand::Password { email, password: _ } => {
            let password = hash_from_stdin()?;
            let is_set = users.set_password(&email.key(), password).await;
            found(is_set.map_err(Failure::other)?, &email)?;
            print(&format!("{email} has another password. Running servers {REFUSE}."))?;
        }
        UserCommand::List => {
            let users = users.list().await.map_err(Failure::other)?;
            let email = width("EMAIL", users.iter().map(|user| user.email.as_str()));
            let name = width("NAME", users.iter().map(|user| user.name.as_str()));
            print(&format!("{:email$}  {:name$}  SCOPE  CREATED", "EMAIL", "NAME"))?;
            for user in &users {
                print(&format!(
                    "{:email$}  {:name$}  {:5}  {}{}",
                    user.email,
                    user.name,
                    user.scope,
                    user.created_at,
                    if user.disabled_at.is_some() { "  (disabled)" } else { "" },
                ))?;
            }
        }
        UserCommand::Disable { email } => {
            let is_disabled = users.disable(&email.key()).await;
            found(is_disabled.map_err(Failure::other)?, &email)?;
            print(&format!("Disabled {email}. Running servers {REFUSE}."))?;
        }
        UserCommand::Enable { email } => {
            let is_enabled = users.enable(&email.key()).await;
            found(is_enabled.map_err(Failure::other)?, &email)?;
            print(&format!("{email} may log in again."))?;
        }
    }
    Ok(())
}

/// Of a column: of its heading or its longest text.
fn width<'a>(heading: &'a str, texts: impl Iterator<Item = &'a str>) -> usize {
    texts.map(|text| text.chars().count()).fold(heading.len(), usize::max)
}

const REFUSE: &str = "refuse the tokens of earlier logins within 5 seconds";

fn found(is_found: bool, email: &EmailAddress) -> Result<(), Failure> {
    let missing = || format!("there is no user {email}; see customers user list");
    if is_found { Ok(()) } else { Err(Failure::other(missing())) }
}

/// The hash of the password on stdin, up to the first line break.
fn hash_from_stdin() -> Result<PasswordHash, Failure> {
    let mut line = Vec::new();
    let mut stdin = std::io::stdin().lock().take(MOST_BYTES);
    stdin.read_until(b'\n', &mut line).map_err(Failure::other)?;
    let line =
        line.strip_suffix(b"\n").map_or(&*line, |line| line.strip_suffix(b"\r").unwrap_or(line));
    let text =
        std::str::from_utf8(line).map_err(|_| Failure::other("the password is not UTF-8"))?;
    let password = Password::chosen(text).map_err(Failure::other)?;
    customers_api::hash_password(&password).map_err(|error| Failure::other(error.to_string()))
}
