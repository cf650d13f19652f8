//! `kvctl txn`: how a transaction is said on a command line.

use kv_server::machine::{Compare, Test, Transaction, Write};

/// What is compared and written.
#[derive(Debug, clap::Args)]
pub(crate) struct Txn {
    /// The key must hold this; may be given again, as all of these.
    #[arg(long = "if", value_name = "KEY=VALUE", value_parser = pair)]
    is: Vec<Pair>,
    /// The key must not hold this.
    #[arg(long = "if-not", value_name = "KEY=VALUE", value_parser = pair)]
    is_not: Vec<Pair>,
    /// The key must be absent.
    #[arg(long = "if-absent", value_name = "KEY")]
    absent: Vec<String>,
    /// The key must be there.
    #[arg(long = "if-present", value_name = "KEY")]
    present: Vec<String>,
    /// Set a key's value.
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    put: Vec<Pair>,
    /// Remove a key.
    #[arg(long, value_name = "KEY")]
    delete: Vec<String>,
    /// Set a key's value if something does not hold.
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    else_put: Vec<Pair>,
    /// Remove a key if something does not hold.
    #[arg(long, value_name = "KEY")]
    else_delete: Vec<String>,
}

type Pair = (String, String);

fn pair(text: &str) -> Result<Pair, String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

impl From<Txn> for Transaction {
    fn from(txn: Txn) -> Transaction {
        let is = txn.is.into_iter().map(|(key, value)| (key, Test::Is(Some(value.into()))));
        let is_not = txn.is_not.into_iter().map(|(key, value)| (key, Test::IsNot(Some(value.into()))));
        let absent = txn.absent.into_iter().map(|key| (key, Test::Is(None)));
        let present = txn.present.into_iter().map(|key| (key, Test::IsNot(None)));
        let compares = is.chain(is_not).chain(absent).chain(present);
        let writes = |puts: Vec<Pair>, deletes: Vec<String>| {
            let puts =
                puts.into_iter().map(|(key, value)| Write::Put { key: key.into(), value: value.into() });
            puts.chain(deletes.into_iter().map(|key| Write::Delete { key: key.into() })).collect()
        };
        Transaction {
            compares: compares.map(|(key, test)| Compare { key: key.into(), test }).collect(),
            success: writes(txn.put, txn.delete),
            otherwise: writes(txn.else_put, txn.else_delete),
        }
    }
}
