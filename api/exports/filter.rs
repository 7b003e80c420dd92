//! Which rows an export shall have: the filter of its kind's list as a JSON object, every field known to the kind and
//! valid, or a problem that points at it.

use domain::{Account, ChannelName, Currency, MerchantId, OrderNo, PaymentId, Timestamp};
use projections::exports::{Kind, Selection};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::auth::roles::ObjectReader;
use crate::errors;
use crate::extract::Parsed;
use crate::extract::json::part;
use crate::extract::tree::push_step;
use crate::problem::Problem;
use crate::statements::Bound;

const POINTER: &str = "/filter";

const OF_LISTS: &[&str] = &[
    "merchant_id",
    "status",
    "currency",
    "channel",
    "order_no",
    "created_from",
    "created_to",
    "amount_min",
    "amount_max",
];
const OF_MOVEMENTS: &[&str] = &["merchant_id", "currency", "from", "to"];

fn knows(kind: Kind, field: &str) -> bool {
    match kind {
        Kind::Movements => OF_MOVEMENTS.contains(&field),
        Kind::Journal => OF_MOVEMENTS.contains(&field) || field == "account",
        Kind::Refunds => OF_LISTS.contains(&field) || field == "payment_id",
        _ => OF_LISTS.contains(&field),
    }
}

/// The fields of all kinds.
#[derive(Deserialize)]
struct Filter {
    merchant_id: Option<MerchantId>,
    status: Option<String>,
    currency: Option<Currency>,
    channel: Option<ChannelName>,
    order_no: Option<OrderNo>,
    payment_id: Option<PaymentId>,
    account: Option<Parsed<Account>>,
    created_from: Option<Timestamp>,
    created_to: Option<Timestamp>,
    amount_min: Option<i64>,
    amount_max: Option<i64>,
    from: Option<Parsed<Bound>>,
    to: Option<Parsed<Bound>>,
}

/// Which rows of those that `reader` may see.
pub fn selection(kind: Kind, filter: Map<String, Value>, reader: ObjectReader) -> Result<Selection, Problem> {
    if let Some(field) = filter.keys().find(|field| !knows(kind, field)) {
        let detail = format!("an export of {} has no such filter", kind.as_str());
        return Err(Problem::new(errors::UNKNOWN_FIELD, detail).at(pointer(field)));
    }
    let filter: Filter = part(&Value::Object(filter), POINTER)?;
    if let Some(status) = &filter.status {
        let known = kind.knows_status(status);
        known.map_err(|reason| Problem::new(errors::INVALID_FIELD, reason).at(pointer("status")))?;
    }
    let (from, to) = (filter.from.map(|bound| bound.0.begin()), filter.to.map(|bound| bound.0.end()));
    if from > to && to.is_some() {
        return Err(Problem::new(errors::INVALID_FIELD, "it ends before it begins").at(pointer("to")));
    }
    Ok(Selection {
        merchant_id: reader.whose(filter.merchant_id).map_err(in_filter)?,
        status: filter.status,
        currency: filter.currency,
        channel: filter.channel,
        order_no: filter.order_no,
        payment_id: filter.payment_id,
        account: filter.account.map(|account| account.0.to_string()),
        created_from: filter.created_from,
        created_to: filter.created_to,
        amount_min: filter.amount_min,
        amount_max: filter.amount_max,
        from,
        to,
    })
}

fn pointer(field: &str) -> String {
    let mut pointer = POINTER.to_owned();
    push_step(&mut pointer, field);
    pointer
}

/// What a list says of its parameter is said of the field here.
fn in_filter(mut problem: Problem) -> Problem {
    problem.pointer = problem.parameter.take().map(|field| pointer(&field));
    problem
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use uuid::Uuid;

    fn select(kind: Kind, filter: Value) -> Result<Selection, Problem> {
        let Value::Object(filter) = filter else { unreachable!("a filter is an object") };
        let own = MerchantId::from_uuid(Uuid::from_u128(1));
        selection(kind, filter, ObjectReader::Own(own))
    }

    #[test]
    fn each_fault_is_pointed_at() {
        let other = MerchantId::from_uuid(Uuid::from_u128(2)).to_string();
        let table = [
            (Kind::Payments, json!({"colour": "red"}), "unknown_field", "/filter/colour"),
            (Kind::Payments, json!({"limit": 5}), "unknown_field", "/filter/limit"),
            (Kind::Payments, json!({"payment_id": "pay_1"}), "unknown_field", "/filter/payment_id"),
            (Kind::Payments, json!({"from": "2026-11-01"}), "unknown_field", "/filter/from"),
            (Kind::Refunds, json!({"payment_id": "pay_1"}), "invalid_field", "/filter/payment_id"),
            (Kind::Movements, json!({"status": "paid"}), "unknown_field", "/filter/status"),
            (Kind::Movements, json!({"account": "x"}), "unknown_field", "/filter/account"),
            (Kind::Movements, json!({"from": "yesterday"}), "invalid_field", "/filter/from"),
            (Kind::Movements, json!({"from": "2026-11-02", "to": "2026-10-31"}), "invalid_field", "/filter/to"),
            (Kind::Journal, json!({"account": "x"}), "invalid_field", "/filter/account"),
            (Kind::Payments, json!({"status": "paid"}), "invalid_field", "/filter/status"),
            (Kind::Orders, json!({"status": "succeeded"}), "invalid_field", "/filter/status"),
            (Kind::Payments, json!({"status": 1}), "invalid_field", "/filter/status"),
            (Kind::Payments, json!({"currency": "usd"}), "invalid_field", "/filter/currency"),
            (Kind::Payments, json!({"channel": "A B"}), "invalid_field", "/filter/channel"),
            (Kind::Payments, json!({"order_no": ""}), "invalid_field", "/filter/order_no"),
            (Kind::Payments, json!({"created_from": "2026"}), "invalid_field", "/filter/created_from"),
            (Kind::Payments, json!({"amount_min": 1.5}), "invalid_field", "/filter/amount_min"),
            (Kind::Payments, json!({"amount_max": "5"}), "invalid_field", "/filter/amount_max"),
            (Kind::Payments, json!({"amount_max": 1e30}), "invalid_field", "/filter/amount_max"),
            (Kind::Payments, json!({"merchant_id": "mer_1"}), "invalid_field", "/filter/merchant_id"),
            (Kind::Payments, json!({"merchant_id": other}), "forbidden", "/filter/merchant_id"),
        ];
        for (kind, filter, code, pointer) in table {
            let problem = select(kind, filter.clone()).unwrap_err();
            assert_eq!((&*problem.code, problem.pointer.as_deref()), (code, Some(pointer)), "{filter}");
            assert_eq!(problem.parameter, None, "{filter}");
        }
    }

    #[test]
    fn a_merchant_exports_its_own() {
        let own = MerchantId::from_uuid(Uuid::from_u128(1));
        for filter in [json!({}), json!({"merchant_id": own.to_string()}), json!({"merchant_id": null})] {
            assert_eq!(select(Kind::Payments, filter).unwrap().merchant_id, Some(own));
        }
        let day = select(Kind::Movements, json!({"from": "2026-11-20", "to": "2026-11-20"})).unwrap();
        let ends = [day.from, day.to].map(|end| end.map(|moment| moment.to_string()));
        assert_eq!(
            ends,
            ["2026-11-20T00:00:00.000000Z", "2026-11-21T00:00:00.000000Z"].map(|end| Some(end.to_owned()))
        );
    }
}
