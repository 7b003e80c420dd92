//! Clients of payment channels behind the port `Channel`: each speaks one provider's protocol and maps its answers.
//! They know nothing of payments' states; whatever cannot be told from an answer is `Unknown`, never a guess.

pub mod breaker;
pub mod http;
pub mod sandbox;
pub mod signature;
pub mod stripe;
