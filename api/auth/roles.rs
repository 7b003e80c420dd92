//! Which roles may use a route, as types: a handler that takes one of them cannot run for another role.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use commands::ports::Role;
use domain::MerchantId;

use super::Caller;
use crate::errors;
use crate::problem::Problem;

macro_rules! roles {
    ($($(#[$doc:meta])* $name:ident $($role:ident)+;)*) => {$(
        $(#[$doc])*
        pub struct $name;

        impl<S: Send + Sync> FromRequestParts<S> for $name {
            type Rejection = Problem;

            async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<$name, Problem> {
                permitted(parts, &[$(Role::$role),+]).map(|_| $name)
            }
        }
    )*};
}

roles! {
    /// Reads accounts, entries and transactions of the whole platform.
    BooksReader Finance Auditor;
    /// Reads the log of events.
    LogReader Auditor Operator Admin;
    /// Looks after projections and sagas.
    OperatorCaller Operator Admin;
    /// Onboards merchants and issues keys.
    AdminCaller Admin;
}

fn permitted(parts: &Parts, roles: &[Role]) -> Result<Caller, Problem> {
    let caller = parts.extensions.get::<Caller>();
    let caller = caller.ok_or_else(|| Problem::internal(&"a route that asks for a role has no authentication"))?;
    if roles.contains(&caller.access.role()) { Ok(caller.clone()) } else { Err(forbidden(roles)) }
}

fn forbidden(roles: &[Role]) -> Problem {
    let names: Vec<&str> = roles.iter().map(Role::as_str).collect();
    Problem::new(errors::FORBIDDEN, format!("only keys of these roles may do that: {}", names.join(", ")))
}

/// A person of finance, by the principal that approvals compare.
pub struct FinanceCaller {
    pub principal: String,
}

impl<S: Send + Sync> FromRequestParts<S> for FinanceCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<FinanceCaller, Problem> {
        permitted(parts, &[Role::Finance]).map(|caller| FinanceCaller { principal: caller.principal })
    }
}

/// A merchant: the only one who moves its money.
pub struct MerchantCaller {
    pub merchant_id: MerchantId,
    /// Who of the merchant's people it is: approvals compare principals.
    pub principal: String,
}

impl<S: Send + Sync> FromRequestParts<S> for MerchantCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<MerchantCaller, Problem> {
        let caller = permitted(parts, &[Role::Merchant])?;
        match caller.access.merchant_id() {
            Some(merchant_id) => Ok(MerchantCaller { merchant_id, principal: caller.principal }),
            None => Err(forbidden(&[Role::Merchant])),
        }
    }
}

/// Reads objects of merchants: a merchant its own, everybody else all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectReader {
    Own(MerchantId),
    All,
}

impl<S: Send + Sync> FromRequestParts<S> for ObjectReader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<ObjectReader, Problem> {
        let caller = permitted(parts, &Role::ALL)?;
        Ok(caller.access.merchant_id().map_or(ObjectReader::All, ObjectReader::Own))
    }
}

/// Takes data out of the ledger: a merchant its own, and the books only whoever reads them anyway.
pub struct ExportCaller {
    pub reader: ObjectReader,
    pub reads_books: bool,
}

impl<S: Send + Sync> FromRequestParts<S> for ExportCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<ExportCaller, Problem> {
        let reader = ObjectReader::from_request_parts(parts, state).await?;
        let reads_books = BooksReader::from_request_parts(parts, state).await.is_ok();
        Ok(ExportCaller { reader, reads_books })
    }
}

impl ObjectReader {
    /// The merchant who reads; none if it is somebody of the platform.
    pub fn own(&self) -> Option<MerchantId> {
        match self {
            ObjectReader::Own(merchant_id) => Some(*merchant_id),
            ObjectReader::All => None,
        }
    }

    pub fn may_see(&self, owner: MerchantId) -> bool {
        match self {
            ObjectReader::Own(merchant_id) => *merchant_id == owner,
            ObjectReader::All => true,
        }
    }

    /// Whose objects a list holds, when the query asks for `wanted`. `None` is everybody's.
    pub fn whose(&self, wanted: Option<MerchantId>) -> Result<Option<MerchantId>, Problem> {
        match (self, wanted) {
            (ObjectReader::All, wanted) => Ok(wanted),
            (ObjectReader::Own(own), None) => Ok(Some(*own)),
            (ObjectReader::Own(own), Some(wanted)) if *own == wanted => Ok(Some(wanted)),
            (ObjectReader::Own(_), Some(_)) => {
                let detail = "a merchant's key reads its own objects only";
                Err(Problem::new(errors::FORBIDDEN, detail).in_parameter("merchant_id"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_merchant_reads_its_own() {
        let (own, other) = (MerchantId::from_uuid(Uuid::from_u128(1)), MerchantId::from_uuid(Uuid::from_u128(2)));
        let merchant = ObjectReader::Own(own);
        assert!(merchant.may_see(own) && !merchant.may_see(other) && ObjectReader::All.may_see(other));
        assert_eq!(merchant.whose(None).unwrap(), Some(own));
        assert_eq!(merchant.whose(Some(own)).unwrap(), Some(own));
        assert_eq!(merchant.whose(Some(other)).unwrap_err().status, 403);
        assert_eq!(ObjectReader::All.whose(None).unwrap(), None);
        assert_eq!(ObjectReader::All.whose(Some(other)).unwrap(), Some(other));
    }
}
