mod oracle;
mod replies;
mod requests;

use super::*;
