//! `customers token`: makes, lists and revokes tokens.

use customers_api::MintedToken;
use customers_domain::Timestamp;
use customers_domain::token::NewToken;
use customers_storage::Store;

use crate::Failure;
use crate::cli::TokenCommand;
use crate::output::{print, show, tell};

/// Does what was asked for.
pub async fn run(store: Store, command: TokenCommand) -> Result<(), Failure> {
    let tokens = store.tokens;
    match command {
        TokenCommand::Create(token) => {
            let minted = MintedToken::mint().map_err(|error| Failure::other(error.to_string()))?;
            let expires_at = token.expires_in.map(|age| Timestamp::now().saturating_add(age));
            let new = NewToken {
                name: token.name.clone(),
                scope: token.scope,
                digest: minted.digest,
                expires_at,
            };
            tokens.add(new).await.map_err(Failure::other)?;
            tell(&format!(
                "Made the token \"{}\" of scope {}, which {}. It cannot be shown again:",
                token.name,
                token.scope,
                expires_at.map_or("does not expire".into(), |at| format!("expires at {at}")),
            ));
            if let Err(error) = show(&minted.text) {
                // Nobody knows it, so nobody shall be able to use it.
                tokens.revoke(&token.name).await.map_err(Failure::other)?;
                return Err(Failure::other(format!("cannot print the token: {error}")));
            }
        }
        TokenCommand::List => {
            let tokens = tokens.list().await.map_err(Failure::other)?;
            let width = tokens.iter().map(|token| token.name.as_str().chars().count()).max();
            let width = width.unwrap_or(0).max("NAME".len());
            print(&format!(
                "{:width$}  SCOPE  {:27}  {:27}  LAST USED",
                "NAME", "CREATED", "EXPIRES"
            ))?;
            let now = Timestamp::now();
            for token in &tokens {
                let time = |at: Option<Timestamp>| at.map_or("never".into(), |at| at.to_string());
                print(&format!(
                    "{:width$}  {:5}  {:27}  {:27}  {}{}",
                    token.name,
                    token.scope,
                    token.created_at.to_string(),
                    time(token.expires_at),
                    time(token.last_used_at),
                    if token.is_expired(now) { "  (expired)" } else { "" },
                ))?;
            }
        }
        TokenCommand::Revoke { name } => {
            if !tokens.revoke(&name).await.map_err(Failure::other)? {
                return Err(Failure::other(format!(
                    "there is no token \"{name}\"; see customers token list"
                )));
            }
            print(&format!(
                "Revoked the token \"{name}\". Running servers refuse it within 5 seconds."
            ))?;
        }
    }
    Ok(())
}
