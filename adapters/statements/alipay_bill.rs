//! Alipay's daily trade bill (业务明细): GBK or UTF-8, comments behind `#`, one line of headings, fields padded with tabs,
//! yuan with two places, times of Shanghai. The service fee is told with the sign of what it does to the balance in some
//! bills and without one in others, so its sign follows from the kind: taken of a trade, given back with a refund.
//! Source: <https://opendocs.alipay.com/open/204/106262> and bills as they are found in public.

use domain::reconciliation::{Amounts, Kind, Line};

use super::records::Fields;
use super::table::{Headings, Row, Table, field};
use super::values::{currency, minor_of_major, moment, own_reference, reference};

const SHANGHAI_OFFSET_HOURS: i32 = 8;

#[derive(Default)]
pub(super) struct AlipayBill {
    columns: Option<Columns>,
}

struct Columns {
    trade: usize,
    order: usize,
    business: usize,
    finished: usize,
    received: usize,
    refund_request: Option<usize>,
    service_fee: usize,
    shared: Option<usize>,
}

impl Columns {
    fn of(headings: &Headings) -> Result<Columns, String> {
        Ok(Columns {
            trade: headings.required(&["支付宝交易号"])?,
            order: headings.required(&["商户订单号"])?,
            business: headings.required(&["业务类型"])?,
            finished: headings.required(&["完成时间"])?,
            received: headings.required(&["商家实收（元）", "商家实收(元)", "商家实收"])?,
            refund_request: headings.any(&["退款批次号/请求号", "退款批次号"]),
            service_fee: headings.required(&["服务费（元）", "服务费(元)", "服务费"])?,
            shared: headings.any(&["分润（元）", "分润(元)", "分润"]),
        })
    }

    fn line(&self, number: u32, fields: &Fields) -> Result<Line, &'static str> {
        let of = |index| field(fields, Some(index));
        let yuan = currency("CNY")?;
        let amount = |index| match field(fields, index).as_ref() {
            "" => Ok(0),
            told => minor_of_major(told, yuan),
        };
        let taken = amount(Some(self.service_fee))?.abs() + amount(self.shared)?.abs();
        let received = minor_of_major(&of(self.received), yuan)?;
        let (kind, gross, fee) = match of(self.business).as_ref() {
            "交易" => (Kind::Charge, received, taken),
            "退款" => (Kind::Refund, -received.abs(), -taken),
            _ => (Kind::Adjustment, received, taken),
        };
        let ours = if kind == Kind::Refund { field(fields, self.refund_request) } else { of(self.order) };
        Ok(Line {
            number,
            kind,
            reference: reference(&of(self.trade))?,
            own_reference: own_reference(&ours),
            amounts: Amounts { currency: yuan, gross, fee },
            occurred_at: moment(&of(self.finished), SHANGHAI_OFFSET_HOURS)?,
        })
    }
}

impl Table for AlipayBill {
    fn row(&mut self, number: u32, fields: &Fields) -> Row {
        if fields.get(0).is_some_and(|first| first.starts_with(b"#")) {
            return Row::Skipped;
        }
        match &self.columns {
            Some(columns) => columns.line(number, fields).into(),
            None => match Columns::of(&Headings::of(fields)) {
                Ok(columns) => {
                    self.columns = Some(columns);
                    Row::Skipped
                }
                Err(reason) => Row::Unreadable(reason),
            },
        }
    }

    fn end(&self) -> Result<(), &'static str> {
        self.columns.as_ref().map(|_| ()).ok_or("the bill has no line of headings")
    }
}
