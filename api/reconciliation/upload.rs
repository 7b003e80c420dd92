//! A statement's file as it comes in: raw with its terms in the query, or as a form with them in its fields.

use axum::extract::{Extension, OriginalUri, Request, State};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use commands::ports::StatementFormat;
use commands::ports::statements::ColumnMap;
use commands::reconciliation::Upload;
use domain::reconciliation::{Counterparty, Rules};
use domain::{BankName, ChannelName};
use futures::StreamExt;
use serde::{Deserialize, Deserializer, de::Error};
use sha2::{Digest, Sha256};
use tokio::fs::File;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{RunObject, as_of_command, rules, start};
use crate::app::App;
use crate::auth::Caller;
use crate::auth::roles::FinanceCaller;
use crate::errors;
use crate::extract::{Wait, query};
use crate::idempotency::{accepted, issued_over};
use crate::params::{CommandErrors, WaitingCommandHeaders};
use crate::problem::Problem;
use crate::upload::{Spooled, disk, spool};

/// Characters of a form's text fields.
const FIELD_BYTES_MAX: usize = 4_096;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(import_statement))
}

/// How the file is to be read. In the query, or in the fields of a form beside its `file`.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Terms {
    /// `stripe_payout` (the itemised payout reconciliation), `paypal_stl` (the STL settlement report), `alipay_bill` (the
    /// daily trade bill), `camt053` or `csv`.
    #[param(value_type = String, example = "stripe_payout")]
    format: FormatName,
    /// Whose statement it is, if not that of the channel which the format names; of a `csv`, if not that of the first
    /// channel.
    #[param(value_type = Option<String>)]
    channel: Option<ChannelName>,
    /// Whose statement it is, of a `camt053` or a `csv`, if not that of the bank to which channels pay out.
    #[param(value_type = Option<String>)]
    bank: Option<BankName>,
    /// Of a `csv`: which column is what, as `gross=Amount,reference=Transaction ID`. There are `gross`, `currency` and
    /// `date`, which must be there, and `reference`, `own_reference`, `kind`, `fee`, `net` and `balance` (what was there
    /// behind the line); each is looked for under its own name unless another one is given. Amounts are major units.
    columns: Option<String>,
    /// Minor units by which amounts and fees may differ, 1 unless told otherwise.
    #[param(minimum = 0, maximum = 1000)]
    tolerance: Option<i64>,
    /// Days by which the two sides may date the same thing apart, 5 unless told otherwise.
    #[param(minimum = 0, maximum = 60)]
    lag_days_max: Option<u32>,
}

#[derive(Debug, Clone, Copy)]
enum FormatName {
    StripePayout,
    PaypalStl,
    AlipayBill,
    Camt053,
    Csv,
}

impl<'de> Deserialize<'de> for FormatName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "stripe_payout" => Ok(FormatName::StripePayout),
            "paypal_stl" => Ok(FormatName::PaypalStl),
            "alipay_bill" => Ok(FormatName::AlipayBill),
            "camt053" => Ok(FormatName::Camt053),
            "csv" => Ok(FormatName::Csv),
            _ => Err(D::Error::custom("must be stripe_payout, paypal_stl, alipay_bill, camt053 or csv")),
        }
    }
}

impl Terms {
    fn format(&self) -> Result<StatementFormat, Problem> {
        let columns = self.columns.as_deref().unwrap_or_default();
        let columns: ColumnMap = columns.parse().map_err(|reason: String| {
            Problem::new(errors::INVALID_PARAMETER, format!("columns: {reason}")).in_parameter("columns")
        })?;
        Ok(match self.format {
            FormatName::StripePayout => StatementFormat::StripePayout,
            FormatName::PaypalStl => StatementFormat::PaypalStl,
            FormatName::AlipayBill => StatementFormat::AlipayBill,
            FormatName::Camt053 => StatementFormat::Camt053,
            FormatName::Csv => StatementFormat::Csv(columns),
        })
    }

    fn counterparty(&self, app: &App) -> Result<Counterparty, Problem> {
        let named = |name: &str| name.parse().ok().map(Counterparty::Channel);
        let channels = &app.payments.channels;
        let usual = match self.format {
            FormatName::StripePayout => named("stripe"),
            FormatName::PaypalStl => named("paypal"),
            FormatName::AlipayBill => named("alipay"),
            FormatName::Camt053 => Some(Counterparty::Bank(app.channel_accounts.bank.clone())),
            FormatName::Csv => channels.default_name().cloned().map(Counterparty::Channel),
        };
        match (&self.channel, &self.bank) {
            (Some(_), Some(_)) => {
                let detail = "a statement is a channel's or a bank's";
                Err(Problem::new(errors::INVALID_PARAMETER, detail).in_parameter("bank"))
            }
            (Some(channel), None) => Ok(Counterparty::Channel(channel.clone())),
            (None, Some(bank)) => Ok(Counterparty::Bank(bank.clone())),
            (None, None) => usual.ok_or_else(|| {
                Problem::new(errors::INVALID_PARAMETER, "name the channel whose statement it is")
                    .in_parameter("channel")
            }),
        }
    }

    fn rules(&self) -> Result<Rules, Problem> {
        rules(self.tolerance, self.lag_days_max)
    }
}

/// A statement in a form.
#[derive(ToSchema)]
#[allow(dead_code)]
struct StatementForm {
    /// Up to 256 MB.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
    format: Option<String>,
    channel: Option<String>,
    bank: Option<String>,
    columns: Option<String>,
}

/// Bring a statement in
///
/// Up to 256 MB, as the body itself or as the field `file` of a form. The same file again is the same statement. What
/// cannot be read of it is told line by line, and the rest is compared with what is booked: the answer is the run that
/// does so, `running` until it is done; `Prefer: wait` waits for it.
#[utoipa::path(post, path = "/reconciliation/statements", tag = "reconciliation",
    params(Terms, WaitingCommandHeaders),
    request_body(content((String = "application/octet-stream"), (StatementForm = "multipart/form-data"))),
    responses((status = 202, description = "The first run over the statement", body = RunObject), CommandErrors))]
async fn import_statement(
    State(app): State<App>,
    caller: FinanceCaller,
    Extension(who): Extension<Caller>,
    Extension(spooled): Extension<Spooled>,
    wait: Wait,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    let told = parts.uri.query().unwrap_or_default();
    let (told, file) = contents(&parts.headers, told, spooled).await?;
    let terms: Terms = query::parse(&told)?;
    let upload = Upload {
        counterparty: terms.counterparty(&app)?,
        format: terms.format()?,
        digest: hex::encode(file.digest),
        bytes: file.bytes,
        rules: terms.rules()?,
        by: caller.principal,
    };
    let path = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |OriginalUri(uri)| uri).path();
    // The terms in the order in which they are known, whatever order they came in, and the file.
    let meaning = format!("{upload:?}");
    let issued = issued_over(&parts, &who, path, &Sha256::digest(meaning).into())?;
    let statement_id = upload.statement_id();
    let receipt = app.reconciliations.import(issued, upload, &file.path).await?;
    let receipt = accepted(receipt)?;
    start(&app, statement_id);
    as_of_command(&app, &receipt, 1, wait).await
}

/// What is said of the file, as a query, and the file.
async fn contents(headers: &HeaderMap, told: &str, spooled: Spooled) -> Result<(String, Spooled), Problem> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !content_type.to_ascii_lowercase().starts_with("multipart/form-data") {
        return Ok((told.to_owned(), spooled));
    }
    let broken = || Problem::new(errors::MALFORMED_REQUEST, "the form cannot be read");
    let boundary = multer::parse_boundary(content_type).map_err(|_| broken())?;
    let body = File::open(spooled.path.as_ref()).await.map_err(|error| disk(&error))?;
    let mut form = multer::Multipart::with_reader(body, boundary);
    let (mut terms, mut file) = (vec![], None);
    while let Some(field) = form.next_field().await.map_err(|_| broken())? {
        match field.name().map(str::to_owned).as_deref() {
            Some("file") if file.is_none() => {
                file = Some(spool(field.map(|chunk| chunk.map_err(drop))).await?);
            }
            Some("file") => return Err(Problem::of(errors::DUPLICATE_FIELD).at("/file")),
            Some(name) => {
                let text = text_of(field).await?;
                terms.push((name.to_owned(), text));
            }
            None => return Err(broken()),
        }
    }
    let file = file.ok_or_else(|| Problem::of(errors::MISSING_FIELD).at("/file"))?;
    Ok((url::form_urlencoded::Serializer::new(told.to_owned()).extend_pairs(terms).finish(), file))
}

async fn text_of(mut field: multer::Field<'_>) -> Result<String, Problem> {
    let mut text = vec![];
    while let Ok(Some(chunk)) = field.chunk().await {
        text.extend_from_slice(&chunk);
        if text.len() > FIELD_BYTES_MAX {
            return Err(Problem::new(errors::INVALID_FIELD, "a field of the form is too long"));
        }
    }
    String::from_utf8(text).map_err(|_| Problem::new(errors::INVALID_FIELD, "a field of the form is no UTF-8"))
}
