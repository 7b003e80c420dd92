//! The merchants' statements against the postings of every event.

use commands::ports::EventStore;

use super::{Rows, Seen, Verification, compare, replay};
use crate::books::entry_of;
use crate::statements::{Balances, Movement, Statements, lines_of, stored};
use crate::{ReadError, Reader};

pub(super) async fn verify(reader: &Reader, store: &dyn EventStore) -> Result<Verification, ReadError> {
    let mut view = reader.now(&[&Statements]).await?;
    let (seen, tables) = (Seen::by(&mut view, &Statements).await?, rows(&stored(&mut view).await?));
    drop(view);
    let (mut expected, mut balances) = (vec![], Balances::new());
    replay(store, &seen, |event| {
        if let Some(entry) = entry_of(event)? {
            expected.extend(lines_of(event, &entry, &mut balances));
        }
        Ok(())
    })
    .await?;
    Ok(compare("statements", &seen, &rows(&expected), tables))
}

fn rows(movements: &[Movement]) -> Rows {
    let name = |line: &Movement| format!("{} {} {}", line.merchant_id, line.currency, line.position);
    movements.iter().map(|line| (name(line), format!("{line:?}"))).collect()
}
