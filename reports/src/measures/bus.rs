//! What the cluster bus costs.

use redrill_sim::checkers::Picture;
use redrill_sim::trace::{Event, Record};

use super::whole_us;

/// What the nodes told of their bus traffic.
#[derive(Debug, Default)]
pub(super) struct Bus {
    /// When it was told first, and what each process had sent.
    first: Option<(u64, Vec<Option<u64>>)>,
    /// Bytes per second of each node that told it last.
    rates: Vec<f64>,
}

impl Bus {
    /// Sees a record that the picture has not taken in yet.
    pub(super) fn observe(&mut self, picture: &Picture<'_>, record: &Record) {
        let Event::BusTraffic { sent_bytes } = &record.event else {
            return;
        };
        let Some((first_us, before)) = &self.first else {
            self.first = Some((record.at_us, sent_bytes.to_vec()));
            return;
        };
        let rates = picture
            .nodes()
            .zip(sent_bytes)
            .filter_map(|((node, now), sent)| {
                let before = before.get(usize::from(node)).copied().flatten();
                // A process that started meanwhile counts from its start.
                let (from_us, before) = match before.filter(|_| now.started_us <= *first_us) {
                    Some(before) => (*first_us, before),
                    None => (now.started_us, 0),
                };
                let seconds = record.at_us.saturating_sub(from_us) as f64 / 1e6;
                let bytes = (*sent)?.saturating_sub(before) as f64;
                (seconds > 0.0).then_some(bytes / seconds)
            });
        self.rates = rates.collect();
    }

    /// Bytes per second, the mean over nodes.
    pub(super) fn bytes_per_node_s(&self) -> Option<f64> {
        let count = self.rates.len() as f64;
        (count > 0.0).then(|| whole_us(self.rates.iter().sum::<f64>() / count))
    }
}
