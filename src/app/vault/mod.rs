//! Vault passwords for every command.

pub(super) mod keys;
