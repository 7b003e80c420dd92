//! One exchange against a listener that misbehaves in each way.

use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A channel whose calls go to a listener of ours.
struct Fixture {
    channel: HttpChannel,
    base: Url,
    listener: TcpListener,
}

async fn fixture() -> Fixture {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let base = base_address(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let channel = HttpChannel::new("test".parse().unwrap(), Duration::from_millis(300)).unwrap();
    Fixture { channel, base, listener }
}

impl Fixture {
    fn request(&self) -> RequestBuilder {
        self.channel.client().post(address(&self.base, &["charges"])).json(&serde_json::json!({ "amount": 1 }))
    }

    /// One call, answered by these bytes and the end of the connection.
    async fn answered_by(&self, bytes: &[u8]) -> Result<Answer, Silence> {
        let answer = async {
            let mut stream = self.accept().await;
            stream.write_all(bytes).await.unwrap();
            stream.shutdown().await.unwrap();
            // Read to the end, so that the end is no reset.
            let _ = stream.read_to_end(&mut Vec::new()).await;
        };
        tokio::join!(self.channel.call("charge", self.request()), answer).0
    }

    async fn accept(&self) -> TcpStream {
        accept(&self.listener, br#"{"amount":1}"#).await
    }
}

/// A connection of which the whole request has been read.
async fn accept(listener: &TcpListener, request_end: &[u8]) -> TcpStream {
    let (mut stream, _) = listener.accept().await.unwrap();
    let (mut seen, mut buffer) = (Vec::new(), [0; 1024]);
    while !seen.ends_with(request_end) {
        let count = stream.read(&mut buffer).await.unwrap();
        seen.extend_from_slice(&buffer[..count]);
    }
    stream
}

fn response(head: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()).into_bytes()
}

#[tokio::test]
async fn an_answer_is_told_from_silence() {
    let fixture = fixture().await;
    let server_error = |status, replayed| Some(Silence::ServerError { status, replayed });
    let table = [
        ("201 Created", "{}", None),
        ("402 Payment Required", "{}", None),
        ("302 Found\r\nLocation: http://127.0.0.1:1/", "", None),
        ("500 Internal Server Error", "{}", server_error(500, false)),
        ("500 Internal Server Error\r\nIdempotent-Replayed: true", "{}", server_error(500, true)),
        ("503 Service Unavailable", "", server_error(503, false)),
        ("429 Too Many Requests", "", server_error(429, false)),
    ];
    for (head, body, silence) in table {
        let result = fixture.answered_by(&response(head, body)).await;
        match (&result, &silence) {
            (Ok(answer), None) => assert!(head.starts_with(&answer.status.to_string()), "{head}: {}", answer.status),
            (Err(actual), Some(expected)) => assert_eq!(actual, expected, "{head}"),
            _ => panic!("{head}: {result:?}, not {silence:?}"),
        }
    }
}

#[tokio::test]
async fn a_broken_or_boundless_answer_is_no_answer() {
    let fixture = fixture().await;
    let boundless = response("200 OK", &" ".repeat(BODY_BYTES_MAX + 1));
    assert_eq!(fixture.answered_by(&boundless).await.unwrap_err(), Silence::Garbage);
    let allowed = response("200 OK", &" ".repeat(BODY_BYTES_MAX));
    assert_eq!(fixture.answered_by(&allowed).await.unwrap().body.len(), BODY_BYTES_MAX);
    let cut = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"id\":";
    assert!(matches!(fixture.answered_by(cut).await, Err(Silence::ConnectionLost | Silence::Garbage)));
    assert_eq!(fixture.answered_by(b"").await.unwrap_err(), Silence::ConnectionLost);
    let answer = fixture.answered_by(&response("200 OK", "<html>")).await.unwrap();
    assert_eq!(answer.read::<serde_json::Value>(), Err(Silence::Garbage));
}

#[tokio::test]
async fn a_call_that_hangs_is_given_up() {
    let fixture = fixture().await;
    let hold = async {
        let mut stream = fixture.accept().await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
    };
    let (result, ()) = tokio::join!(fixture.channel.call("charge", fixture.request()), hold);
    assert_eq!(result.unwrap_err(), Silence::TimedOut);
}

#[tokio::test]
async fn a_channel_that_is_gone_is_not_hammered_and_found_again() {
    let Fixture { channel, base, listener } = fixture().await;
    drop(listener);
    let request = || channel.client().get(address(&base, &["charges"]));
    while channel.admit("charge").is_ok() {
        assert_eq!(channel.call("charge", request()).await.unwrap_err(), Silence::NotSent);
    }
    assert_eq!(channel.admit("charge"), Err(Silence::CircuitOpen));

    let listener = TcpListener::bind(base.socket_addrs(|| None).unwrap()[0]).await.unwrap();
    let answer = async {
        let mut stream = accept(&listener, b"\r\n\r\n").await;
        stream.write_all(&response("404 Not Found", "{}")).await.unwrap();
    };
    let (asked, ()) = tokio::join!(channel.call("find_charge", request()), answer);
    assert_eq!(asked.unwrap().status, 404);
    assert_eq!(channel.admit("charge"), Ok(()));
}

#[test]
fn no_id_leads_elsewhere() {
    let base = base_address("https://api.example.com/prefix/").unwrap();
    let table = [
        (vec!["charges"], "https://api.example.com/prefix/charges"),
        (vec!["charges", "a/b?c#d"], "https://api.example.com/prefix/charges/a%2Fb%3Fc%23d"),
        (vec!["v1", "x y"], "https://api.example.com/prefix/v1/x%20y"),
    ];
    for (segments, expected) in table {
        assert_eq!(address(&base, &segments).as_str(), expected);
    }
    for wrong in ["", "api.example.com", "ftp://api.example.com", "mailto:a@b"] {
        assert!(base_address(wrong).is_err(), "{wrong}");
    }
}
