//! The folder bank with the sandbox on its other side: what goes out, what comes back, and what a crash leaves.

use std::path::Path;
use std::time::{Duration, SystemTime};

use commands::ports::{Bank, TransferFact, TransferOrder};
use domain::bank_details::{BankDetails, BankNumber};
use domain::withdrawal::{Failure, TransferOutcome};
use domain::{Currency, Money, Timestamp, WithdrawalId};
use uuid::Uuid;

use super::*;

const IBAN: &str = "DE02120300000000202051";

struct Counter {
    folder: tempfile::TempDir,
    bank: FolderBank,
    sandbox: SandboxBank,
}

fn details(iban: &str, name: &str) -> BankDetails {
    BankDetails::new(BankNumber::Iban(iban.parse().unwrap()), None, name).unwrap()
}

impl Counter {
    fn open() -> Counter {
        let folder = tempfile::tempdir().unwrap();
        let debtor = details(IBAN, "Payledger");
        let config = FolderBankConfig { name: "sandbox".parse().unwrap(), folder: folder.path().into(), debtor };
        let sandbox =
            SandboxBankConfig { returns_after: Duration::ZERO, ..SandboxBankConfig::new(folder.path(), IBAN) };
        let bank = FolderBank::open(config).unwrap();
        Counter { folder, bank, sandbox: SandboxBank::open(sandbox).unwrap() }
    }

    fn files(&self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path().join(folder)).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn write(&self, name: &str, content: &str, age: Duration) {
        let path = self.folder.path().join("inbox").join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::File::options().write(true).open(&path).unwrap().set_modified(SystemTime::now() - age).unwrap();
    }

    /// Everything that the bank has to tell, acknowledged.
    async fn told(&self) -> Vec<TransferFact> {
        let mut told = vec![];
        for news in self.bank.news().await.unwrap() {
            self.bank.acknowledge(&news).await.unwrap();
            told.extend(news.facts);
        }
        told
    }
}

fn order(name: &str) -> TransferOrder {
    TransferOrder {
        withdrawal_id: WithdrawalId::from_uuid(Uuid::from_u128(1)),
        amount: Money::new(5_000, Currency::EUR).unwrap(),
        beneficiary: details("GB29NWBK60161331926819", name),
        ordered_at: Timestamp::from_micros(1_790_000_000_000_000),
    }
}

fn now() -> Timestamp {
    Timestamp::from_micros(1_790_000_100_000_000)
}

fn closed() -> Failure {
    Failure::of_bank_code(Some("AC04"))
}

#[tokio::test]
async fn the_name_of_the_beneficiary_chooses_what_the_bank_does() {
    let message = |mark: &str| Some(format!("{mark}-{}", order("Acme").withdrawal_id.to_string().replace('_', "-")));
    let returned_as = |amount, mark| {
        let booking = message(mark);
        TransferOutcome::Returned { amount, failure: closed(), booking }
    };
    let returned = |amount| returned_as(amount, "C");
    let table = [
        ("Acme Ltd", vec![TransferOutcome::Paid]),
        ("Reject Ltd", vec![TransferOutcome::Refused(closed())]),
        ("Return Ltd", vec![TransferOutcome::Paid, returned(5_000)]),
        ("Short Return Ltd", vec![TransferOutcome::Paid, returned(4_900)]),
        ("Split Return Ltd", vec![TransferOutcome::Paid, returned_as(1_666, "C"), returned_as(3_334, "C2")]),
        ("Silent Ltd", vec![]),
    ];
    for (name, expected) in table {
        let counter = Counter::open();
        counter.bank.send(&order(name)).await.unwrap();
        counter.sandbox.work(now()).unwrap();
        let mut told = counter.told().await;
        counter.sandbox.work(now()).unwrap();
        told.extend(counter.told().await);
        assert!(told.iter().all(|fact| fact.withdrawal_id == order(name).withdrawal_id));
        assert_eq!(told.into_iter().map(|fact| fact.outcome).collect::<Vec<_>>(), expected, "{name}");
        assert!(counter.files("inbox").is_empty() && counter.files("outbox").is_empty());
    }
}

#[tokio::test]
async fn an_order_sent_twice_is_one_instruction() {
    let counter = Counter::open();
    for _ in 0..2 {
        counter.bank.send(&order("Acme")).await.unwrap();
    }
    assert_eq!(counter.files("outbox").len(), 1);
    counter.sandbox.work(now()).unwrap();
    assert_eq!(counter.told().await.len(), 1);

    counter.bank.send(&order("Acme")).await.unwrap();
    counter.sandbox.work(now()).unwrap();
    assert_eq!(counter.told().await, [], "the bank knows it already, and that is no news of the first");
}

#[tokio::test]
async fn a_message_is_told_until_it_is_acknowledged_and_never_again() {
    let counter = Counter::open();
    counter.bank.send(&order("Acme")).await.unwrap();
    counter.sandbox.work(now()).unwrap();
    let first = counter.bank.news().await.unwrap();
    assert_eq!(counter.bank.news().await.unwrap(), first, "nobody has acknowledged it");
    let statement = first.iter().find(|news| !news.facts.is_empty()).unwrap();
    let content = std::fs::read_to_string(counter.folder.path().join("inbox").join(&statement.source)).unwrap();
    for news in &first {
        counter.bank.acknowledge(news).await.unwrap();
        counter.bank.acknowledge(news).await.unwrap();
    }
    counter.write("the-same-again.xml", &content, Duration::ZERO);
    assert_eq!(counter.bank.news().await.unwrap(), []);
    assert!(counter.files("inbox").is_empty(), "the same content under another name is put away");
}

/// Two nodes read the same message; before the second one puts it away, the bank sends another under the same name.
#[tokio::test]
async fn a_message_under_the_name_of_one_that_was_read_is_told_too() {
    let counter = Counter::open();
    let mut contents = vec![];
    for name in ["Acme", "Reject"] {
        let other = Counter::open();
        other.bank.send(&order(name)).await.unwrap();
        other.sandbox.work(now()).unwrap();
        let news = other.bank.news().await.unwrap();
        let telling = news.iter().find(|news| !news.facts.is_empty()).unwrap();
        contents.push(std::fs::read_to_string(other.folder.path().join("inbox").join(&telling.source)).unwrap());
    }
    counter.write("daily.xml", &contents[0], Duration::ZERO);
    let (here, there) = (counter.bank.news().await.unwrap(), counter.bank.news().await.unwrap());
    assert_eq!((&here, here.len()), (&there, 1));
    counter.bank.acknowledge(&here[0]).await.unwrap();
    for late in ["acknowledged", "seen again"] {
        counter.write("daily.xml", &contents[1], Duration::ZERO);
        counter.bank.acknowledge(&there[0]).await.unwrap();
        let told = counter.told().await;
        let outcomes: Vec<_> = told.into_iter().map(|fact| fact.outcome).collect();
        let expected = if late == "acknowledged" { vec![TransferOutcome::Refused(closed())] } else { vec![] };
        assert_eq!(outcomes, expected, "{late}");
        assert!(counter.files("inbox").is_empty());
    }
    assert_eq!(counter.files("archive").len(), 2);
}

#[tokio::test]
async fn a_draft_that_a_dead_writer_left_is_removed_in_time() {
    let counter = Counter::open();
    let outbox = counter.folder.path().join("outbox");
    for (name, age) in [(".old.xml.1.draft", 7_200), (".young.xml.2.draft", 60), ("other.xml", 7_200)] {
        std::fs::write(outbox.join(name), "half").unwrap();
        let file = std::fs::File::options().write(true).open(outbox.join(name)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
    }
    counter.bank.send(&order("Acme")).await.unwrap();
    let files = counter.files("outbox");
    assert_eq!((files.len(), files[0].as_str()), (3, ".young.xml.2.draft"));
    assert!(files.iter().any(|name| name == "other.xml"), "{files:?}");
}

#[tokio::test]
async fn what_cannot_be_read_is_put_aside_and_holds_up_nothing() {
    let counter = Counter::open();
    counter.bank.send(&order("Acme")).await.unwrap();
    counter.sandbox.work(now()).unwrap();
    counter.write("half.xml", "<Document xmlns=\"urn:iso", Duration::ZERO);
    counter.write("broken.xml", "<Document/>", Duration::from_secs(120));
    counter.write("letter.txt", "hello", Duration::from_secs(120));
    assert_eq!(counter.told().await.len(), 1);
    assert_eq!(counter.files("quarantine").len(), 1, "the broken one");
    assert_eq!(counter.files("inbox"), ["half.xml", "letter.txt"], "one may still be being written");
}

#[tokio::test]
async fn a_sandbox_that_dies_before_it_puts_an_instruction_away_says_the_same_again() {
    let counter = Counter::open();
    counter.bank.send(&order("Acme")).await.unwrap();
    let name = counter.files("outbox")[0].clone();
    let (outbox, taken) = (counter.folder.path().join("outbox"), counter.folder.path().join("taken"));
    counter.sandbox.work(now()).unwrap();
    assert_eq!(counter.told().await.len(), 1);
    std::fs::rename(taken.join(&name), outbox.join(&name)).unwrap();
    counter.sandbox.work(now()).unwrap();
    assert_eq!(counter.told().await, [], "equal content was read before");
}

#[tokio::test]
async fn nothing_unfinished_is_ever_seen() {
    let counter = Counter::open();
    counter.bank.send(&order("Acme")).await.unwrap();
    let drafts = |folder: &Path| {
        std::fs::read_dir(folder)
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with('.'))
            .count()
    };
    assert_eq!(drafts(&counter.folder.path().join("outbox")), 0);
    std::fs::write(counter.folder.path().join("inbox/.x.xml.1.draft"), "half").unwrap();
    assert_eq!(counter.bank.news().await.unwrap(), []);
    counter.sandbox.work(now()).unwrap();
    assert_eq!(counter.told().await.len(), 1);
}
